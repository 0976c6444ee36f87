//! Opening: active, passive and simultaneous (RFC 9293 3.5, 3.10.1, 3.10.7.3).

use core::ops::ControlFlow;
use std::sync::Arc;

use netstack_wire::tcp::{TcpFlags, TcpHeader};

use super::{Connection, Opening};
use crate::config::TcpConfig;
use crate::event::EventSet;
use crate::negotiate::SynRecord;
use crate::segment::Segment;
use crate::state::{CloseReason, State};
use crate::time::Instant;
use crate::timer::Timer;

impl Connection {
    /// Active OPEN: a connection in SYN-SENT, whose SYN leaves by [`poll_transmit`](Self::poll_transmit) (S-OPEN-1).
    #[must_use]
    pub fn connect(now: Instant, opening: Opening, config: Arc<TcpConfig>) -> Self {
        let mut connection = Self::new(now, opening, config, State::SynSent);
        connection.timers.set(Timer::UserTimeout, now + connection.config.syn_timeout);
        connection
    }

    /// Answers a SYN that came to a listener: a connection in SYN-RECEIVED, whose SYN-ACK leaves by
    /// [`poll_transmit`](Self::poll_transmit) (S-LISTEN-3).
    #[must_use]
    pub fn accept(now: Instant, syn: &SynRecord, opening: Opening, config: Arc<TcpConfig>) -> Self {
        let mut connection = Self::new(now, opening, config, State::SynReceived);
        connection.passive = true;
        connection.timers.set(Timer::UserTimeout, now + connection.config.syn_ack_timeout);
        connection.take_syn(now, syn);
        connection.ecn.take_syn(connection.config.ecn, true, syn);
        connection.answer_fast_open(&syn.fast_open);
        connection
    }

    /// The connection of which a SYN cookie is the other half: in ESTABLISHED, without ever having been in memory before.
    /// `syn` is what [`SynCookies::check`](crate::SynCookies::check) gave for `seg`, the segment that acknowledges the cookie;
    /// that is the first to hand to [`handle_segment`](Self::handle_segment). `opening.iss` is the cookie.
    #[must_use]
    pub fn from_cookie(
        now: Instant,
        syn: &SynRecord,
        seg: &Segment,
        opening: Opening,
        config: Arc<TcpConfig>,
    ) -> Self {
        let mut connection = Self::accept(now, syn, opening, config);
        // The books of the SYN-ACK that left; nobody knows when, so that it is no sample of the round trip.
        connection.transmit_syn(now, &mut Vec::new());
        connection.syns_sent = u8::MAX;
        connection.establish(now, seg);
        connection
    }

    /// The SYN-ACK that this connection answers with, and nothing more of it.
    pub(crate) fn syn_ack(mut self, now: Instant) -> TcpHeader {
        self.transmit_syn(now, &mut Vec::new()).header
    }

    /// The peer's SYN is here: takes its sequence number, options and window.
    fn take_syn(&mut self, now: Instant, syn: &SynRecord) {
        self.agreed.agree(syn);
        self.rcv.start(syn.irs);
        self.fit_segments();
        self.snd.wnd = u32::from(syn.window);
        self.snd.wnd_max = self.snd.wnd;
        self.snd.wl1 = syn.irs;
        self.snd.wl2 = self.snd.iss;
        if let Some(ts_val) = syn.ts_val {
            self.rcv.ts_recent = ts_val;
            self.rcv.ts_recent_at = now;
        }
    }

