//! The controller that a connection holds: one of ours without a virtual call, or the user's.

use core::time::Duration;

use super::{Ack, Bbr, Congestion, CongestionControl, Controller, Cubic, Lost, NewReno};
use crate::time::Instant;

/// The controllers there are. What an idle connection carries is small: what is larger than a few words is boxed.
#[derive(Debug)]
pub(crate) enum Algorithm {
    Cubic(Box<Cubic>),
    NewReno(NewReno),
    Bbr(Box<Bbr>),
    Custom(Box<dyn Controller>),
}

const _: () = assert!(size_of::<Algorithm>() <= 32, "small connections are a promise of the stack");

/// `$body` with `$controller` as the one that is in use.
macro_rules! each {
    ($self:expr, $controller:ident => $body:expr) => {
        match $self {
            Algorithm::Cubic($controller) => $body,
            Algorithm::NewReno($controller) => $body,
            Algorithm::Bbr($controller) => $body,
            Algorithm::Custom($controller) => $body,
        }
    };
}

impl Algorithm {
    /// The controller of `choice` for segments of `mss` octets. `seed` differs between connections.
    pub(crate) fn new(choice: &CongestionControl, mss: u32, seed: u32) -> Self {
        match choice {
            CongestionControl::Cubic => Self::Cubic(Box::new(Cubic::new(mss))),
            CongestionControl::NewReno => Self::NewReno(NewReno::new(mss)),
            CongestionControl::Bbr => Self::Bbr(Box::new(Bbr::new(mss, seed))),
            CongestionControl::Custom(make) => {
                let mut custom = make();
                custom.start(mss, false);
                Self::Custom(custom)
            }
        }
    }

    /// Another controller takes over, with the window and the threshold of this one.
    pub(crate) fn replace(&mut self, choice: &CongestionControl, mss: u32, seed: u32) {
        let (cwnd, ssthresh) = (self.cwnd(), self.ssthresh());
        *self = Self::new(choice, mss, seed);
        each!(self, controller => controller.inherit(cwnd, ssthresh));
    }

    pub(crate) fn on_known_rtt(&mut self, srtt: Duration) {
        each!(self, controller => controller.on_known_rtt(srtt));
    }

    pub(crate) fn name(&self) -> &'static str {
        each!(self, controller => controller.name())
    }

    pub(crate) fn start(&mut self, mss: u32, handshake_loss: bool) {
        each!(self, controller => controller.start(mss, handshake_loss));
    }

    pub(crate) fn set_mss(&mut self, mss: u32) {
        each!(self, controller => controller.set_mss(mss));
    }

    pub(crate) fn on_ack(&mut self, ack: &Ack) {
        each!(self, controller => controller.on_ack(ack));
    }

    pub(crate) fn on_congestion(&mut self, congestion: &Congestion) {
        each!(self, controller => controller.on_congestion(congestion));
    }

    pub(crate) fn on_lost(&mut self, lost: &Lost) {
        each!(self, controller => controller.on_lost(lost));
    }

    pub(crate) fn on_recovered(&mut self, now: Instant, flight: u32) {
        each!(self, controller => controller.on_recovered(now, flight));
    }

    pub(crate) fn on_timeout(&mut self, now: Instant, flight: u32, first: bool) {
        each!(self, controller => controller.on_timeout(now, flight, first));
    }

    pub(crate) fn on_spurious(&mut self, now: Instant) {
        each!(self, controller => controller.on_spurious(now));
    }

    pub(crate) fn on_sent(&mut self, now: Instant, flight: u32, octets: u32, app_limited: bool) {
        each!(self, controller => controller.on_sent(now, flight, octets, app_limited));
    }

    pub(crate) fn on_idle(&mut self, now: Instant) {
        each!(self, controller => controller.on_idle(now));
    }

    pub(crate) fn on_unused(&mut self, now: Instant) {
        each!(self, controller => controller.on_unused(now));
    }

    /// The window; a controller of the user's own cannot close it for good.
    pub(crate) fn cwnd(&self) -> u32 {
        each!(self, controller => controller.cwnd()).max(1)
    }

    pub(crate) fn ssthresh(&self) -> u32 {
        each!(self, controller => controller.ssthresh())
    }

    pub(crate) fn pacing_rate(&self) -> Option<u64> {
        each!(self, controller => controller.pacing_rate())
    }

    pub(crate) fn uses_prr(&self) -> bool {
        each!(self, controller => controller.uses_prr())
    }

    pub(crate) fn phase(&self) -> &'static str {
        each!(self, controller => controller.phase())
    }
}
