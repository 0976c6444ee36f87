//! BBR, version 3 (draft-ietf-ccwg-bbr): a model of the path's bandwidth and round trip says how fast to send, and losses
//! bound how much may be in flight. Names are the draft's, with `hi` for its long-term and `lo` for its short-term bounds.
//!
//! | file | mechanism |
//! |---|---|
//! | `model.rs` | rounds, the bandwidth filter, short-term bounds, aggregated ACKs |
//! | `startup.rs` | Startup, the full pipe, Drain |
//! | `probe_bw.rs` | the cycle of DOWN, CRUISE, REFILL and UP, the long-term bound |
//! | `probe_rtt.rs` | the least round trip, ProbeRTT |
//! | `control.rs` | pacing rate, send quantum, window |

mod control;
mod model;
mod probe_bw;
mod probe_rtt;
mod startup;
#[cfg(test)]
mod tests;

use core::time::Duration;

use super::{Ack, Congestion, Controller, Lost, RateSample, initial_window};
use crate::time::Instant;
use model::{Aggregation, Bandwidth};
use probe_bw::Cycle;
use probe_rtt::MinRtt;
use startup::FullPipe;

/// A bound that is not set.
const UNBOUNDED: u32 = u32::MAX;

/// The states of BBR (draft 5.2); those of ProbeBW by their own names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Startup,
    Drain,
    Down,
    Cruise,
    Refill,
    Up,
    ProbeRtt,
}

impl Phase {
    fn in_probe_bw(self) -> bool {
        matches!(self, Self::Down | Self::Cruise | Self::Refill | Self::Up)
    }

    /// Whether more is sent than the model holds for safe: then a loss says nothing about the model (draft 5.5.10).
    fn is_probing(self) -> bool {
        matches!(self, Self::Startup | Self::Refill | Self::Up)
    }

    /// Percent of the bandwidth at which to pace (RBBR-3 to RBBR-5).
    fn pacing_gain(self) -> u64 {
        match self {
            Self::Startup => 277,
            Self::Drain => 50,
            Self::Down => 90,
            Self::Up => 125,
            Self::Cruise | Self::Refill | Self::ProbeRtt => 100,
        }
    }

    /// Percent of the bandwidth-delay product that the window takes.
    fn cwnd_gain(self) -> u64 {
        match self {
            Self::Up => 225,
            Self::ProbeRtt => 50,
            _ => 200,
        }
    }
}

/// What a mistaken loss takes back (draft 5.5.11).
#[derive(Debug, Clone, Copy)]
struct Undo {
    phase: Phase,
    full_bw_reached: bool,
    bw_lo: u64,
    inflight_lo: u32,
    inflight_hi: u32,
}

/// BBR version 3.
#[derive(Debug)]
pub(crate) struct Bbr {
    mss: u32,
    cwnd: u32,
    initial_cwnd: u32,
    /// Octets per second.
    pacing_rate: u64,
    /// The pacing rate has been set by a measured round trip.
    has_seen_rtt: bool,
    phase: Phase,
    bw: Bandwidth,
    aggregation: Aggregation,
    full_pipe: FullPipe,
    cycle: Cycle,
    rtt: MinRtt,
    /// The most that may be in flight by what losses while probing taught.
    inflight_hi: u32,
    /// The same for the short term, by any losses.
    inflight_lo: u32,
    /// The most delivered in one round trip, lately.
    inflight_latest: u32,
    /// The flight began after a pause.
    idle_restart: bool,
    /// Recovery from a loss or a timeout is in progress.
    recovering: bool,
    /// The window before recovery or ProbeRTT.
    prior_cwnd: u32,
    undo: Option<Undo>,
    /// What makes probe times differ from connection to connection, and how often it was asked.
    seed: u64,
}

impl Bbr {
    /// `seed`: any number that differs between connections; the times of probing depend on it.
    pub(crate) fn new(mss: u32, seed: u32) -> Self {
        let cwnd = initial_window(mss, false);
        let mut bbr = Self {
            mss,
            cwnd,
            initial_cwnd: cwnd,
            pacing_rate: 0,
            has_seen_rtt: false,
            phase: Phase::Startup,
            bw: Bandwidth::default(),
            aggregation: Aggregation::default(),
            full_pipe: FullPipe::default(),
            cycle: Cycle::default(),
            rtt: MinRtt::default(),
            inflight_hi: UNBOUNDED,
            inflight_lo: UNBOUNDED,
            inflight_latest: 0,
            idle_restart: false,
            recovering: false,
            prior_cwnd: 0,
            undo: None,
            seed: u64::from(seed),
        };
        bbr.init_pacing_rate(Duration::ZERO);
        bbr
    }

    /// BBRUpdateModelAndState (draft 5.2.3).
    fn update_model_and_state(&mut self, ack: &Ack, rs: &RateSample) {
        self.update_latest_delivery_signals(rs);
        self.update_congestion_signals(rs);
        self.aggregation.update(ack, self.bw.bw, self.cwnd, self.bw.round_start, self.full_pipe.reached);
        self.full_pipe.check(rs, self.bw.round_start);
        self.check_startup_done(ack, rs);
        self.check_drain_done(ack);
        self.update_probe_bw_cycle_phase(ack, rs);
        self.update_min_rtt(ack);
        self.check_probe_rtt(ack);
        self.advance_latest_delivery_signals(rs);
        self.bw.bind();
    }

