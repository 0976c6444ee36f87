//! The receiving half: sequence space, reassembly, the announced window, what is owed in ACKs.

mod ack;
mod assembler;
#[cfg(test)]
mod tests;
mod tuning;

use core::mem;
use core::time::Duration;
use std::collections::VecDeque;

use bytes::Bytes;
use netstack_wire::SeqNum;
use netstack_wire::tcp::{SackBlock, SackBlocks};

pub(crate) use ack::AckPolicy;

use crate::config::TcpConfig;
use crate::time::Instant;
use assembler::{Assembler, detached};
use tuning::{Arrived, Tuning};

/// Receive sequence space and what goes with it (RFC 9293 3.3.1).
///
/// ```text
///   delivered     nxt                      adv
///   | unread, ready |  announced window     |
/// ```
#[derive(Debug)]
pub(crate) struct RecvHalf {
    /// IRS: the peer's initial sequence number.
    pub(crate) irs: SeqNum,
    /// RCV.NXT: next expected.
    pub(crate) nxt: SeqNum,
    /// The highest right edge ever announced: RCV.NXT + RCV.WND, and never moved left (SHLD-14).
    pub(crate) adv: SeqNum,
    /// RCV.UP: one above the last urgent octet.
    pub(crate) urgent: Option<SeqNum>,
    /// Where the peer's FIN stands, once it was seen inside the window.
    pub(crate) fin: Option<SeqNum>,
    /// Octets received in order, the stream offset that belongs to `nxt` (FIN not counted).
    offset: u64,
    /// In order, and not yet fetched by the owner.
    ready: Ready,
    ready_len: u32,
    /// Fetched by the owner, and not yet consumed by the application.
    unread: u32,
    /// What the owner allows of the buffer.
    limit: u32,
    tuning: Tuning,
    out_of_order: Option<Box<Assembler>>,
    /// A duplicate to report in the next ACK (RFC 2883).
    dsack: Option<SackBlock>,
    pub(crate) ack: AckPolicy,
    /// TS.Recent (RFC 7323 4.3).
    pub(crate) ts_recent: u32,
    /// When TS.Recent was set (R7323-18).
    pub(crate) ts_recent_at: Instant,
    /// Last.ACK.sent (RFC 7323 4.3).
    pub(crate) last_ack_sent: SeqNum,
    /// The largest payload of one segment seen, an estimate of the peer's send MSS.
    pub(crate) mss: u16,
}

/// Pieces in order. The owner fetches after each segment, so that several wait only where a gap was filled; an idle connection
/// holds no storage. Boxed, as the whole then has the size of a piece, in each connection.
#[derive(Debug)]
enum Ready {
    /// One piece, or none: then it is empty.
    One(Bytes),
    Several(Box<Pieces>),
}

#[derive(Debug)]
struct Pieces(VecDeque<Bytes>);

impl Default for Ready {
    fn default() -> Self {
        Self::One(Bytes::new())
    }
}

impl Ready {
    /// Puts a piece that is not empty behind the others.
    fn push(&mut self, piece: Bytes) {
        match self {
            Self::One(first) if first.is_empty() => *first = piece,
            Self::One(first) => {
                let both = VecDeque::from([mem::take(first), piece]);
                *self = Self::Several(Box::new(Pieces(both)));
            }
            Self::Several(pieces) => pieces.0.push_back(piece),
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        match self {
            Self::One(first) => Some(mem::take(first)).filter(|piece| !piece.is_empty()),
            Self::Several(pieces) => {
                let piece = pieces.0.pop_front();
                if pieces.0.is_empty() {
                    *self = Self::default();
                }
                piece
            }
        }
    }
}

/// What became of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    /// It followed in order; `filled` when it closed a gap, in whole or in part.
    InOrder { filled: bool },
    /// It was kept, or known already, or had to be given up: an ACK tells the peer what is missing.
    OutOfOrder,
}

impl RecvHalf {
    pub(crate) fn new(config: &TcpConfig) -> Self {
        Self {
            irs: SeqNum(0),
            nxt: SeqNum(0),
            adv: SeqNum(0),
            urgent: None,
            fin: None,
            offset: 0,
            ready: Ready::default(),
            ready_len: 0,
            unread: 0,
            limit: u32::MAX,
            tuning: Tuning::new(config),
            out_of_order: None,
            dsack: None,
            ack: AckPolicy::new(config.quick_acks),
            ts_recent: 0,
            ts_recent_at: Instant::ZERO,
            last_ack_sent: SeqNum(0),
            mss: 536,
        }
    }

    /// The peer's SYN is known.
    pub(crate) fn start(&mut self, irs: SeqNum) {
        self.irs = irs;
        self.nxt = irs + 1;
        self.adv = self.nxt;
        self.last_ack_sent = self.nxt;
    }

    /// RCV.WND as the peer may know it: octets below the highest edge announced.
    pub(crate) fn window(&self) -> u32 {
        self.adv.distance_from(self.nxt)
    }

