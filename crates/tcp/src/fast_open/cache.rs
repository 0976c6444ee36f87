//! What a client remembers of servers (RFC 7413 4.1.3).

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use netstack_wire::tcp::FastOpenCookie;

use super::{FastOpen, FastOpenNews, FastOpenOffer};
use crate::time::Instant;

/// Servers remembered at most; the one that was heard of longest ago goes first.
const MOST: usize = 1024;

/// How long what was learned of a server is believed.
const LIFETIME: Duration = Duration::from_secs(48 * 3600);

/// How long Fast Open is not tried with a server after a first failure; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
struct Entry {
    known: FastOpenOffer,
    /// Failures in a row.
    failures: u8,
    /// Fast Open is not tried before.
    not_before: Instant,
    heard: Instant,
}

/// The cookies of servers, with the MSS that each announced and how often Fast Open failed with it: 1,024 of them at most, each
/// for two days.
///
/// A cookie belongs to a pair of addresses: the server binds it to the one that it sees.
#[derive(Debug, Default)]
pub struct FastOpenCache {
    entries: BTreeMap<(IpAddr, IpAddr), Entry>,
}

impl FastOpenCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a SYN from `local` to `remote` may offer at `now`; `None` while Fast Open is not to be tried there, for it failed
    /// lately (R7413-5).
    #[must_use]
    pub fn offer(&mut self, now: Instant, local: IpAddr, remote: IpAddr) -> Option<FastOpenOffer> {
        let Some(entry) = self.entries.get(&(local, remote)) else { return Some(FastOpenOffer::default()) };
        if now.saturating_duration_since(entry.heard) >= LIFETIME {
            self.entries.remove(&(local, remote));
            return Some(FastOpenOffer::default());
        }
        (now >= entry.not_before).then_some(entry.known)
    }

    /// Takes in what became of an attempt.
    ///
    /// It failed if the SYN was lost while it had the option, or if a server that would not have its data gave no other cookie
    /// either (RFC 7413 4.1.3.1). Both may be chance, so that a first failure is soon forgiven.
    pub fn learn(&mut self, now: Instant, local: IpAddr, remote: IpAddr, news: &FastOpenNews) {
        let key = (local, remote);
        let ignored = news.outcome == FastOpen::Fallback && news.cookie.is_none();
        let failed = news.failed || ignored;
        if !failed && news.cookie.is_none() && !self.entries.contains_key(&key) {
            // It gave no cookie: there is nothing to remember.
            return;
        }
        self.make_room(&key);
        let blank =
            Entry { known: FastOpenOffer::default(), failures: 0, not_before: Instant::ZERO, heard: now };
        let entry = self.entries.entry(key).or_insert(blank);
        entry.heard = now;
        entry.known.cookie = news.cookie.or(entry.known.cookie);
        entry.known.mss = news.mss.or(entry.known.mss);
        if failed {
            entry.failures = entry.failures.saturating_add(1);
            let doublings = u32::from(entry.failures - 1).min(16);
            entry.not_before = now + FIRST_PAUSE.saturating_mul(1 << doublings).min(LIFETIME / 2);
        } else {
            entry.failures = 0;
        }
    }

    /// The cookie that a SYN from `local` to `remote` would have, whether or not Fast Open may be tried now.
    #[must_use]
    pub fn cookie(&self, local: IpAddr, remote: IpAddr) -> Option<FastOpenCookie> {
        self.entries.get(&(local, remote))?.known.cookie
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn make_room(&mut self, key: &(IpAddr, IpAddr)) {
        if self.entries.len() >= MOST
            && !self.entries.contains_key(key)
            && let Some(oldest) =
                self.entries.iter().min_by_key(|(_, entry)| entry.heard).map(|(key, _)| *key)
        {
            self.entries.remove(&oldest);
        }
    }
}
