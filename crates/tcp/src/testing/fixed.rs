//! A congestion controller that controls nothing.

use std::sync::Arc;

use crate::congestion::{Ack, Congestion, CongestionControl, Controller};
use crate::time::Instant;

/// A window that never changes: what a sender does with it is nobody's doing but the sender's.
#[derive(Debug, Clone, Copy)]
pub struct FixedWindow {
    segments: u32,
    mss: u32,
}

impl FixedWindow {
    /// A window of this many full segments.
    #[must_use]
    pub const fn new(segments: u32) -> Self {
        Self { segments, mss: 0 }
    }

    /// The same, for [`TcpConfig::congestion`](crate::TcpConfig::congestion).
    #[must_use]
    pub fn control(segments: u32) -> CongestionControl {
        CongestionControl::Custom(Arc::new(move || Box::new(Self::new(segments))))
    }
}

impl Controller for FixedWindow {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn start(&mut self, mss: u32, _handshake_loss: bool) {
        self.mss = mss;
    }

    fn on_ack(&mut self, _ack: &Ack) {}

    fn on_congestion(&mut self, _congestion: &Congestion) {}

    fn on_recovered(&mut self, _now: Instant, _flight: u32) {}

    fn on_timeout(&mut self, _now: Instant, _flight: u32, _first: bool) {}

    fn on_spurious(&mut self, _now: Instant) {}

    fn on_idle(&mut self, _now: Instant) {}

    fn cwnd(&self) -> u32 {
        self.segments.saturating_mul(self.mss)
    }

    fn ssthresh(&self) -> u32 {
        u32::MAX
    }

    fn uses_prr(&self) -> bool {
        false
    }
}
