//! Rounds, bandwidth, short-term bounds, aggregated ACKs (draft 5.5.1 to 5.5.10).

use super::{Ack, Bbr, RateSample, UNBOUNDED};
use crate::time::Instant;

/// What is left of a short-term bound after a round with losses (RBBR-6).
const BETA_PERCENT: u64 = 70;

/// Rounds that one of the two halves of the filter of aggregation spans.
const EXTRA_ACKED_ROUNDS: u8 = 5;

/// Bandwidths in octets per second, rounds by octets delivered.
#[derive(Debug)]
pub(super) struct Bandwidth {
    /// The largest samples of the last cycle of probing and of this one.
    max: [u64; 2],
    /// The short-term bound; `u64::MAX` while there is none.
    pub(super) lo: u64,
    /// The largest sample of this round.
    latest: u64,
    /// What the model goes by: the least of maximum and bound.
    pub(super) bw: u64,
    /// Octets delivered so far.
    pub(super) delivered: u64,
    /// The round is over once something is delivered that left when this much was delivered.
    next_round_delivered: u64,
    /// This ACK began a round.
    pub(super) round_start: bool,
    /// The same for rounds that begin with a loss.
    loss_round_delivered: u64,
    pub(super) loss_round_start: bool,
    pub(super) loss_in_round: bool,
    /// Runs of segments lost in this round.
    pub(super) loss_events: u8,
}

impl Default for Bandwidth {
    fn default() -> Self {
        Self {
            max: [0; 2],
            lo: u64::MAX,
            latest: 0,
            bw: 0,
            delivered: 0,
            next_round_delivered: 0,
            round_start: false,
            loss_round_delivered: 0,
            loss_round_start: false,
            loss_in_round: false,
            loss_events: 0,
        }
    }
}

impl Bandwidth {
    pub(super) fn max(&self) -> u64 {
        self.max[0].max(self.max[1])
    }

    /// The samples of the cycle before the last no longer count.
    pub(super) fn advance_filter(&mut self) {
        if self.max[1] > 0 {
            self.max = [self.max[1], 0];
        }
    }

    pub(super) fn bind(&mut self) {
        self.bw = self.max().min(self.lo);
    }

    /// A round begins here.
    pub(super) fn start_round(&mut self) {
        self.next_round_delivered = self.delivered;
    }

    fn update_max(&mut self, rs: &RateSample) {
        self.round_start = rs.prior_delivered >= self.next_round_delivered;
        if self.round_start {
            self.start_round();
        }
        // RBBR-2: what the application held back shows no less than the path has.
        if rs.rate >= self.max() || !rs.app_limited {
            self.max[1] = self.max[1].max(rs.rate);
        }
    }

    pub(super) fn reset_congestion_signals(&mut self) {
        self.loss_in_round = false;
        self.latest = 0;
    }
}

impl Bbr {
    pub(super) fn update_latest_delivery_signals(&mut self, rs: &RateSample) {
        let bw = &mut self.bw;
        bw.delivered = rs.delivered;
        let (rate, inflight) = carried(rs);
        bw.latest = bw.latest.max(rate);
        self.inflight_latest = self.inflight_latest.max(inflight);
        bw.loss_round_start = rs.prior_delivered >= bw.loss_round_delivered;
        if bw.loss_round_start {
            bw.loss_round_delivered = rs.delivered;
        }
    }

    pub(super) fn advance_latest_delivery_signals(&mut self, rs: &RateSample) {
        if self.bw.loss_round_start {
            (self.bw.latest, self.inflight_latest) = carried(rs);
        }
    }

    pub(super) fn update_congestion_signals(&mut self, rs: &RateSample) {
        self.bw.update_max(rs);
        if !self.bw.loss_round_start {
            return;
        }
        // What the application or ProbeRTT held back is no measure of the path.
        if self.bw.loss_in_round && !self.phase.is_probing() && !rs.app_limited {
            self.lower_short_term_bounds();
        }
        self.bw.loss_in_round = false;
    }

