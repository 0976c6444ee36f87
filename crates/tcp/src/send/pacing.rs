//! Pacing: data leaves in a batch per millisecond instead of a window at once.

#[cfg(test)]
mod tests;

use core::time::Duration;

use crate::time::Instant;

/// What leaves at once is worth this much time, and no timer is shorter: one wake moves a batch, not a segment.
const TICK: Duration = Duration::from_millis(1);

/// A timer may fire this late without a loss of rate.
const CREDIT: Duration = Duration::from_millis(4);

/// No wait is longer, whatever the rate: one as low as this was measured over an outage, and a wait by it would outlive that.
const LONGEST: Duration = Duration::from_secs(1);

/// The clock of what was sent: each octet moves it on by what the rate allots.
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    /// When the path has taken all that left, at the rate of the time.
    clear_at: Instant,
    /// When the current batch began.
    batch_at: Instant,
    /// Data waits for the clock.
    waiting: bool,
}

impl Pacer {
    /// Octets that may leave at `now` at `rate` octets per second, in whole segments of `mss`; 0: none before
    /// [`wait`](Self::wait).
    pub(crate) fn budget(&mut self, now: Instant, rate: u64, mss: u32) -> u32 {
        if self.clear_at <= now && self.batch_at < now {
            // A new batch. Who waited for a late timer catches up; who had nothing to send does not.
            let credit = if self.waiting { CREDIT } else { Duration::ZERO };
            self.clear_at = self.clear_at.max(now.before(credit));
            self.batch_at = now;
            self.waiting = false;
        }
        // Two segments at least, so that one ACK covers them.
        let tick = TICK.max(time_for(2 * u64::from(mss), rate));
        let room = (self.batch_at + tick) - self.clear_at;
        let octets = (u128::from(rate.max(1)) * room.as_nanos()).div_ceil(1_000_000_000);
        let segments = octets.div_ceil(u128::from(mss.max(1)));
        u32::try_from(segments * u128::from(mss)).unwrap_or(u32::MAX)
    }

    /// `octets` left, at `rate` octets per second.
    pub(crate) fn on_sent(&mut self, now: Instant, octets: u32, rate: u64) {
        let clear_at = self.clear_at.max(now.before(CREDIT)) + time_for(u64::from(octets), rate);
        self.clear_at = clear_at.min(now + LONGEST);
    }

    /// Something waits that the budget did not allow: when to ask again.
    pub(crate) fn wait(&mut self) -> Instant {
        self.waiting = true;
        self.clear_at
    }
}

/// How long `octets` take at `rate` octets per second.
fn time_for(octets: u64, rate: u64) -> Duration {
    let nanos = u128::from(octets) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
