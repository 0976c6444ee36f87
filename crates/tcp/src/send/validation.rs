//! Congestion window validation: how much of the window was used lately (RFC 7661 4).

#[cfg(test)]
mod tests;

use core::time::Duration;

use netstack_wire::SeqNum;

use crate::time::Instant;

/// How long at least a round trip's octets count (RFC 7661 4.2).
const MIN_PERIOD: Duration = Duration::from_secs(1);

/// The non-validated period: so long a window is kept that nobody uses (RFC 7661 4.4.3).
const NON_VALIDATED_PERIOD: Duration = Duration::from_secs(300);

/// Segments that one ACK may add to the window in slow start, at most.
const GROWTH: u32 = 8;

/// pipeACK, and since when it is small.
#[derive(Debug, Default)]
pub(crate) struct Validation {
    /// SND.NXT when this round trip began; `None` before the first.
    round_end: Option<SeqNum>,
    /// Octets acknowledged in it so far.
    acked: u32,
    /// The most of a round trip, of this period and of the one before.
    most: [u32; 2],
    /// When this period began; `None` before the first round trip is over.
    since: Option<Instant>,
    /// The first period is over: what it measured first may have been the end of something larger.
    known: bool,
    /// Since when less than half of the window was used.
    unused_since: Option<Instant>,
}

impl Validation {
    /// SND.UNA went from `prior` to `una`, outside of recovery (R7661-1).
    pub(crate) fn on_ack(&mut self, now: Instant, prior: SeqNum, una: SeqNum, nxt: SeqNum, srtt: Duration) {
        // With nothing in flight a round trip begins with the first ACK of what left together.
        let end = match self.round_end {
            Some(end) if prior.before(end) => end,
            _ => {
                self.acked = 0;
                nxt
            }
        };
        self.round_end = Some(end);
        self.acked = self.acked.saturating_add(una.distance_from(prior));
        if una.before(end) {
            return;
        }
        let octets = core::mem::take(&mut self.acked);
        self.round_end = Some(nxt);
        let period = (3 * srtt).max(MIN_PERIOD);
        let passed = now - *self.since.get_or_insert(now);
        if passed >= period {
            self.most = [0, if passed < 2 * period { self.most[0] } else { 0 }];
            self.since = Some(now);
            self.known = true;
        }
        self.most[0] = self.most[0].max(octets);
    }

    /// pipeACK; `None` while it is undefined.
    pub(crate) fn pipe_ack(&self) -> Option<u32> {
        self.known.then(|| self.most[0].max(self.most[1]))
    }

    /// Whether less than half of `cwnd` was used lately (R7661-2). Slow start may have gone beyond that by one ACK.
    pub(crate) fn is_unused(&self, cwnd: u32, mss: u32) -> bool {
        self.pipe_ack().is_some_and(|used| used < cwnd.saturating_sub(GROWTH * mss) / 2)
    }

    /// Whether this has gone on for too long (R7661-5); then the period starts anew.
    pub(crate) fn is_over(&mut self, now: Instant, cwnd: u32, mss: u32) -> bool {
        if !self.is_unused(cwnd, mss) {
            self.unused_since = None;
            return false;
        }
        let since = *self.unused_since.get_or_insert(now);
        let over = now - since >= NON_VALIDATED_PERIOD;
        if over {
            self.unused_since = Some(now);
        }
        over
    }
}
