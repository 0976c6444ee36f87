//! What travels beside a frame: the state of its checksum, and how to cut it.

use std::num::NonZeroU16;

/// The state of a frame's transport checksum.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// To send: finished. Received: not looked at, so verify it.
    #[default]
    Complete,
    /// Received: the device has verified it. To send: the same as `Complete`.
    Trusted,
    /// The field holds the folded sum of the pseudo-header alone, not inverted. The rest is summed from
    /// `start` to the end of the frame. A received frame like this never left the machine: it is right
    /// and must not be verified.
    Partial {
        /// Where summing starts, in bytes from the start of the frame: the transport header.
        start: u16,
        /// Where the checksum field lies, in bytes behind `start`: 16 for TCP, 6 for UDP.
        offset: u16,
    },
}

/// The protocol of a super-segment.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum GsoKind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over either; each piece is a datagram of its own.
    Udp,
}

/// How a super-segment is cut into packets.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gso {
    /// The protocol.
    pub kind: GsoKind,
    /// Payload bytes per packet; the last one may be shorter.
    pub size: NonZeroU16,
    /// The header carries CWR, which only the first packet keeps (RFC 3168).
    pub ecn: bool,
}

/// The metadata of a frame. The default is one finished packet.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Meta {
    /// The state of the transport checksum.
    pub checksum: Checksum,
    /// How to cut the frame, if it is a super-segment.
    pub gso: Option<Gso>,
}
