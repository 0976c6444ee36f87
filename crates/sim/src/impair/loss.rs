//! Loss on the wire: each packet is lost by itself with one probability.

use crate::rng::{Coin, SimRng};

/// Uniform, independent loss.
#[derive(Clone, Debug)]
pub(crate) struct Loss(Coin);

impl Loss {
    pub(crate) fn new(probability: f64, rng: SimRng) -> Self {
        Self(Coin::new(probability, rng))
    }

    /// Whether the next packet is lost.
    pub(crate) fn loses(&mut self) -> bool {
        self.0.flip()
    }
}
