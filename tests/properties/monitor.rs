//! Watches a case from outside: the invariants of the wire, and what the case has met.

use netstack_sim::Fate;
use netstack_sim::heap::{EndId, Endpoint, Observer, Open, Side};
use netstack_tcp::{Instant, Segment, State};
use netstack_wire::SeqNum;
use netstack_wire::tcp::TcpFlags;

use crate::pattern::Pattern;

/// Situations that enough cases must meet for the run to mean something.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    Rto,
    FastRetransmit,
    ZeroWindow,
    SequenceWrap,
    SimultaneousOpen,
    SimultaneousClose,
    ReorderedFin,
}

impl Met {
    pub(crate) const ALL: [Self; 7] = [
        Self::Rto,
        Self::FastRetransmit,
        Self::ZeroWindow,
        Self::SequenceWrap,
        Self::SimultaneousOpen,
        Self::SimultaneousClose,
        Self::ReorderedFin,
    ];
}

#[derive(Debug)]
pub(crate) struct Monitor {
    halves: [Half; 2],
    met: [bool; Met::ALL.len()],
    fault: Option<String>,
}

/// What has been seen of one end.
#[derive(Debug)]
struct Half {
    pattern: Pattern,
    /// Its SYN, once sent: sequence number and window scale offered.
    syn: Option<(SeqNum, Option<u8>)>,
    /// One past the highest sequence number sent.
    max: SeqNum,
    /// The furthest right edge that it has announced.
    edge: Option<SeqNum>,
    /// The furthest right edge that has reached it.
    peer_edge: Option<SeqNum>,
    /// The highest ACK that has reached it.
    una: SeqNum,
    /// `max` when it last retransmitted on a timer; what it repeats below is not a fast retransmission.
    recover: SeqNum,
    /// This turn: was a segment handled, and was it a FIN.
    arrived: bool,
    arrived_fin: bool,
}

impl Half {
    fn new(side: Side) -> Self {
        Self {
            pattern: Pattern::of(side),
            syn: None,
            max: SeqNum(0),
            edge: None,
            peer_edge: None,
            una: SeqNum(0),
            recover: SeqNum(0),
            arrived: false,
            arrived_fin: false,
        }
    }
}

impl Monitor {
    pub(crate) fn new() -> Self {
        Self { halves: [Half::new(Side::A), Half::new(Side::B)], met: [false; 7], fault: None }
    }

