//! From the connection to the device: headers are written here, and frames wait here while the device is full.

use std::num::NonZeroU16;
use std::task::Context;

use bytes::Bytes;
use netstack_device::{
    Checksum, Gso, GsoKind, HeadBuf, Meta, Segments, SendError, Turn, TxFrame, complete_checksum, segment,
};
use netstack_tcp::{Instant, MAX_PAYLOAD, Transmit};
use netstack_wire::ip::IpHeader;
use netstack_wire::tcp::{self, TcpFlags};
use netstack_wire::{Protocol, checksum};
use tracing::trace;

use super::Actor;

/// What a turn may send: 32 packets of the wire, or four super-segments. Then ingress has its turn: each write to a TUN
/// device may have put an ACK into a queue that holds a thousand, and ACKs that find it full are what starves flows.
const BURST: u32 = 32;

/// The same where the stack's budget is short: with long turns the first writers would run ahead of the rest.
const LEAST_BURST: u32 = 8;

/// What a super-segment that the device cuts costs of the burst.
const SUPER_SEGMENT: u32 = 8;

/// How far a turn's transmission came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// Everything that may leave now has left.
    All,
    /// The burst is used up.
    More,
    /// The device is full; we stand in its queue.
    Waiting,
    /// The device is gone.
    Gone,
}

/// A frame that is finished but for what the device does, and not sent yet; with the rest of the super-segment that it
/// was cut from.
#[derive(Debug)]
pub(super) struct Held {
    head: HeadBuf,
    payload: Vec<Bytes>,
    meta: Meta,
    rest: Option<Segments<Vec<Bytes>>>,
}

/// What became of one frame.
enum Outcome {
    Sent,
    Full,
    Offload,
    Gone,
}

impl Actor {
    /// Packets that a turn may send: of what the connection may hold unacknowledged a quarter.
    pub(super) fn burst(&self) -> u32 {
        let share = self.shared.inner.budget.send_share();
        let packets = share / (4 * self.connection.effective_mss().max(1));
        u32::try_from(packets).unwrap_or(u32::MAX).clamp(LEAST_BURST, BURST)
    }

    /// Sends what is held and what the connection has, until it has no more or `burst` is used up.
    pub(super) fn transmit(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        payload: &mut Vec<Bytes>,
        burst: &mut u32,
    ) -> Sent {
        loop {
            match self.send_held(cx) {
                Sent::All => {}
                other => return other,
            }
            if *burst == 0 {
                return Sent::More;
            }
            let most =
                if self.cuts() { *burst as usize * self.connection.effective_mss() } else { MAX_PAYLOAD };
            let Some(transmit) = self.connection.poll_transmit(now, payload, most.min(MAX_PAYLOAD)) else {
                self.leave_queue();
                return Sent::All;
            };
            if let Sent::Gone = self.send(&transmit, payload, burst) {
                return Sent::Gone;
            }
        }
    }

    /// Whether super-segments are cut here, for a device that takes none.
    fn cuts(&self) -> bool {
        let tx = self.interface.offloads();
        if self.shared.tuple.local().is_ipv4() { !tx.tso4 } else { !tx.tso6 }
    }

    /// Gives up our place in the device's FIFO.
    pub(super) fn leave_queue(&mut self) {
        if self.turn.has_place() {
            self.interface.tx.leave(&mut self.turn);
            // Whatever it was, it is worth nothing elsewhere.
            self.turn = Turn::new();
        }
    }

    /// Sends one transmission, or holds it, and charges the burst for it.
    fn send(&mut self, transmit: &Transmit, payload: &mut Vec<Bytes>, burst: &mut u32) -> Sent {
        let tuple = self.shared.tuple;
        trace!(
            "{}",
            tcp::Pretty {
                src: tuple.local().ip(),
                dst: tuple.remote().ip(),
                header: &transmit.header,
                payload_len: transmit.payload_len
            }
        );
        // Before the segment leaves: the answer to the window that it announces may come while this turn lasts.
        self.shared.mailbox.set_room(self.connection.right_edge_room());
        let counters = &self.shared.inner.counters;
        counters.tx_segments.bump();
        let mut head = HeadBuf::new();
        let meta = self.emit(transmit, payload, &mut head);
        if meta.gso.is_some() {
            counters.tx_super_segments.bump();
        }
        let accepted = self.interface.offloads().accept(meta);
        let outcome = if accepted { self.try_send(&mut head, payload, meta) } else { Outcome::Offload };
        let cost = match (usize::from(transmit.gso_size), &outcome) {
            (0, _) => 1,
            (size, Outcome::Offload) => transmit.payload_len.div_ceil(size) as u32,
            _ => SUPER_SEGMENT,
        };
        *burst = burst.saturating_sub(cost);
        match outcome {
            Outcome::Sent => return Sent::All,
            Outcome::Gone => return Sent::Gone,
            Outcome::Full => {
                let payload = std::mem::take(payload);
                self.held = Some(Box::new(Held { head, payload, meta, rest: None }));
            }
            Outcome::Offload => self.hold_in_pieces(head, std::mem::take(payload), meta),
        }
        Sent::All
    }

