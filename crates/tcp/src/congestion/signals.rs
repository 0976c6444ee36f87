//! What a controller is told.

use core::time::Duration;

use netstack_wire::SeqNum;

use crate::time::Instant;

/// An ACK with news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ack {
    /// When it arrived.
    pub now: Instant,
    /// Octets it acknowledged cumulatively.
    pub acked: u32,
    /// Octets delivered by its account: `acked`, less what had been selectively acknowledged, and what newly is.
    pub delivered: u32,
    /// Octets that it showed to be lost.
    pub lost: u32,
    /// Octets in flight before it: sent, less those acknowledged, selectively acknowledged, or held for lost and not resent.
    pub prior_flight: u32,
    /// Octets in flight after it.
    pub flight: u32,
    /// SND.UNA after it.
    pub una: SeqNum,
    /// SND.NXT.
    pub nxt: SeqNum,
    /// The window bounded what was in flight, not the application or the peer (R5681-16).
    pub cwnd_limited: bool,
    /// Recovery from a loss is in progress after it.
    pub recovery: bool,
    /// The round trip of the newest segment it acknowledged, unless that was ambiguous.
    pub rtt: Option<Duration>,
    /// The smoothed round trip; zero before the first sample.
    pub srtt: Duration,
    /// The least round trip seen; zero before the first sample.
    pub min_rtt: Duration,
    /// The rate at which the path delivered, if this ACK allows an estimate.
    pub rate: Option<RateSample>,
}

impl Ack {
    /// An ACK of `acked` octets outside recovery, bounded by the window; for tests of controllers.
    #[must_use]
    pub fn new(now: Instant, acked: u32) -> Self {
        Self {
            now,
            acked,
            delivered: acked,
            lost: 0,
            prior_flight: acked,
            flight: 0,
            una: SeqNum(0),
            nxt: SeqNum(0),
            cwnd_limited: true,
            recovery: false,
            rtt: None,
            srtt: Duration::ZERO,
            min_rtt: Duration::ZERO,
            rate: None,
        }
    }
}

/// What congestion was seen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// A loss, without a timeout.
    Loss,
    /// A mark by a router, echoed by the peer (RFC 3168).
    Ecn,
}

/// The path is congested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Congestion {
    /// When it was seen.
    pub now: Instant,
    /// FlightSize (RFC 5681 2): octets sent and not cumulatively acknowledged when it was seen, at most the window, so that
    /// limited transmit is left out (R5681-5).
    pub flight: u32,
    /// What it was seen by.
    pub signal: Signal,
    /// Half of the window at least was used lately. If not, `flight` is what was used of it, if that is more than what is
    /// outstanding: the rest of the window says nothing about the path (RFC 7661 4.4.1).
    pub validated: bool,
}

impl Congestion {
    /// Congestion seen at `now` with `flight` octets outstanding, and a window that was used.
    #[must_use]
    pub fn new(now: Instant, flight: u32, signal: Signal) -> Self {
        Self { now, flight, signal, validated: true }
    }
}

/// A run of segments that left together is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// When it was found.
    pub now: Instant,
    /// Octets of the run that are lost.
    pub octets: u32,
    /// Octets that were in flight when the run had left, itself included.
    pub tx_in_flight: u32,
    /// Octets found lost since the run left, itself included.
    pub lost: u64,
    /// Octets delivered since the connection began.
    pub delivered: u64,
    /// The application had nothing more to send when the run left.
    pub app_limited: bool,
}

impl Lost {
    /// A run of `octets` that left with `tx_in_flight` in flight is the first loss since; for tests of controllers.
    #[must_use]
    pub fn new(now: Instant, octets: u32, tx_in_flight: u32) -> Self {
        Self { now, octets, tx_in_flight, lost: u64::from(octets), delivered: 0, app_limited: false }
    }
}

/// An estimate of the rate at which the path delivers, over the flight that one ACK ended
/// (draft-cheng-iccrg-delivery-rate-estimation).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateSample {
    /// Octets per second.
    pub rate: u64,
    /// Octets delivered since the connection began.
    pub delivered: u64,
    /// What `delivered` was when the newest segment that this ACK delivers left: with a counter of its own a controller
    /// tells by it when a round trip is over.
    pub prior_delivered: u64,
    /// The time over which it was measured.
    pub interval: Duration,
    /// The application had nothing more to send during it: the path may deliver more.
    pub app_limited: bool,
    /// Octets in flight when that newest segment had left, itself included.
    pub tx_in_flight: u32,
    /// Octets found lost since that segment left.
    pub lost: u64,
}