    /// BBRInitLowerBounds and BBRLossLowerBounds (draft 5.5.10.3).
    fn lower_short_term_bounds(&mut self) {
        let bw = &mut self.bw;
        let before = if bw.lo == u64::MAX { bw.max() } else { bw.lo };
        bw.lo = bw.latest.max(percent(before, BETA_PERCENT));
        let before = if self.inflight_lo == UNBOUNDED { self.cwnd } else { self.inflight_lo };
        self.inflight_lo = self.inflight_latest.max(percent(before.into(), BETA_PERCENT) as u32);
    }

    pub(super) fn reset_short_term_model(&mut self) {
        self.bw.lo = u64::MAX;
        self.inflight_lo = UNBOUNDED;
    }

    pub(super) fn reset_congestion_signals(&mut self) {
        self.bw.reset_congestion_signals();
        self.inflight_latest = 0;
    }

    /// A loss, with `delivered` octets delivered so far: its round begins with the first.
    pub(super) fn note_loss(&mut self, delivered: u64) {
        if !self.bw.loss_in_round {
            self.bw.loss_round_delivered = delivered;
            self.save_state_upon_loss();
        }
        self.bw.loss_in_round = true;
    }
}

/// How much more is acknowledged at times than the bandwidth explains (draft 5.5.9).
#[derive(Debug, Default)]
pub(super) struct Aggregation {
    since: Instant,
    delivered: u64,
    /// The largest excess of the last rounds and of the ones before.
    extra: [u32; 2],
    rounds: u8,
}

impl Aggregation {
    pub(super) fn update(&mut self, ack: &Ack, bw: u64, cwnd: u32, round_start: bool, full_bw_reached: bool) {
        if round_start {
            let span = if full_bw_reached { EXTRA_ACKED_ROUNDS } else { 1 };
            self.rounds = self.rounds.saturating_add(1);
            if self.rounds >= span {
                self.rounds = 0;
                self.extra = [self.extra[1], 0];
            }
        }
        let mut expected = octets_in(bw, ack.now - self.since);
        if self.delivered <= expected {
            self.restart(ack.now);
            expected = 0;
        }
        self.delivered += u64::from(ack.delivered);
        let extra = u32::try_from(self.delivered - expected).unwrap_or(u32::MAX).min(cwnd);
        self.extra[1] = self.extra[1].max(extra);
    }

    pub(super) fn restart(&mut self, now: Instant) {
        self.since = now;
        self.delivered = 0;
    }

    pub(super) fn extra_acked(&self) -> u32 {
        self.extra[0].max(self.extra[1])
    }
}

/// The rate and the flight that the path carried by `rs`. Wider than the draft, which takes what was delivered: we pace below
/// the estimate by a margin of our own, and losses up to the threshold are held for harmless. Both would lower the short-term
/// bounds by a part of themselves with each round in which a single segment is lost at random.
fn carried(rs: &RateSample) -> (u64, u32) {
    let delivered = rs.delivered.saturating_sub(rs.prior_delivered).max(1);
    let octets = delivered + rs.lost.min(delivered / 50);
    let rate = u128::from(rs.rate) * u128::from(octets) * 100 / (u128::from(delivered) * 99);
    (u64::try_from(rate).unwrap_or(u64::MAX), u32::try_from(octets).unwrap_or(u32::MAX))
}

/// What `rate` octets per second are in `time`.
pub(super) fn octets_in(rate: u64, time: core::time::Duration) -> u64 {
    u64::try_from(u128::from(rate) * time.as_nanos() / 1_000_000_000).unwrap_or(u64::MAX)
}

/// That many percent of `value`.
pub(super) fn percent(value: u64, percent: u64) -> u64 {
    u64::try_from(u128::from(value) * u128::from(percent) / 100).unwrap_or(u64::MAX)
}
