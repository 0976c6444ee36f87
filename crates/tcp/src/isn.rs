//! Initial sequence numbers (RFC 6528) and timestamp offsets (RFC 7323 5.4).

#[cfg(test)]
mod tests;

use core::fmt;
use core::hash::Hasher;

use netstack_wire::SeqNum;
use siphasher::sip::SipHasher24;

use crate::time::Instant;
use crate::tuple::FourTuple;

/// Makes initial sequence numbers: a clock of 4 microseconds plus a keyed hash of the tuple (RFC 6528 3; MUST-8,
/// SHLD-1, MUST-9).
pub struct IsnGenerator {
    key: [u8; 16],
}

impl IsnGenerator {
    /// A generator with a secret `key` of 128 bits, which must come from the operating system's random source.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// The initial sequence number for `tuple` at `now`.
    #[must_use]
    pub fn isn(&self, now: Instant, tuple: &FourTuple) -> SeqNum {
        let clock = now.as_nanos() / 4_000;
        SeqNum(self.hash(tuple, 0).wrapping_add(clock) as u32)
    }

    /// What is added to the millisecond clock in this connection's timestamps, so that one tells nothing of another.
    #[must_use]
    pub fn ts_offset(&self, tuple: &FourTuple) -> u32 {
        self.hash(tuple, 1) as u32
    }

    fn hash(&self, tuple: &FourTuple, purpose: u8) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u8(purpose);
        tuple.hash_into(&mut hasher);
        hasher.finish()
    }
}

impl fmt::Debug for IsnGenerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IsnGenerator { key: (secret) }")
    }
}
