//! Which segment with text or FIN leaves next, and whether it may: probes, what is lost, new text (RFC 9293 3.8.6.2, RFC 5681,
//! RFC 6675, RFC 8985).

use netstack_wire::SeqNum;

use super::Connection;
use crate::send::scoreboard::Hole;
use crate::state::State;
use crate::time::Instant;
use crate::timer::Timer;

/// What the next segment with text or FIN is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) at: SeqNum,
    pub(super) len: u32,
    pub(super) fin: bool,
    /// Octets of a full segment on the wire.
    pub(super) mss: u32,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// From SND.NXT on.
    New,
    /// What was sent before, up to this end: whole segments, of which the peer's window may cut the last.
    Again(SeqNum),
    /// The same, as one packet of this many octets: more than the path is known to take (R4821-2).
    MtuProbe(u16),
    /// Beyond the peer's window, to see whether that has opened; not in flight.
    WindowProbe,
}

impl Plan {
    fn again(hole: Hole, mss: u32) -> Self {
        let end = hole.at + hole.len + u32::from(hole.fin);
        Self { at: hole.at, len: hole.len, fin: hole.fin, mss: hole.mss.min(mss), kind: Kind::Again(end) }
    }

    pub(super) fn end(&self) -> SeqNum {
        self.at + self.len + u32::from(self.fin)
    }
}

impl Connection {
    /// What leaves whatever congestion control says: probes, and the first retransmission of a recovery.
    pub(super) fn plan_now(&mut self, mss: u32, force: bool, tail: bool) -> Option<Plan> {
        let snd = &mut self.snd;
        if force && snd.wnd == 0 {
            return Some(self.plan_window_probe(mss));
        }
        if tail && let Some(plan) = self.plan_tail_probe(mss) {
            return Some(plan);
        }
        let snd = &mut self.snd;
        if core::mem::take(&mut snd.recovery.due) {
            // R9937-6; R7323-21: whatever the peer's window is now.
            return snd.board.next_hole(0).map(|hole| Plan::again(hole, mss));
        }
        None
    }

    /// MUST-36: one octet that the window does not take, or the FIN that found it closed.
    fn plan_window_probe(&self, mss: u32) -> Plan {
        let snd = &self.snd;
        let len = snd.buffer.len().min(1);
        Plan { at: snd.una, len, fin: len == 0, mss, kind: Kind::WindowProbe }
    }

    /// R8985-16: new text where there is some and the window takes it, else the last segment again.
    pub(super) fn plan_tail_probe(&self, mss: u32) -> Option<Plan> {
        let snd = &self.snd;
        if snd.flight_size() == 0 {
            return None;
        }
        let window = snd.usable_window();
        if snd.has_unsent() && snd.may_record(mss) {
            let len = snd.unsent().min(mss).min(window);
            let fin = snd.fin_queued && len == snd.unsent() && window > len;
            if len > 0 || fin {
                return Some(Plan { at: snd.nxt, len, fin, mss, kind: Kind::New });
            }
        }
        let plan = Plan::again(snd.board.last_segment()?, mss);
        // Where the window was taken back it would only be thrown away.
        plan.end().before_eq(snd.window_end()).then_some(plan)
    }

    /// What congestion control and the pacer let leave: what is lost first, then new text (R6675-3, R6675-4).
    pub(super) fn plan_paced(&mut self, now: Instant, mss: u32, most: u32, force: bool) -> Option<Plan> {
        let Some(rate) = self.pacing_rate() else { return self.plan_next(now, mss, most, force) };
        let budget = self.snd.pacer.get_or_insert_default().budget(now, rate, mss);
        let plan = self.plan_next(now, mss, most.min(budget), force)?;
        if budget == 0 {
            let at = self.snd.pacer.get_or_insert_default().wait();
            self.timers.set(Timer::Pacing, at);
            return None;
        }
        Some(plan)
    }