    /// The first broken invariant.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    pub(crate) fn has_met(&self, met: Met) -> bool {
        self.met[met as usize]
    }

    fn meet(&mut self, met: Met) {
        self.met[met as usize] = true;
    }

    fn check(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds && self.fault.is_none() {
            self.fault = Some(fault());
        }
    }

    /// The shift of the window field in `segment` of `from`.
    fn shift(&self, from: Side, segment: &Segment) -> u8 {
        let scales =
            [from, from.other()].map(|side| self.halves[side as usize].syn.and_then(|(_, scale)| scale));
        match scales {
            [Some(own), Some(_)] if !segment.header.flags.contains(TcpFlags::SYN) => own.min(14),
            _ => 0,
        }
    }

    /// The right edge that `segment` of `from` announces.
    fn right_edge(&self, from: Side, segment: &Segment) -> SeqNum {
        segment.header.ack + (u32::from(segment.header.window) << self.shift(from, segment))
    }

    fn sent_ack(&mut self, from: Side, segment: &Segment) {
        let header = &segment.header;
        let edge = self.right_edge(from, segment);
        let peer_max = self.halves[from.other() as usize].max;
        let last = self.halves[from as usize].edge.unwrap_or(edge);
        self.halves[from as usize].edge = Some(last.max(edge));
        // A scaled field is rounded down (RFC 7323 2.4), by more than that the edge must not fall back; and the field of
        // a SYN, never scaled, cannot say more than 64 KiB.
        let rounding = (1 << self.shift(from, segment)) - 1;
        let syn = header.flags.contains(TcpFlags::SYN);
        self.check(syn || (edge + rounding).after_eq(last), || {
            format!("{from} moved its right edge left, from {last:?} to {edge:?}")
        });
        self.check(header.ack.before_eq(peer_max), || {
            format!("{from} acknowledged {:?}, the peer has sent up to {peer_max:?}", header.ack)
        });
        if header.window == 0 && !header.flags.contains(TcpFlags::SYN) {
            self.meet(Met::ZeroWindow);
        }
    }

    fn sent_text(&mut self, from: Side, segment: &Segment) {
        let seq = segment.header.seq;
        let end = seq + segment.payload.len() as u32;
        let half = &self.halves[from as usize];
        let Some((iss, _)) = half.syn else { return };
        let (max, peer_edge, arrived) = (half.max, half.peer_edge, half.arrived);
        let offset = u64::from(seq.distance_from(iss + 1));
        let wrong = half.pattern.mismatch(offset, &segment.payload);
        let (una, recover) = (half.una, half.recover);
        self.check(wrong.is_none(), || format!("{from} sent a wrong byte at offset {wrong:?}"));
        self.check(seq.before_eq(max), || format!("{from} left a hole between {max:?} and {seq:?}"));
        let probe = segment.payload.len() == 1 && peer_edge == Some(seq);
        self.check(probe || peer_edge.is_some_and(|edge| end.before_eq(edge)), || {
            format!("{from} sent up to {end:?}, beyond the right edge {peer_edge:?} that has reached it")
        });
        if end.0 < iss.0 {
            self.meet(Met::SequenceWrap);
        }
        let again = end.before_eq(max) && una.before(end);
        if again && !probe && !arrived {
            self.meet(Met::Rto);
            self.halves[from as usize].recover = max;
        } else if again && arrived && una.after_eq(recover) {
            self.meet(Met::FastRetransmit);
        }
    }

    /// While anything is unacknowledged a deadline is armed (design: invariants of the core; pitfall 21).
    fn deadline(&mut self, side: Side, endpoint: &Endpoint) {
        let Some(connection) = endpoint.connection() else { return };
        let waits = match connection.state() {
            State::SynSent | State::SynReceived | State::FinWait1 | State::Closing | State::LastAck => true,
            _ => connection.send_queued() > 0,
        };
        self.check(!waits || connection.poll_timeout().is_some(), || {
            format!(
                "{side} waits in {:?} with {} bytes queued and no timer",
                connection.state(),
                connection.send_queued()
            )
        });
    }
}

impl Observer for Monitor {
    fn sent(&mut self, _now: Instant, from: EndId, _hops: usize, segment: &Segment, _fate: Fate) {
        let from = from.side;
        let header = &segment.header;
        if header.flags.contains(TcpFlags::RST) {
            return;
        }
        let half = &mut self.halves[from as usize];
        if header.flags.contains(TcpFlags::SYN) && half.syn.is_none() {
            half.syn = Some((header.seq, header.options.window_scale));
            (half.max, half.una, half.recover) = (header.seq, header.seq, header.seq);
        }
        if header.flags.contains(TcpFlags::ACK) {
            self.sent_ack(from, segment);
        }
        if !segment.payload.is_empty() {
            self.sent_text(from, segment);
        }
        let half = &mut self.halves[from as usize];
        half.max = half.max.max(header.seq + segment.len());
    }

    fn arrived(&mut self, _now: Instant, at: EndId, segment: &Segment) {
        let at = at.side;
        let header = &segment.header;
        let half = &mut self.halves[at as usize];
        half.arrived = true;
        half.arrived_fin = header.flags.contains(TcpFlags::FIN);
        if !header.flags.contains(TcpFlags::ACK) || header.flags.contains(TcpFlags::RST) {
            return;
        }
        let edge = self.right_edge(at.other(), segment);
        let half = &mut self.halves[at as usize];
        half.peer_edge = Some(half.peer_edge.map_or(edge, |last| last.max(edge)));
        if half.syn.is_some() {
            half.una = half.una.max(header.ack);
        }
    }

    fn turned(&mut self, _now: Instant, end: EndId, endpoint: &Endpoint) {
        let side = end.side;
        let state = endpoint.state();
        let half = &mut self.halves[side as usize];
        let fin_waits = half.arrived_fin && !endpoint.peer_closed();
        half.arrived = false;
        half.arrived_fin = false;
        if fin_waits && state.is_some_and(State::is_synchronized) {
            self.meet(Met::ReorderedFin);
        }
        if state == Some(State::SynReceived) && matches!(endpoint.config().open, Open::Active(_)) {
            self.meet(Met::SimultaneousOpen);
        }
        if state == Some(State::Closing) {
            self.meet(Met::SimultaneousClose);
        }
        self.deadline(side, endpoint);
    }
}
