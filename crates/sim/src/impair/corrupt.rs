//! Corruption: one bit of a packet arrives flipped.

use crate::rng::{Coin, SimRng};

/// Uniform, independent corruption.
#[derive(Clone, Debug)]
pub(crate) struct Corrupt {
    coin: Coin,
    rng: SimRng,
}

impl Corrupt {
    pub(crate) fn new(probability: f64, coin: SimRng, rng: SimRng) -> Self {
        Self { coin: Coin::new(probability, coin), rng }
    }

    /// Whether the next packet is hit; gives the bit, to be taken modulo the packet's bits.
    pub(crate) fn hits(&mut self) -> Option<u64> {
        self.coin.flip().then(|| self.rng.next_u64())
    }
}

/// Flips the bit that `hit` names.
pub(crate) fn flip(packet: &mut [u8], hit: u64) {
    let bits = packet.len() as u64 * 8;
    if bits > 0 {
        let bit = hit % bits;
        packet[(bit / 8) as usize] ^= 1 << (bit % 8);
    }
}
