//! NewReno (RFC 5681, RFC 6582).

use super::{
    Ack, Congestion, Controller, Signal, initial_window, window_after_recovery, window_for_mss, window_unused,
};
use crate::time::Instant;

/// Slow start and congestion avoidance with a halving per loss.
#[derive(Debug)]
pub(crate) struct NewReno {
    mss: u32,
    cwnd: u32,
    ssthresh: u32,
    /// Octets acknowledged since the window last grew, in congestion avoidance.
    acked: u32,
    /// Window and threshold before the last congestion, for the case that it was none.
    prior: (u32, u32),
    /// Fast recovery is in progress: PRR governs, and the window stays.
    recovering: bool,
}

impl NewReno {
    pub(crate) fn new(mss: u32) -> Self {
        let cwnd = initial_window(mss, false);
        Self { mss, cwnd, ssthresh: u32::MAX, acked: 0, prior: (cwnd, u32::MAX), recovering: false }
    }

    /// RFC 5681 3.1, equation 4.
    fn halve(&mut self, flight: u32) {
        self.prior = (self.cwnd, self.ssthresh);
        self.ssthresh = (flight / 2).max(2 * self.mss);
        self.acked = 0;
    }
}

impl Controller for NewReno {
    fn name(&self) -> &'static str {
        "newreno"
    }

    fn start(&mut self, mss: u32, handshake_loss: bool) {
        self.mss = mss;
        self.cwnd = initial_window(mss, handshake_loss);
    }

    fn set_mss(&mut self, mss: u32) {
        if self.ssthresh == u32::MAX {
            self.cwnd = window_for_mss(self.cwnd, self.mss, mss);
        }
        self.mss = mss;
    }

    fn inherit(&mut self, cwnd: u32, ssthresh: u32) {
        (self.cwnd, self.ssthresh) = (cwnd, ssthresh);
    }

    fn on_ack(&mut self, ack: &Ack) {
        if !ack.cwnd_limited || self.recovering || ack.lost > 0 {
            return;
        }
        if self.cwnd < self.ssthresh {
            // R5681-3: what one ACK may add is bounded by a segment, so that splitting ACKs gains nothing.
            self.cwnd = self.cwnd.saturating_add(ack.acked.min(self.mss));
            return;
        }
        // R5681-4: a segment per window's worth of acknowledged octets.
        self.acked = self.acked.saturating_add(ack.acked);
        if self.acked >= self.cwnd {
            self.acked -= self.cwnd;
            self.cwnd = self.cwnd.saturating_add(self.mss);
        }
    }

    fn on_congestion(&mut self, congestion: &Congestion) {
        self.halve(congestion.flight);
        self.cwnd = self.ssthresh;
        self.recovering = congestion.signal == Signal::Loss;
    }

    fn on_recovered(&mut self, _now: Instant, flight: u32) {
        if core::mem::take(&mut self.recovering) {
            self.cwnd = window_after_recovery(self.ssthresh, flight, self.mss);
        }
    }

    fn on_timeout(&mut self, _now: Instant, flight: u32, first: bool) {
        if first {
            self.halve(flight);
        }
        self.cwnd = self.mss;
        self.acked = 0;
        self.recovering = false;
    }

    fn on_spurious(&mut self, _now: Instant) {
        let (cwnd, ssthresh) = self.prior;
        self.cwnd = self.cwnd.max(cwnd);
        self.ssthresh = self.ssthresh.max(ssthresh);
        self.recovering = false;
    }

    fn on_idle(&mut self, _now: Instant) {
        self.cwnd = self.cwnd.min(initial_window(self.mss, false));
    }

    fn on_unused(&mut self, _now: Instant) {
        (self.cwnd, self.ssthresh) = window_unused(self.cwnd, self.ssthresh, self.mss);
    }

    fn cwnd(&self) -> u32 {
        self.cwnd
    }

    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    fn phase(&self) -> &'static str {
        if self.cwnd < self.ssthresh { "slow start" } else { "avoidance" }
    }
}
