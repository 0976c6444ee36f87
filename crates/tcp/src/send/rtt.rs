//! Round-trip time and the retransmission timeout (RFC 6298).

#[cfg(test)]
mod tests;

use core::time::Duration;

use crate::config::TcpConfig;
use crate::time::Instant;

/// How long a least round trip counts, twice: half a minute, in ticks of 2^20 ns.
const MIN_RTT_PERIOD: u32 = (30_000_000_000_u64 >> 20) as u32;

/// RTO after the handshake when a SYN was lost (RFC 6298 5.7).
const RTO_AFTER_LOST_SYN: Duration = Duration::from_secs(3);

/// The estimator of RFC 6298 section 2, with the back-off of section 5.
#[derive(Debug)]
pub(crate) struct RttEstimator {
    /// SRTT in nanoseconds; 0 before the first sample.
    srtt: u64,
    /// RTTVAR in nanoseconds.
    rttvar: u64,
    /// RTO before back-off, in nanoseconds.
    rto: u64,
    /// The least round trips of this period and of the one before, in nanoseconds.
    min_rtt: [u64; 2],
    /// When this period began, in ticks, modulo 2^32.
    min_since: u32,
    /// How many times the timer doubled since the last sample.
    backoff: u8,
}

impl RttEstimator {
    pub(crate) fn new(config: &TcpConfig) -> Self {
        Self {
            srtt: 0,
            rttvar: 0,
            rto: nanos(config.initial_rto),
            min_rtt: [u64::MAX; 2],
            min_since: 0,
            backoff: 0,
        }
    }

    /// Takes a sample (R6298-2, R6298-3) and ends the back-off (R6298-11).
    pub(crate) fn sample(&mut self, rtt: Duration, config: &TcpConfig) {
        // A clock too coarse for the path still gives a positive round trip.
        let rtt = nanos(rtt).max(1);
        if self.srtt == 0 {
            self.srtt = rtt;
            self.rttvar = rtt / 2;
        } else {
            self.rttvar = (3 * self.rttvar + self.srtt.abs_diff(rtt)) / 4;
            self.srtt = (7 * self.srtt + rtt) / 8;
        }
        self.backoff = 0;
        // G, the clock's granularity, is a nanosecond.
        let rto = self.srtt + (4 * self.rttvar).max(1);
        self.rto = rto.max(nanos(config.min_rto)).min(nanos(config.max_rto));
    }

    /// The timeout with its back-off.
    pub(crate) fn rto(&self, config: &TcpConfig) -> Duration {
        let backed_off = self.rto.saturating_mul(1 << self.backoff.min(32));
        Duration::from_nanos(backed_off.min(nanos(config.max_rto)))
    }

    /// Doubles the timeout (R6298-9).
    pub(crate) fn back_off(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
    }

    /// The handshake needed a retransmission: no sample came of it, and data starts with 3 s (R6298-10).
    pub(crate) fn handshake_was_retransmitted(&mut self) {
        self.backoff = 0;
        self.rto = self.rto.max(nanos(RTO_AFTER_LOST_SYN));
    }

    pub(crate) fn srtt(&self) -> Option<Duration> {
        (self.srtt != 0).then(|| Duration::from_nanos(self.srtt))
    }

    pub(crate) fn rttvar(&self) -> Duration {
        Duration::from_nanos(self.rttvar)
    }

    /// A round trip of `rtt` ended at `now`: the least one is that of the last half minute to minute (R8985-4).
    pub(crate) fn note_least(&mut self, now: Instant, rtt: Duration) {
        let now = (now.as_nanos() >> 20) as u32;
        if now.wrapping_sub(self.min_since) >= MIN_RTT_PERIOD {
            self.min_rtt = [u64::MAX, self.min_rtt[0]];
            self.min_since = now;
        }
        // A clock too coarse for the path still gives a positive round trip.
        self.min_rtt[0] = self.min_rtt[0].min(nanos(rtt).max(1));
    }

    pub(crate) fn min_rtt(&self) -> Option<Duration> {
        let least = self.min_rtt[0].min(self.min_rtt[1]);
        (least != u64::MAX).then(|| Duration::from_nanos(least))
    }

    /// Whether a timeout has lengthened the next.
    pub(crate) fn is_backed_off(&self) -> bool {
        self.backoff > 0
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 64)
}
