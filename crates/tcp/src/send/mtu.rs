//! What the path takes: lowered by reports of routers (RFC 1191, RFC 8201) and where full segments vanish without one
//! (RFC 4821), raised by probes (RFC 4821, RFC 8899). Sizes are octets of an IP packet.

#[cfg(test)]
mod tests;

use core::time::Duration;

use netstack_wire::{SeqNum, ipv4, ipv6};

use super::rate::SentState;
use crate::time::Instant;

/// What a path is taken to carry that swallows full segments, the first step first (BASE_PLPMTU of RFC 8899 5.1.2; RFC 1122
/// 3.3.3 for the second).
const BASES_V4: [u16; 2] = [1200, 576];
const BASES_V6: [u16; 1] = [ipv6::MIN_MTU];

/// MTUs of links and of common tunnels: a search steps from one to the next (RFC 8899 5.3.2).
const SIZES: [u16; 20] = [
    576, 1006, 1200, 1280, 1340, 1380, 1400, 1420, 1440, 1460, 1480, 1492, 1500, 2002, 4352, 8166, 9000,
    17_914, 32_000, 65_535,
];

/// The plateaus of RFC 1191 7, for routers that do not name their MTU (R1191-3).
const PLATEAUS: [u16; 10] = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 508, 296, ipv4::MIN_MTU];

/// MAX_PROBES: probes of one size that are lost before it counts as too large (RFC 8899 5.1.2).
const MAX_PROBES: u8 = 3;

/// PROBE_TIMER: between a probe without an answer and the next (RFC 8899 5.1.1).
const PROBE_TIMER: Duration = Duration::from_secs(15);

/// After a step that a router's report had made necessary is taken back, the next waits (RFC 1191 6.3).
const STEP_TIMER: Duration = Duration::from_secs(60);

/// A segment on its way that is larger than what the path is known to take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probe {
    pub(crate) start: SeqNum,
    pub(crate) end: SeqNum,
    size: u16,
    /// Tells it from all else that left.
    pub(crate) sent: SentState,
}

/// The way back to a larger size.
#[derive(Debug)]
struct Search {
    /// The estimate.
    mtu: u16,
    /// What the link takes and the peer wants: no search goes beyond.
    most: u16,
    /// The largest size worth a probe.
    limit: u16,
    /// No probe leaves before.
    next_at: Instant,
    /// How long to leave it at that when a search has ended.
    raise: Duration,
    /// The next probe is of the largest size there is: the path may have come back as it was.
    leap: bool,
    /// Probes of the size in question that got lost.
    tries: u8,
    probe: Option<Probe>,
    /// Full segments vanished, and nothing was acknowledged since.
    suspected: bool,
    /// A router named the size: steps up keep their distance.
    reported: bool,
    /// Segments in flight may be larger than what is sent now.
    oversize: bool,
    news: Option<PathNews>,
}

impl Search {
    fn new(mtu: u16, next_at: Instant, bounds: &Bounds) -> Self {
        Self {
            mtu,
            most: bounds.most,
            limit: bounds.most,
            next_at,
            raise: bounds.raise,
            leap: false,
            tries: 0,
            probe: None,
            suspected: false,
            reported: false,
            oversize: true,
            news: None,
        }
    }

    /// The size to be tried next.
    fn candidate(&self) -> Option<u16> {
        let step = SIZES.into_iter().find(|size| *size > self.mtu).unwrap_or(self.most);
        let size = if self.leap { self.most } else { step.min(self.limit) };
        (size > self.mtu).then_some(size)
    }

    /// Packets of `mtu` octets get through. At the limit the search is over.
    fn reach(&mut self, now: Instant, mtu: u16) {
        self.mtu = self.mtu.max(mtu);
        if self.mtu >= self.limit {
            self.complete(now);
        }
    }

    /// The search is over for now (R8899-5).
    fn complete(&mut self, now: Instant) {
        self.next_at = now + self.raise;
        self.limit = self.most;
        self.leap = true;
        self.tries = 0;
    }
}

