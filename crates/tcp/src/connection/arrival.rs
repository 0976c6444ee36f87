//! SEGMENT ARRIVES in the synchronized states: the steps of RFC 9293 3.10.7.4 in their order, PAWS before them (RFC 7323
//! 5.3). Each step says whether the segment goes on to the next.

use core::ops::ControlFlow;
use core::time::Duration;

use bytes::Bytes;
use netstack_wire::tcp::TcpFlags;
use netstack_wire::{Ecn, SeqNum};

use super::Connection;
use crate::event::EventSet;
use crate::recv::Text;
use crate::segment::Segment;
use crate::state::{CloseReason, IcmpNotice, State};
use crate::time::Instant;
use crate::time_wait::TimeWaitAction;
use crate::timer::Timer;

/// TS.Recent may be older than half the timestamp space after this much silence (R7323-18).
const TS_RECENT_LIFETIME: Duration = Duration::from_secs(24 * 24 * 3600);

impl Connection {
    /// A segment arrived at `now`, the time at which the device was read. Its checksum is good, and it belongs to this
    /// connection.
    pub fn handle_segment(&mut self, now: Instant, mut seg: Segment) {
        self.stats.segments_received += u64::from(seg.wire_segments());
        let owed = self.rcv.ack.owed();
        let frame = seg.payload.len();
        // Each step's verdict matters to the steps after it only.
        let _ = match self.state {
            State::Closed => return,
            State::SynSent => match self.arrive_in_syn_sent(now, &mut seg) {
                ControlFlow::Continue(()) => self.arrive_text(now, seg, frame),
                done => done,
            },
            State::TimeWait => {
                self.arrive_in_time_wait(now, &seg);
                ControlFlow::Break(())
            }
            _ => self.arrive(now, seg, frame),
        };
        self.rcv.ack.limit(owed.saturating_add(1));
        self.check_invariants();
    }

    /// An ICMP error arrived that quotes the segment `seq` of this connection. It counts only while that segment is in
    /// flight (RFC 5927 4.1); then a hard one ends an attempt to connect (SHLD-26), and any other is remembered as the
    /// reason for a silence (MUST-47, MUST-56).
    pub fn handle_icmp(&mut self, seq: SeqNum, notice: IcmpNotice) {
        let in_flight = !seq.before(self.snd.una) && seq.before(self.snd.max);
        if !in_flight || self.state == State::Closed {
            return;
        }
        if self.state == State::SynSent && notice.is_hard() {
            self.finish(CloseReason::Unreachable(notice));
        } else if self.config.soft_errors {
            self.soft_error = Some(notice);
        }
    }

    fn arrive(&mut self, now: Instant, mut seg: Segment, frame: usize) -> ControlFlow<()> {
        // As it came: what finds no room in the window is text all the same (R5681-11).
        let bare = seg.is_empty();
        self.check_paws(now, &seg)?;
        self.check_syn(now, &mut seg)?;
        let seq = seg.header.seq;
        self.check_sequence(now, &mut seg)?;
        self.check_reset(now, &seg)?;
        // Cut to the window; what was rescued for its ACK still begins below.
        let acceptable = !seg.header.seq.before(self.rcv.nxt);
        self.check_ack(now, &seg, bare)?;
        if acceptable {
            self.update_ts_recent(now, seq, &seg);
        }
        self.arrive_text(now, seg, frame)
    }

    /// The steps behind the ACK: URG, text, FIN. The segment came with `frame` octets of text.
    fn arrive_text(&mut self, now: Instant, mut seg: Segment, frame: usize) -> ControlFlow<()> {
        self.take_congestion_mark(&seg);
        if !self.state.takes_text() {
            if !seg.is_empty() {
                // S-TEXT-2: what follows the peer's FIN is not taken; the ACK says where the stream ended.
                self.rcv.ack.owe_one();
            }
            return ControlFlow::Break(());
        }
        self.process_urgent(&seg);
        let fin = seg.has(TcpFlags::FIN).then(|| seg.header.seq + seg.payload.len() as u32);
        self.process_text(now, &mut seg, frame)?;
        self.process_fin(now, fin)
    }

