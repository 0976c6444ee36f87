//! A running hash over all that passes, so that two runs can be compared in one number.

/// Hash of what a run put on the links: each packet's time, direction, contents and fate, in order.
///
/// The hash depends on nothing but the words given to it: not on the machine, the process or the standard library's
/// hasher. It tells runs apart; it is no defence against forgery.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    hash: u64,
    packets: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Self { hash: 0xCBF2_9CE4_8422_2325, packets: 0 }
    }
}

impl Trace {
    /// An empty trace.
    pub fn new() -> Self {
        Self::default()
    }

    /// The hash of everything so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Packets recorded so far, dropped ones counted.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    pub(crate) fn packet(&mut self) {
        self.packets += 1;
    }

    pub(crate) fn word(&mut self, word: u64) {
        // One multiplication spreads low bits upwards, the rotation brings them back down for the next.
        self.hash = (self.hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
    }
}
