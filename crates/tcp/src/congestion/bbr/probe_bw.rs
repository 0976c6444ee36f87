//! ProbeBW: mostly at the model's rate, at times above it to see whether the path has more (draft 5.3.3).

use core::time::Duration;

use super::model::percent;
use super::{Ack, Bbr, Lost, Phase, RateSample, UNBOUNDED};
use crate::time::Instant;

/// What is left of the target in flight where probing found too much.
const BETA_PERCENT: u64 = 70;
/// What cruising leaves free of the long-term bound.
const HEADROOM_PERCENT: u64 = 15;
/// The longest time between probes in rounds, and the time in seconds, to which up to one is added.
const MAX_PROBE_ROUNDS: u32 = 63;
const PROBE_WAIT: Duration = Duration::from_secs(2);
const PROBE_WAIT_SPREAD: u64 = 1_000_000_000;

/// Where the cycle stands.
#[derive(Debug, Default)]
pub(super) struct Cycle {
    /// Probing ended less than a round ago: the ACKs that come now still tell of it.
    pub(super) stopping: bool,
    /// When the cycle began.
    stamp: Instant,
    /// How long to wait with the next probe.
    wait: Duration,
    pub(super) rounds_since_probe: u32,
    /// Samples may come from probing.
    samples: bool,
    up_rounds: u8,
    up_acks: u64,
    /// Octets to be acknowledged for one more in flight.
    up_cnt: u64,
}

impl Bbr {
    pub(super) fn update_probe_bw_cycle_phase(&mut self, ack: &Ack, rs: &RateSample) {
        if self.bw.round_start {
            self.cycle.rounds_since_probe = self.cycle.rounds_since_probe.saturating_add(1);
        }
        if !self.full_pipe.reached {
            return;
        }
        self.adapt_long_term_model(ack, rs);
        let phase = self.phase;
        match phase {
            Phase::Down | Phase::Cruise if self.is_time_to_probe_bw(ack.now) => self.start_probe_bw_refill(),
            Phase::Down if self.is_time_to_cruise(ack) => self.phase = Phase::Cruise,
            Phase::Refill if self.bw.round_start => {
                self.cycle.samples = true;
                self.start_probe_bw_up(ack.now, rs.rate);
            }
            Phase::Up if self.is_time_to_go_down(ack, rs) => self.start_probe_bw_down(ack.now),
            _ => {}
        }
    }

    pub(super) fn is_time_to_probe_bw(&self, now: Instant) -> bool {
        // As often as a Reno flow of this window would grow to lose a packet, so that it gets its share.
        let reno_rounds = self.target_inflight() / self.mss.max(1);
        now - self.cycle.stamp > self.cycle.wait
            || self.cycle.rounds_since_probe >= reno_rounds.min(MAX_PROBE_ROUNDS)
    }

    fn is_time_to_cruise(&self, ack: &Ack) -> bool {
        ack.flight <= self.inflight_with_headroom() && ack.flight <= self.inflight(self.bw.max(), 100)
    }

    fn is_time_to_go_down(&mut self, ack: &Ack, rs: &RateSample) -> bool {
        if self.is_bound(ack) {
            // The bound, not the path, limits what is measured.
            self.full_pipe.reset(rs.rate);
        }
        self.full_pipe.now
    }

    /// The window filled, and the long-term bound made it no larger.
    fn is_bound(&self, ack: &Ack) -> bool {
        let filled = ack.prior_flight.saturating_add(self.mss.saturating_mul(2)) >= self.cwnd;
        ack.cwnd_limited && filled && self.cwnd >= self.inflight_hi
    }

    pub(super) fn start_probe_bw_down(&mut self, now: Instant) {
        self.reset_congestion_signals();
        self.cycle.up_cnt = u64::MAX;
        self.cycle.rounds_since_probe = self.draw(2) as u32;
        self.cycle.wait = PROBE_WAIT + Duration::from_nanos(self.draw(PROBE_WAIT_SPREAD));
        self.cycle.stamp = now;
        self.cycle.stopping = true;
        self.bw.start_round();
        self.phase = Phase::Down;
    }

