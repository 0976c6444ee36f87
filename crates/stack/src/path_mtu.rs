//! What the paths to destinations carry, where that is less than the link takes (RFC 1191 6, RFC 8201 5.3).
//!
//! A report about a datagram counts only if [`SentSizes`] remembers such a one.
//!
//! Whoever learns a smaller size, checked against what it sent, says so here; connections to the same destination look when
//! something has changed, new ones when they begin. An entry ages: then the link's MTU counts again for what begins, while
//! connections that live on find their way back by probes.

mod sent;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use netstack_tcp::{Instant, PathNews, ReportFloor};
pub(crate) use sent::SentSizes;

use crate::clock::Clock;
use crate::lane::lock;
use crate::sync::Mutex;

#[cfg(test)]
mod tests;

/// Destinations remembered at most; the one that was confirmed longest ago goes first (R8201-5).
const MOST: usize = 4096;

/// How long a size is believed (RFC 1191 6.3, RFC 8201 5.3).
const LIFETIME: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy)]
struct Entry {
    mtu: u16,
    since: Instant,
}

/// The sizes known, by destination.
#[derive(Debug)]
pub(crate) struct PathMtus {
    clock: Clock,
    /// What reports are believed down to over IPv4.
    min_v4: u16,
    entries: Mutex<BTreeMap<IpAddr, Entry>>,
    /// How many: where there are none nobody takes the lock.
    len: AtomicUsize,
    /// Counts the changes that connections should look at.
    epoch: AtomicU32,
}

impl PathMtus {
    pub(crate) fn new(clock: Clock, min_v4: u16) -> Self {
        let (len, epoch) = (AtomicUsize::new(0), AtomicU32::new(0));
        Self { clock, min_v4, entries: Mutex::default(), len, epoch }
    }

    /// What reports about packets to `dst` are believed down to.
    pub(crate) fn floor(&self, dst: IpAddr) -> ReportFloor {
        ReportFloor::new(dst.is_ipv6(), self.min_v4)
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

    /// A router said about a packet of `packet` octets to `dst` that its link takes `mtu`, 0 if it did not say. The caller
    /// has checked that it quoted what was sent (R8201-3, R8899-1).
    pub(crate) fn report(&self, dst: IpAddr, mtu: u16, packet: usize) {
        let packet = u32::try_from(packet).unwrap_or(u32::MAX);
        if let Some(mtu) = self.floor(dst).believed(mtu, packet)
            && u32::from(mtu) < packet
        {
            self.lower(dst, mtu);
        }
    }

    /// Packets to `dst` may have `mtu` octets at most: of no interest if that is known, and no reason to know it longer
    /// (R1191-4).
    fn lower(&self, dst: IpAddr, mtu: u16) {
        if self.known(dst).is_none_or(|known| mtu <= known) {
            self.insert(dst, mtu);
        }
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
