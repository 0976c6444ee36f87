//! Packets of the host itself: an IP header is written in front of what a transport made, and what the path cannot carry in
//! one piece is cut into fragments where that is allowed.
//!
//! Connections have a way of their own (`actor/transmit.rs`): their segments fit the path, and are cut by the device.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use netstack_device::{Checksum, Gso, HeadBuf, Meta, SendError, Turn, TxFrame, TxQueue};
use netstack_wire::ip::{Fragment, IpHeader};
use netstack_wire::{Ecn, Protocol};
use tracing::trace;

use crate::stack::Inner;

#[cfg(test)]
mod tests;

/// What the header of a packet says that is no segment of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) protocol: Protocol,
    /// 0 is sent as 1 (R1122-6).
    pub(crate) hop_limit: u8,
    pub(crate) dscp: u8,
    pub(crate) ecn: Ecn,
    /// Refuses what the path does not carry in one piece, over IPv6 too, and sets DF over IPv4.
    pub(crate) dont_fragment: bool,
    /// A hash of the flow: picks the device queue, and is the IPv6 flow label (`Secrets::flow_hash`).
    pub(crate) flow: u32,
}

impl Outgoing {
    /// From `src` to `dst`, in fragments where it must be, with a hop limit of 64.
    pub(crate) fn new(src: IpAddr, dst: IpAddr, protocol: Protocol, flow: u32) -> Self {
        Self { src, dst, protocol, hop_limit: 64, dscp: 0, ecn: Ecn::NotEct, dont_fragment: false, flow }
    }
}

/// Why a packet has not left.
#[derive(Debug)]
pub(crate) enum SendPacketError {
    /// The device is full, and nothing has left. Send again, or wait with the same turn.
    Full,
    /// The device is full after some of the fragments: the others are for [`Inner::send_rest`].
    Partly(Box<Rest>),
    /// Longer than what the path carries, or than a packet can be, and not to be cut: `mtu` octets with the IP header.
    TooBig { mtu: usize },
    /// The device took it and lost it, which is counted.
    Lost,
    /// The stack has stopped.
    Gone,
}

/// A place in the FIFO of one device, given up when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    tx: Arc<dyn TxQueue>,
    turn: Turn,
}

impl Place {
    pub(crate) fn new(tx: &Arc<dyn TxQueue>) -> Self {
        Self { tx: Arc::clone(tx), turn: Turn::new() }
    }

    /// The turn, to send to `tx` with: a place with another device is given up.
    pub(crate) fn turn(&mut self, tx: &Arc<dyn TxQueue>) -> &mut Turn {
        if !Arc::ptr_eq(&self.tx, tx) {
            *self = Self::new(tx);
        }
        &mut self.turn
    }

    /// Ready once a slot is held, or the device is gone.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.tx.poll_ready(cx, &mut self.turn)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.turn.has_place() {
            self.tx.leave(&mut self.turn);
        }
    }
}

/// Fragments that wait for room in the device.
#[derive(Debug)]
pub(crate) struct Rest {
    interface: usize,
    flow: u32,
    /// The next fragment: its IP header, the transport header if it is the first, and its part of the payload.
    header: IpHeader,
    head: HeadBuf,
    piece: Vec<Bytes>,
    /// What is behind it, and how many of these slices are used up.
    payload: Vec<Bytes>,
    used: usize,
    /// Octets that a fragment carries.
    unit: usize,
}

impl Rest {
    /// Takes the next fragment's part off the payload.
    fn cut(&mut self) {
        self.piece.clear();
        let mut room = self.unit - self.head.len();
        while room > 0
            && let Some(slice) = self.payload.get_mut(self.used)
        {
            let part = slice.split_to(room.min(slice.len()));
            self.used += usize::from(slice.is_empty());
            room -= part.len();
            self.piece.push(part);
        }
        self.header.payload_len = self.unit - room;
        let more = self.payload[self.used..].iter().any(|slice| !slice.is_empty());
        if let Some(fragment) = &mut self.header.fragment {
            fragment.more = more;
        }
    }

    /// Goes on to the next fragment; false after the last.
    fn advance(&mut self) -> bool {
        let Some(fragment) = self.header.fragment.as_mut().filter(|fragment| fragment.more) else {
            return false;
        };
        // All of it is shorter than the longest packet.
        fragment.offset += self.header.payload_len as u16;
        self.head.clear();
        self.cut();
        true
    }

    fn is_first(&self) -> bool {
        self.header.fragment.is_some_and(|fragment| fragment.offset == 0)
    }
}

/// The longest packet.
const MAX_PACKET: usize = 65_535;

impl Inner {
    /// Octets of a packet to `dst` that leaves by an interface at most, as far as is known.
    pub(crate) fn mtu_to(&self, interface: usize, dst: IpAddr) -> usize {
        self.path_mtu.get(dst, self.interface(interface).mtu().min(MAX_PACKET))
    }

