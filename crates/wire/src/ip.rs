//! What IPv4 and IPv6 have in common: one view of a received packet and one header to send.

#[cfg(test)]
mod tests;

use core::fmt;
use core::net::IpAddr;

use crate::{ParseError, ipv4, ipv6};

/// The protocol of an IP packet's payload: the IPv4 protocol or IPv6 next header number.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP for IPv4 (RFC 792).
    pub const ICMP: Self = Self(1);
    /// TCP (RFC 9293).
    pub const TCP: Self = Self(6);
    /// UDP (RFC 768).
    pub const UDP: Self = Self(17);
    /// ICMP for IPv6 (RFC 4443).
    pub const ICMPV6: Self = Self(58);
    /// IPv6 No Next Header: there is no payload (RFC 8200 section 4.7).
    pub const NO_NEXT_HEADER: Self = Self(59);
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ICMP => f.write_str("ICMP"),
            Self::TCP => f.write_str("TCP"),
            Self::UDP => f.write_str("UDP"),
            Self::ICMPV6 => f.write_str("ICMPv6"),
            Self(number) => write!(f, "protocol {number}"),
        }
    }
}

/// The ECN codepoint of an IP packet (RFC 3168 section 5).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ecn {
    /// Not ECN-capable.
    #[default]
    NotEct = 0,
    /// ECN-capable, ECT(1).
    Ect1 = 1,
    /// ECN-capable, ECT(0).
    Ect0 = 2,
    /// Congestion experienced.
    Ce = 3,
}

impl Ecn {
    /// The codepoint in the low two bits of `bits`; the rest is ignored.
    #[inline]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// The two bits of the codepoint.
    #[inline]
    pub const fn bits(self) -> u8 {
        self as u8
    }
}

/// Where a fragment belongs in its datagram.
///
/// A packet that is whole by itself has none, an IPv6 atomic fragment included (RFC 6946).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Octets of the datagram's payload in front of this piece; a multiple of 8.
    pub offset: u16,
    /// Whether more fragments follow.
    pub more: bool,
    /// Identification; 16 bits in IPv4.
    pub id: u32,
}

/// A parsed IP packet of either version, its options or extension headers already walked.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct IpPacket<'a> {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Protocol of `payload`. In an IPv6 fragment it is what the Fragment header names, and may be another
    /// extension header.
    pub protocol: Protocol,
    /// Octets from the start of the packet to the field that named `protocol`: the pointer of an ICMPv6
    /// Parameter Problem about it.
    pub protocol_offset: usize,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// Differentiated services codepoint, 6 bits.
    pub dscp: u8,
    /// ECN codepoint.
    pub ecn: Ecn,
    /// Octets in front of the payload, options and extension headers included.
    pub header_len: usize,
    /// Set in a packet that has to be put together with others first.
    pub fragment: Option<Fragment>,
    /// The upper layer's octets, cut to the packet's own length: link padding is not in it.
    pub payload: &'a [u8],
    /// Octets of the whole packet, header included, link padding not.
    pub total_len: usize,
    /// IPv6 flow label, 20 bits; 0 for IPv4.
    pub flow_label: u32,
    /// Whether an IPv4 source route option was present (RFC 1122 section 3.2.1.8).
    pub source_routed: bool,
    /// Don't Fragment; always set for IPv6.
    pub dont_fragment: bool,
}

/// Parses an IP packet of either version, told by its first four bits.
///
/// The IPv4 header checksum is verified. Addresses are not judged, nor is whether the packet is for this host.
///
/// # Errors
///
/// See [`ParseError`]; [`ParseError::parameter_problem`] tells whether the sender may be answered.
#[inline]
pub fn parse(data: &[u8]) -> Result<IpPacket<'_>, ParseError> {
    match data.first().ok_or(ParseError::Truncated)? >> 4 {
        4 => ipv4::parse(data),
        6 => ipv6::parse(data),
        _ => Err(ParseError::BadVersion),
    }
}

/// The ECN codepoint in a whole IP header.
pub fn ecn_of(header: &[u8]) -> Ecn {
    match header {
        [first, second, ..] if first >> 4 == 6 => Ecn::from_bits(second >> 4),
        [_, second, ..] => Ecn::from_bits(*second),
        _ => Ecn::NotEct,
    }
}

/// Makes the header of a whole datagram out of that of its first fragment, in place, and returns its length.
///
/// `header` is what lies in front of that fragment's data ([`IpPacket::header_len`] octets), options and extension
/// headers included. Of IPv6 the Fragment header is taken out, so that the new header is 8 octets shorter. The datagram
/// gets `payload_len` octets behind the header, and `ecn`.
///
/// `None` if that is more than a packet can hold, or `header` is not what it should be; then its octets are in no order.
pub fn unite(header: &mut [u8], payload_len: usize, ecn: Ecn) -> Option<usize> {
    match header.first()? >> 4 {
        4 => ipv4::unite(header, payload_len, ecn),
        6 => ipv6::unite(header, payload_len, ecn),
        _ => None,
    }
}

/// The header of a packet to send, of the version of its addresses.
///
/// If only one of the addresses is IPv6 the other is taken as IPv4-mapped.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct IpHeader {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Protocol of the payload.
    pub protocol: Protocol,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// Differentiated services codepoint; the low 6 bits count.
    pub dscp: u8,
    /// ECN codepoint.
    pub ecn: Ecn,
    /// Octets behind the header. With the header at most 65,535 over IPv4; what a length field cannot hold is
    /// written as 65,535 (a device that segments rewrites it).
    pub payload_len: usize,
    /// Don't Fragment (IPv4 only).
    pub dont_fragment: bool,
    /// Identification (IPv4 only).
    pub id: u16,
    /// Flow label (IPv6 only); the low 20 bits count.
    pub flow_label: u32,
    /// Set to send a fragment: `payload_len` octets from its offset on. IPv6 then has a Fragment header as well, and over
    /// IPv4 the low 16 bits of its identification take the place of `id`.
    pub fragment: Option<Fragment>,
}

impl IpHeader {
    /// A header with a hop limit of 64, Don't Fragment set and everything else zero.
    pub fn new(src: IpAddr, dst: IpAddr, protocol: Protocol, payload_len: usize) -> Self {
        Self {
            src,
            dst,
            protocol,
            hop_limit: 64,
            dscp: 0,
            ecn: Ecn::NotEct,
            payload_len,
            dont_fragment: true,
            id: 0,
            flow_label: 0,
            fragment: None,
        }
    }

    /// Octets that [`emit`](Self::emit) writes: 20, 40, or 48 with a Fragment header.
    #[inline]
    pub fn header_len(&self) -> usize {
        match (self.src, self.dst) {
            (IpAddr::V4(_), IpAddr::V4(_)) => ipv4::MIN_HEADER_LEN,
            _ if self.fragment.is_some() => ipv6::HEADER_LEN + ipv6::FRAGMENT_HEADER_LEN,
            _ => ipv6::HEADER_LEN,
        }
    }

    /// Writes the header, the IPv4 checksum included, and returns its length.
    ///
    /// # Panics
    ///
    /// If `buf` is shorter than [`header_len`](Self::header_len).
    #[inline]
    pub fn emit(&self, buf: &mut [u8]) -> usize {
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => ipv4::emit(self, src, dst, buf),
            _ => ipv6::emit(self, buf),
        }
    }
}

/// The octets of an address in an IPv6 header.
#[inline]
pub(crate) fn v6_octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}