/// What a connection has found out about its path, for others to the same destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathNews {
    /// Packets may have at most so many octets.
    Lowered(u16),
    /// Packets of so many octets get through.
    Raised(u16),
}

/// The sizes that reports of routers are believed down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportFloor {
    v6: bool,
    v4_least: u16,
}

impl ReportFloor {
    /// Of paths over IPv6, or over IPv4 with [`TcpConfig::min_path_mtu`](crate::TcpConfig::min_path_mtu).
    #[must_use]
    pub fn new(v6: bool, min_path_mtu: u16) -> Self {
        Self { v6, v4_least: min_path_mtu.max(ipv4::MIN_MTU) }
    }

    /// What no estimate falls below, in octets of a packet.
    #[must_use]
    pub fn least(&self) -> u16 {
        if self.v6 { ipv6::MIN_MTU } else { self.v4_least }
    }

    /// What a router's report that its link takes `mtu` octets says about a packet of `packet` octets: over IPv4 a size below
    /// the floor is the floor, and 0, of a router that does not say, the next lower plateau (RFC 1191 7); over IPv6 `None` for
    /// less than 1280, which no link has (R1191-3, R1191-4, R8201-2).
    #[must_use]
    pub fn believed(&self, mtu: u16, packet: u32) -> Option<u16> {
        match mtu {
            mtu if self.v6 => Some(mtu).filter(|mtu| *mtu >= ipv6::MIN_MTU),
            0 => PLATEAUS.into_iter().find(|plateau| u32::from(*plateau) < packet),
            mtu => Some(mtu),
        }
        .map(|mtu| mtu.max(self.least()))
    }
}

/// Between what the estimate moves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The estimate now.
    pub(crate) mtu: u16,
    /// What the link takes and the peer wants.
    pub(crate) most: u16,
    pub(crate) floor: ReportFloor,
    /// How long after a decrease a larger size is tried.
    pub(crate) raise: Duration,
}

/// The estimate of one connection. Empty while that is what the link takes (R8201-5).
#[derive(Debug, Default)]
pub(crate) struct PathMtu(Option<Box<Search>>);

impl PathMtu {
    /// The estimate, unless it is what the link takes.
    pub(crate) fn mtu(&self) -> Option<u16> {
        self.0.as_ref().map(|search| search.mtu)
    }

    /// The peer has said what it takes.
    pub(crate) fn set_most(&mut self, most: u16) {
        if let Some(search) = &mut self.0 {
            if search.limit == search.most {
                search.limit = most;
            }
            search.limit = search.limit.min(most);
            search.most = most;
        }
    }

    /// A router said that its next link takes `mtu`, less than the estimate; or, if we are not the first to know and need not
    /// `tell`, one has said so to another connection.
    pub(crate) fn lower(&mut self, now: Instant, mtu: u16, bounds: &Bounds, tell: bool) {
        let news = tell.then_some(PathNews::Lowered(mtu));
        let search = Search::new(mtu, now + bounds.raise, bounds);
        self.0 = Some(Box::new(Search { leap: true, reported: true, news, ..search }));
    }

    /// The retransmission timer fired for a packet of `packet` octets again and again: the path may swallow such without a
    /// word (R4821-1). Whether the estimate fell. A burst of losses looks the same: once something gets through, the size that is
    /// given up here is tried once before the steps begin (R8899-5).
    pub(crate) fn fall_back(&mut self, now: Instant, packet: u32, bounds: &Bounds) -> bool {
        let bases = if bounds.floor.v6 { &BASES_V6[..] } else { &BASES_V4[..] };
        let fits =
            |base: &u16| u32::from(*base) < packet && (bounds.floor.least()..bounds.mtu).contains(base);
        let base = bases.iter().copied().find(fits);
        if let Some(base) = base {
            let search = Search::new(base, now, bounds);
            self.0 = Some(Box::new(Search { suspected: true, leap: true, tries: MAX_PROBES - 1, ..search }));
        }
        base.is_some()
    }

