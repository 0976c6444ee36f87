//! CUBIC (RFC 9438), with HyStart++ (RFC 9406) in its first slow start.

mod curve;
#[cfg(test)]
mod tests;

use core::time::Duration;

use curve::Epoch;

use super::hystart::{Growth, HyStart};
use super::{
    Ack, Congestion, Controller, Signal, initial_window, window_after_recovery, window_for_mss, window_unused,
};
use crate::time::Instant;

/// What one ACK may add in slow start, in segments: the limit of RFC 9406 4.3 for senders that do not pace, which keeps a
/// receiver that acknowledges rarely from stalling it.
const L: u32 = 8;

/// What a mistaken loss takes back (RFC 9438 4.9.2).
#[derive(Debug)]
struct Prior {
    cwnd: u32,
    ssthresh: u32,
    w_max: u32,
    cwnd_prior: u32,
    epoch: Option<Box<Epoch>>,
    from_here: bool,
}

/// The window as a cubic function of the time since the last congestion.
#[derive(Debug)]
pub(crate) struct Cubic {
    mss: u32,
    cwnd: u32,
    ssthresh: u32,
    /// The window just before the last congestion, where the curve is flat; less by fast convergence.
    w_max: u32,
    /// The window when ssthresh was set last.
    cwnd_prior: u32,
    /// The current stretch of congestion avoidance. Boxed: most connections never leave slow start.
    epoch: Option<Box<Epoch>>,
    /// The next epoch's curve starts at its plateau: slow start ended without a loss, or a timeout began it
    /// (RFC 9438 4.8, 4.10).
    from_here: bool,
    /// Up to here the epoch's clock ran; [`Instant::NEVER`] while the application limits the flight (RFC 9438 5.8).
    clock: Instant,
    /// Fast recovery is in progress: PRR governs, and the window stays.
    recovering: bool,
    /// A timeout's losses are being repaired.
    repairing: bool,
    hystart: HyStart,
    prior: Option<Box<Prior>>,
}

const _: () = assert!(size_of::<Cubic>() <= 72, "it is part of each idle connection");

impl Cubic {
    pub(crate) fn new(mss: u32) -> Self {
        Self {
            mss,
            cwnd: initial_window(mss, false),
            ssthresh: u32::MAX,
            w_max: 0,
            cwnd_prior: 0,
            epoch: None,
            from_here: true,
            clock: Instant::NEVER,
            recovering: false,
            repairing: false,
            hystart: HyStart::default(),
            prior: None,
        }
    }

    fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// RFC 9438 4.10.
    fn slow_start(&mut self, ack: &Ack) {
        // R5681-3: while what a timeout left is repaired, an ACK may cover much that was delivered long before.
        let limit = if self.repairing { self.mss } else { L.saturating_mul(self.mss) };
        let increment = ack.acked.min(limit);
        let growth = if self.ssthresh == u32::MAX {
            // R9406-6
            self.hystart.on_ack(ack, increment)
        } else {
            Growth::By(increment)
        };
        match growth {
            Growth::By(octets) => self.cwnd = self.cwnd.saturating_add(octets).min(self.ssthresh),
            Growth::Leave => {
                self.ssthresh = self.cwnd;
                self.cwnd_prior = self.cwnd;
                self.from_here = true;
            }
        }
    }

    /// RFC 9438 4.2 to 4.5.
    fn avoid(&mut self, ack: &Ack, passed: Duration) {
        let (mss, cwnd, prior) = (self.mss, self.cwnd, self.cwnd_prior);
        if core::mem::take(&mut self.from_here) {
            self.w_max = cwnd;
        }
        let w_max = self.w_max;
        let epoch = self.epoch.get_or_insert_with(|| Box::new(Epoch::new(cwnd, w_max, mss)));
        epoch.pass(passed);
        let friendly = epoch.reno(ack.acked, cwnd, prior, mss);
        if epoch.window(Duration::ZERO, mss) < friendly {
            self.cwnd = cwnd.max(friendly);
            return;
        }
        let most = cwnd.saturating_add(cwnd / 2);
        let target = epoch.window(ack.srtt, mss).clamp(cwnd, most);
        self.cwnd = cwnd.saturating_add(epoch.share(ack.acked, target - cwnd, cwnd));
    }