    fn arrive_in_time_wait(&mut self, now: Instant, seg: &Segment) {
        let Some(mut record) = self.time_wait() else { return };
        // A SYN that may reopen the tuple is the business of the table that holds the records; here it is old news.
        match record.handle_segment(now, seg) {
            // The record of a moment knows of no earlier answer: the challenges are counted instead (R5961-8).
            TimeWaitAction::Reply(_) if seg.is_empty() => self.challenge(now),
            TimeWaitAction::Reply(_) | TimeWaitAction::Reopen { .. } => self.rcv.ack.owe_one(),
            TimeWaitAction::Ignore => {}
        }
        self.timers.set(Timer::Lifetime, record.expires_at());
    }

    /// RFC 7323 5.3, R1. A segment without the option passes (R7323-9, declined as Linux does), and so does a RST
    /// (R7323-17).
    fn check_paws(&mut self, now: Instant, seg: &Segment) -> ControlFlow<()> {
        let Some(ts) = seg.header.options.timestamps.filter(|_| self.agreed.timestamps) else {
            return ControlFlow::Continue(());
        };
        if seg.has(TcpFlags::RST) {
            return ControlFlow::Continue(());
        }
        let age = ts.val.wrapping_sub(self.rcv.ts_recent) as i32;
        if age < 0 && now - self.rcv.ts_recent_at < TS_RECENT_LIFETIME {
            self.stats.rare().paws_rejected += 1;
            self.answer_unacceptable(now, seg);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// R7323-12: `seg`, which began at `seq` when it came, spans Last.ACK.sent and passed the checks before. Not earlier: a
    /// forged segment from outside the window would make PAWS refuse the true peer.
    pub(super) fn update_ts_recent(&mut self, now: Instant, seq: SeqNum, seg: &Segment) {
        let Some(ts) = seg.header.options.timestamps.filter(|_| self.agreed.timestamps) else { return };
        if !seq.after(self.rcv.last_ack_sent) {
            self.rcv.ts_recent = ts.val;
            self.rcv.ts_recent_at = now;
        }
    }

    /// Fourth: SYN. In a synchronized state it earns a challenge ACK, wherever its sequence number lies (R5961-4,
    /// S-SYN-2); so it stands before the sequence check.
    fn check_syn(&mut self, now: Instant, seg: &mut Segment) -> ControlFlow<()> {
        if !seg.has(TcpFlags::SYN) || seg.has(TcpFlags::RST) {
            return ControlFlow::Continue(());
        }
        if self.state == State::SynReceived {
            return self.syn_in_syn_received(now, seg);
        }
        self.challenge(now);
        ControlFlow::Break(())
    }

    /// First: sequence number (S-SEQ-1 to S-SEQ-7). `adv` is R, the highest right edge ever announced.
    fn check_sequence(&mut self, now: Instant, seg: &mut Segment) -> ControlFlow<()> {
        let (seq, nxt, edge) = (seg.header.seq, self.rcv.nxt, self.rcv.adv);
        let end = seq + seg.len();
        // A FIN needs no room: alone it is acceptable where an empty segment is.
        let acceptable = if seg.payload.is_empty() {
            seq.after_eq(nxt) && seq.before_eq(edge)
        } else {
            end.after(nxt) && seq.before(edge)
        };
        if acceptable {
            self.last_received = now;
            self.keepalive_probes = 0;
            if !seg.has(TcpFlags::RST) {
                // A RST counts by its own sequence number, whatever text it carries.
                self.trim(seg);
            }
            return ControlFlow::Continue(());
        }
        if seg.has(TcpFlags::RST) {
            // S-SEQ-6, but for a RST at RCV.NXT whose text finds the window closed (MUST-66).
            return if seq == nxt { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
        }
        self.stats.rare().unacceptable += 1;
        if seq.before(nxt) {
            self.rcv.report_duplicate(seq, seq + seg.payload.len() as u32);
            self.answer_unacceptable(now, seg);
            return self.rescue_ack(seg);
        }
        // Above the edge only: its ACK, window and URG still count, its text does not (S-SEQ-2, S-SEQ-3); unless it lies so far
        // above that it is a guess.
        self.answer_unacceptable(now, seg);
        if seq.distance_from(edge) > self.config.recv_buffer {
            return ControlFlow::Break(());
        }
        seg.payload = Bytes::new();
        seg.header.flags = seg.header.flags.without(TcpFlags::FIN);
        // R3168-10
        seg.ecn = Ecn::NotEct;
        self.last_received = now;
        ControlFlow::Continue(())
    }

    /// A segment from just below the window: dropped (S-SEQ-5), unless its ACK is news. Two ends whose window probes crossed
    /// while both windows opened each send from one below what the other expects; if neither read the other's ACK, both
    /// would repeat their probe for ever.
    fn rescue_ack(&mut self, seg: &mut Segment) -> ControlFlow<()> {
        let age = self.rcv.nxt.distance_from(seg.header.seq);
        let news = seg.has(TcpFlags::ACK) && seg.header.ack.after(self.snd.una);
        if !news || !self.state.is_synchronized() || age > self.config.recv_buffer {
            return ControlFlow::Break(());
        }
        seg.payload = Bytes::new();
        seg.header.flags = seg.header.flags.without(TcpFlags::FIN | TcpFlags::URG);
        seg.ecn = Ecn::NotEct;
        ControlFlow::Continue(())
    }

    /// `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>` for a segment that is not acceptable (S-SEQ-5). One with text is a
    /// retransmission whose sender waits for us; the rest may be noise, and is throttled (R5961-8).
    fn answer_unacceptable(&mut self, now: Instant, seg: &Segment) {
        if seg.payload.is_empty() && !seg.has(TcpFlags::FIN) {
            self.challenge(now);
        } else {
            self.rcv.ack.owe();
        }
    }

    /// Cuts off what lies outside the window (S-SEQ-7).
    pub(super) fn trim(&mut self, seg: &mut Segment) {
        let (seq, nxt, edge) = (seg.header.seq, self.rcv.nxt, self.rcv.adv);
        if seg.payload.is_empty() {
            return;
        }
        if seq.before(nxt) {
            let known = nxt.distance_from(seq).min(seg.payload.len() as u32);
            self.rcv.report_duplicate(seq, seq + known);
            seg.payload = seg.payload.slice(known as usize..);
            seg.skip(known);
            // The sender waits for an ACK that got lost.
            self.rcv.ack.owe_one();
        }
        let room = edge.distance_from(seg.header.seq) as usize;
        if seg.payload.len() > room {
            seg.payload.truncate(room);
            seg.header.flags = seg.header.flags.without(TcpFlags::FIN);
            self.rcv.ack.owe_one();
        }
    }

    /// Second: RST (RFC 5961 3.2).
    fn check_reset(&mut self, now: Instant, seg: &Segment) -> ControlFlow<()> {
        if !seg.has(TcpFlags::RST) {
            return ControlFlow::Continue(());
        }
        if seg.header.seq != self.rcv.nxt {
            // R5961-3 inside the window, R5961-1 below it and at its edge.
            if seg.header.seq.after(self.rcv.nxt) && seg.header.seq.before(self.rcv.adv) {
                self.challenge(now);
            }
            return ControlFlow::Break(());
        }
        // S-RST-1 to S-RST-4
        let reason = match self.state {
            State::SynReceived if !self.passive => CloseReason::Refused,
            _ => CloseReason::Reset,
        };
        self.finish(reason);
        ControlFlow::Break(())
    }

    /// An ACK that makes a real peer show itself, by this connection's own allowance (RFC 5961 7).
    pub(super) fn challenge(&mut self, now: Instant) {
        // Numbers that nobody but the peer knows.
        let secret = u64::from(self.ts_offset) << 32 | u64::from(self.snd.iss.0);
        self.rcv.ack.take_challenge(now, self.config.challenge_acks, secret);
    }

    /// Sixth: URG (S-URG-1, MUST-31, MUST-62).
    fn process_urgent(&mut self, seg: &Segment) {
        if !seg.has(TcpFlags::URG) {
            return;
        }
        let up = seg.header.seq + u32::from(seg.header.urgent);
        let read_to = self.rcv.nxt;
        if up.after(read_to) && self.rcv.urgent.is_none_or(|known| up.after(known)) {
            self.rcv.urgent = Some(up);
            self.events.raise(EventSet::URGENT);
        }
    }

    /// Seventh: text (S-TEXT-1), which is taken out of `seg`.
    pub(super) fn process_text(&mut self, now: Instant, seg: &mut Segment, frame: usize) -> ControlFlow<()> {
        if seg.payload.is_empty() {
            return ControlFlow::Continue(());
        }
        if self.orphaned {
            // SHLD-3: nobody is left to read it.
            self.abort();
            return ControlFlow::Break(());
        }
        let (seq, segments) = (seg.header.seq, seg.wire_segments());
        let mut data = core::mem::take(&mut seg.payload);
        if let Some(fin) = self.rcv.fin {
            // Text above a FIN that was seen contradicts it.
            if !seq.before(fin) {
                return ControlFlow::Break(());
            }
            data.truncate(fin.distance_from(seq) as usize);
        }
        let octets = data.len() as u32;
        let largest = if seg.gso_size == 0 { data.len() } else { usize::from(seg.gso_size) };
        self.rcv.mss = self.rcv.mss.max(largest.min(usize::from(self.path_mss)) as u16);
        let before = self.rcv.nxt;
        match self.rcv.insert(seq, data, frame) {
            Text::InOrder { filled } => {
                self.stats.bytes_received += u64::from(self.rcv.nxt.distance_from(before));
                if filled {
                    self.rcv.ack.owe();
                }
                self.tune_recv_buffer(now, seg, octets);
                let mss = self.rcv.mss.min(self.path_mss);
                if self.rcv.ack.on_text(segments, octets, mss, seg.has(TcpFlags::PSH))
                    && !self.timers.is_armed(Timer::DelayedAck)
                {
                    self.timers.set(Timer::DelayedAck, now + self.config.ack_delay);
                }
            }
            Text::OutOfOrder => {
                self.stats.rare().out_of_order += 1;
                self.rcv.ack.owe();
            }
        }
        ControlFlow::Continue(())
    }

    /// Eighth: FIN, acted on once all before it has arrived (S-FIN-2, S-FIN-3).
    fn process_fin(&mut self, now: Instant, fin: Option<SeqNum>) -> ControlFlow<()> {
        // A FIN below text that is here contradicts it.
        if let Some(fin) = fin.filter(|fin| self.rcv.fin.is_none() && !fin.before(self.rcv.highest())) {
            self.rcv.fin = Some(fin);
            self.rcv.ack.owe_one();
        }
        if !self.rcv.take_fin() {
            return ControlFlow::Continue(());
        }
        self.rcv.ack.owe_one();
        self.events.raise(EventSet::PEER_CLOSED);
        match self.state {
            State::Established => self.enter(State::CloseWait),
            // Our FIN is not acknowledged, or the ACK step would have left FIN-WAIT-1 (S-FIN-5).
            State::FinWait1 => self.enter(State::Closing),
            State::FinWait2 => self.enter_time_wait(now),
            _ => {}
        }
        ControlFlow::Break(())
    }
}
