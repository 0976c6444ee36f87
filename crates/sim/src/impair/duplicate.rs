//! Duplication: a packet arrives twice, each copy with a delay of its own.

use crate::rng::{Coin, SimRng};

/// Uniform, independent duplication.
#[derive(Clone, Debug)]
pub(crate) struct Duplicate(Coin);

impl Duplicate {
    pub(crate) fn new(probability: f64, rng: SimRng) -> Self {
        Self(Coin::new(probability, rng))
    }

    /// Whether the next packet is followed by a copy.
    pub(crate) fn copies(&mut self) -> bool {
        self.0.flip()
    }
}
