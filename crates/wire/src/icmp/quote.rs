//! The packet that an ICMP error quotes.

use core::net::{IpAddr, Ipv4Addr};

use crate::{ParseError, Protocol, ipv4, ipv6};

/// What an ICMP error tells about the packet it is about: a packet of ours, cut short, and perhaps changed on its
/// way (its TTL and header checksum are not looked at).
///
/// Everything in it comes from the network and may be forged: match it against what was sent.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Quote<'a> {
    /// Source address: ours.
    pub src: IpAddr,
    /// Destination address: the far end's.
    pub dst: IpAddr,
    /// Protocol of `payload`.
    pub protocol: Protocol,
    /// Length of the whole packet by its own header; what is quoted is usually less.
    pub total_len: usize,
    /// The first octets of the upper layer; ports and a TCP sequence number need 8.
    pub payload: &'a [u8],
}

impl<'a> Quote<'a> {
    /// Reads the start of a quoted packet, stepping over IPv4 options and IPv6 extension headers.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] when the quote ends before the upper layer begins, [`ParseError::BadVersion`],
    /// [`ParseError::BadHeaderLength`], [`ParseError::BadFragment`] when it is not about the start of a datagram.
    pub fn parse(quoted: &'a [u8]) -> Result<Self, ParseError> {
        match quoted.first().ok_or(ParseError::Truncated)? >> 4 {
            4 => Self::parse_v4(quoted),
            6 => Self::parse_v6(quoted),
            _ => Err(ParseError::BadVersion),
        }
    }

    fn parse_v4(quoted: &'a [u8]) -> Result<Self, ParseError> {
        let fixed = quoted.first_chunk::<{ ipv4::MIN_HEADER_LEN }>().ok_or(ParseError::Truncated)?;
        let header_len = usize::from(fixed[0] & 0x0f) * 4;
        if header_len < ipv4::MIN_HEADER_LEN {
            return Err(ParseError::BadHeaderLength);
        }
        if u16::from_be_bytes([fixed[6], fixed[7]]) & ipv4::OFFSET_MASK != 0 {
            return Err(ParseError::BadFragment);
        }
        Ok(Self {
            src: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]).into(),
            dst: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]).into(),
            protocol: Protocol(fixed[9]),
            total_len: usize::from(u16::from_be_bytes([fixed[2], fixed[3]])),
            payload: quoted.get(header_len..).ok_or(ParseError::Truncated)?,
        })
    }

    fn parse_v6(quoted: &'a [u8]) -> Result<Self, ParseError> {
        let fixed = quoted.first_chunk::<{ ipv6::HEADER_LEN }>().ok_or(ParseError::Truncated)?;
        let (protocol, start) = ipv6::skip_extensions(fixed, quoted)?;
        Ok(Self {
            src: ipv6::address(fixed, ipv6::SRC_OFFSET).into(),
            dst: ipv6::address(fixed, ipv6::DST_OFFSET).into(),
            protocol,
            total_len: ipv6::total_len(fixed),
            payload: quoted.get(start..).ok_or(ParseError::Truncated)?,
        })
    }
}
