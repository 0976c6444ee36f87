//! What the paths to destinations carry, where that is less than the link takes (RFC 1191 6, RFC 8201 5.3).
//!
//! Whoever learns a smaller size, checked against what it sent, says so here; connections to the same destination look when
//! something has changed, new ones when they begin. An entry ages: then the link's MTU counts again for what begins, while
//! connections that live on find their way back by probes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use netstack_tcp::{Instant, PathNews};

use crate::clock::Clock;
use crate::lane::lock;

#[cfg(test)]
mod tests;

/// Destinations remembered at most; the one that was confirmed longest ago goes first (R8201-5).
const MOST: usize = 4096;

/// How long a size is believed (RFC 1191 6.3, RFC 8201 5.3).
const LIFETIME: Duration = Duration::from_secs(600);

/// What every link takes: IPv4 (RFC 791), IPv6 (RFC 8200 5).
const LEAST_V4: u16 = 68;
const LEAST_V6: u16 = 1280;

#[derive(Debug, Clone, Copy)]
struct Entry {
    mtu: u16,
    since: Instant,
}

/// The sizes known, by destination.
#[derive(Debug)]
pub(crate) struct PathMtus {
    clock: Clock,
    entries: Mutex<BTreeMap<IpAddr, Entry>>,
    /// How many: where there are none nobody takes the lock.
    len: AtomicUsize,
    /// Counts the changes that connections should look at.
    epoch: AtomicU32,
}

impl PathMtus {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, entries: Mutex::default(), len: AtomicUsize::new(0), epoch: AtomicU32::new(0) }
    }

    /// Changes with each change.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch.load(Relaxed)
    }

    /// Octets of a packet to `dst` at most, over a link that takes `link_mtu`.
    pub(crate) fn get(&self, dst: IpAddr, link_mtu: usize) -> usize {
        self.known(dst).map_or(link_mtu, |mtu| link_mtu.min(usize::from(mtu)))
    }

    /// What is known of the path to `dst`.
    pub(crate) fn known(&self, dst: IpAddr) -> Option<u16> {
        if self.len.load(Relaxed) == 0 {
            return None;
        }
        let now = self.clock.now();
        let mut entries = lock(&self.entries);
        let entry = *entries.get(&dst)?;
        if now.saturating_duration_since(entry.since) < LIFETIME {
            return Some(entry.mtu);
        }
        entries.remove(&dst);
        self.len.store(entries.len(), Relaxed);
        None
    }

    /// A router said that packets to `dst` may have `mtu` octets at most. The caller has checked that it quoted what was
    /// sent (R8201-3, R8899-1). Never below what every link takes (R1191-4, R8201-2).
    pub(crate) fn lower(&self, dst: IpAddr, mtu: u16) {
        if dst.is_ipv6() && mtu < LEAST_V6 {
            return;
        }
        let mtu = mtu.max(LEAST_V4).min(self.known(dst).unwrap_or(u16::MAX));
        self.insert(dst, mtu);
    }

    /// A connection to `dst` has news of the path.
    pub(crate) fn tell(&self, dst: IpAddr, news: PathNews) {
        match news {
            PathNews::Lowered(mtu) => self.lower(dst, mtu),
            PathNews::Raised(mtu) => {
                if self.known(dst).is_some_and(|known| known < mtu) {
                    self.insert(dst, mtu);
                }
            }
        }
    }

    fn insert(&self, dst: IpAddr, mtu: u16) {
        let entry = Entry { mtu, since: self.clock.now() };
        let mut entries = lock(&self.entries);
        if entries.len() >= MOST
            && !entries.contains_key(&dst)
            && let Some(oldest) = entries.iter().min_by_key(|(_, entry)| entry.since).map(|(dst, _)| *dst)
        {
            entries.remove(&oldest);
        }
        entries.insert(dst, entry);
        self.len.store(entries.len(), Relaxed);
        self.epoch.fetch_add(1, Relaxed);
    }
}
