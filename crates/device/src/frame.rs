//! Frames and the buffers they travel in.

use std::io;

use bytes::Bytes;
use tokio::time::Instant;

use crate::{Capabilities, Checksum, Meta, OffloadError};

/// Room for the headers of one frame, with spare room in front for the header of a device.
///
/// ```
/// use netstack_device::HeadBuf;
///
/// let mut head = HeadBuf::new();
/// head.push(20, |buf| buf.fill(0x45));
/// head.prepend(2).copy_from_slice(&[0, 8]);
/// assert_eq!(head.len(), 22);
/// assert_eq!(head.as_slice()[..3], [0, 8, 0x45]);
/// ```
#[derive(Clone)]
pub struct HeadBuf {
    start: u8,
    end: u8,
    buf: [u8; Self::HEADROOM + Self::CAPACITY],
}

impl HeadBuf {
    /// Spare bytes in front of the headers.
    pub const HEADROOM: usize = 64;
    /// Bytes for headers: an IPv6 header, a TCP header with all its options, and 28 more.
    pub const CAPACITY: usize = 128;

    /// An empty buffer.
    pub const fn new() -> Self {
        Self {
            start: Self::HEADROOM as u8,
            end: Self::HEADROOM as u8,
            buf: [0; Self::HEADROOM + Self::CAPACITY],
        }
    }

    /// Empties the buffer and restores the spare room in front.
    pub fn clear(&mut self) {
        self.start = Self::HEADROOM as u8;
        self.end = Self::HEADROOM as u8;
    }

    /// Bytes held.
    pub const fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it holds nothing.
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The free bytes behind what is held. Emit into them, then call [`set_len`](Self::set_len).
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.buf[usize::from(self.end)..]
    }

    /// Sets the number of bytes held, growing or shrinking at the end.
    ///
    /// # Panics
    /// If `len` is beyond the end of the buffer.
    pub fn set_len(&mut self, len: usize) {
        let end = usize::from(self.start) + len;
        assert!(end <= self.buf.len(), "HeadBuf::set_len({len}) beyond its end");
        // The buffer is shorter than 256 bytes.
        self.end = end as u8;
    }

    /// Appends `len` bytes, which `fill` writes.
    ///
    /// # Panics
    /// If fewer than `len` bytes are free.
    pub fn push(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        fill(&mut self.space()[..len]);
        self.set_len(self.len() + len);
    }

    /// Appends a copy of `bytes`; `false`, and nothing is appended, if they do not fit.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> bool {
        let fits = bytes.len() <= self.space().len();
        if fits {
            self.push(bytes.len(), |buf| buf.copy_from_slice(bytes));
        }
        fits
    }

    /// Grows by `n` bytes in front and returns them.
    ///
    /// # Panics
    /// If fewer than `n` bytes are spare.
    pub fn prepend(&mut self, n: usize) -> &mut [u8] {
        let old = usize::from(self.start);
        assert!(n <= old, "HeadBuf::prepend({n}) with {old} spare bytes");
        self.start = (old - n) as u8;
        &mut self.buf[old - n..old]
    }

    /// The bytes held.
    pub fn as_slice(&self) -> &[u8] {
        &self.buf[usize::from(self.start)..usize::from(self.end)]
    }

    /// The bytes held, to change in place.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.buf[usize::from(self.start)..usize::from(self.end)]
    }
}

impl Default for HeadBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for HeadBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("HeadBuf").field(&self.as_slice()).finish()
    }
}

/// A frame that has arrived.
#[derive(Clone, Debug)]
pub struct RxFrame {
    /// The whole frame, headers first. A frame of up to 2 KiB may share its memory with others: what is kept of it for long
    /// is copied. One of more than [`LARGE`](Self::LARGE) bytes may hold a whole [`READ_BUFFER`](Self::READ_BUFFER); any
    /// other holds as much as it is long.
    pub data: Bytes,
    /// Checksum state and, for a super-segment, how it was cut.
    pub meta: Meta,
    /// When it reached the device.
    pub at: Instant,
}

impl RxFrame {
    /// Bytes up to which a frame is copied out of a read buffer that others could use: about half of that.
    pub const LARGE: usize = 32 * 1024;
    /// Bytes of a read buffer at most: the longest packet, with room for what a device puts in front of it.
    pub const READ_BUFFER: usize = 64 * 1024 + 64;
}

/// A frame to send: `head` then `payload`.
#[derive(Debug)]
pub struct TxFrame<'a> {
    /// All the headers. A device may write its own in front; refill the buffer before each send.
    pub head: &'a mut HeadBuf,
    /// The payload behind the headers.
    pub payload: &'a [Bytes],
    /// Checksum state and, for a super-segment, how to cut it.
    pub meta: Meta,
    /// A hash of the flow, which picks the queue: frames of one flow stay in order.
    pub flow: u32,
}

