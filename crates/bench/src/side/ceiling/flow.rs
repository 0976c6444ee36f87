//! One connection of the ceiling.

use netstack_wire::SeqNum;
use netstack_wire::tcp::{TcpFlags, TcpHeader};

/// Payload of a segment at an MTU of 1,500 bytes, without options.
pub(super) const MSS: u16 = 1460;

/// The window that is advertised, in units of `1 << SHIFT`: 1 MiB, as the stacks' buffers hold.
const WINDOW: u16 = 1 << 13;
const SHIFT: u8 = 7;

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Flow {
    next: SeqNum,
    /// Up to here the client takes data.
    limit: SeqNum,
    /// How far the client's windows are shifted.
    shift: u8,
    expected: SeqNum,
    handshake: bool,
    ack_due: bool,
}

impl Flow {
    /// A connection as its SYN asks for it.
    pub(super) fn new(syn: &TcpHeader) -> Self {
        let first = SeqNum(0);
        Self {
            next: first,
            limit: first,
            shift: syn.options.window_scale.unwrap_or(0).min(14),
            expected: syn.seq + 1,
            handshake: true,
            ack_due: true,
        }
    }

    /// Takes a segment's ACK and window, and its payload where it is the next.
    pub(super) fn receive(&mut self, header: &TcpHeader, payload: usize) {
        let len = header.seg_len(payload);
        if len > 0 {
            self.ack_due = true;
            if header.seq == self.expected {
                self.expected += len;
            }
        }
        let limit = header.ack + (u32::from(header.window) << self.shift);
        if header.flags.contains(TcpFlags::ACK) && self.limit.before(limit) {
            self.limit = limit;
        }
    }

    /// The answer to the SYN, once.
    pub(super) fn syn_ack(&mut self) -> Option<TcpHeader> {
        if !std::mem::take(&mut self.handshake) {
            return None;
        }
        let mut header = self.header(TcpFlags::SYN | TcpFlags::ACK);
        header.window = u16::MAX;
        header.options.mss = Some(MSS);
        header.options.window_scale = Some(SHIFT);
        self.next += 1;
        self.limit = self.next;
        self.ack_due = false;
        Some(header)
    }

    /// The next data segment of at most `largest` bytes of payload, if the window takes a whole MSS.
    pub(super) fn data(&mut self, largest: usize) -> Option<(TcpHeader, usize)> {
        if !self.next.before(self.limit) {
            return None;
        }
        let mss = usize::from(MSS);
        let room = self.limit.distance_from(self.next) as usize;
        let len = room.min(largest) / mss * mss;
        if len == 0 {
            return None;
        }
        let header = self.header(TcpFlags::ACK);
        self.next += len as u32;
        self.ack_due = false;
        Some((header, len))
    }

    /// An ACK, if one is due.
    pub(super) fn ack(&mut self) -> Option<TcpHeader> {
        std::mem::take(&mut self.ack_due).then(|| self.header(TcpFlags::ACK))
    }

    fn header(&self, flags: TcpFlags) -> TcpHeader {
        TcpHeader { seq: self.next, ack: self.expected, flags, window: WINDOW, ..TcpHeader::default() }
    }
}

#[cfg(test)]
mod tests;
