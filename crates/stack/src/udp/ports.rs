//! Ephemeral ports of sockets without a peer: drawn at random (RFC 6056 3.3.1), so that an answer to one query tells nothing
//! of the port of the next (R8085-2).

use std::hash::Hasher;
use std::ops::RangeInclusive;

use siphasher::sip::SipHasher24;

/// Draws ports under a secret key.
pub(super) struct RandomPorts {
    key: [u8; 16],
    /// Draws so far: hashed under the key, each is a random number.
    drawn: u64,
    first: u16,
    count: u32,
}

impl RandomPorts {
    pub(super) fn new(key: [u8; 16], range: &RangeInclusive<u16>) -> Self {
        let count = u32::from(*range.end()).saturating_add(1).saturating_sub(u32::from(*range.start()));
        Self { key, drawn: 0, first: *range.start(), count }
    }

    /// A free port; `None` when all are in use. `in_use` is asked at most once for each port.
    pub(super) fn pick(&mut self, mut in_use: impl FnMut(u16) -> bool) -> Option<u16> {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u64(self.drawn);
        self.drawn = self.drawn.wrapping_add(1);
        let start = (hasher.finish() % u64::from(self.count.max(1))) as u32;
        (0..self.count)
            .map(|step| self.first + ((start + step) % self.count) as u16)
            .find(|&port| !in_use(port))
    }
}

impl std::fmt::Debug for RandomPorts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RandomPorts")
            .field("first", &self.first)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
