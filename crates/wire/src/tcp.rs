//! The TCP header (RFC 9293 section 3.1).

mod flags;
mod options;
mod pretty;
#[cfg(test)]
mod tests;

pub use flags::TcpFlags;
pub use options::{
    AccEcn, AccEcnOrder, FastOpenCookie, SackBlock, SackBlocks, TcpOptions, Timestamps, UserTimeout,
};
pub use pretty::Pretty;

use core::net::IpAddr;

use crate::checksum::{Sum, pseudo_header};
use crate::{ParseError, Protocol, SeqNum};

/// Octets of the header without options.
pub const MIN_HEADER_LEN: usize = 20;
/// Octets of the longest header: a data offset of 15 words.
pub const MAX_HEADER_LEN: usize = 60;
/// Octets of option space at most.
pub const MAX_OPTIONS_LEN: usize = MAX_HEADER_LEN - MIN_HEADER_LEN;
/// Offset of the checksum field in the header.
pub const CHECKSUM_OFFSET: usize = 16;

/// A TCP header as a value: every field but the checksum, which belongs to the octets.
///
/// ```
/// use netstack_wire::SeqNum;
/// use netstack_wire::tcp::{TcpFlags, TcpHeader};
///
/// let header = TcpHeader { src_port: 40_000, dst_port: 7, flags: TcpFlags::SYN, ..TcpHeader::default() };
/// let mut buf = [0; 60];
/// let len = header.emit(&mut buf);
/// assert_eq!(TcpHeader::parse(&buf[..len]), Ok((header, len)));
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpHeader {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number of the first octet (of the SYN, if there is one).
    pub seq: SeqNum,
    /// Next sequence number expected; meaningful only with [`TcpFlags::ACK`].
    pub ack: SeqNum,
    /// Control flags.
    pub flags: TcpFlags,
    /// The window field as it stands in the header, not scaled.
    pub window: u16,
    /// The urgent pointer; meaningful only with [`TcpFlags::URG`].
    pub urgent: u16,
    /// The options that this stack knows.
    pub options: TcpOptions,
}

impl TcpHeader {
    /// Reads the header of `segment`, and returns it with its length: the payload is `segment[length..]`.
    ///
    /// The checksum is not looked at (see [`checksum_ok`]): a device may vouch for it.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] below 20 octets, [`ParseError::BadHeaderLength`] for a data offset under 5 or
    /// past the segment, [`ParseError::BadOption`] as [`TcpOptions::parse`].
    #[inline]
    pub fn parse(segment: &[u8]) -> Result<(Self, usize), ParseError> {
        let fixed = segment.first_chunk::<MIN_HEADER_LEN>().ok_or(ParseError::Truncated)?;
        let len = usize::from(fixed[12] >> 4) * 4;
        let options = segment.get(MIN_HEADER_LEN..len).ok_or(ParseError::BadHeaderLength)?;
        let header = Self {
            src_port: u16::from_be_bytes([fixed[0], fixed[1]]),
            dst_port: u16::from_be_bytes([fixed[2], fixed[3]]),
            seq: SeqNum(u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]])),
            ack: SeqNum(u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]])),
            flags: TcpFlags::from_bits(u16::from_be_bytes([fixed[12], fixed[13]])),
            window: u16::from_be_bytes([fixed[14], fixed[15]]),
            urgent: u16::from_be_bytes([fixed[18], fixed[19]]),
            options: TcpOptions::parse(options)?,
        };
        Ok((header, len))
    }

    /// Octets that [`emit`](Self::emit) writes: 20 to 60, a multiple of 4.
    #[inline]
    pub fn header_len(&self) -> usize {
        MIN_HEADER_LEN + self.options.wire_len()
    }

    /// Writes the header, with a checksum field of 0, and returns its length.
    ///
    /// # Panics
    ///
    /// If `buf` is shorter than [`header_len`](Self::header_len).
    #[inline]
    pub fn emit(&self, buf: &mut [u8]) -> usize {
        let (fixed, options) =
            buf.split_first_chunk_mut::<MIN_HEADER_LEN>().expect("the buffer holds a TCP header");
        let len = MIN_HEADER_LEN + self.options.emit(options);
        fixed[0..2].copy_from_slice(&self.src_port.to_be_bytes());
        fixed[2..4].copy_from_slice(&self.dst_port.to_be_bytes());
        fixed[4..8].copy_from_slice(&self.seq.0.to_be_bytes());
        fixed[8..12].copy_from_slice(&self.ack.0.to_be_bytes());
        let offset_and_flags = ((len / 4) as u16) << 12 | self.flags.bits();
        fixed[12..14].copy_from_slice(&offset_and_flags.to_be_bytes());
        fixed[14..16].copy_from_slice(&self.window.to_be_bytes());
        fixed[16..18].fill(0);
        fixed[18..20].copy_from_slice(&self.urgent.to_be_bytes());
        len
    }

    /// Sequence numbers that the segment occupies: its payload, and one each for SYN and FIN
    /// (RFC 9293 section 3.4).
    #[inline]
    pub fn seg_len(&self, payload_len: usize) -> u32 {
        payload_len as u32
            + u32::from(self.flags.contains(TcpFlags::SYN))
            + u32::from(self.flags.contains(TcpFlags::FIN))
    }
}

/// Whether the checksum of `segment` (header and payload) is right.
///
/// `src` and `dst` are the addresses of the packet, `dst` the final one.
#[inline]
pub fn checksum_ok(src: IpAddr, dst: IpAddr, segment: &[u8]) -> bool {
    let mut sum = pseudo_header(src, dst, Protocol::TCP.0, segment.len() as u32);
    sum.add(segment);
    sum.fold() == 0xffff
}

/// Computes the checksum of a segment whose payload lies in pieces, and writes it into `header`.
///
/// `header` is exactly the emitted TCP header; what its checksum field held before does not matter.
///
/// # Panics
///
/// If `header` is shorter than 20 octets.
pub fn write_checksum<P>(src: IpAddr, dst: IpAddr, header: &mut [u8], payload: P)
where
    P: IntoIterator<Item: AsRef<[u8]>>,
{
    header[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].fill(0);
    let mut sum = Sum::new();
    sum.add(header);
    let mut len = header.len();
    for piece in payload {
        let piece = piece.as_ref();
        sum.add(piece);
        len += piece.len();
    }
    let pseudo = pseudo_header(src, dst, Protocol::TCP.0, len as u32);
    let mut whole = pseudo;
    whole.add_u16(sum.fold());
    header[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].copy_from_slice(&whole.finish().to_be_bytes());
}
