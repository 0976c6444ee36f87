//! The bytes of a stream: each offset of each direction has its byte.

use std::sync::OnceLock;

use bytes::Bytes;
use netstack_sim::SimRng;
use netstack_sim::heap::Side;

/// Prime, so that no power of two maps one offset onto another with the same byte.
const PERIOD: u64 = 65_521;
/// Most bytes given out in one piece.
pub(crate) const PIECE: u64 = 65_536;

/// The bytes that `side` sends.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Bytes);

impl Pattern {
    pub(crate) fn of(side: Side) -> Self {
        static PATTERNS: OnceLock<[Bytes; 2]> = OnceLock::new();
        let patterns = PATTERNS.get_or_init(|| [make(1), make(2)]);
        Self(patterns[side as usize].clone())
    }

    /// The bytes at `offset`, at most [`PIECE`] of them.
    pub(crate) fn piece(&self, offset: u64, len: u64) -> Bytes {
        let start = (offset % PERIOD) as usize;
        self.0.slice(start..start + len.min(PIECE) as usize)
    }

    /// Offset of the first byte that is wrong in `data`, which should lie at `offset`.
    pub(crate) fn mismatch(&self, offset: u64, data: &[u8]) -> Option<u64> {
        let mut at = offset;
        for part in data.chunks(PIECE as usize) {
            let expected = self.piece(at, part.len() as u64);
            if expected != part {
                let first = expected.iter().zip(part).position(|(a, b)| a != b);
                return first.map(|first| at + first as u64);
            }
            at += part.len() as u64;
        }
        None
    }
}

fn make(stream: u64) -> Bytes {
    let mut rng = SimRng::new(0, stream);
    let period: Vec<u8> = (0..PERIOD).map(|_| rng.next_u64() as u8).collect();
    period.iter().copied().cycle().take((PERIOD + PIECE) as usize).collect()
}
