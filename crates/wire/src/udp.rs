//! UDP (RFC 768).

#[cfg(test)]
mod tests;

use core::net::IpAddr;

use crate::checksum::pseudo_header;
use crate::{ParseError, Protocol};

/// Octets of the header.
pub const HEADER_LEN: usize = 8;
/// Offset of the checksum field in the header.
pub const CHECKSUM_OFFSET: usize = 6;

/// A UDP header.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct UdpHeader {
    /// Source port; 0 if no reply is expected.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Octets of header and data, at least 8.
    pub len: u16,
    /// The checksum as it stands in the header; 0 means there is none.
    pub checksum: u16,
}

impl UdpHeader {
    /// A header for `payload`, its checksum computed. A sum of 0 is written as `0xFFFF` (RFC 768).
    ///
    /// `None` when the payload is longer than the 65,527 octets that the length field can tell.
    pub fn for_payload(
        (src, src_port): (IpAddr, u16),
        (dst, dst_port): (IpAddr, u16),
        payload: &[u8],
    ) -> Option<Self> {
        let len = u16::try_from(HEADER_LEN + payload.len()).ok()?;
        let mut sum = pseudo_header(src, dst, Protocol::UDP.0, u32::from(len));
        for word in [src_port, dst_port, len] {
            sum.add_u16(word);
        }
        sum.add(payload);
        let checksum = match sum.finish() {
            0 => 0xffff,
            sum => sum,
        };
        Some(Self { src_port, dst_port, len, checksum })
    }

    /// Reads the header of `datagram` and returns it with its data, cut to the header's length. The checksum is
    /// not looked at (see [`checksum_ok`]).
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] below 8 octets, [`ParseError::BadTotalLength`] for a length field below 8 or
    /// above the octets given.
    pub fn parse(datagram: &[u8]) -> Result<(Self, &[u8]), ParseError> {
        let fixed = datagram.first_chunk::<HEADER_LEN>().ok_or(ParseError::Truncated)?;
        let word = |at| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        let header = Self { src_port: word(0), dst_port: word(2), len: word(4), checksum: word(6) };
        let data = datagram.get(HEADER_LEN..usize::from(header.len)).ok_or(ParseError::BadTotalLength)?;
        Ok((header, data))
    }

    /// Writes the header and returns its length, 8.
    ///
    /// # Panics
    ///
    /// If `buf` is shorter than 8 octets.
    pub fn emit(&self, buf: &mut [u8]) -> usize {
        for (at, word) in [self.src_port, self.dst_port, self.len, self.checksum].into_iter().enumerate() {
            buf[2 * at..2 * at + 2].copy_from_slice(&word.to_be_bytes());
        }
        HEADER_LEN
    }
}

/// Whether the checksum of a parsed datagram is right.
///
/// Over IPv4 a checksum of 0 stands for none and is accepted (RFC 1122 section 4.1.3.4); over IPv6 it is refused
/// (RFC 8200 section 8.1).
pub fn checksum_ok(src: IpAddr, dst: IpAddr, header: &UdpHeader, data: &[u8]) -> bool {
    if header.checksum == 0 {
        return src.is_ipv4() && dst.is_ipv4();
    }
    let mut sum = pseudo_header(src, dst, Protocol::UDP.0, u32::from(header.len));
    for word in [header.src_port, header.dst_port, header.len, header.checksum] {
        sum.add_u16(word);
    }
    sum.add(data);
    sum.fold() == 0xffff
}
