//! Congestion control: how much may be in flight, and how fast it may leave.
//!
//! A [`Controller`] holds the congestion window and the slow-start threshold. Finding losses, and deciding what leaves
//! while they are repaired, is not its business. [`CongestionControl`] chooses one: for all connections of a stack by
//! [`TcpConfig::congestion`](crate::TcpConfig::congestion), for one by
//! [`Connection::set_congestion`](crate::Connection::set_congestion).
//!
//! Windows and flights are octets, rates are octets per second, and each call carries the time at which it happens: a
//! controller reads no clock and draws no random numbers, so that every run can be repeated.

mod algorithm;
mod bbr;
mod choice;
mod cubic;
mod hystart;
mod new_reno;
mod signals;
#[cfg(test)]
mod tests;

use core::fmt;
use core::time::Duration;

pub(crate) use algorithm::Algorithm;
pub(crate) use bbr::Bbr;
pub use choice::{CongestionControl, Pacing};
pub(crate) use cubic::Cubic;
pub(crate) use new_reno::NewReno;
pub use signals::{Ack, Congestion, Lost, RateSample, Signal};

use crate::time::Instant;

/// A congestion controller: one connection's window, threshold and, for those that have one, model of the path.
///
/// The connection says what happens on the path; the controller answers with [`cwnd`](Self::cwnd) and
/// [`pacing_rate`](Self::pacing_rate). During recovery from a loss what leaves is governed by PRR (RFC 9937) between the
/// flight and [`ssthresh`](Self::ssthresh), unless the controller [declines](Self::uses_prr).
///
/// A window that never changes, which no real network would thank you for:
///
/// ```
/// use std::sync::Arc;
/// use netstack_tcp::congestion::{Ack, Congestion, CongestionControl, Controller};
/// use netstack_tcp::{Instant, TcpConfig};
///
/// #[derive(Debug)]
/// struct Fixed(u32);
///
/// impl Controller for Fixed {
///     fn name(&self) -> &'static str {
///         "fixed"
///     }
///     fn start(&mut self, mss: u32, _handshake_loss: bool) {
///         self.0 = 20 * mss;
///     }
///     fn on_ack(&mut self, _ack: &Ack) {}
///     fn on_congestion(&mut self, _congestion: &Congestion) {}
///     fn on_recovered(&mut self, _now: Instant, _flight: u32) {}
///     fn on_timeout(&mut self, _now: Instant, _flight: u32, _first: bool) {}
///     fn on_spurious(&mut self, _now: Instant) {}
///     fn on_idle(&mut self, _now: Instant) {}
///     fn cwnd(&self) -> u32 {
///         self.0
///     }
///     fn ssthresh(&self) -> u32 {
///         u32::MAX
///     }
/// }
///
/// let mut config = TcpConfig::new();
/// config.congestion(CongestionControl::Custom(Arc::new(|| Box::new(Fixed(14_600)))));
/// ```
pub trait Controller: fmt::Debug + Send {
    /// A word for the figures of a connection: `cubic`.
    fn name(&self) -> &'static str;

    /// The connection is open, with `mss` octets in a full segment. `handshake_loss` says that a SYN was lost (R5681-2).
    fn start(&mut self, mss: u32, handshake_loss: bool);

    /// The round trip is known before the first ACK of data: from the handshake, or, where this controller takes over from
    /// another, from what was measured so far. Called after [`start`](Self::start).
    fn on_known_rtt(&mut self, srtt: Duration) {
        let _ = srtt;
    }

    /// A full segment has `mss` octets from now on, for the path takes more or less than it was taken to. The window in
    /// octets stays (R8899-4), but in the first flights, whose window is a number of segments (R5681-18).
    fn set_mss(&mut self, mss: u32) {
        let _ = mss;
    }

    /// In the middle of a connection this controller takes over from another, which had this window and threshold. Called
    /// after [`start`](Self::start).
    fn inherit(&mut self, cwnd: u32, ssthresh: u32) {
        let _ = (cwnd, ssthresh);
    }

