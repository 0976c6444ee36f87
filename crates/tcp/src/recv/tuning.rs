//! How much may wait for the application: dynamic right-sizing (Fisk, Feng 2001). The receiver estimates the round trip,
//! and counts what the application consumes within one; the buffer has room for twice that, so that it is never what
//! bounds a sender, and a slow reader's never grows.

use core::time::Duration;

use netstack_wire::SeqNum;

use crate::config::TcpConfig;
use crate::time::Instant;

/// Segments beyond twice the consumption: what the sender's slow start adds while an ACK is under way.
const HEADROOM: u32 = 16;

/// The receive buffer's size, with what it is derived from. Times in units of 1,024 ns, modulo 2^32.
#[derive(Debug)]
pub(crate) struct Tuning {
    size: u32,
    /// The round trip as the receiver sees it; 0 before the first estimate.
    rtt: u32,
    /// The timestamp whose echo `rtt` last came from; of each the first echo counts, later ones stood in a queue.
    last_echo: Option<u32>,
    /// A window's worth of octets, counted from `window_start` on, ends here.
    window_end: SeqNum,
    window_start: u32,
    /// What `consumed` was at `round_start`.
    round_consumed: u32,
    round_start: u32,
    /// The most that was consumed in one round trip.
    most: u32,
    /// The least that waited for the application since `round_start`.
    least_unread: u32,
}

/// What arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrived {
    pub(crate) now: Instant,
    /// RCV.NXT after it.
    pub(crate) nxt: SeqNum,
    /// The window that was announced.
    pub(crate) window: u32,
    /// The peer's segment size.
    pub(crate) mss: u32,
    /// Octets that the application has consumed since the connection began, modulo 2^32.
    pub(crate) consumed: u32,
    /// The timestamp that it echoes, and the age of that; of full segments, which do not wait for an application.
    pub(crate) echo: Option<(u32, Duration)>,
    /// The round trip that the sending half measured last.
    pub(crate) srtt: Option<Duration>,
}

impl Tuning {
    pub(crate) fn new(config: &TcpConfig) -> Self {
        Self {
            size: config.first_recv_buffer_size() as u32,
            rtt: 0,
            last_echo: None,
            window_end: SeqNum(0),
            window_start: 0,
            round_consumed: 0,
            round_start: 0,
            most: 0,
            least_unread: 0,
        }
    }

    /// Octets that may wait for the application.
    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// The round trip as the receiver sees it.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        (self.rtt != 0).then(|| Duration::from_nanos(u64::from(self.rtt) << 10))
    }

    /// So much waits for the application now.
    pub(crate) fn on_read(&mut self, unread: u32) {
        self.least_unread = self.least_unread.min(unread);
    }

    /// Text arrived. At the end of a round trip in which more was consumed than half of it the buffer grows, to `limit` at most.
    pub(crate) fn on_text(&mut self, arrived: &Arrived, limit: u32) {
        let now = (arrived.now.as_nanos() >> 10) as u32;
        if self.most == 0 {
            self.begin(arrived, now);
        }
        self.measure(arrived, now);
        let elapsed = now.wrapping_sub(self.round_start);
        if self.rtt == 0 || elapsed < self.rtt {
            return;
        }
        let consumed = arrived.consumed.wrapping_sub(self.round_consumed);
        let keeps_up = self.least_unread <= self.size / 8;
        self.round_consumed = arrived.consumed;
        self.round_start = now;
        self.least_unread = u32::MAX;
        let (new, old) = (u64::from(consumed.min(limit)), u64::from(self.most));
        let mut room = 2 * new + u64::from(HEADROOM * arrived.mss);
        if keeps_up && new > old {
            // As much again for each such step that the sender may take before our next estimate reaches it.
            room += 2 * (room * (new - old) / old);
        }
        self.most = self.most.max(consumed);
        let size = u32::try_from(room).unwrap_or(u32::MAX).min(limit);
        if size > self.size {
            tracing::debug!(from = self.size, to = size, consumed, rtt = ?self.rtt(), "receive buffer grows");
            self.size = size;
        }
    }

    /// The first text: the first round trip begins.
    fn begin(&mut self, arrived: &Arrived, now: u32) {
        // Ten segments are the usual first flight (RFC 6928).
        self.most = self.size.min(10 * arrived.mss).max(1);
        self.round_start = now;
        self.round_consumed = arrived.consumed;
        self.least_unread = u32::MAX;
        self.window_start = now;
        self.window_end = arrived.nxt + arrived.window;
        self.rtt = arrived.srtt.map_or(0, ticks);
    }

    /// The round trip: by timestamps, smoothed as RFC 6298 does it; without, the shortest time in which a whole window
    /// arrived, or what the handshake took.
    fn measure(&mut self, arrived: &Arrived, now: u32) {
        if let Some((echo, age)) = arrived.echo {
            if self.last_echo != Some(echo) {
                let sample = ticks(age);
                let smoothed = (u64::from(self.rtt) * 7 + u64::from(sample)) / 8;
                self.rtt = if self.last_echo.is_none() { sample } else { (smoothed as u32).max(1) };
                self.last_echo = Some(echo);
            }
        } else if self.last_echo.is_none() && !arrived.nxt.before(self.window_end) {
            let sample = now.wrapping_sub(self.window_start).max(1);
            self.rtt = if self.rtt == 0 { sample } else { self.rtt.min(sample) };
            self.window_start = now;
            self.window_end = arrived.nxt + arrived.window;
        }
    }
}

fn ticks(time: Duration) -> u32 {
    u32::try_from(time.as_nanos() >> 10).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests;