    /// The window field that repeats what was announced.
    pub(crate) fn window_field(&self, shift: u8) -> u16 {
        (self.window() >> shift).min(0xffff) as u16
    }

    /// Octets the application has yet to consume.
    pub(crate) fn buffered(&self) -> u32 {
        self.ready_len + self.unread
    }

    /// Octets the application has consumed.
    pub(crate) fn consumed(&self) -> u64 {
        self.offset.saturating_sub(self.buffered().into())
    }

    /// Takes `data`, from a frame of `frame` octets of text, at `seq`, which lies in the window and not below `nxt`; the copy
    /// of what is there already is dropped.
    pub(crate) fn insert(&mut self, seq: SeqNum, data: Bytes, frame: usize) -> Text {
        if seq == self.nxt && self.out_of_order.is_none() {
            self.deliver(detached(data, frame));
            return Text::InOrder { filled: false };
        }
        let at = self.offset + u64::from(seq.distance_from(self.nxt));
        let budget = if self.limit == 0 { 0 } else { 2 * self.buffer() as usize };
        if seq != self.nxt {
            let inserted = self.out_of_order.get_or_insert_default().insert(at, &data, frame, budget);
            if let Some((left, right)) = inserted.duplicate {
                self.report_duplicate(self.seq_at(left), self.seq_at(right));
            }
            self.out_of_order.take_if(|held| held.is_empty());
            return Text::OutOfOrder;
        }
        self.fill(detached(data, frame));
        Text::InOrder { filled: true }
    }

    /// In-order `data` arrives while later octets are held.
    fn fill(&mut self, data: Bytes) {
        let (start, end) = (self.offset, self.offset + data.len() as u64);
        self.deliver(data);
        let Some(mut held) = self.out_of_order.take() else { return };
        if let Some((left, right)) = held.overlap((start, end)) {
            self.report_duplicate(self.seq_at(left), self.seq_at(right));
        }
        let mut pieces = VecDeque::new();
        let base = self.offset;
        let ready_to = held.take_ready(base, |piece| pieces.push_back(piece));
        debug_assert!(ready_to >= end, "octets in order stay in order");
        for piece in pieces {
            self.deliver(piece);
        }
        if !held.is_empty() {
            self.out_of_order = Some(held);
        }
    }

    fn deliver(&mut self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        let len = data.len() as u32;
        self.nxt += len;
        self.offset += u64::from(len);
        self.ready_len += len;
        self.ready.push(data);
    }

    /// The next piece in order, for the owner to hand to the application.
    pub(crate) fn fetch(&mut self) -> Option<Bytes> {
        let data = self.ready.pop()?;
        self.ready_len -= data.len() as u32;
        self.unread += data.len() as u32;
        Some(data)
    }

    pub(crate) fn set_unread(&mut self, octets: u32) {
        self.unread = octets;
        self.tuning.on_read(self.buffered());
        if self.urgent_remaining() == 0 {
            self.urgent = None;
        }
    }

    /// Bounds what may wait for the application below what is configured; with 0 nothing is kept out of order.
    pub(crate) fn set_limit(&mut self, octets: u32) {
        self.limit = octets;
    }

    /// Gives up what came out of order: the peer still has it (RFC 2018 8). Whether there was any.
    pub(crate) fn discard_out_of_order(&mut self) -> bool {
        self.dsack = None;
        self.out_of_order.take().is_some()
    }

    /// Octets of memory that hold what came out of order.
    pub(crate) fn out_of_order_memory(&self) -> usize {
        self.out_of_order.as_deref().map_or(0, Assembler::memory)
    }

    /// Drops all data, in order or not.
    pub(crate) fn clear(&mut self) {
        self.ready = Ready::default();
        self.ready_len = 0;
        self.out_of_order = None;
    }

    /// One above the highest octet received, in order or not.
    pub(crate) fn highest(&self) -> SeqNum {
        self.out_of_order.as_deref().and_then(Assembler::end).map_or(self.nxt, |end| self.seq_at(end))
    }

    /// Whether `fin` is the next thing in the stream; then steps over it.
    pub(crate) fn take_fin(&mut self) -> bool {
        let next = self.fin == Some(self.nxt);
        if next {
            self.nxt += 1;
            if self.adv.before(self.nxt) {
                self.adv = self.nxt;
            }
            // Whatever was held lies above the FIN and contradicts it.
            self.out_of_order = None;
        }
        next
    }

    /// Octets from what the application reads next to the end of urgent data (MUST-33).
    pub(crate) fn urgent_remaining(&self) -> u32 {
        let read_to = self.nxt - self.buffered();
        self.urgent.filter(|up| up.after(read_to)).map_or(0, |up| up.distance_from(read_to))
    }

    // ---- The announced window ----

    /// Octets that may wait for the application now. Two segments always may, lest the peer wait for good.
    pub(crate) fn buffer(&self) -> u32 {
        self.tuning.size().min(self.limit.max(2 * u32::from(self.mss)))
    }

