//! ICMP for IPv4 (RFC 792) and for IPv6 (RFC 4443): the messages that concern a host.

mod quote;
#[cfg(test)]
mod tests;

pub use quote::Quote;

use core::net::{IpAddr, Ipv6Addr};

use crate::checksum::{Sum, pseudo_header};
use crate::{ParseError, Protocol};

/// Octets in front of echo data or a quoted packet.
pub const HEADER_LEN: usize = 8;
/// Offset of the checksum field.
pub const CHECKSUM_OFFSET: usize = 2;

/// Type numbers of ICMP for IPv4.
pub mod v4 {
    /// Most octets of a packet that an error quotes: with its headers it has 576 octets (R792-5).
    pub const MAX_QUOTE: usize = 548;
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 8;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 12;

    /// Unreachable code: the protocol is not known.
    pub const PROTOCOL_UNREACHABLE: u8 = 2;
    /// Unreachable code: nothing listens on the port.
    pub const PORT_UNREACHABLE: u8 = 3;
    /// Unreachable code: fragmentation needed but forbidden. Read as [`TooBig`](super::IcmpMessage::TooBig).
    pub const FRAGMENTATION_NEEDED: u8 = 4;
}

/// Type numbers of ICMP for IPv6.
pub mod v6 {
    /// Most octets of a packet that an error quotes: with its headers it fits the least MTU (R4443-3).
    pub const MAX_QUOTE: usize = 1232;
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 1;
    /// Packet too big.
    pub const TOO_BIG: u8 = 2;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 3;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 4;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 128;
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 129;

    /// Unreachable code: nothing listens on the port.
    pub const PORT_UNREACHABLE: u8 = 4;
}

/// An ICMP message of either version; codes are those of the version it came in.
///
/// `quoted` is the start of the packet that an error is about, for [`Quote::parse`]. It is empty or cut short when
/// the sender quoted too little.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IcmpMessage<'a> {
    /// Asks for the data to be sent back.
    EchoRequest {
        /// Identifier.
        id: u16,
        /// Sequence number.
        seq: u16,
        /// What to send back.
        data: &'a [u8],
    },
    /// Answers an echo request.
    EchoReply {
        /// Identifier of the request.
        id: u16,
        /// Sequence number of the request.
        seq: u16,
        /// Data of the request.
        data: &'a [u8],
    },
    /// The destination cannot be reached.
    Unreachable {
        /// Why.
        code: u8,
        /// The packet it is about.
        quoted: &'a [u8],
    },
    /// The packet does not fit into the next link: IPv4 unreachable code 4, IPv6 packet too big.
    TooBig {
        /// MTU of that link; 16 bits over IPv4, where 0 comes from routers older than RFC 1191.
        mtu: u32,
        /// The packet it is about.
        quoted: &'a [u8],
    },
    /// The hop limit ran out (code 0), or reassembly took too long (code 1).
    TimeExceeded {
        /// Which of the two.
        code: u8,
        /// The packet it is about.
        quoted: &'a [u8],
    },
    /// A field of the packet makes no sense to the receiver.
    ParamProblem {
        /// What is wrong with it.
        code: u8,
        /// Octets from the start of the packet to the field; 8 bits over IPv4.
        pointer: u32,
        /// The packet it is about.
        quoted: &'a [u8],
    },
    /// A type that this module does not read.
    Other {
        /// The type.
        kind: u8,
        /// The code.
        code: u8,
        /// The four octets behind the checksum.
        rest: [u8; 4],
        /// What follows.
        body: &'a [u8],
    },
}

impl<'a> IcmpMessage<'a> {
    /// Reads an ICMP message of IPv4 and verifies its checksum.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] below 8 octets, [`ParseError::BadChecksum`].
    pub fn parse_v4(message: &'a [u8]) -> Result<Self, ParseError> {
        let (fixed, body) = message.split_first_chunk().ok_or(ParseError::Truncated)?;
        let mut sum = Sum::new();
        sum.add(message);
        if sum.fold() != 0xffff {
            return Err(ParseError::BadChecksum);
        }
        let [kind, code, _, _, a, b, c, d]: [u8; HEADER_LEN] = *fixed;
        let (id, seq) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        Ok(match kind {
            v4::ECHO_REQUEST => Self::EchoRequest { id, seq, data: body },
            v4::ECHO_REPLY => Self::EchoReply { id, seq, data: body },
            v4::UNREACHABLE if code == v4::FRAGMENTATION_NEEDED => {
                Self::TooBig { mtu: u32::from(seq), quoted: body }
            }
            v4::UNREACHABLE => Self::Unreachable { code, quoted: body },
            v4::TIME_EXCEEDED => Self::TimeExceeded { code, quoted: body },
            v4::PARAMETER_PROBLEM => Self::ParamProblem { code, pointer: u32::from(a), quoted: body },
            _ => Self::Other { kind, code, rest: [a, b, c, d], body },
        })
    }

