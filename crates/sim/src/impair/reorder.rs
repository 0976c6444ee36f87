//! Reordering: some packets are held back for a while, so that those sent after them overtake.

use crate::rng::{Coin, SimRng};

/// Holds a share of the packets back for a time within bounds.
#[derive(Clone, Debug)]
pub(crate) struct Reorder {
    coin: Coin,
    /// Shortest and longest hold, nanoseconds.
    least: u64,
    most: u64,
    rng: SimRng,
}

impl Reorder {
    pub(crate) fn new(probability: f64, (least, most): (u64, u64), coin: SimRng, rng: SimRng) -> Self {
        Self { coin: Coin::new(probability, coin), least, most, rng }
    }

    /// How long the next packet is held back, in nanoseconds and uniform within the bounds, or `None` if it is not.
    pub(crate) fn hold(&mut self) -> Option<u64> {
        let holds = self.most > 0 && self.coin.flip();
        holds.then(|| self.least + self.rng.below(self.most - self.least + 1))
    }
}