impl TxFrame<'_> {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.head.len() + payload_len(self.payload)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The frame as one piece: copies it.
    pub fn to_bytes(&self) -> Bytes {
        gather(self.head.as_slice(), self.payload)
    }

    /// The frame as one piece at the start of `buf`, which must hold it.
    #[cfg(all(target_os = "linux", feature = "tun"))]
    pub(crate) fn copy_to<'b>(&self, buf: &'b mut [u8]) -> &'b [u8] {
        let mut end = 0;
        for part in std::iter::once(self.head.as_slice()).chain(self.payload.iter().map(|bytes| &bytes[..])) {
            buf[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        &buf[..end]
    }

    /// Whether the frame can leave through a device like this: not empty, on the wire not longer than its MTU,
    /// metadata within the frame.
    pub(crate) fn check(&self, caps: &Capabilities) -> io::Result<()> {
        let (len, head) = (self.len(), self.head.len());
        let on_wire = match self.meta.gso {
            Some(gso) => len.min(head + usize::from(gso.size.get())),
            None => len,
        };
        if len == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an empty frame"));
        }
        if on_wire > caps.mtu || len > caps.max_frame {
            let text = format!("a frame of {len} bytes is too long for a device with MTU {}", caps.mtu);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        if let Checksum::Partial { start, offset } = self.meta.checksum
            && usize::from(start) + usize::from(offset) + 2 > head
        {
            return Err(OffloadError::ChecksumOutside.into());
        }
        Ok(())
    }
}

/// Bytes in all slices.
pub(crate) fn payload_len(payload: &[Bytes]) -> usize {
    payload.iter().map(Bytes::len).sum()
}

/// Copies header and payload into one piece.
pub(crate) fn gather(head: &[u8], payload: &[Bytes]) -> Bytes {
    let mut data = Vec::with_capacity(head.len() + payload_len(payload));
    data.extend_from_slice(head);
    for slice in payload {
        data.extend_from_slice(slice);
    }
    Bytes::from(data)
}

/// Frames read in one go, bounded by number and by bytes.
///
/// The frame that crosses the byte bound still goes in, since a device learns a frame's length by
/// reading it; then the batch is full.
#[derive(Debug)]
pub struct RxBatch {
    frames: Vec<RxFrame>,
    bytes: usize,
    joined: usize,
    max_frames: usize,
    max_bytes: usize,
}

impl RxBatch {
    /// Default bound on frames.
    pub const MAX_FRAMES: usize = 64;
    /// Default bound on bytes: 1 MiB.
    pub const MAX_BYTES: usize = 1 << 20;

    /// An empty batch with the default bounds.
    pub fn new() -> Self {
        Self::with_limits(Self::MAX_FRAMES, Self::MAX_BYTES)
    }

    /// An empty batch with these bounds, each taken as at least 1.
    pub fn with_limits(frames: usize, bytes: usize) -> Self {
        Self { frames: Vec::new(), bytes: 0, joined: 0, max_frames: frames.max(1), max_bytes: bytes.max(1) }
    }

    /// Adds a frame. A device stops reading once [`is_full`](Self::is_full).
    pub fn push(&mut self, frame: RxFrame) {
        self.bytes += frame.data.len();
        self.frames.push(frame);
    }

    /// Whether a bound is reached.
    pub fn is_full(&self) -> bool {
        self.frames.len() >= self.max_frames || self.bytes >= self.max_bytes
    }

    /// Frames and bytes that still fit; the last frame may cross the bound on bytes.
    pub(crate) fn room(&self) -> (usize, usize) {
        (self.max_frames.saturating_sub(self.frames.len()), self.max_bytes.saturating_sub(self.bytes))
    }

    /// Sets the bounds anew.
    pub(crate) fn set_limits(&mut self, frames: usize, bytes: usize) {
        (self.max_frames, self.max_bytes) = (frames, bytes);
    }

    /// Frames held.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether it holds no frame.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Packets that were read beyond the frames held, since some were put together in software
    /// ([`Coalescing`](crate::Coalescing)): what reading them cost is not seen by the frames.
    pub fn joined(&self) -> usize {
        self.joined
    }

    /// Counts packets that were put together with others.
    pub(crate) fn note_joined(&mut self, packets: usize) {
        self.joined += packets;
    }

    /// The frames held, oldest first.
    pub fn frames(&self) -> &[RxFrame] {
        &self.frames
    }

    /// Takes all frames out, oldest first; the storage stays for the next batch.
    pub fn drain(&mut self) -> impl Iterator<Item = RxFrame> + '_ {
        (self.bytes, self.joined) = (0, 0);
        self.frames.drain(..)
    }

    /// Drops all frames.
    pub fn clear(&mut self) {
        (self.bytes, self.joined) = (0, 0);
        self.frames.clear();
    }
}

impl Default for RxBatch {
    fn default() -> Self {
        Self::new()
    }
}
