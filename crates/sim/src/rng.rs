//! One seed for everything: each user of randomness gets a stream of its own.
//!
//! Streams are apart so that turning one impairment on or off leaves the draws of the others as they were: the same
//! seed with loss switched on still jitters the same packets by the same amounts.

use rand::distr::{Bernoulli, Distribution};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// A seeded stream of random numbers; the same (seed, stream) gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct SimRng(Pcg64Mcg);

impl SimRng {
    /// The stream numbered `stream` of `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(mix(seed ^ mix(stream))))
    }

    /// A number in `0..bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.0.random_range(0..bound) }
    }

    /// True once in `n` calls on average; never if `n` is 0.
    pub fn one_in(&mut self, n: u64) -> bool {
        n != 0 && self.below(n) == 0
    }

    /// True with `probability`, taken as within 0 to 1.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.0.random::<f64>() < probability
    }

    /// A number drawn from `distribution`.
    pub(crate) fn draw(&mut self, distribution: impl Distribution<f64>) -> f64 {
        distribution.sample(&mut self.0)
    }

    /// A number over the whole range of `u64`.
    pub fn next_u64(&mut self) -> u64 {
        self.0.random()
    }
}

/// A seeded coin. One that never falls on heads draws nothing, so it costs nothing.
#[derive(Clone, Debug)]
pub(crate) struct Coin {
    heads: Option<Bernoulli>,
    rng: SimRng,
}

impl Coin {
    /// A coin that falls on heads with `probability`.
    ///
    /// # Panics
    ///
    /// If `probability` is not within 0 to 1.
    pub(crate) fn new(probability: f64, rng: SimRng) -> Self {
        let bernoulli = Bernoulli::new(probability).expect("a probability lies between 0 and 1");
        Self { heads: (probability > 0.0).then_some(bernoulli), rng }
    }

    pub(crate) fn flip(&mut self) -> bool {
        self.heads.is_some_and(|heads| heads.sample(&mut self.rng.0))
    }
}

/// Steele, Lea and Flood's SplitMix64 finaliser: neighbouring seeds become unrelated states.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
