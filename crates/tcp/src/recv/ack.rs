//! When an ACK is due (RFC 5681 4.2, RFC 9293 3.8.6.3), and the limits on those that only answer noise (RFC 5961 7).

use core::time::Duration;

use crate::time::Instant;

/// Length of the period for which challenge ACKs are counted.
const CHALLENGE_PERIOD: Duration = Duration::from_secs(5);

/// Delayed ACKs in a row after which a peer that falls silent is taken to wait for them.
const PATIENCE: u8 = 2;

/// Every segment is acknowledged at once.
const ALWAYS: u8 = u8::MAX;

/// The receiver's debts of acknowledgment.
#[derive(Debug)]
pub(crate) struct AckPolicy {
    /// ACKs owed at once: one for each segment that demands its own.
    owed: u8,
    /// Octets received in order since the last ACK.
    octets: u32,
    /// Segments that are still acknowledged at once, at the start of a connection; with [`ALWAYS`] all are.
    quick: u8,
    /// Delayed ACKs in a row that found nothing to ride on, and a peer that had fallen silent meanwhile.
    missed: u8,
    /// Challenge ACKs sent in the current period.
    challenges: u8,
    period_start: Instant,
}

impl AckPolicy {
    pub(crate) fn new(quick: u8) -> Self {
        let quick = quick.min(ALWAYS - 1);
        Self { owed: 0, octets: 0, quick, missed: 0, challenges: 0, period_start: Instant::ZERO }
    }

    /// Something arrived that every sender wants to hear of at once: a gap, a gap filled, a FIN, a duplicate.
    pub(crate) fn owe(&mut self) {
        self.owed = self.owed.saturating_add(1);
    }

    /// At least one ACK is owed.
    pub(crate) fn owe_one(&mut self) {
        self.owed = self.owed.max(1);
    }

    /// In-order text arrived: `octets` in `segments` of the wire, from a peer whose full segments hold `mss`; `push` if it
    /// is all that the peer has. Whether the delayed-ACK timer is wanted.
    pub(crate) fn on_text(&mut self, segments: u32, octets: u32, mss: u16, push: bool) -> bool {
        self.octets = self.octets.saturating_add(octets);
        if self.quick > 0 {
            if self.quick != ALWAYS {
                self.quick = self.quick.saturating_sub(segments.min(255) as u8);
            }
            self.owe_one();
        } else if self.octets >= 2 * u32::from(mss) {
            // SHLD-19: one ACK for two full-sized segments or as many octets; one for all of a batch (MUST-58), which deviates
            // from R5681-9.
            self.owe_one();
        } else if push && self.missed >= PATIENCE {
            // Its send buffer holds less than two segments: each of our delays is a pause of its.
            self.owe_one();
        }
        self.owed == 0
    }

    /// Acknowledges every segment at once from now on, the one that waits first; or goes back to delays.
    pub(crate) fn set_always(&mut self, on: bool) {
        if on {
            self.quick = ALWAYS;
            if self.octets > 0 {
                self.owe_one();
            }
        } else if self.quick == ALWAYS {
            self.quick = 0;
        }
    }

    /// The delay is over; `silent` if the peer has sent nothing in its second half.
    pub(crate) fn on_delay_over(&mut self, silent: bool) {
        self.owe_one();
        self.missed = if silent { self.missed.saturating_add(1) } else { 0 };
    }

    /// The ACK leaves with text: the application answers, which is what the delay is for.
    pub(crate) fn rides_on_text(&mut self) {
        if self.octets > 0 {
            self.missed = 0;
        }
    }

    /// ACKs owed now.
    pub(crate) fn owed(&self) -> u8 {
        self.owed
    }

    /// Owes `most` ACKs at most: a segment earns one, however many reasons it gives (R5681-19).
    pub(crate) fn limit(&mut self, most: u8) {
        self.owed = self.owed.min(most);
    }

    /// Whether an ACK is owed now.
    pub(crate) fn is_due(&self) -> bool {
        self.owed > 0
    }

    /// A segment with the current ACK leaves.
    pub(crate) fn on_ack_sent(&mut self) {
        self.owed = self.owed.saturating_sub(1);
        self.octets = 0;
    }

    /// Whether one more challenge ACK may be sent now, by this connection's own count (R5961-6, R5961-7). Each period has an
    /// allowance of its own between half of `limit` and all of it, which follows from `secret`: who counts the challenges that
    /// he has caused learns nothing of those that others have.
    pub(crate) fn take_challenge(&mut self, now: Instant, limit: u8, secret: u64) -> bool {
        if now - self.period_start >= CHALLENGE_PERIOD {
            self.period_start = now;
            self.challenges = 0;
        }
        let drawn = (secret ^ self.period_start.as_nanos()).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        // At most half of the limit.
        let allowance = limit - (drawn % (u64::from(limit / 2) + 1)) as u8;
        let allowed = self.challenges < allowance;
        if allowed {
            self.challenges += 1;
            self.owe_one();
        }
        allowed
    }
}

#[cfg(test)]
mod tests;