    fn start_probe_bw_refill(&mut self) {
        self.reset_short_term_model();
        self.cycle.up_rounds = 0;
        self.cycle.up_acks = 0;
        self.cycle.stopping = false;
        self.bw.start_round();
        self.phase = Phase::Refill;
    }

    pub(super) fn start_probe_bw_up(&mut self, now: Instant, rate: u64) {
        self.cycle.stopping = false;
        self.bw.start_round();
        self.full_pipe.reset(rate);
        self.cycle.stamp = now;
        self.phase = Phase::Up;
        self.raise_inflight_hi_slope();
    }

    /// BBRAdaptLongTermModel (draft 5.5.10.2).
    fn adapt_long_term_model(&mut self, ack: &Ack, rs: &RateSample) {
        if self.bw.round_start && core::mem::take(&mut self.cycle.stopping) {
            self.cycle.samples = false;
            if self.phase.in_probe_bw() && !rs.app_limited {
                self.bw.advance_filter();
            }
        }
        if self.is_inflight_too_high(rs.lost, rs.tx_in_flight) {
            if self.cycle.samples {
                self.handle_inflight_too_high(ack.now, rs.tx_in_flight, rs.app_limited);
            }
            return;
        }
        if self.inflight_hi == UNBOUNDED {
            return;
        }
        // This much went well.
        self.inflight_hi = self.inflight_hi.max(rs.tx_in_flight);
        if self.phase == Phase::Up {
            self.probe_inflight_hi_upward(ack);
        }
    }

    fn probe_inflight_hi_upward(&mut self, ack: &Ack) {
        if !self.is_bound(ack) {
            return;
        }
        let cycle = &mut self.cycle;
        cycle.up_acks += u64::from(ack.delivered);
        let more = cycle.up_acks / cycle.up_cnt.max(1);
        cycle.up_acks -= more * cycle.up_cnt.max(1);
        self.inflight_hi = self.inflight_hi.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        if self.bw.round_start {
            self.raise_inflight_hi_slope();
        }
    }

    /// One segment in the first round, two in the second, four in the third.
    fn raise_inflight_hi_slope(&mut self) {
        let growth = u64::from(self.mss.max(1)) << self.cycle.up_rounds;
        self.cycle.up_rounds = (self.cycle.up_rounds + 1).min(30);
        self.cycle.up_cnt = (u64::from(self.cwnd) / growth).max(1);
    }

    /// A run of segments is lost (draft 5.5.10.2, BBRHandleLostPacket).
    pub(super) fn handle_lost(&mut self, lost: &Lost) {
        self.bw.loss_events = self.bw.loss_events.saturating_add(1);
        if self.cycle.samples && self.is_inflight_too_high(lost.lost, lost.tx_in_flight) {
            self.handle_inflight_too_high(lost.now, inflight_at_loss(lost), lost.app_limited);
        }
    }

    /// Probing put too much in flight: `inflight` of it was well. Once per probe.
    fn handle_inflight_too_high(&mut self, now: Instant, inflight: u32, app_limited: bool) {
        self.cycle.samples = false;
        if !app_limited {
            let least = percent(self.target_inflight().into(), BETA_PERCENT) as u32;
            self.inflight_hi = inflight.max(least);
        }
        if self.phase == Phase::Up {
            self.start_probe_bw_down(now);
        }
    }

    /// The long-term bound less what is left free for others.
    pub(super) fn inflight_with_headroom(&self) -> u32 {
        if self.inflight_hi == UNBOUNDED {
            return UNBOUNDED;
        }
        let headroom = percent(self.inflight_hi.into(), HEADROOM_PERCENT) as u32;
        self.inflight_hi.saturating_sub(headroom.max(self.mss)).max(self.min_pipe_cwnd())
    }

    pub(super) fn target_inflight(&self) -> u32 {
        self.bdp(100).min(self.cwnd)
    }
}

/// Octets that were in flight when the losses passed two percent (draft 5.5.10.2): of the run's octets those before that.
fn inflight_at_loss(lost: &Lost) -> u32 {
    let before = u64::from(lost.tx_in_flight.saturating_sub(lost.octets));
    let lost_before = lost.lost.saturating_sub(lost.octets.into());
    let prefix = (before / 50).saturating_sub(lost_before) * 50 / 49;
    u32::try_from(before + prefix).unwrap_or(u32::MAX)
}
