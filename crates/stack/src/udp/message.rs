//! What a datagram is sent with, and what is known of one that was received.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use netstack_wire::Ecn;

/// How [`UdpSocket::send_msg`](crate::UdpSocket::send_msg) sends; what is not said is as the socket has it.
///
/// # Examples
///
/// ```
/// use tokio_netstack::SendMsg;
///
/// let answer = SendMsg::new()
///     .to(([192, 0, 2, 1], 4433))
///     .from([192, 0, 2, 2])
///     .segment_size(1200);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use = "it says how to send, and sends nothing"]
pub struct SendMsg {
    pub(super) to: Option<SocketAddr>,
    pub(super) from: Option<IpAddr>,
    pub(super) ecn: Option<u8>,
    pub(super) hop_limit: Option<u8>,
    pub(super) segment_size: Option<usize>,
}

impl SendMsg {
    /// To the socket's peer, from its address, as one datagram.
    pub fn new() -> Self {
        Self::default()
    }

    /// The destination. Default: the peer that the socket is connected to.
    pub fn to(mut self, target: impl Into<SocketAddr>) -> Self {
        self.to = Some(target.into());
        self
    }

    /// The source address, one of the stack's (any, with
    /// [`StackBuilder::any_address`](crate::StackBuilder::any_address)). Default: the one that the socket is bound to, else
    /// the one nearest to the destination.
    pub fn from(mut self, source: impl Into<IpAddr>) -> Self {
        self.from = Some(source.into());
        self
    }

    /// The two bits of the ECN field: 0 not ECN-capable, 1 ECT(1), 2 ECT(0), 3 congestion experienced (RFC 3168 5); higher
    /// bits are ignored. Default: the low two bits of [`UdpSocket::set_tos`](crate::UdpSocket::set_tos).
    pub fn ecn(mut self, codepoint: u8) -> Self {
        self.ecn = Some(codepoint & 3);
        self
    }

    /// The IPv4 TTL or IPv6 hop limit, 1 to 255 (0 is sent as 1). Default: what [`UdpSocket::set_ttl`](crate::UdpSocket::set_ttl)
    /// says, or of multicast what its own setting says.
    pub fn hop_limit(mut self, hops: u8) -> Self {
        self.hop_limit = Some(hops.max(1));
        self
    }

    /// Cuts the data into datagrams of this many octets, at least 1; the last may be shorter. Those that fit the MTU leave with
    /// DF over IPv4. Default: one datagram.
    pub fn segment_size(mut self, octets: usize) -> Self {
        self.segment_size = Some(octets.max(1));
        self
    }
}

/// What [`UdpSocket::recv_msg`](crate::UdpSocket::recv_msg) tells of what it received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecvMsg {
    /// Octets written to the buffer.
    pub len: usize,
    /// Octets that did not fit the buffer and are lost; 0 if all did.
    pub lost: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// The address and port that it was sent to: one of the stack's own, a multicast group, a broadcast address, or with
    /// [`StackBuilder::any_address`](crate::StackBuilder::any_address) any.
    pub to: SocketAddr,
    /// The two bits of its ECN field (RFC 3168 5); 3 is congestion experienced.
    pub ecn: u8,
    /// The TTL or hop limit that it arrived with.
    pub hop_limit: u8,
    /// Octets of each datagram in the buffer; the last may be shorter. More than one is there only after
    /// [`UdpSocket::recv_batch`](crate::UdpSocket::recv_batch); otherwise it is that one's length.
    pub segment_size: usize,
}

impl RecvMsg {
    /// Whether a part did not fit the buffer and is lost.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.lost > 0
    }
}

/// A datagram is longer than what can be sent; the inner error of an [`io::Error`] of the kind
/// [`InvalidInput`](io::ErrorKind::InvalidInput). Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageTooLong {
    /// Octets of data that would have gone.
    pub max: usize,
}

impl fmt::Display for MessageTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let max = self.max;
        write!(f, "the datagram is too long: at most {max} octets of data go to this destination in one")
    }
}

impl std::error::Error for MessageTooLong {}

impl From<MessageTooLong> for io::Error {
    fn from(error: MessageTooLong) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

/// The type of service of a datagram: DSCP and ECN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tos(pub(super) u8);

impl Tos {
    pub(super) fn dscp(self) -> u8 {
        self.0 >> 2
    }

    pub(super) fn ecn(self) -> Ecn {
        Ecn::from_bits(self.0)
    }
}
