//! NewReno (RFC 5681, RFC 6582).

use super::{Ack, Controller, initial_window};

/// Slow start and congestion avoidance with a halving per loss.
#[derive(Debug)]
pub(crate) struct NewReno {
    mss: u32,
    cwnd: u32,
    ssthresh: u32,
    /// Octets acknowledged since the window last grew, in congestion avoidance.
    acked: u32,
}

impl NewReno {
    pub(crate) fn new(mss: u32) -> Self {
        Self { mss, cwnd: initial_window(mss, false), ssthresh: u32::MAX, acked: 0 }
    }

    /// RFC 5681 3.1, equation 4.
    fn halve(&mut self, flight: u32) {
        self.ssthresh = (flight / 2).max(2 * self.mss);
        self.acked = 0;
    }
}

impl Controller for NewReno {
    fn start(&mut self, mss: u32, handshake_loss: bool) {
        self.mss = mss;
        self.cwnd = initial_window(mss, handshake_loss);
    }

    fn on_ack(&mut self, ack: Ack) {
        if !ack.cwnd_limited {
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

    fn on_loss(&mut self, flight: u32) {
        self.halve(flight);
        self.cwnd = self.ssthresh;
    }

    fn on_recovered(&mut self, flight: u32) {
        // R6582-5: no burst when little is in flight.
        self.cwnd = self.ssthresh.min(flight.max(self.mss) + self.mss);
    }

    fn on_timeout(&mut self, flight: u32, first: bool) {
        if first {
            self.halve(flight);
        }
        self.cwnd = self.mss;
        self.acked = 0;
    }

    fn on_idle(&mut self) {
        self.cwnd = self.cwnd.min(initial_window(self.mss, false));
    }

    fn cwnd(&self) -> u32 {
        self.cwnd
    }

    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }
}
