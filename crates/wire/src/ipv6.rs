//! IPv6 and its extension headers (RFC 8200).

mod extension;
#[cfg(test)]
mod tests;

pub(crate) use extension::skip as skip_extensions;
pub use extension::{MAX_EXTENSIONS, MAX_OPTIONS};

use core::net::Ipv6Addr;

use crate::ip::{Ecn, IpHeader, IpPacket, Protocol, v6_octets};
use crate::{ParameterProblem, ParseError};

/// Octets of the header without extension headers.
pub const HEADER_LEN: usize = 40;

const PAYLOAD_LENGTH_OFFSET: usize = 4;
const NEXT_HEADER_OFFSET: usize = 6;
pub(crate) const SRC_OFFSET: usize = 8;
pub(crate) const DST_OFFSET: usize = 24;
const FLOW_LABEL_MASK: u32 = 0x000f_ffff;

/// Parses an IPv6 packet, walking its extension headers up to the upper layer, to No Next Header, or to a Fragment
/// header of a packet that is in pieces.
///
/// # Errors
///
/// [`ParseError::Answerable`] where RFC 8200 asks for a Parameter Problem, else the reason to drop in silence.
#[inline]
pub fn parse(data: &[u8]) -> Result<IpPacket<'_>, ParseError> {
    let fixed = data.first_chunk::<HEADER_LEN>().ok_or(ParseError::Truncated)?;
    let word = u32::from_be_bytes([fixed[0], fixed[1], fixed[2], fixed[3]]);
    if word >> 28 != 6 {
        return Err(ParseError::BadVersion);
    }
    let packet = data.get(..total_len(fixed)).ok_or(ParseError::BadTotalLength)?;
    let chain = extension::walk(packet)?;
    let payload = if chain.protocol == Protocol::NO_NEXT_HEADER { &[] } else { &packet[chain.end..] };
    let traffic_class = (word >> 20) as u8;
    Ok(IpPacket {
        src: address(fixed, SRC_OFFSET).into(),
        dst: address(fixed, DST_OFFSET).into(),
        protocol: chain.protocol,
        protocol_offset: chain.named_at,
        hop_limit: fixed[7],
        dscp: traffic_class >> 2,
        ecn: Ecn::from_bits(traffic_class),
        header_len: chain.end,
        fragment: chain.fragment,
        payload,
        total_len: packet.len(),
        flow_label: word & FLOW_LABEL_MASK,
        source_routed: false,
        dont_fragment: true,
    })
}

/// Octets of the whole packet by its own header.
#[inline]
pub(crate) fn total_len(fixed: &[u8; HEADER_LEN]) -> usize {
    let payload_len = [fixed[PAYLOAD_LENGTH_OFFSET], fixed[PAYLOAD_LENGTH_OFFSET + 1]];
    HEADER_LEN + usize::from(u16::from_be_bytes(payload_len))
}

#[inline]
pub(crate) fn address(fixed: &[u8; HEADER_LEN], at: usize) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&fixed[at..at + 16]);
    Ipv6Addr::from(octets)
}

fn problem(code: u8, pointer: usize) -> ParseError {
    ParseError::Answerable(ParameterProblem::at(code, pointer))
}

#[inline]
pub(crate) fn emit(header: &IpHeader, buf: &mut [u8]) -> usize {
    let buf = buf.first_chunk_mut::<HEADER_LEN>().expect("the buffer holds an IPv6 header");
    let traffic_class = header.dscp << 2 | header.ecn.bits();
    let word = 6 << 28 | u32::from(traffic_class) << 20 | header.flow_label & FLOW_LABEL_MASK;
    let payload_len = header.payload_len.min(usize::from(u16::MAX)) as u16;
    buf[0..4].copy_from_slice(&word.to_be_bytes());
    buf[4..6].copy_from_slice(&payload_len.to_be_bytes());
    buf[6] = header.protocol.0;
    buf[7] = header.hop_limit;
    buf[8..24].copy_from_slice(&v6_octets(header.src));
    buf[24..40].copy_from_slice(&v6_octets(header.dst));
    HEADER_LEN
}