    /// Packets of `mtu` octets got through on another connection to the same destination.
    pub(crate) fn raise(&mut self, now: Instant, mtu: u16) {
        if let Some(search) = &mut self.0 {
            search.reach(now, mtu.min(search.most));
        }
    }

    /// SND.UNA advanced: what fits now gets through.
    pub(crate) fn on_progress(&mut self) {
        if let Some(search) = &mut self.0
            && core::mem::take(&mut search.suspected)
        {
            search.news = Some(PathNews::Lowered(search.mtu));
        }
    }

    /// What there is to tell, once.
    pub(crate) fn take_news(&mut self) -> Option<PathNews> {
        self.0.as_mut()?.news.take()
    }

    /// Whether segments in flight may be larger than what is sent now; they are cut to size then.
    pub(crate) fn take_oversize(&mut self) -> bool {
        self.0.as_mut().is_some_and(|search| core::mem::take(&mut search.oversize))
    }

    // ---- Probes ----

    /// The probe in flight.
    pub(crate) fn probe(&self) -> Option<Probe> {
        self.0.as_ref()?.probe
    }

    /// The size of the probe that is due at `now`.
    pub(crate) fn wanted(&self, now: Instant) -> Option<u16> {
        let search = self.0.as_ref()?;
        let waits = now < search.next_at || search.suspected || search.probe.is_some();
        if waits { None } else { search.candidate() }
    }

    /// A probe of `size` left as `start..end`.
    pub(crate) fn on_probe_sent(&mut self, start: SeqNum, end: SeqNum, size: u16, sent: SentState) {
        if let Some(search) = &mut self.0 {
            search.oversize = true;
            search.probe = Some(Probe { start, end, size, sent });
        }
    }

    /// The probe arrived: the path takes its size. The next may follow, for a round trip has passed (R8899-3); where a router
    /// had named the size, a minute later (R1191-5).
    pub(crate) fn on_probe_delivered(&mut self, now: Instant) {
        let Some(search) = &mut self.0 else { return };
        let Some(probe) = search.probe.take() else { return };
        search.tries = 0;
        search.next_at = if search.reported { now + STEP_TIMER } else { now };
        search.reach(now, probe.size);
        search.news = Some(PathNews::Raised(search.mtu));
    }

    /// The probe is lost. After the last try its size is too large: the leap gives way to steps, and the steps come to their
    /// end until a larger size is due to be tried again.
    pub(crate) fn on_probe_lost(&mut self, now: Instant) {
        let Some(search) = self.0.as_mut().filter(|search| search.probe.is_some()) else { return };
        search.probe = None;
        search.tries += 1;
        search.next_at = now + PROBE_TIMER;
        if search.tries < MAX_PROBES {
            return;
        }
        search.tries = 0;
        let below = SIZES.into_iter().rev().find(|size| *size < search.most).unwrap_or(search.mtu);
        if core::mem::take(&mut search.leap) && below > search.mtu {
            search.limit = below;
        } else {
            search.complete(now);
        }
    }

    /// A router refused the probe, and named `mtu`, no less than the estimate: so far, and no further, the search may go
    /// (R8899-2).
    pub(crate) fn on_probe_refused(&mut self, now: Instant, mtu: u16) {
        let Some(search) = &mut self.0 else { return };
        search.probe = None;
        search.tries = 0;
        search.leap = false;
        search.limit = mtu;
        search.next_at = now;
        if mtu == search.mtu {
            search.complete(now);
        }
    }

    /// Whether the probe arrived cannot be told; it counts as never sent.
    pub(crate) fn forget_probe(&mut self, now: Instant) {
        if let Some(search) = self.0.as_mut().filter(|search| search.probe.is_some()) {
            search.probe = None;
            search.next_at = now + PROBE_TIMER;
        }
    }
}
