//! Ephemeral ports (RFC 6056).

#[cfg(test)]
mod tests;

use core::fmt;
use core::hash::Hasher;
use core::ops::RangeInclusive;
use std::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher24;

use crate::tuple::FourTuple;

/// Chooses ephemeral ports by double hashing (RFC 6056 3.3.4): unpredictable from outside, and rarely reused soon.
pub struct PortAllocator {
    key: [u8; 16],
    first: u16,
    count: u32,
    /// Counters per hash bucket: connects to one destination walk the range one by one.
    table: [u16; 64],
}

impl PortAllocator {
    /// The dynamic range of RFC 6335 6.
    pub const DYNAMIC: RangeInclusive<u16> = 49152..=65535;

    /// An allocator over `range` with a secret `key` of its own (R6056-4). An empty range never yields a port.
    #[must_use]
    pub fn new(key: [u8; 16], range: RangeInclusive<u16>) -> Self {
        let count = u32::from(*range.end()).saturating_add(1).saturating_sub(u32::from(*range.start()));
        Self { key, first: *range.start(), count, table: [0; 64] }
    }

    /// A free port for a connection from `local` to `remote`, or `None` when all are in use (R6056-3).
    ///
    /// `in_use` is asked at most once for each port of the range.
    pub fn pick(
        &mut self,
        local: IpAddr,
        remote: SocketAddr,
        mut in_use: impl FnMut(u16) -> bool,
    ) -> Option<u16> {
        let mut walk = self.walk(local, remote);
        let port = walk.find(|&port| !in_use(port));
        self.stop(&walk);
        port
    }

    /// All ports of the range for a connection from `local` to `remote`, each once, in the order in which to try them.
    ///
    /// The walk is apart from the allocator, so that whoever shares one need not hold it for as long as that takes. Say
    /// where the walk has [stopped](Self::stop): the next goes on from there.
    #[must_use]
    pub fn walk(&self, local: IpAddr, remote: SocketAddr) -> PortWalk {
        let destination = FourTuple::new(SocketAddr::new(local, 0), remote);
        let offset = (self.hash(&destination, 0) % u64::from(self.count.max(1))) as u32;
        let slot = (self.hash(&destination, 1) % self.table.len() as u64) as usize;
        let Self { first, count, .. } = *self;
        PortWalk { slot, offset, step: u32::from(self.table[slot]), left: count, first, count }
    }

    /// The port that `walk` gave last is taken, or none was free: the next walk to there begins behind it.
    pub fn stop(&mut self, walk: &PortWalk) {
        // Below the range's length.
        self.table[walk.slot] = walk.step as u16;
    }

    fn hash(&self, destination: &FourTuple, purpose: u8) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u8(purpose);
        destination.hash_into(&mut hasher);
        hasher.finish()
    }
}

/// A way through the range of a [`PortAllocator`].
#[derive(Debug, Clone)]
pub struct PortWalk {
    slot: usize,
    offset: u32,
    /// Counted modulo the range, so that a walk around it meets each port once.
    step: u32,
    left: u32,
    first: u16,
    count: u32,
}

impl Iterator for PortWalk {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        self.left = self.left.checked_sub(1)?;
        let port = self.first + ((self.offset + self.step) % self.count) as u16;
        self.step = (self.step + 1) % self.count;
        Some(port)
    }
}

impl fmt::Debug for PortAllocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortAllocator")
            .field("first", &self.first)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
