//! IPv4 (RFC 791, as a host reads it: RFC 1122 section 3.2.1).

#[cfg(test)]
mod tests;

use core::net::Ipv4Addr;

use crate::ip::{Ecn, Fragment, IpHeader, IpPacket, Protocol};
use crate::{ParseError, checksum};

/// Octets of the header without options.
pub const MIN_HEADER_LEN: usize = 20;
/// The least MTU of a link (RFC 791 3.2): a header with all options, and eight octets.
pub const MIN_MTU: u16 = 68;
/// Octets of the longest header.
pub const MAX_HEADER_LEN: usize = 60;
/// Offset of the header checksum.
pub const CHECKSUM_OFFSET: usize = 10;

const PROTOCOL_OFFSET: usize = 9;
const MAX_TOTAL_LEN: usize = 65_535;
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
pub(crate) const OFFSET_MASK: u16 = 0x1fff;

const END: u8 = 0;
const NOP: u8 = 1;
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;

/// Parses an IPv4 packet.
///
/// # Errors
///
/// Any [`ParseError`] but those of IPv6: version, header and total length, checksum, options, fragment.
#[inline]
pub fn parse(data: &[u8]) -> Result<IpPacket<'_>, ParseError> {
    let fixed = data.first_chunk::<MIN_HEADER_LEN>().ok_or(ParseError::Truncated)?;
    if fixed[0] >> 4 != 4 {
        return Err(ParseError::BadVersion);
    }
    let header_len = usize::from(fixed[0] & 0x0f) * 4;
    let options = data.get(MIN_HEADER_LEN..header_len).ok_or(ParseError::BadHeaderLength)?;
    let total_len = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    let payload = data.get(header_len..total_len).ok_or(ParseError::BadTotalLength)?;
    if checksum::sum(&data[..header_len]) != 0xffff {
        return Err(ParseError::BadChecksum);
    }
    let source_routed = !options.is_empty() && walk_options(options)?;
    let word = u16::from_be_bytes([fixed[6], fixed[7]]);
    let id = u16::from_be_bytes([fixed[4], fixed[5]]);
    Ok(IpPacket {
        src: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]).into(),
        dst: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]).into(),
        protocol: Protocol(fixed[PROTOCOL_OFFSET]),
        protocol_offset: PROTOCOL_OFFSET,
        hop_limit: fixed[8],
        dscp: fixed[1] >> 2,
        ecn: Ecn::from_bits(fixed[1]),
        header_len,
        fragment: fragment(word, id, payload.len())?,
        payload,
        total_len,
        flow_label: 0,
        source_routed,
        dont_fragment: word & DONT_FRAGMENT != 0,
    })
}

fn fragment(word: u16, id: u16, payload_len: usize) -> Result<Option<Fragment>, ParseError> {
    let more = word & MORE_FRAGMENTS != 0;
    let blocks = word & OFFSET_MASK;
    if blocks == 0 && !more {
        return Ok(None);
    }
    let offset = blocks * 8;
    let ends_short = more && (payload_len == 0 || !payload_len.is_multiple_of(8));
    if ends_short || usize::from(offset) + payload_len > MAX_TOTAL_LEN {
        return Err(ParseError::BadFragment);
    }
    Ok(Some(Fragment { offset, more, id: u32::from(id) }))
}

/// Source, destination, protocol and identification: what names the datagram that a fragment belongs to, also of one that
/// [`parse`] refuses as [`ParseError::BadFragment`].
pub fn datagram_name(data: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr, Protocol, u16)> {
    let fixed = data.first_chunk::<MIN_HEADER_LEN>()?;
    let [src, dst] = [12, 16].map(|at| Ipv4Addr::new(fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]));
    Some((src, dst, Protocol(fixed[PROTOCOL_OFFSET]), u16::from_be_bytes([fixed[4], fixed[5]])))
}

/// See [`ip::unite`](crate::ip::unite).
pub(crate) fn unite(header: &mut [u8], payload_len: usize, ecn: Ecn) -> Option<usize> {
    let total_len = u16::try_from(header.len() + payload_len).ok()?;
    let fixed = header.first_chunk_mut::<MIN_HEADER_LEN>()?;
    fixed[1] = (fixed[1] & !3) | ecn.bits();
    fixed[2..4].copy_from_slice(&total_len.to_be_bytes());
    let flags = u16::from_be_bytes([fixed[6], fixed[7]]) & !(MORE_FRAGMENTS | OFFSET_MASK);
    fixed[6..8].copy_from_slice(&flags.to_be_bytes());
    fixed[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].fill(0);
    let sum = checksum::checksum(header);
    header[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].copy_from_slice(&sum.to_be_bytes());
    Some(header.len())
}

/// Steps over the options; tells whether a source route is among them.
fn walk_options(mut options: &[u8]) -> Result<bool, ParseError> {
    let mut source_routed = false;
    while let Some((&kind, rest)) = options.split_first() {
        match kind {
            END => break,
            NOP => options = rest,
            kind => {
                let &len = rest.first().ok_or(ParseError::BadOption)?;
                if len < 2 {
                    return Err(ParseError::BadOption);
                }
                options = options.get(usize::from(len)..).ok_or(ParseError::BadOption)?;
                source_routed |= matches!(kind, LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE);
            }
        }
    }
    Ok(source_routed)
}

#[inline]
pub(crate) fn emit(header: &IpHeader, src: Ipv4Addr, dst: Ipv4Addr, buf: &mut [u8]) -> usize {
    let buf = buf.first_chunk_mut::<MIN_HEADER_LEN>().expect("the buffer holds an IPv4 header");
    let total_len = (MIN_HEADER_LEN + header.payload_len).min(MAX_TOTAL_LEN) as u16;
    let flags = if header.dont_fragment { DONT_FRAGMENT } else { 0 };
    let (id, place) = match header.fragment {
        Some(Fragment { offset, more, id }) => {
            let more = if more { MORE_FRAGMENTS } else { 0 };
            (id as u16, (offset / 8) | more)
        }
        None => (header.id, 0),
    };
    buf[0] = 0x45;
    buf[1] = header.dscp << 2 | header.ecn.bits();
    buf[2..4].copy_from_slice(&total_len.to_be_bytes());
    buf[4..6].copy_from_slice(&id.to_be_bytes());
    buf[6..8].copy_from_slice(&(flags | place).to_be_bytes());
    buf[8] = header.hop_limit;
    buf[9] = header.protocol.0;
    buf[10..12].fill(0);
    buf[12..16].copy_from_slice(&src.octets());
    buf[16..20].copy_from_slice(&dst.octets());
    let sum = checksum::checksum(buf);
    buf[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].copy_from_slice(&sum.to_be_bytes());
    MIN_HEADER_LEN
}
