//! What the model makes of itself: pacing rate, send quantum, window (draft 5.6).

use core::time::Duration;

use super::model::{octets_in, percent};
use super::{Bbr, Phase, UNBOUNDED};

/// Percent of the bandwidth at which to pace, so that a queue of unknown origin drains.
const PACING_MARGIN_PERCENT: u64 = 99;
/// Below this rate, 1.2 Mbit/s, segments leave one by one.
const SLOW: u64 = 150_000;
const MAX_QUANTUM: u64 = 64 * 1024;

impl Bbr {
    /// From the window and, if it is known, the round trip; a millisecond if not.
    pub(super) fn init_pacing_rate(&mut self, srtt: Duration) {
        let rtt = if srtt.is_zero() { Duration::from_millis(1) } else { srtt };
        let nominal = u128::from(self.cwnd) * 1_000_000_000 / rtt.as_nanos();
        let nominal = u64::try_from(nominal).unwrap_or(u64::MAX);
        self.pacing_rate = percent(nominal, Phase::Startup.pacing_gain());
    }

    pub(super) fn set_pacing_rate(&mut self) {
        self.set_pacing_rate_with_gain(self.phase.pacing_gain());
    }

    pub(super) fn set_pacing_rate_with_gain(&mut self, gain: u64) {
        let rate = percent(percent(self.bw.bw, gain), PACING_MARGIN_PERCENT);
        // While the pipe fills, a low sample is the sender's, not the path's.
        if rate > self.pacing_rate || (self.full_pipe.reached && rate > 0) {
            self.pacing_rate = rate;
        }
    }

    /// Octets that leave at once: a millisecond's worth, two segments at least.
    pub(super) fn send_quantum(&self) -> u32 {
        let least = if self.pacing_rate < SLOW { self.mss } else { self.mss.saturating_mul(2) };
        (octets_in(self.pacing_rate, Duration::from_millis(1)).min(MAX_QUANTUM) as u32).max(least)
    }

    /// That many percent of the bandwidth-delay product of `bw`.
    fn bdp_of(&self, bw: u64, gain: u64) -> u32 {
        let octets = match self.rtt.min {
            Some(min_rtt) => octets_in(bw, min_rtt),
            None => self.initial_cwnd.into(),
        };
        u32::try_from(percent(octets, gain)).unwrap_or(u32::MAX)
    }

    pub(super) fn bdp(&self, gain: u64) -> u32 {
        self.bdp_of(self.bw.bw, gain)
    }

    /// BBRInflight: what `gain` percent of the bandwidth-delay product takes with batches and delayed ACKs.
    pub(super) fn inflight(&self, bw: u64, gain: u64) -> u32 {
        self.with_quantization(self.bdp_of(bw, gain))
    }

    fn with_quantization(&self, inflight: u32) -> u32 {
        let inflight = inflight.max(self.send_quantum().saturating_mul(3)).max(self.min_pipe_cwnd());
        let more = if self.phase == Phase::Up { self.mss.saturating_mul(2) } else { 0 };
        inflight.saturating_add(more)
    }

    /// The least window: enough for one ACK per two segments.
    pub(super) fn min_pipe_cwnd(&self) -> u32 {
        self.mss.saturating_mul(4)
    }

    pub(super) fn probe_rtt_cwnd(&self) -> u32 {
        self.bdp(Phase::ProbeRtt.cwnd_gain()).max(self.min_pipe_cwnd())
    }

    /// BBRSetCwnd, after `delivered` more octets.
    pub(super) fn set_cwnd(&mut self, delivered: u32) {
        let target = self.bdp(self.phase.cwnd_gain()).saturating_add(self.aggregation.extra_acked());
        let max_inflight = self.with_quantization(target);
        let grown = self.cwnd.saturating_add(delivered);
        if self.full_pipe.reached {
            self.cwnd = grown.min(max_inflight);
        } else if self.cwnd < max_inflight || self.bw.delivered < u64::from(self.initial_cwnd) {
            self.cwnd = grown;
        }
        self.bound_cwnd();
    }

    /// BBRBoundCwndForProbeRTT, BBRBoundCwndForModel.
    pub(super) fn bound_cwnd(&mut self) {
        let long_term = match self.phase {
            Phase::Down | Phase::Refill | Phase::Up => self.inflight_hi,
            Phase::Cruise | Phase::ProbeRtt => self.inflight_with_headroom(),
            Phase::Startup | Phase::Drain => UNBOUNDED,
        };
        let mut cap = long_term.min(self.inflight_lo);
        if self.phase == Phase::ProbeRtt {
            cap = cap.min(self.probe_rtt_cwnd());
        }
        let least = self.min_pipe_cwnd();
        self.cwnd = self.cwnd.max(least).min(cap.max(least));
    }
}
