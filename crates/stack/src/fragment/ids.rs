//! Identifications of datagrams that leave in fragments, or may be cut on their way.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use netstack_wire::Protocol;
use siphasher::sip::SipHasher13;

#[cfg(test)]
mod tests;

/// Counters, each shared by the destinations whose hash picks it.
const COUNTERS: usize = 256;

/// Rounds of the permutation; with three and more it cannot be told from a random one (Luby and Rackoff).
const ROUNDS: u64 = 4;

/// Gives identifications that come in no order that an outsider can tell, and do not repeat between two hosts until all
/// have been used (R6864-1, RFC 7739 5.3).
///
/// A plain counter would show every host how much is sent to all others; a random number repeats too early. So each pair
/// of addresses, over IPv4 with the protocol, has a secret order of all numbers, and a counter goes along it.
#[derive(Debug)]
pub(crate) struct FragmentIds {
    key: [u8; 16],
    counters: Box<[AtomicU32; COUNTERS]>,
}

impl FragmentIds {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        Self { key, counters: Box::new([const { AtomicU32::new(0) }; COUNTERS]) }
    }

    /// The next identification: 32 bits over IPv6, 16 over IPv4.
    pub(crate) fn next(&self, src: IpAddr, dst: IpAddr, protocol: Protocol) -> u32 {
        let v6 = src.is_ipv6();
        let mut hasher = SipHasher13::new_with_key(&self.key);
        (src, dst, (!v6).then_some(protocol.0)).hash(&mut hasher);
        let pair = hasher.finish();
        let count = self.counters[pair as usize % COUNTERS].fetch_add(1, Relaxed);
        permute(pair, count, if v6 { 16 } else { 8 })
    }
}

/// Where the number `at` lies in the order of `key`: a Feistel network over numbers of twice `half` bits.
fn permute(key: u64, at: u32, half: u32) -> u32 {
    let mask = (1 << half) - 1;
    let (mut left, mut right) = ((at >> half) & mask, at & mask);
    for round in 0..ROUNDS {
        let mut hasher = SipHasher13::new_with_keys(key, round);
        hasher.write_u32(right);
        (left, right) = (right, left ^ (hasher.finish() as u32 & mask));
    }
    (left << half) | right
}