    /// An ACK acknowledged, cumulatively or selectively, what was outstanding; during recovery too.
    fn on_ack(&mut self, ack: &Ack);

    /// The path is congested. Said once per window: at the start of recovery, on the first echo of a congestion mark in a
    /// window, and for a lost retransmission again (RFC 8985 7.2).
    fn on_congestion(&mut self, congestion: &Congestion);

    /// Segments are found lost. Comes for each run of segments that left together, before the
    /// [`on_congestion`](Self::on_congestion) or the [`on_ack`](Self::on_ack) of the same ACK.
    fn on_lost(&mut self, lost: &Lost) {
        let _ = lost;
    }

    /// All that was outstanding when recovery began, or when the timer fired, is acknowledged; `flight` octets are outstanding
    /// now.
    fn on_recovered(&mut self, now: Instant, flight: u32);

    /// The retransmission timer fired with `flight` octets outstanding, as [`Congestion::flight`] has them. `first` is
    /// false when the same segment times out again (R5681-6).
    fn on_timeout(&mut self, now: Instant, flight: u32, first: bool);

    /// The last answer to a loss or a timeout was a mistake: nothing was lost (RFC 5682, RFC 4015, RFC 2883). Window,
    /// threshold and model come back to what they were before it.
    fn on_spurious(&mut self, now: Instant);

    /// `octets` leave, with `flight` outstanding before them. `app_limited`: before them the application had given us less
    /// than the window would have taken.
    fn on_sent(&mut self, now: Instant, flight: u32, octets: u32, app_limited: bool) {
        let _ = (now, flight, octets, app_limited);
    }

    /// Nothing was outstanding for longer than a retransmission timeout, and data is about to leave (R5681-15).
    fn on_idle(&mut self, now: Instant);

    /// For five minutes less than half of the window was used (RFC 7661 4.4.3).
    fn on_unused(&mut self, now: Instant) {
        let _ = now;
    }

    /// The congestion window in octets, at least one.
    fn cwnd(&self) -> u32;

    /// The slow-start threshold in octets; `u32::MAX` while unset.
    fn ssthresh(&self) -> u32;

    /// Octets per second at which data is to leave; `None` if the controller leaves that to the connection.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }

    /// Whether PRR (RFC 9937) says what may leave during recovery. If not, [`cwnd`](Self::cwnd) does throughout.
    fn uses_prr(&self) -> bool {
        true
    }

    /// The phase the controller is in, a word or two for the figures of a connection; empty if it has none.
    fn phase(&self) -> &'static str {
        ""
    }
}

/// The initial window of RFC 6928 2, or one segment after a lost SYN (RFC 5681 3.1).
pub(crate) fn initial_window(mss: u32, handshake_loss: bool) -> u32 {
    if handshake_loss { mss } else { (10 * mss).min((2 * mss).max(14_600)) }
}

/// The window `cwnd` once a full segment has `new` octets instead of `old` (R5681-18).
fn window_for_mss(cwnd: u32, old: u32, new: u32) -> u32 {
    if new >= old || cwnd > 2 * initial_window(old, false) {
        return cwnd;
    }
    let scaled = u64::from(cwnd) * u64::from(new) / u64::from(old);
    (scaled as u32).max(new)
}

/// The window after recovery (R5681-14): the threshold, but where little is in flight no more than what may leave at once
/// after a pause either, so that the end of recovery starts no burst (R6582-5).
fn window_after_recovery(ssthresh: u32, flight: u32, mss: u32) -> u32 {
    ssthresh.min(flight.saturating_add(mss).max(initial_window(mss, false)))
}

/// Window and threshold once the window was not used for long (R7661-5): half of it, and slow start back to three quarters.
fn window_unused(cwnd: u32, ssthresh: u32, mss: u32) -> (u32, u32) {
    let half = (cwnd / 2).max(initial_window(mss, false)).min(cwnd);
    (half, ssthresh.max(cwnd - cwnd / 4))
}
