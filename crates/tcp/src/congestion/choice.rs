//! Which controller, and whether to pace.

use core::fmt;
use std::sync::Arc;

use super::Controller;

/// A choice of congestion controller.
///
/// ```
/// use netstack_tcp::TcpConfig;
/// use netstack_tcp::congestion::CongestionControl;
///
/// let mut config = TcpConfig::new();
/// config.congestion(CongestionControl::NewReno);
/// assert_eq!(CongestionControl::NewReno.to_string(), "newreno");
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum CongestionControl {
    /// RFC 9438, with the HyStart++ of RFC 9406: the window follows a cubic function of the time since the last loss.
    #[default]
    Cubic,
    /// RFC 5681 and RFC 6582: half the window per loss.
    NewReno,
    /// BBR version 3 (draft-ietf-ccwg-bbr): a model of the path's bandwidth and round trip; it paces.
    Bbr,
    /// A controller of your own: makes one for each connection.
    Custom(Arc<dyn Fn() -> Box<dyn Controller> + Send + Sync>),
}

impl fmt::Display for CongestionControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cubic => "cubic",
            Self::NewReno => "newreno",
            Self::Bbr => "bbr",
            Self::Custom(_) => "custom",
        })
    }
}

impl fmt::Debug for CongestionControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether data leaves spread over the round trip, in a batch per millisecond, or as fast as the window lets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Pacing {
    /// When the controller asks for it, as BBR does.
    #[default]
    Auto,
    /// Always: where the controller names no rate, at twice the window per round trip in slow start and at 1.2 times it
    /// afterwards.
    On,
    /// Never.
    Off,
}
