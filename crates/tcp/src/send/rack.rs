//! RACK: the newest transmission that was delivered, and how far reordering is waited for (RFC 8985 6.2).

#[cfg(test)]
mod tests;

use core::time::Duration;

use netstack_wire::SeqNum;

use super::scoreboard::{News, Rule};
use crate::time::Instant;

/// SACKed segments above a hole that stand for its loss while no reordering was seen (RFC 8985 6.2 step 4).
const DUP_THRESH: u32 = 3;

/// The least window where the clock is too coarse for the path.
const COARSE: Duration = Duration::from_millis(1);

/// Recoveries without a reported duplicate after which the window is narrow again.
const PERSISTENCE: u8 = 16;

/// The state of RFC 8985 5.3.
#[derive(Debug)]
pub(crate) struct Rack {
    /// RACK.xmit_ts and RACK.end_seq: the newest transmission delivered.
    newest: (Instant, u64),
    /// RACK.rtt, of that transmission, in nanoseconds.
    rtt: u64,
    /// RACK.dsack_round: until this is acknowledged the window has grown for this round trip, if `grown` says so.
    dsack_round: SeqNum,
    grown: bool,
    /// RACK.reo_wnd_mult: the window in quarters of the least round trip.
    mult: u8,
    /// RACK.reo_wnd_persist.
    persist: u8,
    /// RACK.reordering_seen.
    seen: bool,
}

impl Rack {
    pub(crate) fn new() -> Self {
        Self {
            newest: (Instant::ZERO, 0),
            rtt: 0,
            dsack_round: SeqNum(0),
            grown: false,
            mult: 1,
            persist: PERSISTENCE,
            seen: false,
        }
    }

    /// Takes what an ACK delivered (steps 2 and 3).
    pub(crate) fn on_news(&mut self, now: Instant, news: &News) {
        if let Some(newest) = news.newest.filter(|newest| *newest > self.newest) {
            self.newest = newest;
            self.rtt = now.as_nanos().saturating_sub(newest.0.as_nanos());
        }
        self.seen |= news.reordered;
    }

    /// Reordering showed in another way: by the undoing of a recovery.
    pub(crate) fn saw_reordering(&mut self) {
        self.seen = true;
    }

    /// A duplicate was reported: what was sent again had not been lost, and the window is too narrow (R8985-9).
    pub(crate) fn on_dsack(&mut self, una: SeqNum, nxt: SeqNum) {
        self.seen = true;
        self.on_una(una);
        if self.grown {
            return;
        }
        (self.dsack_round, self.grown) = (nxt, true);
        self.mult = self.mult.saturating_add(1);
        self.persist = PERSISTENCE;
    }

    /// The round trip in which a duplicate was reported is over.
    pub(crate) fn on_una(&mut self, una: SeqNum) {
        self.grown &= una.before(self.dsack_round);
    }

    /// A recovery is over.
    pub(crate) fn on_recovered(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.mult = 1;
        }
    }

    /// The reordering window (R8985-7, R8985-8).
    pub(crate) fn window(
        &self,
        recovering: bool,
        sacked_segments: u32,
        min_rtt: Duration,
        srtt: Duration,
    ) -> Duration {
        if !self.seen && (recovering || sacked_segments >= DUP_THRESH) {
            return Duration::ZERO;
        }
        if min_rtt <= Duration::from_nanos(1) {
            // A round trip below the clock's step measures nothing: the mean of the measurements has to do.
            return (srtt * u32::from(self.mult) / 4).max(COARSE);
        }
        (min_rtt * u32::from(self.mult) / 4).min(srtt)
    }

    /// What is lost now, with `window` for reordering.
    pub(crate) fn rule(&self, now: Instant, window: Duration) -> Rule {
        Rule { now, newest: self.newest, patience: Duration::from_nanos(self.rtt) + window }
    }

    /// What left at or before this is overdue when the retransmission timer fires (R8985-12).
    pub(crate) fn overdue(&self, now: Instant, window: Duration) -> Instant {
        now.before(Duration::from_nanos(self.rtt) + window)
    }

    pub(crate) fn is_reordering_seen(&self) -> bool {
        self.seen
    }
}
