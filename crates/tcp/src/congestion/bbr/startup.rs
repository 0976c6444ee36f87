//! Startup doubles the rate each round until the pipe is full; Drain empties the queue that made (draft 5.3.1, 5.3.2).

use super::{Ack, Bbr, Phase, RateSample};

/// Runs of losses in a round of Startup that end it.
const STARTUP_FULL_LOSS_CNT: u8 = 6;
/// Rounds without growth after which the pipe is full.
const FULL_BW_ROUNDS: u8 = 3;

/// Whether bandwidth still grows with what is sent (draft 5.3.1.2).
#[derive(Debug, Default)]
pub(super) struct FullPipe {
    /// The pipe was full once.
    pub(super) reached: bool,
    /// It is, by the last rounds.
    pub(super) now: bool,
    /// The bandwidth that growth counts from.
    bw: u64,
    rounds: u8,
}

impl FullPipe {
    /// Growth counts from `bw`.
    pub(super) fn reset(&mut self, bw: u64) {
        *self = Self { reached: self.reached, now: false, bw, rounds: 0 };
    }

    pub(super) fn check(&mut self, rs: &RateSample, round_start: bool) {
        if self.now || rs.app_limited {
            return;
        }
        if u128::from(rs.rate) * 4 >= u128::from(self.bw) * 5 {
            self.reset(rs.rate);
        } else if round_start {
            self.rounds += 1;
            self.now = self.rounds >= FULL_BW_ROUNDS;
            self.reached |= self.now;
        }
    }
}

impl Bbr {
    pub(super) fn check_startup_done(&mut self, ack: &Ack, rs: &RateSample) {
        self.check_startup_high_loss(ack, rs);
        if self.phase == Phase::Startup && self.full_pipe.reached {
            self.phase = Phase::Drain;
        }
    }

    /// The queue overflows: the pipe is full, and holds what it just delivered (draft 5.3.1.3).
    fn check_startup_high_loss(&mut self, ack: &Ack, rs: &RateSample) {
        if !self.bw.loss_round_start {
            return;
        }
        let events = core::mem::take(&mut self.bw.loss_events);
        if !self.full_pipe.reached
            && ack.recovery
            && events >= STARTUP_FULL_LOSS_CNT
            && self.is_inflight_too_high(rs.lost, rs.tx_in_flight)
        {
            self.full_pipe.reached = true;
            self.inflight_hi = self.bdp(100).max(self.inflight_latest);
        }
    }

    /// Whether more than two percent of what left is lost (RBBR-6), and more than one segment: where fewer than fifty are in
    /// flight, that one would always be too much, and random loss would press the window down to nothing.
    pub(super) fn is_inflight_too_high(&self, lost: u64, tx_in_flight: u32) -> bool {
        lost > u64::from(self.mss) && lost.saturating_mul(50) > u64::from(tx_in_flight)
    }

    pub(super) fn check_drain_done(&mut self, ack: &Ack) {
        if self.phase == Phase::Drain && ack.flight <= self.inflight(self.bw.bw, 100) {
            self.start_probe_bw_down(ack.now);
        }
    }
}
