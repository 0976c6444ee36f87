//! Finishing frames in software: the last step for a device that cannot, and for captures.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

use bytes::Bytes;
use netstack_wire::checksum::{Sum, pseudo_header};

use crate::frame::{gather, payload_len};
use crate::{Checksum, GsoKind, HeadBuf, Meta};

const TCP: u8 = 6;
const UDP: u8 = 17;
const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;
/// Offset of the flags in a TCP header.
const FLAGS: usize = 13;
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;

/// Metadata that does not fit its frame.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OffloadError {
    /// The headers are not those of the packet that the metadata speaks of, or not all in the head.
    Headers,
    /// The checksum field lies outside the head.
    ChecksumOutside,
    /// The frame is longer than an IP packet can be.
    TooLong,
}

impl fmt::Display for OffloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Headers => "the headers do not fit the segmentation metadata",
            Self::ChecksumOutside => "the checksum field lies outside the headers",
            Self::TooLong => "the frame is longer than an IP packet can be",
        })
    }
}

impl std::error::Error for OffloadError {}

impl From<OffloadError> for std::io::Error {
    fn from(error: OffloadError) -> Self {
        Self::new(std::io::ErrorKind::InvalidInput, error)
    }
}

/// Finishes a partial checksum, and says so in `meta`. Any other frame is left as it is.
///
/// # Errors
/// [`OffloadError::ChecksumOutside`]: the checksum field is not within `head`, which is unchanged then.
pub fn complete_checksum(head: &mut [u8], payload: &[Bytes], meta: &mut Meta) -> Result<(), OffloadError> {
    let Checksum::Partial { start, offset } = meta.checksum else {
        return Ok(());
    };
    let (start, at) = (usize::from(start), usize::from(start) + usize::from(offset));
    if at + 2 > head.len() {
        return Err(OffloadError::ChecksumOutside);
    }
    let mut sum = Sum::new();
    sum.add(&head[start..]);
    for slice in payload {
        sum.add(slice);
    }
    // The field holds the pseudo-header's sum, so it is summed along with the rest.
    put_u16(head, at, finished(sum, usize::from(offset) == UDP_CHECKSUM));
    meta.checksum = Checksum::Complete;
    Ok(())
}

/// Cuts a super-segment into packets with finished checksums; a frame without
/// [`Gso`](crate::Gso) gives one piece, itself with its checksum finished.
///
/// `head` holds the IP header and the whole transport header. Each piece gets its own lengths, IPv4
/// identification (one more each, unless DF makes it meaningless, RFC 6864), IPv4 header checksum, sequence
/// number and transport checksum. Options are repeated. FIN and PSH stay on the last piece only, CWR on the
/// first only (RFC 3168 6.1.2).
///
/// `payload` is borrowed (`&[Bytes]`) or owned (`Vec<Bytes>`), the latter to keep the iteration over an
/// `.await`.
///
/// ```
/// use bytes::Bytes;
/// use netstack_device::{HeadBuf, Meta, segment};
///
/// let mut head = HeadBuf::new();
/// head.push(4, |buf| buf.copy_from_slice(b"head"));
/// let payload = [Bytes::from_static(b"payload")];
/// let mut pieces = segment(head.as_slice(), &payload[..], Meta::default())?;
/// let mut slices = Vec::new();
/// assert!(pieces.next_into(&mut head, &mut slices));
/// assert_eq!(slices, payload);
/// assert!(!pieces.next_into(&mut head, &mut slices));
/// # Ok::<(), netstack_device::OffloadError>(())
/// ```
///
/// # Errors
/// The metadata does not fit the headers; see [`OffloadError`].
pub fn segment<P: AsRef<[Bytes]>>(
    head: &[u8],
    payload: P,
    mut meta: Meta,
) -> Result<Segments<P>, OffloadError> {
    let mut template = HeadBuf::new();
    let len = payload_len(payload.as_ref());
    let Some(gso) = meta.gso else {
        if !template.extend_from_slice(head) {
            return Err(OffloadError::Headers);
        }
        complete_checksum(template.as_mut_slice(), payload.as_ref(), &mut meta)?;
        return Ok(Segments::new(template, None, len, payload));
    };
    if head.len() + len > crate::Capabilities::MAX_FRAME {
        return Err(OffloadError::TooLong);
    }
    let layout = Layout::of(head, gso.kind, meta.checksum)?;
    if !template.extend_from_slice(head) {
        return Err(OffloadError::Headers);
    }
    Ok(Segments::new(template, Some((layout, gso.size)), len, payload))
}

