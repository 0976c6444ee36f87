//! What leaves: SYN, text, FIN, probes, ACKs, resets (RFC 9293 3.8, 3.10.2; RFC 5681).

use bytes::Bytes;
use netstack_wire::SeqNum;
use netstack_wire::tcp::{TcpFlags, TcpHeader, TcpOptions};

use super::Connection;
use super::plan::{Kind, Plan};
use crate::segment::{MAX_PAYLOAD, Transmit};
use crate::send::tlp::Tlp;
use crate::state::State;
use crate::time::Instant;
use crate::timer::Timer;

impl Connection {
    /// The next segment to send at `now`, its payload slices in `payload` (cleared first; at most
    /// [`MAX_SLICES`](crate::MAX_SLICES)). It carries up to `max_payload` octets, or one full segment if that is more. That
    /// may be several segments of the wire: then [`Transmit::gso_size`] says where to cut. Call until it gives `None`.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        payload: &mut Vec<Bytes>,
        max_payload: usize,
    ) -> Option<Transmit> {
        payload.clear();
        if core::mem::take(&mut self.reset_due) {
            return Some(self.reset(now, self.reset_seq));
        }
        match self.state {
            State::Closed => return None,
            State::SynSent | State::SynReceived if self.syn_due => {
                return Some(self.transmit_syn(now, payload));
            }
            _ => {}
        }
        if self.sends_text()
            && let Some(text) = self.transmit_text(now, payload, max_payload)
        {
            return Some(text);
        }
        if core::mem::take(&mut self.keepalive_due) {
            // SHLD-12: below what the peer expects, so that it answers.
            return Some(self.transmit_ack(now, self.snd.una - 1));
        }
        let update = self.state.takes_text() && self.rcv.update_is_due(self.agreed.rcv_shift);
        self.check_progress();
        (self.rcv.ack.is_due() || update).then(|| self.transmit_ack(now, self.ack_seq()))
    }

    // ---- SYN ----

    pub(super) fn transmit_syn(&mut self, now: Instant, payload: &mut Vec<Bytes>) -> Transmit {
        self.syn_due = false;
        self.syns_sent = self.syns_sent.saturating_add(1);
        if self.syns_sent == 1 {
            self.syn_sent_at = now;
        }
        self.arm_retransmit(now);
        let answers = self.state == State::SynReceived;
        let mut window = self.syn_window();
        if answers {
            self.rcv.adv = self.rcv.adv.max(self.rcv.nxt + window);
            window = self.rcv.window().min(0xffff);
            self.note_ack_sent();
        }
        // R7323-11: nothing to echo on the first SYN.
        let ts = self.timestamp(now, if answers { self.rcv.ts_recent } else { 0 });
        // MUST-67: the MSS announced leaves options out of account; it is what the device takes.
        let mut options = self.agreed.syn_options(self.path_mss, ts);
        let len = self.load_syn(&mut options, payload);
        // What left behind an earlier SYN or SYN-ACK stays in the books.
        self.snd.nxt = self.snd.nxt.max(self.snd.iss + 1 + len);
        self.snd.max = self.snd.max.max(self.snd.nxt);
        let flags = if answers {
            TcpFlags::SYN | TcpFlags::ACK | self.ecn.syn_ack_flags(self.syns_sent)
        } else {
            TcpFlags::SYN | self.ecn.syn_flags(self.config.ecn, self.syns_sent)
        };
        let header = TcpHeader { window: window as u16, options, ..self.header(self.snd.iss, flags) };
        self.transmit(header, len)
    }

    /// The window of a SYN, never scaled (R7323-3).
    pub(super) fn syn_window(&self) -> u32 {
        self.rcv.buffer().saturating_sub(self.rcv.buffered()).min(0xffff)
    }

    // ---- Text and FIN ----

    fn transmit_text(
        &mut self,
        now: Instant,
        payload: &mut Vec<Bytes>,
        max_payload: usize,
    ) -> Option<Transmit> {
        let force = core::mem::take(&mut self.snd.force);
        let tail = core::mem::take(&mut self.snd.tlp.due);
        if !self.snd.has_unsent() && !self.snd.has_holes() && !tail {
            let pipe = self.snd.board.pipe();
            if pipe < self.snd.congestion.cwnd() {
                self.snd.rate.set_app_limited(pipe);
            }
            return None;
        }
        if self.snd.has_holes() || tail {
            self.refit(now);
        }
        // The blocks are taken only once a segment really leaves.
        let options_len = self.options_len();
        let mss = self.snd.effective_mss(options_len);
        let most = max_payload.min(MAX_PAYLOAD) as u32;
        let free = self.plan_now(mss, force, tail);
        let bound = free.is_none();
        let Some(plan) = free.or_else(|| self.plan_paced(now, mss, most, force)) else {
            self.keep_waiting(now);
            return None;
        };
        let plan = self.take_slices(plan, payload);
        self.check_windows(plan, bound);
        Some(self.transmit_plan(now, plan, tail))
    }

    /// What holds of each transmission: nothing new lies beyond the peer's window, and what is `bound` by congestion control
    /// fits its window, or is one segment with nothing else in flight.
    fn check_windows(&self, plan: Plan, bound: bool) {
        if !cfg!(debug_assertions) {
            return;
        }
        let snd = &self.snd;
        debug_assert!(
            plan.kind != Kind::New || !plan.end().after(snd.window_end()),
            "beyond the peer's window"
        );
        let (pipe, cwnd) = (snd.board.pipe(), snd.cwnd());
        let sent = snd.board.segment_at(plan.at).map_or(0, |segment| segment.len);
        let whole = if plan.kind == Kind::New { plan.mss } else { sent };
        let least = if pipe == 0 { whole } else { 0 };
        let fits = plan.len == 0 || pipe + plan.len <= cwnd.max(least);
        debug_assert!(!bound || fits, "{plan:?} with {pipe} in flight of {cwnd}");
    }

    /// What waits for something else than a timer of its own must not wait for ever.
    fn keep_waiting(&mut self, now: Instant) {
        if self.timers.is_armed(Timer::Persist) {
            return;
        }
        if self.snd.flight_size() == 0 {
            if !self.timers.is_armed(Timer::Pacing) {
                self.arm_persist(now);
            }
        } else {
            self.keep_retransmit_armed(now);
        }
    }

    /// Fetches the text of `plan`, which becomes shorter where the slices run out.
    fn take_slices(&mut self, mut plan: Plan, payload: &mut Vec<Bytes>) -> Plan {
        let mut len = self.snd.slices(plan.at, plan.len, payload);
        if len == plan.len {
            return plan;
        }
        debug_assert!(
            !matches!(plan.kind, Kind::Again(_)),
            "a transmission has no more slices than at first"
        );
        if let Kind::MtuProbe(_) = plan.kind {
            // What is smaller than the size in question proves nothing: it leaves as ordinary text.
            plan.kind = Kind::New;
            plan.mss = self.snd.effective_mss(self.options_len());
        }
        if len > plan.mss {
            // SHLD-28: where the slices run out, whole segments leave.
            len -= len % plan.mss;
            payload.clear();
            len = self.snd.slices(plan.at, len, payload);
        }
        // The rest follows, and so does the FIN.
        Plan { len, fin: plan.fin && len == plan.len, ..plan }
    }

    fn transmit_plan(&mut self, now: Instant, plan: Plan, tail: bool) -> Transmit {
        let Plan { at, len, fin, mss, .. } = plan;
        let (ecn, mut flags) = self.ecn_of_text(at, len, plan.kind == Kind::WindowProbe);
        self.note_sent(now, plan, tail);
        flags |= TcpFlags::ACK;
        let pushed = tail && Tlp::is_pushed(self.snd.rtt.srtt());
        if len > 0 && (pushed || at + len == self.snd.data_end()) {
            // MUST-61
            flags |= TcpFlags::PSH;
        }
        if fin {
            flags |= TcpFlags::FIN;
        }
        let mut header = TcpHeader { options: self.options(now), ..self.header(at, flags) };
        if let Some(up) = self.snd.urgent.filter(|up| up.after(at)) {
            header.flags |= TcpFlags::URG;
            header.urgent = up.distance_from(at).min(0xffff) as u16;
        }
        header.window = self.window_field();
        self.rcv.ack.rides_on_text();
        self.note_ack_sent();
        let gso_size = if len > mss { mss as u16 } else { 0 };
        self.stats.segments_sent += u64::from(len.div_ceil(mss).saturating_sub(1));
        Transmit { gso_size, ecn, ..self.transmit(header, len) }
    }

    /// The books of a segment with text or FIN that leaves now.
    fn note_sent(&mut self, now: Instant, plan: Plan, tail: bool) {
        let Plan { at, len, fin, mss, kind } = plan;
        let end = plan.end();
        let rate = self.pacing_rate();
        let snd = &mut self.snd;
        self.stats.bytes_sent += u64::from(len);
        if at.before(snd.max) {
            self.stats.rare().bytes_retransmitted += u64::from(len.min(snd.max.distance_from(at)));
        }
        snd.last_sent = now;
        snd.max = snd.max.max(end);
        let (pipe, octets) = (snd.board.pipe(), end.distance_from(at));
        let app_limited = snd.rate.is_app_limited();
        match kind {
            Kind::WindowProbe => {
                // A probe is not in flight: the octet is sent again once the window takes it.
                self.stats.rare().window_probes += 1;
                self.arm_persist(now);
                return;
            }
            Kind::New | Kind::MtuProbe(_) => {
                if len % mss != 0 {
                    snd.small_end = at + len;
                }
                let sent = snd.rate.on_send(now, pipe, octets);
                snd.board.record(len, fin, mss, now, sent);
                if let Kind::MtuProbe(size) = kind {
                    snd.path.on_probe_sent(at, end, size, sent);
                    self.stats.rare().mtu_probes += 1;
                }
                snd.nxt = end;
                snd.recovery.on_new_sent(len.div_ceil(mss));
            }
            Kind::Again(whole) => {
                let sent = snd.rate.on_send(now, pipe, octets);
                snd.board.resend(at, whole, now, sent);
                snd.recovery.on_resent(now, octets, end);
            }
        }
        if let Some(prr) = snd.recovery.prr() {
            prr.on_sent(octets);
        }
        let flight = snd.board.pipe();
        snd.congestion.on_sent(now, pipe, octets, app_limited);
        if let Some(rate) = rate {
            snd.pacer.get_or_insert_default().on_sent(now, octets, rate);
        }
        if flight > snd.flight_peak || !snd.flight_peak_end.after(snd.una) {
            snd.flight_peak = flight;
            snd.flight_peak_end = snd.max;
        }
        if tail {
            snd.tlp.on_sent(now, snd.nxt, kind != Kind::New, snd.flight_peak);
            self.stats.rare().tail_probes += 1;
            tracing::debug!(at = at.0, len, again = kind != Kind::New, "tail loss probe");
            // R8985-17
            self.arm_retransmit(now);
        }
        self.timers.stop(Timer::Persist);
        self.keep_retransmit_armed(now);
        if !self.timers.is_armed(Timer::UserTimeout) {
            self.arm_user_timeout(now);
        }
        self.arm_probe(now);
    }

    // ---- ACKs, probes, resets ----

    fn transmit_ack(&mut self, now: Instant, seq: SeqNum) -> Transmit {
        let flags = TcpFlags::ACK | self.ecn_of_ack();
        let mut header = TcpHeader { options: self.options(now), ..self.header(seq, flags) };
        header.window = self.window_field();
        self.note_ack_sent();
        self.transmit(header, 0)
    }

    /// The window field of a segment that leaves now.
    fn window_field(&mut self) -> u16 {
        if self.state == State::SynReceived {
            // No more than the SYN-ACK said, which may have to be repeated.
            self.rcv.window_field(self.agreed.rcv_shift)
        } else {
            self.rcv.announce(self.agreed.rcv_shift)
        }
    }

    /// SND.NXT for a segment that carries nothing. Our SYN took no room in the peer's window.
    pub(super) fn ack_seq(&self) -> SeqNum {
        if self.state == State::SynReceived { self.snd.max } else { self.snd.ack_seq() }
    }

    fn note_ack_sent(&mut self) {
        self.rcv.ack.on_ack_sent();
        self.rcv.last_ack_sent = self.rcv.nxt;
        self.timers.stop(Timer::DelayedAck);
    }

    /// `<SEQ=seq><CTL=RST>`, with timestamps where they are in use (R7323-8).
    fn reset(&mut self, now: Instant, seq: SeqNum) -> Transmit {
        let options = TcpOptions { timestamps: self.timestamps(now), ..TcpOptions::default() };
        let header = TcpHeader { ack: SeqNum(0), options, ..self.header(seq, TcpFlags::RST) };
        self.transmit(header, 0)
    }
}
