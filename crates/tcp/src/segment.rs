//! What comes into a connection and what leaves it.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use netstack_wire::Ecn;
use netstack_wire::tcp::{TcpFlags, TcpHeader};

/// The most payload octets that one [`Transmit`] carries: what fits an IPv4 datagram with the largest headers,
/// 65,535 - 60 - 60.
pub const MAX_PAYLOAD: usize = 65_415;

/// The most payload slices that one [`Transmit`] carries.
pub const MAX_SLICES: usize = 64;

/// Memory of the largest frame, with what a device puts in front of it.
const READ_BUFFER: usize = 64 * 1024 + 64;

/// Payload longer than this may lie in a buffer of [`READ_BUFFER`] octets, which it holds as a whole: devices copy smaller frames
/// out of it, and where the two meet it is checked that they do. Half of it, without the longest headers.
pub(crate) const LARGE: usize = READ_BUFFER / 2 - 224;

/// Octets of memory that a received piece of `len` octets may hold, as [`Connection::read`](crate::Connection::read) gives it out.
#[must_use]
pub const fn received_memory(len: usize) -> usize {
    if LARGE < len && len < READ_BUFFER { READ_BUFFER } else { len }
}

/// A received TCP segment: parsed header, payload, and what the layers below knew of it.
#[derive(Debug, Clone)]
pub struct Segment {
    /// The parsed TCP header with its options.
    pub header: TcpHeader,
    /// The octets behind the header, a slice of the device's buffer.
    pub payload: Bytes,
    /// The ECN field of the IP header that carried it.
    pub ecn: Ecn,
    /// Payload octets per segment on the wire, when the device delivered several as one; 0: it came as it is.
    pub gso_size: u16,
}

impl Segment {
    /// SEG.LEN: payload octets, with SYN and FIN counted (RFC 9293 3.4).
    #[must_use]
    pub fn len(&self) -> u32 {
        let control = u32::from(self.has(TcpFlags::SYN)) + u32::from(self.has(TcpFlags::FIN));
        // A payload comes out of one IP packet: far below 2^32.
        self.payload.len() as u32 + control
    }

    /// Whether the segment occupies no sequence number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all of `flags` are set.
    pub(crate) fn has(&self, flags: TcpFlags) -> bool {
        self.header.flags.contains(flags)
    }

    /// The flags AE, CWR and ECE alone.
    pub(crate) fn ecn_flags(&self) -> TcpFlags {
        let flags = self.header.flags;
        flags - (flags - (TcpFlags::AE | TcpFlags::CWR | TcpFlags::ECE))
    }

    /// Leaves out the first `count` sequence numbers; the urgent pointer goes on naming the same octet (MUST-62).
    pub(crate) fn skip(&mut self, count: u32) {
        self.header.seq += count;
        self.header.urgent = u32::from(self.header.urgent).saturating_sub(count) as u16;
    }

    /// How many segments of the wire this one stands for, at least 1.
    pub(crate) fn wire_segments(&self) -> u32 {
        match self.gso_size {
            0 => 1,
            size => (self.payload.len() as u32).div_ceil(u32::from(size)).max(1),
        }
    }
}

/// A segment to send, made by [`Connection::poll_transmit`](crate::Connection::poll_transmit); its payload slices are
/// in the vector given there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// The TCP header, complete but for the checksum.
    pub header: TcpHeader,
    /// Octets in the payload slices.
    pub payload_len: usize,
    /// Payload octets per segment on the wire when this one has to be cut; 0: it goes out as it is.
    pub gso_size: u16,
    /// The ECN field for the IP header.
    pub ecn: Ecn,
    /// The differentiated services code point, 0 to 63 (MUST-48).
    pub dscp: u8,
    /// TTL or hop limit (MUST-49).
    pub hop_limit: u8,
}
