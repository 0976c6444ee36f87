//! Keys that make sequence numbers, ports and table positions unpredictable.

use std::hash::{Hash, Hasher};
use std::io;
use std::net::{IpAddr, SocketAddr};

use netstack_tcp::FourTuple;
use siphasher::sip::SipHasher13;

/// The secret keys of one stack, each for one purpose.
#[derive(Clone, Copy)]
pub(crate) struct Secrets {
    pub(crate) isn: [u8; 16],
    pub(crate) ports: [u8; 16],
    pub(crate) udp_ports: [u8; 16],
    pub(crate) pings: [u8; 16],
    /// Of SYN cookies.
    pub(crate) cookies: [u8; 16],
    table: [u8; 16],
    flow: [u8; 16],
    spread: [u8; 16],
    /// Of the identifications of fragments.
    pub(crate) fragments: [u8; 16],
    /// Of Fast Open cookies.
    pub(crate) fast_open: [u8; 16],
}

impl Secrets {
    /// Keys from the operating system.
    pub(crate) fn from_system() -> io::Result<Self> {
        let mut secrets = [[0; 16]; 10];
        for key in &mut secrets {
            getrandom::fill(key).map_err(|error| {
                io::Error::other(format!("the operating system's random source gave no keys: {error}"))
            })?;
        }
        Ok(Self::from_keys(secrets))
    }

    /// Keys derived from a number: for tests that must be the same on each run.
    pub(crate) fn from_seed(seed: u64) -> Self {
        let derive = |purpose: u64| {
            let mut key = [0; 16];
            for (half, out) in key.chunks_exact_mut(8).enumerate() {
                let mut hasher = SipHasher13::new_with_keys(seed, purpose);
                hasher.write_usize(half);
                out.copy_from_slice(&hasher.finish().to_be_bytes());
            }
            key
        };
        Self::from_keys([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(derive))
    }

    fn from_keys(keys: [[u8; 16]; 10]) -> Self {
        let [isn, ports, table, flow, spread, fragments, udp_ports, pings, cookies, fast_open] = keys;
        Self { isn, ports, udp_ports, pings, cookies, table, flow, spread, fragments, fast_open }
    }

    /// Where a connection lies in the demultiplexer's table.
    pub(crate) fn table_hash(&self, tuple: &FourTuple) -> u64 {
        Self::hash(&self.table, tuple)
    }

    /// What picks a device queue and makes the IPv6 flow label: seen on the wire, so under a key of its own.
    ///
    /// Its low 20 bits are never all zero: that label means "none" (R6437-1).
    pub(crate) fn flow_hash(&self, tuple: &FourTuple) -> u32 {
        let hash = Self::hash(&self.flow, tuple) as u32;
        if hash & 0xf_ffff == 0 { hash | 1 } else { hash }
    }

    /// Which of several listeners a connection goes to.
    pub(crate) fn spread_hash(&self, tuple: &FourTuple) -> u64 {
        Self::hash(&self.spread, tuple)
    }

    /// As [`flow_hash`](Self::flow_hash), for packets between two addresses that have no ports.
    pub(crate) fn portless_flow_hash(&self, local: IpAddr, remote: IpAddr) -> u32 {
        self.flow_hash(&FourTuple::new(SocketAddr::new(local, 0), SocketAddr::new(remote, 0)))
    }

    fn hash(key: &[u8; 16], tuple: &FourTuple) -> u64 {
        let mut hasher = SipHasher13::new_with_key(key);
        tuple.hash(&mut hasher);
        hasher.finish()
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets { .. }")
    }
}