    /// Sends one packet by an interface: an IP header, `head` with the transport header and its finished checksum (at most
    /// 80 octets), and `payload`.
    pub(crate) fn send_packet(
        &self,
        interface: usize,
        outgoing: &Outgoing,
        head: &[u8],
        payload: &[Bytes],
        turn: &mut Turn,
    ) -> Result<(), SendPacketError> {
        let len = head.len() + payload.iter().map(Bytes::len).sum::<usize>();
        let mut header = header(outgoing, len);
        let mtu = self.mtu_to(interface, outgoing.dst);
        // The length field of IPv6 does not count its header.
        let longest = if outgoing.src.is_ipv4() { MAX_PACKET } else { MAX_PACKET + header.header_len() };
        if header.header_len() + len > longest {
            return Err(SendPacketError::TooBig { mtu: longest });
        }
        let id = || self.fragment_ids.next(outgoing.src, outgoing.dst, outgoing.protocol);
        if header.header_len() + len <= mtu {
            if !outgoing.dont_fragment && outgoing.src.is_ipv4() {
                header.id = id() as u16;
            }
            return self.emit(interface, &header, head, payload, outgoing.flow, turn);
        }
        if outgoing.dont_fragment {
            return Err(SendPacketError::TooBig { mtu });
        }
        header.fragment = Some(Fragment { offset: 0, more: true, id: id() });
        let unit = mtu.saturating_sub(header.header_len()) & !7;
        if unit <= head.len() {
            return Err(SendPacketError::TooBig { mtu });
        }
        let mut rest = Box::new(Rest {
            interface,
            flow: outgoing.flow,
            header,
            head: HeadBuf::new(),
            piece: Vec::new(),
            payload: payload.to_vec(),
            used: 0,
            unit,
        });
        rest.head.extend_from_slice(head);
        rest.cut();
        match self.send_rest(rest, turn) {
            // Not even the first: it can be made anew.
            Err(SendPacketError::Partly(rest)) if rest.is_first() => Err(SendPacketError::Full),
            sent => sent,
        }
    }

    /// Sends fragments that found the device full.
    pub(crate) fn send_rest(&self, mut rest: Box<Rest>, turn: &mut Turn) -> Result<(), SendPacketError> {
        loop {
            let sent =
                self.emit(rest.interface, &rest.header, rest.head.as_slice(), &rest.piece, rest.flow, turn);
            match sent {
                Ok(()) => {
                    if rest.is_first() {
                        self.counters.tx_fragmented.bump();
                    }
                    self.counters.tx_fragments.bump();
                }
                Err(SendPacketError::Full) => return Err(SendPacketError::Partly(rest)),
                // Without this one the others are of no use.
                Err(error) => return Err(error),
            }
            if !rest.advance() {
                return Ok(());
            }
        }
    }

    /// Hands one finished packet to the device.
    fn emit(
        &self,
        interface: usize,
        header: &IpHeader,
        transport: &[u8],
        payload: &[Bytes],
        flow: u32,
        turn: &mut Turn,
    ) -> Result<(), SendPacketError> {
        let finished = (transport, payload);
        self.hand_over(interface, header, finished, Meta::default(), flow, turn).unwrap_or_else(|| {
            // No device refuses a frame that is finished.
            self.counters.tx_lost.bump();
            Err(SendPacketError::Lost)
        })
    }

    /// Hands a frame to the device; `None` if it cannot finish it.
    fn hand_over(
        &self,
        interface: usize,
        header: &IpHeader,
        (transport, payload): (&[u8], &[Bytes]),
        meta: Meta,
        flow: u32,
        turn: &mut Turn,
    ) -> Option<Result<(), SendPacketError>> {
        let mut head = HeadBuf::new();
        head.push(header.header_len(), |buf| {
            header.emit(buf);
        });
        let fits = head.extend_from_slice(transport);
        debug_assert!(fits, "a transport header of {} octets", transport.len());
        let frame = TxFrame { head: &mut head, payload, meta, flow };
        let interface = self.interface(interface);
        Some(match interface.tx.try_send(frame, turn) {
            Ok(()) => Ok(()),
            Err(SendError::Full) => Err(SendPacketError::Full),
            Err(SendError::Closed(_)) if self.is_stopped() => Err(SendPacketError::Gone),
            // What reads the device finds out, or another has taken its place: frames inside the old one are lost as well.
            Err(SendError::Closed(_)) => {
                self.counters.tx_lost.bump();
                Err(SendPacketError::Lost)
            }
            Err(SendError::Offload) => {
                interface.refused();
                return None;
            }
            Err(error) => {
                trace!(%error, "packet lost");
                self.counters.tx_lost.bump();
                Err(SendPacketError::Lost)
            }
        })
    }

    /// Sends what the device finishes: a packet that it carries whole, or with `gso` several such, cut by it. `head` is the
    /// transport header with the pseudo-header's sum in its checksum field at the offset given. `None`: the device refuses, and
    /// it has to be finished here.
    pub(crate) fn send_unfinished(
        &self,
        interface: usize,
        outgoing: &Outgoing,
        (head, offset): (&[u8], usize),
        payload: &[Bytes],
        gso: Option<Gso>,
        turn: &mut Turn,
    ) -> Option<Result<(), SendPacketError>> {
        let len = head.len() + payload.iter().map(Bytes::len).sum::<usize>();
        let mut header = header(outgoing, len);
        if !outgoing.dont_fragment && outgoing.src.is_ipv4() {
            header.id = self.fragment_ids.next(outgoing.src, outgoing.dst, outgoing.protocol) as u16;
        }
        // Headers start within 16 bits.
        let checksum = Checksum::Partial { start: header.header_len() as u16, offset: offset as u16 };
        let meta = Meta { checksum, gso };
        if !self.interface(interface).offloads().accept(meta) {
            return None;
        }
        self.hand_over(interface, &header, (head, payload), meta, outgoing.flow, turn)
    }
}

fn header(outgoing: &Outgoing, payload_len: usize) -> IpHeader {
    let mut header = IpHeader::new(outgoing.src, outgoing.dst, outgoing.protocol, payload_len);
    header.hop_limit = outgoing.hop_limit.max(1);
    header.dscp = outgoing.dscp;
    header.ecn = outgoing.ecn;
    header.dont_fragment = outgoing.dont_fragment;
    header.flow_label = outgoing.flow;
    header
}
