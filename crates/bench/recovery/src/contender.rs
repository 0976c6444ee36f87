//! The controllers that the table compares.

use std::sync::Arc;
use std::time::Duration;

use netstack_tcp::congestion::{Ack, Congestion, CongestionControl, Controller, Pacing};
use netstack_tcp::{Instant, TcpConfig};

/// Limit of both buffers, well above twice the largest bandwidth-delay product of the table.
const BUFFER: usize = 64 << 20;
/// The receivers of the table wait this long for a second segment, after the first `QUICK` ones.
pub(crate) const ACK_DELAY: Duration = Duration::from_millis(40);
const QUICK: u8 = 16;

/// A congestion controller with its setting of pacing.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Contender {
    /// RFC 5681 with RFC 6582.
    NewReno,
    /// RFC 9438.
    Cubic,
    /// The same, paced.
    CubicPaced,
    /// BBR version 3.
    Bbr,
    /// A window of so many segments, whatever happens: what the table must reject.
    Fixed(u32),
}

impl Contender {
    /// What the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NewReno => "newreno",
            Self::Cubic => "cubic",
            Self::CubicPaced => "cubic-paced",
            Self::Bbr => "bbr",
            Self::Fixed(_) => "fixed",
        }
    }

    /// The settings of both ends.
    pub fn tcp(self) -> Arc<TcpConfig> {
        let control = match self {
            Self::NewReno => CongestionControl::NewReno,
            Self::Cubic | Self::CubicPaced => CongestionControl::Cubic,
            Self::Bbr => CongestionControl::Bbr,
            Self::Fixed(segments) => {
                CongestionControl::Custom(Arc::new(move || Box::new(Fixed { segments, mss: 0 })))
            }
        };
        let mut tcp = TcpConfig::new();
        tcp.recv_buffer(BUFFER).send_buffer(BUFFER).ack_delay(ACK_DELAY).quick_acks(QUICK);
        tcp.congestion(control);
        if self == Self::CubicPaced {
            tcp.pacing(Pacing::On);
        }
        Arc::new(tcp)
    }
}

/// A window that never changes.
#[derive(Debug)]
pub struct Fixed {
    segments: u32,
    mss: u32,
}

impl Controller for Fixed {
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
        self.segments * self.mss
    }

    fn ssthresh(&self) -> u32 {
        u32::MAX
    }

    fn uses_prr(&self) -> bool {
        false
    }
}