/// Cuts a frame that lies in one piece, as received ones do: [`segment`] for a reader.
///
/// # Errors
/// The metadata does not fit the headers; see [`OffloadError`].
pub fn segment_received(
    data: &Bytes,
    meta: Meta,
) -> Result<impl Iterator<Item = Bytes> + use<>, OffloadError> {
    let cut = match meta.gso {
        Some(gso) => Layout::of_packet(data, gso.kind, meta.checksum)?.head_len,
        None => data.len().min(HeadBuf::CAPACITY),
    };
    let mut pieces = segment(&data[..cut], vec![data.slice(cut..)], meta)?;
    let (mut head, mut slices) = (HeadBuf::new(), Vec::new());
    Ok(std::iter::from_fn(move || {
        pieces.next_into(&mut head, &mut slices).then(|| gather(head.as_slice(), &slices))
    }))
}

/// The pieces of a super-segment, made by [`segment`].
#[derive(Clone, Debug)]
pub struct Segments<P> {
    template: HeadBuf,
    /// `None`: the frame is its own only piece.
    cut: Option<(Layout, NonZeroU16)>,
    payload: P,
    len: usize,
    /// Payload bytes already given out, and where that is.
    given: usize,
    slice: usize,
    offset: usize,
    piece: u16,
    done: bool,
}

impl<P: AsRef<[Bytes]>> Segments<P> {
    fn new(template: HeadBuf, cut: Option<(Layout, NonZeroU16)>, len: usize, payload: P) -> Self {
        Self { template, cut, payload, len, given: 0, slice: 0, offset: 0, piece: 0, done: false }
    }

    /// Number of pieces still to come.
    pub fn remaining(&self) -> usize {
        match self.cut {
            _ if self.done => 0,
            Some((_, size)) => (self.len - self.given).div_ceil(usize::from(size.get())).max(1),
            None => 1,
        }
    }

    /// Writes the next piece into `head` and `payload`, replacing what they hold; `false` after the last.
    /// Payload is shared, not copied.
    pub fn next_into(&mut self, head: &mut HeadBuf, payload: &mut Vec<Bytes>) -> bool {
        if self.done {
            return false;
        }
        payload.clear();
        head.clear();
        let fits = head.extend_from_slice(self.template.as_slice());
        debug_assert!(fits, "one HeadBuf holds what another held");
        let len = match self.cut {
            Some((_, size)) => usize::from(size.get()).min(self.len - self.given),
            None => self.len,
        };
        self.take(len, payload);
        if let Some((layout, _)) = self.cut {
            let last = self.given + len == self.len;
            layout.finish(head.as_mut_slice(), payload, self.piece, self.given, last);
        }
        self.given += len;
        self.piece = self.piece.wrapping_add(1);
        self.done = self.given == self.len;
        true
    }

    /// Moves the next `len` payload bytes into `out`.
    fn take(&mut self, mut len: usize, out: &mut Vec<Bytes>) {
        let slices = self.payload.as_ref();
        while len > 0 {
            let rest = &slices[self.slice];
            let n = len.min(rest.len() - self.offset);
            if n > 0 {
                out.push(rest.slice(self.offset..self.offset + n));
            }
            len -= n;
            self.offset += n;
            if self.offset == rest.len() {
                self.slice += 1;
                self.offset = 0;
            }
        }
    }
}

/// Where the headers of a super-segment lie.
#[derive(Copy, Clone, Debug)]
struct Layout {
    kind: GsoKind,
    src: IpAddr,
    dst: IpAddr,
    /// Offset of the transport header.
    transport: usize,
    head_len: usize,
}

impl Layout {
    /// For a head that holds exactly the headers.
    fn of(head: &[u8], kind: GsoKind, checksum: Checksum) -> Result<Self, OffloadError> {
        let layout = Self::of_packet(head, kind, checksum)?;
        if layout.head_len == head.len() { Ok(layout) } else { Err(OffloadError::Headers) }
    }