    /// Reads an ICMP message of IPv6 and verifies its checksum, which covers the packet's addresses.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] below 8 octets, [`ParseError::BadChecksum`].
    pub fn parse_v6(src: Ipv6Addr, dst: Ipv6Addr, message: &'a [u8]) -> Result<Self, ParseError> {
        let (fixed, body) = message.split_first_chunk().ok_or(ParseError::Truncated)?;
        let mut sum = v6_pseudo_header(src, dst, message.len());
        sum.add(message);
        if sum.fold() != 0xffff {
            return Err(ParseError::BadChecksum);
        }
        let [kind, code, _, _, a, b, c, d]: [u8; HEADER_LEN] = *fixed;
        let (id, seq) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let word = u32::from_be_bytes([a, b, c, d]);
        Ok(match kind {
            v6::ECHO_REQUEST => Self::EchoRequest { id, seq, data: body },
            v6::ECHO_REPLY => Self::EchoReply { id, seq, data: body },
            v6::UNREACHABLE => Self::Unreachable { code, quoted: body },
            v6::TOO_BIG => Self::TooBig { mtu: word, quoted: body },
            v6::TIME_EXCEEDED => Self::TimeExceeded { code, quoted: body },
            v6::PARAMETER_PROBLEM => Self::ParamProblem { code, pointer: word, quoted: body },
            _ => Self::Other { kind, code, rest: [a, b, c, d], body },
        })
    }

    /// Octets that [`emit_v4`](Self::emit_v4) and [`emit_v6`](Self::emit_v6) write.
    pub fn wire_len(&self) -> usize {
        HEADER_LEN + self.body().len()
    }

    /// Writes the message for IPv4, checksum included, and returns its length. An MTU above 65,535 and a pointer
    /// above 255 are written as that.
    ///
    /// # Panics
    ///
    /// If `buf` is shorter than [`wire_len`](Self::wire_len).
    pub fn emit_v4(&self, buf: &mut [u8]) -> usize {
        let (kind, code) = match *self {
            Self::EchoRequest { .. } => (v4::ECHO_REQUEST, 0),
            Self::EchoReply { .. } => (v4::ECHO_REPLY, 0),
            Self::Unreachable { code, .. } => (v4::UNREACHABLE, code),
            Self::TooBig { .. } => (v4::UNREACHABLE, v4::FRAGMENTATION_NEEDED),
            Self::TimeExceeded { code, .. } => (v4::TIME_EXCEEDED, code),
            Self::ParamProblem { code, .. } => (v4::PARAMETER_PROBLEM, code),
            Self::Other { kind, code, .. } => (kind, code),
        };
        let rest = match *self {
            Self::TooBig { mtu, .. } => mtu.min(0xffff).to_be_bytes(),
            Self::ParamProblem { pointer, .. } => [pointer.min(0xff) as u8, 0, 0, 0],
            _ => self.rest(),
        };
        self.write(Sum::new(), kind, code, rest, buf)
    }

    /// Writes the message for IPv6, checksum included, and returns its length.
    ///
    /// # Panics
    ///
    /// If `buf` is shorter than [`wire_len`](Self::wire_len).
    pub fn emit_v6(&self, src: Ipv6Addr, dst: Ipv6Addr, buf: &mut [u8]) -> usize {
        let (kind, code) = match *self {
            Self::EchoRequest { .. } => (v6::ECHO_REQUEST, 0),
            Self::EchoReply { .. } => (v6::ECHO_REPLY, 0),
            Self::Unreachable { code, .. } => (v6::UNREACHABLE, code),
            Self::TooBig { .. } => (v6::TOO_BIG, 0),
            Self::TimeExceeded { code, .. } => (v6::TIME_EXCEEDED, code),
            Self::ParamProblem { code, .. } => (v6::PARAMETER_PROBLEM, code),
            Self::Other { kind, code, .. } => (kind, code),
        };
        let rest = match *self {
            Self::TooBig { mtu, .. } => mtu.to_be_bytes(),
            Self::ParamProblem { pointer, .. } => pointer.to_be_bytes(),
            _ => self.rest(),
        };
        self.write(v6_pseudo_header(src, dst, self.wire_len()), kind, code, rest, buf)
    }

    /// The second word where both versions agree on it.
    fn rest(&self) -> [u8; 4] {
        match *self {
            Self::EchoRequest { id, seq, .. } | Self::EchoReply { id, seq, .. } => {
                let ([a, b], [c, d]) = (id.to_be_bytes(), seq.to_be_bytes());
                [a, b, c, d]
            }
            Self::Other { rest, .. } => rest,
            _ => [0; 4],
        }
    }

    fn body(&self) -> &'a [u8] {
        match *self {
            Self::EchoRequest { data: body, .. }
            | Self::EchoReply { data: body, .. }
            | Self::Unreachable { quoted: body, .. }
            | Self::TooBig { quoted: body, .. }
            | Self::TimeExceeded { quoted: body, .. }
            | Self::ParamProblem { quoted: body, .. }
            | Self::Other { body, .. } => body,
        }
    }

    fn write(&self, mut sum: Sum, kind: u8, code: u8, rest: [u8; 4], buf: &mut [u8]) -> usize {
        let buf = &mut buf[..self.wire_len()];
        buf[..4].copy_from_slice(&[kind, code, 0, 0]);
        buf[4..HEADER_LEN].copy_from_slice(&rest);
        buf[HEADER_LEN..].copy_from_slice(self.body());
        sum.add(buf);
        buf[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].copy_from_slice(&sum.finish().to_be_bytes());
        buf.len()
    }
}

fn v6_pseudo_header(src: Ipv6Addr, dst: Ipv6Addr, len: usize) -> Sum {
    pseudo_header(IpAddr::V6(src), IpAddr::V6(dst), Protocol::ICMPV6.0, len as u32)
}