    /// What congestion does to all but the window, by `size`, what was outstanding, and `window`, what of the window counts
    /// (RFC 9438 4.6, 4.7).
    fn lower_threshold(&mut self, size: u32, window: u32) {
        self.prior = Some(Box::new(Prior {
            cwnd: self.cwnd,
            ssthresh: self.ssthresh,
            w_max: self.w_max,
            cwnd_prior: self.cwnd_prior,
            epoch: self.epoch.take(),
            from_here: self.from_here,
        }));
        self.ssthresh = curve::beta(size);
        self.cwnd_prior = window;
        // Fast convergence: a window that did not come back to its last height leaves room to newcomers.
        self.w_max = if window < self.w_max { curve::converged(window) } else { window };
        self.clock = Instant::NEVER;
    }
}

impl Controller for Cubic {
    fn name(&self) -> &'static str {
        "cubic"
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
        (self.cwnd, self.ssthresh, self.cwnd_prior) = (cwnd, ssthresh, cwnd);
    }

    fn on_ack(&mut self, ack: &Ack) {
        if self.recovering || ack.lost > 0 {
            return;
        }
        // None while the clock stands.
        let passed = ack.now - self.clock;
        self.clock = if ack.cwnd_limited { ack.now } else { Instant::NEVER };
        if !ack.cwnd_limited {
            return;
        }
        if self.in_slow_start() {
            self.slow_start(ack);
        } else {
            self.avoid(ack, passed);
        }
    }

    fn on_congestion(&mut self, congestion: &Congestion) {
        // R9438-6: the window stands for the flight, as it does not grow unless it is used. What happens to be outstanding at
        // the end of a response would leave next to nothing for the one after. A window that grew and is used no more stands
        // for nothing (R7661-3).
        let size = if congestion.validated { self.cwnd.max(congestion.flight) } else { congestion.flight };
        self.lower_threshold(size, size.min(self.cwnd));
        self.recovering = congestion.signal == Signal::Loss;
        self.repairing = false;
        self.from_here = false;
        let least = if self.recovering { 2 * self.mss } else { self.mss };
        self.cwnd = self.ssthresh.max(least);
        self.ssthresh = self.ssthresh.max(2 * self.mss);
    }

    fn on_recovered(&mut self, _now: Instant, flight: u32) {
        self.repairing = false;
        if core::mem::take(&mut self.recovering) {
            self.cwnd = window_after_recovery(self.ssthresh, flight, self.mss);
        }
    }

    fn on_timeout(&mut self, _now: Instant, flight: u32, first: bool) {
        if first {
            self.lower_threshold(flight, self.cwnd);
            self.ssthresh = self.ssthresh.max(2 * self.mss);
        }
        self.cwnd = self.mss;
        self.recovering = false;
        self.repairing = true;
        // R9438-9
        self.from_here = true;
    }

    fn on_spurious(&mut self, _now: Instant) {
        self.recovering = false;
        self.repairing = false;
        let Some(prior) = self.prior.take() else { return };
        self.ssthresh = self.ssthresh.max(prior.ssthresh);
        if self.cwnd < prior.cwnd {
            self.cwnd = prior.cwnd;
            self.w_max = prior.w_max;
            self.cwnd_prior = prior.cwnd_prior;
            self.epoch = prior.epoch;
            self.from_here = prior.from_here;
            self.clock = Instant::NEVER;
        }
    }

    fn on_sent(&mut self, now: Instant, flight: u32, _octets: u32, _app_limited: bool) {
        if flight == 0 && self.clock != Instant::NEVER {
            // R9438-3: nothing was in flight, and nothing could have made the window grow.
            self.clock = now;
        }
    }

    fn on_idle(&mut self, _now: Instant) {
        let restart = initial_window(self.mss, false);
        if self.cwnd > restart {
            self.cwnd = restart;
            // What the epoch had reached is no measure of the window that slow start comes back to.
            self.epoch = None;
        }
        self.clock = Instant::NEVER;
    }

    fn on_unused(&mut self, _now: Instant) {
        (self.cwnd, self.ssthresh) = window_unused(self.cwnd, self.ssthresh, self.mss);
        self.epoch = None;
        self.clock = Instant::NEVER;
    }

    fn cwnd(&self) -> u32 {
        self.cwnd
    }

    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    fn phase(&self) -> &'static str {
        match (self.in_slow_start(), self.hystart.is_conservative()) {
            (true, true) if self.ssthresh == u32::MAX => "conservative slow start",
            (true, _) => "slow start",
            (false, _) => "avoidance",
        }
    }
}
