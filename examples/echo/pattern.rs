//! A reproducible stream of bytes that does not repeat: both ends can make it, so that what arrives can
//! be compared with what was sent without keeping it.

/// The stream of one seed.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    state: u64,
    word: [u8; 8],
    /// Bytes of `word` already given out.
    used: usize,
}

impl Pattern {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed, word: [0; 8], used: 8 }
    }

    /// Fills `buf` with the next bytes of the stream, however it was cut before.
    pub(crate) fn fill(&mut self, buf: &mut [u8]) {
        let left = (8 - self.used).min(buf.len());
        let (head, rest) = buf.split_at_mut(left);
        head.copy_from_slice(&self.word[self.used..self.used + left]);
        self.used += left;
        let mut words = rest.chunks_exact_mut(8);
        for word in &mut words {
            word.copy_from_slice(&self.next_word());
        }
        let tail = words.into_remainder();
        if !tail.is_empty() {
            self.word = self.next_word();
            self.used = tail.len();
            tail.copy_from_slice(&self.word[..tail.len()]);
        }
    }

    /// SplitMix64: any seed will do, and each word costs a few instructions.
    fn next_word(&mut self) -> [u8; 8] {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).to_le_bytes()
    }
}
