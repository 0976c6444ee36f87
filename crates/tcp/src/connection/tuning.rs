//! Buffers that size themselves: the receiving half by what the application consumes, the sending half by the congestion
//! window.

use core::time::Duration;

use super::Connection;
use crate::config::FIRST_BUFFER;
use crate::segment::Segment;
use crate::time::Instant;
use crate::time_wait::ts_clock;

/// What a writer needs to notice that there is room: what leaves in this time is held beyond two windows.
const WRITER_DELAY: Duration = Duration::from_millis(2);

impl Connection {
    /// Octets written and not acknowledged that the connection takes now. Where the buffer sizes itself: twice the congestion
    /// window, one in flight and one that waits, and what leaves while the writer wakes up.
    #[must_use]
    pub fn send_capacity(&self) -> usize {
        let limit = self.config.send_buffer;
        if !self.config.send_tuned {
            return limit as usize;
        }
        // Recovery reduces the window while all of the last one is still held.
        let outstanding = self.snd.max.distance_from(self.snd.una);
        let window = u64::from(self.snd.congestion.cwnd().max(outstanding).min(limit));
        let rtt = self.snd.rtt.srtt().map_or(u64::MAX, |rtt| rtt.as_nanos().max(1) as u64);
        let awaited = window * WRITER_DELAY.as_nanos() as u64 / rtt;
        (2 * window + awaited).max(u64::from(FIRST_BUFFER)).min(u64::from(limit)) as usize
    }

    /// `octets` of text arrived in order by `seg`: the receive buffer may have to grow.
    pub(super) fn tune_recv_buffer(&mut self, now: Instant, seg: &Segment, octets: u32) {
        let full = seg.gso_size > 0 || octets >= u32::from(self.rcv.mss);
        let echo = if full { self.echo_age(now, seg) } else { None };
        let srtt = self.snd.rtt.srtt();
        self.rcv.tune(now, echo, srtt, &self.config);
    }

    /// The timestamp that `seg` echoes, and its age, unless it cannot be ours. The clock ticks once a millisecond: less than
    /// one counts as one.
    fn echo_age(&self, now: Instant, seg: &Segment) -> Option<(u32, Duration)> {
        let ts = seg.header.options.timestamps.filter(|_| self.agreed.timestamps)?;
        let age = ts_clock(now).wrapping_add(self.ts_offset).wrapping_sub(ts.ecr);
        let age = Duration::from_millis(u64::from(age.max(1)));
        (age <= now - self.syn_sent_at + Duration::from_millis(1)).then_some((ts.ecr, age))
    }
}
