//! The states of a connection and the edges between them (RFC 9293 3.3.2, figure 5).

#[cfg(test)]
mod tests;

use core::fmt;
use std::io;

/// State of a [`Connection`](crate::Connection). LISTEN is a type of its own, [`Listener`](crate::Listener).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// A SYN was sent, no answer yet.
    SynSent,
    /// A SYN came and was answered; the handshake's last ACK is missing.
    SynReceived,
    /// Both ends may send.
    Established,
    /// We closed; our FIN is not acknowledged.
    FinWait1,
    /// We closed, our FIN is acknowledged; the peer may still send.
    FinWait2,
    /// The peer closed; we may still send.
    CloseWait,
    /// Both closed at once; our FIN is not acknowledged.
    Closing,
    /// The peer closed first, then we; our FIN is not acknowledged.
    LastAck,
    /// Both FINs are acknowledged; old duplicates die out for 2 MSL.
    TimeWait,
    /// No connection.
    Closed,
}

impl State {
    /// Every state, in the order of a connection's life.
    pub const ALL: [Self; 10] = [
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
        Self::Closed,
    ];

    /// Whether a connection may go from this state straight to `next`.
    ///
    /// Any state may end in CLOSED: by reset, abort or timeout. A segment may take a connection over several edges: the edges
    /// that RFC 9293 draws from SYN-RECEIVED to FIN-WAIT-1 and from FIN-WAIT-1 to TIME-WAIT lead through ESTABLISHED and
    /// FIN-WAIT-2 here.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use State::*;
        match self {
            SynSent => matches!(next, SynReceived | Established | Closed),
            SynReceived => matches!(next, Established | Closed),
            Established => matches!(next, FinWait1 | CloseWait | Closed),
            FinWait1 => matches!(next, FinWait2 | Closing | Closed),
            FinWait2 | Closing => matches!(next, TimeWait | Closed),
            CloseWait => matches!(next, LastAck | Closed),
            LastAck | TimeWait => next == Closed,
            Closed => false,
        }
    }

    /// States in which both ends have seen each other's SYN acknowledged (RFC 9293 3.10.7.4).
    #[must_use]
    pub fn is_synchronized(self) -> bool {
        !matches!(self, Self::SynSent | Self::SynReceived | Self::Closed)
    }

    /// States in which the peer's text is taken (RFC 9293 3.10.7.4, seventh).
    pub(crate) fn takes_text(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// States in which data and FIN may be sent or sent again.
    pub(crate) fn sends_text(self) -> bool {
        matches!(self, Self::Established | Self::CloseWait | Self::FinWait1 | Self::Closing | Self::LastAck)
    }

    /// States whose ABORT tells the peer (RFC 9293 3.10.5).
    pub(crate) fn abort_sends_reset(self) -> bool {
        matches!(
            self,
            Self::SynReceived | Self::Established | Self::FinWait1 | Self::FinWait2 | Self::CloseWait
        )
    }

    /// The name as RFC 9293 spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::CloseWait => "CLOSE-WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
            Self::Closed => "CLOSED",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// Both ends closed in order.
    Normal,
    /// The peer answered our SYN with a reset.
    Refused,
    /// The peer reset an open connection.
    Reset,
    /// The peer did not answer within the user timeout, the SYN limit or the keep-alive limit.
    TimedOut,
    /// Our side aborted.
    Aborted,
    /// An ICMP error said that the peer cannot be reached, before the connection was open.
    Unreachable(IcmpNotice),
}

impl CloseReason {
    /// The error kind that the kernel's sockets give for this end.
    #[must_use]
    pub fn io_kind(self) -> io::ErrorKind {
        match self {
            Self::Normal => io::ErrorKind::NotConnected,
            Self::Refused => io::ErrorKind::ConnectionRefused,
            Self::Reset => io::ErrorKind::ConnectionReset,
            Self::TimedOut => io::ErrorKind::TimedOut,
            Self::Aborted => io::ErrorKind::ConnectionAborted,
            Self::Unreachable(notice) => notice.io_kind(),
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("closed by both ends"),
            Self::Refused => f.write_str("connection refused"),
            Self::Reset => f.write_str("connection reset by peer"),
            Self::TimedOut => f.write_str("the peer did not answer in time"),
            Self::Aborted => f.write_str("connection aborted"),
            Self::Unreachable(notice) => write!(f, "{notice}"),
        }
    }
}

/// What an ICMP error told about a connection (RFC 9293 3.9.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IcmpNotice {
    /// No route to the network.
    NetworkUnreachable,
    /// No route to the host, or the host is down.
    HostUnreachable,
    /// The host has no such protocol.
    ProtocolUnreachable,
    /// Nobody is bound to the port.
    PortUnreachable,
    /// A filter on the path forbids it.
    Prohibited,
    /// The source route failed.
    SourceRouteFailed,
    /// The hop limit, or the time for reassembly, ran out.
    TimeExceeded,
    /// A node did not understand a header field.
    ParameterProblem,
}

impl IcmpNotice {
    /// Whether the error ends an attempt to connect (SHLD-26); the others only explain (MUST-56).
    #[must_use]
    pub fn is_hard(self) -> bool {
        matches!(self, Self::ProtocolUnreachable | Self::PortUnreachable | Self::Prohibited)
    }

    /// The error kind that the kernel's sockets give.
    #[must_use]
    pub fn io_kind(self) -> io::ErrorKind {
        match self {
            Self::NetworkUnreachable => io::ErrorKind::NetworkUnreachable,
            Self::PortUnreachable | Self::ProtocolUnreachable => io::ErrorKind::ConnectionRefused,
            _ => io::ErrorKind::HostUnreachable,
        }
    }
}

impl fmt::Display for IcmpNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NetworkUnreachable => "network unreachable",
            Self::HostUnreachable => "host unreachable",
            Self::ProtocolUnreachable => "protocol unreachable",
            Self::PortUnreachable => "port unreachable",
            Self::Prohibited => "communication administratively prohibited",
            Self::SourceRouteFailed => "source route failed",
            Self::TimeExceeded => "time exceeded on the path",
            Self::ParameterProblem => "parameter problem reported",
        })
    }
}