    /// SYN-SENT: the steps of RFC 9293 3.10.7.3.
    pub(super) fn arrive_in_syn_sent(&mut self, now: Instant, seg: &mut Segment) -> ControlFlow<()> {
        let acked = seg.has(TcpFlags::ACK);
        if acked && !self.acknowledges_syn(seg) {
            // S-SYNSENT-1, S-SYNSENT-3
            if !seg.has(TcpFlags::RST) {
                self.owe_reset(seg.header.ack);
                // The challenge ACK of a peer that still holds an older connection: the RST ends that one, and a SYN right
                // behind it saves the wait for the timer. Once, so that noise earns no more than one.
                self.syn_due |= !seg.has(TcpFlags::SYN) && self.syns_sent == 1;
            }
            return ControlFlow::Break(());
        }
        if seg.has(TcpFlags::RST) {
            // S-SYNSENT-2: with an acceptable ACK only
            if acked {
                self.finish(CloseReason::Refused);
            }
            return ControlFlow::Break(());
        }
        if !seg.has(TcpFlags::SYN) {
            return ControlFlow::Break(());
        }
        let syn = SynRecord::from_segment(self.tuple, seg, now);
        self.take_syn(now, &syn);
        if !acked {
            self.ecn.take_syn(self.config.ecn, false, &syn);
            // MUST-10, S-SYNSENT-5: simultaneous open
            self.enter(State::SynReceived);
            self.syn_due = true;
            return ControlFlow::Break(());
        }
        self.ecn.take_syn_ack(self.config.ecn, &syn);
        self.establish(now, seg);
        // S-SYNSENT-6: the handshake's ACK leaves at once, and text on the SYN-ACK is taken.
        self.rcv.ack.owe_one();
        seg.skip(1);
        self.rcv.adv = self.rcv.nxt + self.syn_window();
        self.trim(seg);
        if seg.header.ack.after(self.snd.una) {
            // Text of our SYN (RFC 7413 4.2.2).
            self.take_ack(now, seg, false, false);
        }
        ControlFlow::Continue(())
    }

    /// Whether the ACK of `seg` covers our SYN and nothing that was never sent.
    pub(super) fn acknowledges_syn(&self, seg: &Segment) -> bool {
        seg.header.ack.after(self.snd.iss) && seg.header.ack.before_eq(self.snd.max)
    }

    /// SYN-RECEIVED: a SYN is a repetition, the other half of a simultaneous open, or noise (S-SEQ-8, S-SYN-1).
    pub(super) fn syn_in_syn_received(&mut self, now: Instant, seg: &mut Segment) -> ControlFlow<()> {
        if seg.header.seq != self.rcv.irs {
            self.challenge(now);
            return ControlFlow::Break(());
        }
        if seg.has(TcpFlags::ACK) && self.acknowledges_syn(seg) {
            // The peer's SYN-ACK of a simultaneous open: its SYN is known, its ACK is news.
            seg.skip(1);
            return ControlFlow::Continue(());
        }
        self.update_ts_recent(now, seg.header.seq, seg);
        self.ecn.syn_repeated(seg);
        self.syn_due = true;
        self.take_syn_text(now, seg);
        ControlFlow::Break(())
    }

    /// Our SYN is acknowledged by `seg`: the connection is open (S-ACK-2, S-SYNSENT-4).
    pub(super) fn establish(&mut self, now: Instant, seg: &Segment) {
        // R6298-10 speaks of a timeout; a second SYN or SYN-ACK without one (simultaneous open) only spoils the sample.
        let lost = self.snd.retries > 0;
        let early = self.is_early();
        self.settle_fast_open(seg);
        if lost {
            self.snd.rtt.handshake_was_retransmitted();
        } else if self.syns_sent == 1 {
            self.snd.rtt.sample(now - self.syn_sent_at, &self.config);
            self.snd.rtt.note_least(now, now - self.syn_sent_at);
        }
        self.snd.una = self.snd.iss + 1;
        self.snd.retries = 0;
        self.syn_due = false;
        if !early || lost {
            // Text of a SYN that this segment does not acknowledge leaves again at once (RFC 7413 4.2.2); and so does what
            // followed a SYN-ACK that was lost: the peer knew nothing of the connection yet.
            self.snd.nxt = self.snd.una;
            self.snd.rtt_round = self.snd.una;
            self.snd.board.restart(self.snd.una);
            let full = self.full_segment();
            self.snd.congestion.start(full, lost);
        }
        if let Some(srtt) = self.snd.rtt.srtt() {
            self.snd.congestion.on_known_rtt(srtt);
        }
        self.timers.stop(Timer::Retransmit);
        self.timers.stop(Timer::UserTimeout);
        if self.snd.flight_size() > 0 {
            self.arm_retransmit(now);
            self.arm_user_timeout(now);
        }
        self.take_window(now, seg);
        self.enter(State::Established);
        self.events.raise(EventSet::CONNECTED);
        self.soft_error = None;
        self.arm_keepalive(now);
        if self.snd.fin_queued {
            self.enter(State::FinWait1);
        }
    }
}
