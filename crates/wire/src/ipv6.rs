//! IPv6 and its extension headers (RFC 8200).

mod extension;
#[cfg(test)]
mod tests;

pub(crate) use extension::skip as skip_extensions;
pub use extension::{MAX_EXTENSIONS, MAX_OPTIONS};

use core::net::Ipv6Addr;

use crate::ip::{Ecn, Fragment, IpHeader, IpPacket, Protocol, v6_octets};
use crate::{ParameterProblem, ParseError};

/// Octets of the header without extension headers.
pub const HEADER_LEN: usize = 40;

/// The least MTU of a link (RFC 8200 5).
pub const MIN_MTU: u16 = 1280;

/// Octets of a Fragment header.
pub const FRAGMENT_HEADER_LEN: usize = 8;

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

/// See [`ip::unite`](crate::ip::unite).
pub(crate) fn unite(header: &mut [u8], payload_len: usize, ecn: Ecn) -> Option<usize> {
    let len = header.len().checked_sub(FRAGMENT_HEADER_LEN)?;
    let named_at = extension::named_at(header, len)?;
    let payload_len = u16::try_from(len.checked_sub(HEADER_LEN)? + payload_len).ok()?;
    header[1] = (header[1] & !0x30) | (ecn.bits() << 4);
    header[PAYLOAD_LENGTH_OFFSET..NEXT_HEADER_OFFSET].copy_from_slice(&payload_len.to_be_bytes());
    // What follows the Fragment header is named by what named that header.
    header[named_at] = header[len];
    Some(len)
}

fn problem(code: u8, pointer: usize) -> ParseError {
    ParseError::Answerable(ParameterProblem::at(code, pointer))
}

#[inline]
pub(crate) fn emit(header: &IpHeader, buf: &mut [u8]) -> usize {
    let (fixed, rest) = buf.split_first_chunk_mut::<HEADER_LEN>().expect("the buffer holds an IPv6 header");
    let traffic_class = header.dscp << 2 | header.ecn.bits();
    let word = 6 << 28 | u32::from(traffic_class) << 20 | header.flow_label & FLOW_LABEL_MASK;
    let payload_len = header.header_len() - HEADER_LEN + header.payload_len;
    fixed[0..4].copy_from_slice(&word.to_be_bytes());
    fixed[4..6].copy_from_slice(&(payload_len.min(usize::from(u16::MAX)) as u16).to_be_bytes());
    fixed[6] = if header.fragment.is_some() { extension::FRAGMENT } else { header.protocol.0 };
    fixed[7] = header.hop_limit;
    fixed[8..24].copy_from_slice(&v6_octets(header.src));
    fixed[24..40].copy_from_slice(&v6_octets(header.dst));
    if let Some(Fragment { offset, more, id }) = header.fragment {
        let rest = rest.first_chunk_mut::<FRAGMENT_HEADER_LEN>().expect("the buffer holds a Fragment header");
        let place = (offset & !7) | u16::from(more);
        *rest = [header.protocol.0, 0, 0, 0, 0, 0, 0, 0];
        rest[2..4].copy_from_slice(&place.to_be_bytes());
        rest[4..8].copy_from_slice(&id.to_be_bytes());
    }
    header.header_len()
}