    fn save_cwnd(&mut self) {
        let keeps = self.recovering || self.phase == Phase::ProbeRtt;
        self.prior_cwnd = if keeps { self.prior_cwnd.max(self.cwnd) } else { self.cwnd };
    }

    fn restore_cwnd(&mut self) {
        self.cwnd = self.cwnd.max(self.prior_cwnd);
    }

    /// What is lost first in a round: from here on the model may change by mistake.
    fn save_state_upon_loss(&mut self) {
        self.undo = Some(Undo {
            phase: self.phase,
            full_bw_reached: self.full_pipe.reached,
            bw_lo: self.bw.lo,
            inflight_lo: self.inflight_lo,
            inflight_hi: self.inflight_hi,
        });
    }

    /// The next of the numbers that `seed` stands for, below `below`.
    fn draw(&mut self, below: u64) -> u64 {
        // The finaliser of SplitMix64 over a counter: all its numbers are determined by the seed.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

impl Controller for Bbr {
    fn name(&self) -> &'static str {
        "bbr"
    }

    fn start(&mut self, mss: u32, handshake_loss: bool) {
        self.mss = mss;
        self.cwnd = initial_window(mss, handshake_loss);
        self.initial_cwnd = self.cwnd;
        self.init_pacing_rate(Duration::ZERO);
    }

    fn on_known_rtt(&mut self, srtt: Duration) {
        self.has_seen_rtt = true;
        self.init_pacing_rate(srtt);
    }

    fn set_mss(&mut self, mss: u32) {
        self.cwnd = super::window_for_mss(self.cwnd, self.mss, mss);
        self.mss = mss;
    }

    fn inherit(&mut self, cwnd: u32, _ssthresh: u32) {
        self.cwnd = cwnd;
        self.initial_cwnd = cwnd;
    }

    fn on_ack(&mut self, ack: &Ack) {
        if !self.has_seen_rtt && !ack.srtt.is_zero() {
            self.on_known_rtt(ack.srtt);
        }
        match ack.rate {
            Some(mut rs) => {
                rs.app_limited |= rs.prior_delivered < self.rtt.limited_until;
                self.update_model_and_state(ack, &rs);
            }
            None => self.update_min_rtt(ack),
        }
        self.set_pacing_rate();
        self.set_cwnd(ack.delivered);
    }

    fn on_lost(&mut self, lost: &Lost) {
        self.note_loss(lost.delivered);
        self.handle_lost(lost);
    }

    fn on_congestion(&mut self, congestion: &Congestion) {
        self.note_loss(self.bw.delivered);
        if congestion.signal == super::Signal::Loss {
            self.save_cwnd();
            self.recovering = true;
        }
    }

    fn on_recovered(&mut self, _now: Instant, _flight: u32) {
        if core::mem::take(&mut self.recovering) {
            self.restore_cwnd();
            self.bound_cwnd();
        }
    }

    fn on_timeout(&mut self, _now: Instant, _flight: u32, first: bool) {
        if first {
            self.note_loss(self.bw.delivered);
            self.save_cwnd();
            if !self.phase.is_probing() && self.inflight_lo == UNBOUNDED {
                self.inflight_lo = self.prior_cwnd;
            }
        }
        self.recovering = true;
        self.cwnd = self.mss;
    }

    fn on_spurious(&mut self, now: Instant) {
        self.recovering = false;
        self.restore_cwnd();
        self.bw.loss_in_round = false;
        let Some(undo) = self.undo.take() else { return };
        self.full_pipe.reset(0);
        self.full_pipe.reached &= undo.full_bw_reached;
        self.bw.lo = self.bw.lo.max(undo.bw_lo);
        self.inflight_lo = self.inflight_lo.max(undo.inflight_lo);
        self.inflight_hi = self.inflight_hi.max(undo.inflight_hi);
        self.bw.bind();
        if self.phase != Phase::ProbeRtt && self.phase != undo.phase {
            match undo.phase {
                Phase::Startup => self.phase = Phase::Startup,
                Phase::Up => self.start_probe_bw_up(now, 0),
                _ => {}
            }
        }
    }

    fn on_sent(&mut self, now: Instant, flight: u32, _octets: u32, app_limited: bool) {
        if flight > 0 || !app_limited {
            return;
        }
        // BBRHandleRestartFromIdle (draft 5.4.1): at the model's rate, without probing.
        self.idle_restart = true;
        self.aggregation.restart(now);
        if self.phase.in_probe_bw() {
            self.set_pacing_rate_with_gain(100);
        } else if self.phase == Phase::ProbeRtt {
            self.check_probe_rtt_done(now);
        }
    }

    fn on_idle(&mut self, _now: Instant) {
        // The window says how much the path takes; what leaves after a pause is paced.
    }

    fn cwnd(&self) -> u32 {
        self.cwnd
    }

    fn ssthresh(&self) -> u32 {
        u32::MAX
    }

    fn pacing_rate(&self) -> Option<u64> {
        Some(self.pacing_rate)
    }

    fn uses_prr(&self) -> bool {
        false
    }

    fn phase(&self) -> &'static str {
        match self.phase {
            Phase::Startup => "startup",
            Phase::Drain => "drain",
            Phase::Down => "probe down",
            Phase::Cruise => "cruise",
            Phase::Refill => "refill",
            Phase::Up => "probe up",
            Phase::ProbeRtt => "probe rtt",
        }
    }
}