    /// For headers at the start of `data`.
    fn of_packet(data: &[u8], kind: GsoKind, checksum: Checksum) -> Result<Self, OffloadError> {
        let protocol = if kind == GsoKind::Udp { UDP } else { TCP };
        let (src, dst, transport) = match data.first().map(|b| b >> 4) {
            Some(4) if kind != GsoKind::Tcp6 && data.len() >= 20 && data[9] == protocol => {
                let addr = |at| IpAddr::V4(Ipv4Addr::from(array::<4>(data, at)));
                (addr(12), addr(16), usize::from(data[0] & 0x0f) * 4)
            }
            Some(6) if kind != GsoKind::Tcp4 && data.len() >= 40 => {
                let addr = |at| IpAddr::V6(Ipv6Addr::from(array::<16>(data, at)));
                (addr(8), addr(24), transport_v6(data, protocol, checksum)?)
            }
            _ => return Err(OffloadError::Headers),
        };
        let transport_len = match protocol {
            UDP => 8,
            _ => data.get(transport + 12).map_or(0, |b| usize::from(b >> 4) * 4),
        };
        let head_len = transport + transport_len;
        let least = if protocol == UDP { 8 } else { 20 };
        if transport < 20 || transport_len < least || head_len > data.len() {
            return Err(OffloadError::Headers);
        }
        Ok(Self { kind, src, dst, transport, head_len })
    }

    /// Makes a copy of the super-segment's head that of its piece number `piece`, at `offset` in the payload.
    fn finish(&self, head: &mut [u8], payload: &[Bytes], piece: u16, offset: usize, last: bool) {
        let len = head.len() + payload_len(payload);
        let transport_len = len - self.transport;
        if self.src.is_ipv4() {
            // `segment` has checked that the whole frame fits 16 bits.
            put_u16(head, 2, len as u16);
            let dont_fragment = head[6] & 0x40 != 0;
            if !dont_fragment {
                let id = u16::from_be_bytes([head[4], head[5]]).wrapping_add(piece);
                put_u16(head, 4, id);
            }
            put_u16(head, 10, 0);
            let mut sum = Sum::new();
            sum.add(&head[..self.transport]);
            put_u16(head, 10, sum.finish());
        } else {
            put_u16(head, 4, (len - 40) as u16);
        }
        let transport = &mut head[self.transport..];
        let (protocol, checksum_at) = if self.kind == GsoKind::Udp {
            put_u16(transport, 4, transport_len as u16);
            (UDP, UDP_CHECKSUM)
        } else {
            let seq = u32::from_be_bytes(array::<4>(transport, 4)).wrapping_add(offset as u32);
            transport[4..8].copy_from_slice(&seq.to_be_bytes());
            if !last {
                transport[FLAGS] &= !(FIN | PSH);
            }
            if piece > 0 {
                transport[FLAGS] &= !CWR;
            }
            (TCP, TCP_CHECKSUM)
        };
        put_u16(transport, checksum_at, 0);
        let mut sum = pseudo_header(self.src, self.dst, protocol, transport_len as u32);
        sum.add(transport);
        for slice in payload {
            sum.add(slice);
        }
        put_u16(transport, checksum_at, finished(sum, protocol == UDP));
    }
}

/// Behind extension headers the transport header is where the checksum starts.
fn transport_v6(data: &[u8], protocol: u8, checksum: Checksum) -> Result<usize, OffloadError> {
    match checksum {
        _ if data[6] == protocol => Ok(40),
        Checksum::Partial { start, .. } if start > 40 => Ok(usize::from(start)),
        _ => Err(OffloadError::Headers),
    }
}

/// The inverted sum; zero means "no checksum" in UDP and is sent as all ones (RFC 768).
fn finished(sum: Sum, udp: bool) -> u16 {
    match sum.finish() {
        0 if udp => 0xffff,
        sum => sum,
    }
}

fn put_u16(buf: &mut [u8], at: usize, value: u16) {
    buf[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// `N` bytes at `at`; the caller has checked the length.
fn array<const N: usize>(data: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&data[at..at + N]);
    out
}

#[cfg(test)]
mod tests;