    /// The round trip as the receiving half sees it.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.tuning.rtt()
    }

    /// Text arrived in order: the buffer may grow (R7323-4 bounds what it can announce).
    pub(crate) fn tune(
        &mut self,
        now: Instant,
        echo: Option<(u32, Duration)>,
        srtt: Option<Duration>,
        config: &TcpConfig,
    ) {
        if !config.recv_tuned {
            return;
        }
        let arrived = Arrived {
            now,
            nxt: self.nxt,
            window: self.window(),
            mss: u32::from(self.mss),
            consumed: self.consumed() as u32,
            echo,
            srtt,
        };
        // Where the owner is short of memory nothing grows.
        self.tuning.on_text(&arrived, config.recv_buffer.min(self.limit));
    }

    /// The right edge that the buffer allows, before silly-window avoidance.
    fn wanted_edge(&self, shift: u8) -> SeqNum {
        let free = self.buffer().saturating_sub(self.buffered());
        self.nxt + free.min(0xffff << shift)
    }

    /// What the edge has to gain before it moves (MUST-39).
    fn worthwhile(&self) -> u32 {
        (self.buffer() / 2).min(u32::from(self.mss))
    }

    fn edge_gain(&self, shift: u8) -> u32 {
        let wanted = self.wanted_edge(shift);
        if wanted.after(self.adv) { wanted.distance_from(self.adv) } else { 0 }
    }

    /// The window field for a segment that leaves now, and the promise that goes with it.
    pub(crate) fn announce(&mut self, shift: u8) -> u16 {
        let gain = self.edge_gain(shift);
        let edge = if gain >= self.worthwhile() { self.adv + gain } else { self.adv };
        // Rounded down: the field never promises more than there is (R7323-4); `adv` keeps the true edge.
        let field = (edge.distance_from(self.nxt) >> shift).min(0xffff);
        let announced = self.nxt + (field << shift);
        if announced.after(self.adv) {
            self.adv = announced;
        }
        field as u16
    }

    /// Whether the application has read so much that the peer should hear of it without waiting for its next segment:
    /// two segments, or half of the buffer.
    pub(crate) fn update_is_due(&self, shift: u8) -> bool {
        // What rounding takes away (R7323-4) the peer would not hear of, and the update would be due for ever.
        let told = || self.wanted_edge(shift).distance_from(self.nxt) >> shift << shift;
        self.edge_gain(shift) >= self.update_threshold() && told() > self.window()
    }

    /// The gain that is worth a segment of its own: where the peer may be waiting, as little as silly-window avoidance
    /// allows; else a quarter of the buffer.
    fn update_threshold(&self) -> u32 {
        let least = self.worthwhile();
        if self.window() < 2 * u32::from(self.mss) { least } else { least.max(self.buffer() / 4) }
    }

    /// The level of unread octets at which a window update becomes due; `None` while none can.
    pub(crate) fn update_below(&self, shift: u8) -> Option<u32> {
        let window = self.window();
        let told = (window + 1).next_multiple_of(1 << shift);
        let needed = (window + self.update_threshold()).max(told);
        if needed > self.buffer().min(0xffff << shift) {
            return None;
        }
        // The edge gains enough once what is buffered leaves room for the window and the threshold.
        let level = self.buffer() - needed;
        (self.buffered() > level).then(|| level.saturating_sub(self.ready_len))
    }

    // ---- SACK ----

    /// A range arrived again: the next ACK says so, where SACK is agreed on (R2883-1).
    pub(crate) fn report_duplicate(&mut self, left: SeqNum, right: SeqNum) {
        if self.dsack.is_none() && left != right {
            self.dsack = Some(SackBlock { left, right });
        }
    }

    /// The blocks for the next ACK, at most `room` of them; a reported duplicate leaves with it (R2018-3 to R2018-6).
    pub(crate) fn take_sack_blocks(&mut self, room: usize) -> SackBlocks {
        let mut blocks = SackBlocks::default();
        let held = self.out_of_order.as_deref();
        let mut around = None;
        if let Some(duplicate) = self.dsack.take() {
            blocks.push(duplicate);
            // R2883-2: a duplicate above the ACK is followed by the block that holds it.
            if duplicate.left.after(self.nxt) {
                let at = |seq: SeqNum| self.offset + u64::from(seq.distance_from(self.nxt));
                around = held.and_then(|held| held.run_around((at(duplicate.left), at(duplicate.right))));
            }
        }
        let others = held.into_iter().flat_map(Assembler::blocks).filter(|block| around != Some(*block));
        for (left, right) in around.into_iter().chain(others) {
            if blocks.len() >= room {
                break;
            }
            blocks.push(SackBlock { left: self.seq_at(left), right: self.seq_at(right) });
        }
        blocks
    }

    /// Whether an ACK that leaves now carries SACK blocks.
    pub(crate) fn has_sack_blocks(&self) -> bool {
        self.dsack.is_some() || self.out_of_order.is_some()
    }

    /// The sequence number of a stream offset at or above `nxt`.
    fn seq_at(&self, offset: u64) -> SeqNum {
        self.nxt + offset.wrapping_sub(self.offset) as u32
    }
}
