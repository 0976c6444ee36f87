//! The controllers that the table compares.

use std::sync::Arc;
use std::time::Duration;

use netstack_tcp::TcpConfig;
use netstack_tcp::congestion::{CongestionControl, Pacing};
use netstack_tcp::testing::FixedWindow;

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
            Self::Fixed(segments) => FixedWindow::control(segments),
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
