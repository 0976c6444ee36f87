//! Reordering: some packets are held back for a while, so that those sent after them overtake.

use crate::rng::{Coin, SimRng};

/// Holds a share of the packets back by up to a fixed time.
#[derive(Clone, Debug)]
pub(crate) struct Reorder {
    coin: Coin,
    /// Longest hold, nanoseconds.
    hold: u64,
    rng: SimRng,
}

impl Reorder {
    pub(crate) fn new(probability: f64, hold: u64, coin: SimRng, rng: SimRng) -> Self {
        Self { coin: Coin::new(probability, coin), hold, rng }
    }

    /// How long the next packet is held back, in nanoseconds: 1 to the longest hold, or `None` if it is not.
    pub(crate) fn hold(&mut self) -> Option<u64> {
        (self.hold > 0 && self.coin.flip()).then(|| self.rng.below(self.hold) + 1)
    }
}