    /// Writes the headers of a transmission; its checksum covers the payload only once somebody finishes it.
    fn emit(&self, transmit: &Transmit, payload: &[Bytes], head: &mut HeadBuf) -> Meta {
        let (src, dst) = (self.shared.tuple.local().ip(), self.shared.tuple.remote().ip());
        let header_len = transmit.header.header_len();
        let mut ip = IpHeader::new(src, dst, Protocol::TCP, header_len + transmit.payload_len);
        ip.hop_limit = transmit.hop_limit;
        ip.dscp = transmit.dscp;
        ip.ecn = transmit.ecn;
        ip.flow_label = self.shared.flow;
        let start = ip.header_len();
        head.push(start, |buf| {
            ip.emit(buf);
        });
        head.push(header_len, |buf| {
            transmit.header.emit(buf);
        });
        let gso = NonZeroU16::new(transmit.gso_size).map(|size| Gso {
            kind: if src.is_ipv4() { GsoKind::Tcp4 } else { GsoKind::Tcp6 },
            size,
            ecn: transmit.header.flags.contains(TcpFlags::CWR),
        });
        let segment = &mut head.as_mut_slice()[start..];
        if payload.is_empty() {
            tcp::write_checksum(src, dst, segment, payload);
            return Meta::default();
        }
        let len = (header_len + transmit.payload_len) as u32;
        let sum = checksum::pseudo_header(src, dst, Protocol::TCP.0, len).fold();
        segment[tcp::CHECKSUM_OFFSET..tcp::CHECKSUM_OFFSET + 2].copy_from_slice(&sum.to_be_bytes());
        // A header starts within 16 bits, as IP headers do.
        let checksum = Checksum::Partial { start: start as u16, offset: tcp::CHECKSUM_OFFSET as u16 };
        Meta { checksum, gso }
    }

    /// Finishes in software what the device cannot, and holds the result for sending.
    fn hold_in_pieces(&mut self, mut head: HeadBuf, payload: Vec<Bytes>, mut meta: Meta) {
        if meta.gso.is_none() {
            if complete_checksum(head.as_mut_slice(), &payload, &mut meta).is_ok() {
                self.held = Some(Box::new(Held { head, payload, meta, rest: None }));
            } else {
                self.shared.inner.counters.tx_lost.bump();
            }
            return;
        }
        match segment(head.as_slice(), payload, meta) {
            Ok(mut rest) => {
                let mut payload = Vec::new();
                if rest.next_into(&mut head, &mut payload) {
                    let meta = Meta::default();
                    self.held = Some(Box::new(Held { head, payload, meta, rest: Some(rest) }));
                }
            }
            Err(_) => self.shared.inner.counters.tx_lost.bump(),
        }
    }

    /// Sends what is held, piece by piece; with the device full, waits in its FIFO.
    fn send_held(&mut self, cx: &mut Context<'_>) -> Sent {
        while let Some(mut held) = self.held.take() {
            match self.try_send(&mut held.head, &held.payload, held.meta) {
                Outcome::Sent => {
                    let Held { head, payload, meta, rest } = &mut *held;
                    *meta = Meta::default();
                    if rest.as_mut().is_some_and(|rest| rest.next_into(head, payload)) {
                        self.held = Some(held);
                    }
                }
                Outcome::Gone => return Sent::Gone,
                Outcome::Offload => self.hold_in_pieces(held.head, held.payload, held.meta),
                Outcome::Full => {
                    self.held = Some(held);
                    if self.interface.tx.poll_ready(cx, &mut self.turn).is_pending() {
                        return Sent::Waiting;
                    }
                }
            }
        }
        Sent::All
    }

    /// Offers one frame to the device. Unless it was sent, `head` is as it was.
    fn try_send(&mut self, head: &mut HeadBuf, payload: &[Bytes], meta: Meta) -> Outcome {
        let len = head.len();
        let inner = &self.shared.inner;
        let frame = TxFrame { head, payload, meta, flow: self.shared.flow };
        let interface = &self.interface;
        let result = interface.tx.try_send(frame, &mut self.turn);
        let outcome = match result {
            Ok(()) => return Outcome::Sent,
            Err(SendError::Lost(error)) => {
                trace!(%error, "frame lost");
                inner.counters.tx_lost.bump();
                return Outcome::Sent;
            }
            Err(SendError::Full) => Outcome::Full,
            Err(SendError::Offload) => {
                interface.refused();
                Outcome::Offload
            }
            Err(SendError::Closed(error)) => {
                inner.device_lost(self.shared.interface(), &interface.signal, &error);
                inner.counters.tx_lost.bump();
                // The next turn finds what there is instead, if the stack goes on without it.
                return if inner.is_stopped() { Outcome::Gone } else { Outcome::Sent };
            }
            Err(error) => {
                trace!(%error, "frame not sent");
                inner.counters.tx_lost.bump();
                return Outcome::Sent;
            }
        };
        // The device may have written its own header in front.
        let added = head.len() - len;
        if added > 0 {
            let mut restored = HeadBuf::new();
            restored.extend_from_slice(&head.as_slice()[added..]);
            *head = restored;
        }
        outcome
    }
}
