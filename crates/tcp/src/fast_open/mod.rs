//! TCP Fast Open (RFC 7413): data on the SYN of a client that has shown before that it is where it says it is.
//!
//! What is here judges and remembers; what a connection does about it is in `connection/fast_open.rs`.

mod cache;
mod cookie;
mod queue;

use netstack_wire::tcp::FastOpenCookie;

pub use cache::FastOpenCache;
pub use cookie::CookieKey;
pub(crate) use queue::FastOpenQueue;

/// What became of TCP Fast Open on a connection (RFC 7413).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum FastOpen {
    /// Neither end asked for it.
    #[default]
    Off,
    /// The client asked for a cookie; its SYN had no data.
    Cookie,
    /// Our SYN left with data, and is not answered yet.
    Tried,
    /// The data on the SYN was taken at once: a round trip is saved.
    Used,
    /// The data on the SYN, if there was any, was not taken, and comes again behind a plain handshake.
    Fallback,
}

/// What a client knows of a server when it opens; from [`FastOpenCache::offer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FastOpenOffer {
    /// The server's cookie; without one the SYN asks for it, and carries no data.
    pub cookie: Option<FastOpenCookie>,
    /// The MSS that the server announced last (RFC 7413 4.1.3).
    pub mss: Option<u16>,
}

/// What a client has learned from an attempt, for the next one; from
/// [`Connection::poll_fast_open`](crate::Connection::poll_fast_open).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FastOpenNews {
    /// What became of it.
    pub outcome: FastOpen,
    /// The cookie that came with the SYN-ACK.
    pub cookie: Option<FastOpenCookie>,
    /// The MSS that the server takes; `None` if no SYN-ACK came.
    pub mss: Option<u16>,
    /// The SYN with the option timed out, or brought an ICMP error: something on the path may drop such.
    pub failed: bool,
}

/// What a listener makes of the Fast Open option of a SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FastOpenAnswer {
    /// There is none, or the listener does not speak it: a plain handshake (R7413-1).
    #[default]
    Ignored,
    /// It asks for a cookie; this one goes with the SYN-ACK (R7413-2).
    Given(FastOpenCookie),
    /// Its cookie is none of ours, or too old: data is not taken, and this one goes with the SYN-ACK (R7413-2).
    Refused(FastOpenCookie),
    /// The cookie is valid, but as many of these wait for the end of their handshake as may: a plain handshake (R7413-4).
    Limited,
    /// The cookie is valid: data is taken (R7413-3). If it is about to expire, a fresh one goes with the SYN-ACK.
    Accepted(Option<FastOpenCookie>),
}

impl FastOpenAnswer {
    /// Whether data is taken before the handshake is complete.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted(_))
    }

    /// The cookie that goes with the SYN-ACK.
    pub(crate) fn cookie(&self) -> Option<FastOpenCookie> {
        match *self {
            Self::Given(cookie) | Self::Refused(cookie) => Some(cookie),
            Self::Accepted(fresh) => fresh,
            Self::Ignored | Self::Limited => None,
        }
    }
}

#[cfg(test)]
mod tests;