    fn plan_next(&mut self, now: Instant, mss: u32, most: u32, force: bool) -> Option<Plan> {
        let frto = self.snd.recovery.frto_allows();
        if frto.is_none()
            && let Some(plan) = self.plan_hole(mss, most)
        {
            return Some(plan);
        }
        if !self.snd.has_unsent() {
            return None;
        }
        self.restart_after_idle(now);
        // The pointer of urgent data differs from segment to segment: they leave one by one (MUST-62).
        let urgent = self.snd.urgent.is_some_and(|up| up.after(self.snd.nxt));
        let single = urgent || self.ecn.leaves_one_by_one();
        if !single && let Some((size, len)) = self.mtu_probe(now, mss) {
            return Some(Plan { at: self.snd.nxt, len, fin: false, mss: len, kind: Kind::MtuProbe(size) });
        }
        let most = if single { 0 } else { most };
        self.plan_new(mss, most.max(mss).min(frto.map_or(u32::MAX, |segments| segments * mss)), force)
    }

    /// The lowest stretch that is lost, within cwnd (R8985-20) and, as far as it is not the first, the peer's window
    /// (R7323-21).
    fn plan_hole(&mut self, mss: u32, most: u32) -> Option<Plan> {
        let snd = &mut self.snd;
        if snd.board.held() == 0 {
            return None;
        }
        // With nothing in flight one segment leaves in any case: one of those that were sent, which may be smaller than `mss`.
        let room = snd.room(0);
        let hole = snd.board.next_hole(room.min(most))?;
        if hole.len > room && snd.board.pipe() > 0 {
            return None;
        }
        let mut plan = Plan::again(hole, mss);
        if snd.urgent.is_some_and(|up| up.after(plan.at)) {
            plan = Plan::again(snd.board.next_hole(0)?, mss);
        }
        let window_end = snd.window_end();
        if plan.end().after(window_end) {
            let room = if window_end.after(plan.at) { window_end.distance_from(plan.at) } else { 0 };
            plan = Plan::again(snd.board.next_hole(room)?, mss);
            if plan.len > room || room == 0 {
                if plan.at != snd.una || room == 0 {
                    return None;
                }
                plan.len = room;
            }
            plan.fin = false;
        }
        Some(plan)
    }

    /// What may leave at SND.NXT now: bounded by both windows (R5681-8), held back by Nagle (SHLD-7) and silly-window
    /// avoidance (MUST-38).
    fn plan_new(&self, mss: u32, most: u32, force: bool) -> Option<Plan> {
        let snd = &self.snd;
        if self.ecn.is_holding() || !snd.may_record(mss) {
            return None;
        }
        let unsent = snd.unsent();
        let window = snd.usable_window();
        let room = snd.room(mss);
        let limit = window.min(room).min(most);
        let mut len = unsent.min(limit);
        let tail = len % mss;
        if !self.may_send_short(len, tail, room, force) {
            len -= tail;
        }
        // S-CLOSE-3: not before the handshake is over.
        let fin = snd.fin_queued && len == unsent && window > len && self.state != State::SynReceived;
        (len > 0 || fin).then_some(Plan { at: snd.nxt, len, fin, mss, kind: Kind::New })
    }

    /// Whether a segment short of the MSS may leave: `tail` octets at the end of the `len` that could.
    fn may_send_short(&self, len: u32, tail: u32, room: u32, force: bool) -> bool {
        let snd = &self.snd;
        if force {
            return true;
        }
        if len == snd.unsent() {
            // All there is (MUST-60). Nagle holds it back while an earlier short segment is unacknowledged.
            return self.nodelay
                || snd.fin_queued
                || !snd.small_end.after(snd.una)
                || snd.small_end.after(snd.nxt);
        }
        // The peer's window, not ours, cut it short: half of the largest window is worth a segment.
        len < room && tail >= snd.wnd_max / 2
    }

    /// R5681-15.
    fn restart_after_idle(&mut self, now: Instant) {
        let snd = &mut self.snd;
        if !snd.is_outstanding()
            && snd.last_sent != Instant::ZERO
            && now - snd.last_sent > snd.rtt.rto(&self.config)
        {
            snd.congestion.on_idle(now);
        }
    }
}
