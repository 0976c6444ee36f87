//! What an ACK means to what is in flight, in the order in which it is asked: what it delivers (`delivery.rs`), what it shows
//! to be lost, where that leaves recovery, and what the congestion controller is told (RFC 5681, RFC 6675, RFC 8985, RFC 9937,
//! RFC 6298).

use core::time::Duration;

use super::Connection;
use super::delivery::{Prior, Turn};
use crate::congestion::{Ack, Pacing, Signal, initial_window};
use crate::info::RecoveryState;
use crate::segment::Segment;
use crate::send::SendHalf;
use crate::send::prr::Step;
use crate::send::recovery::Evidence;
use crate::send::scoreboard::Found;
use crate::send::tlp::{Tlp, TlpAck};
use crate::time::Instant;
use crate::timer::Timer;

impl Connection {
    /// The ACK of `seg`, which is acceptable; `bare` says that it came without text, SYN and FIN, `congested` that it told
    /// of congestion marks.
    pub(super) fn take_ack(&mut self, now: Instant, seg: &Segment, bare: bool, congested: bool) {
        let advanced = seg.header.ack.after(self.snd.una);
        let blocks = self.agreed.sack && !seg.header.options.sack.is_empty();
        if !advanced && !blocks && self.snd.flight_size() == 0 && !self.snd.tlp.awaits_answer() {
            return;
        }
        let mut turn = self.deliver(now, seg, bare);
        // RFC 3168 6.1.2: a mark makes no window grow.
        turn.cwnd_limited &= !congested;
        self.take_round_trip(now, &mut turn);
        self.snd.rack.on_news(now, &turn.news);
        self.snd.rack.on_una(self.snd.una);
        if turn.news.reordered {
            self.stats.rare().reorderings += 1;
        }
        let repaired = self.snd.tlp.on_ack(&TlpAck {
            ack: seg.header.ack,
            advanced,
            dsack: turn.dsack.map(|block| block.right),
            duplicate: turn.duplicate,
            echo: turn.echo,
        });
        self.undo_if_spurious(now, &turn, self.scaled_window(seg));
        let found =
            if self.agreed.sack { self.look_for_losses(now) } else { self.count_duplicate(now, &turn) };
        self.tell_controller(now, &turn, &found);
        if let Some(flight) = repaired.filter(|_| self.snd.recovery.is_open()) {
            // R8985-18
            tracing::debug!("tail loss repaired by a probe");
            let congestion = self.snd.congestion(now, flight, Signal::Loss);
            self.snd.recovery.let_stand();
            self.snd.congestion.on_congestion(&congestion);
            self.snd.congestion.on_recovered(now, self.snd.flight_size());
        }
        let partial = self.move_recovery(now, &turn, &found);
        self.validate_window(now, &turn);
        self.restart_timers(now, advanced, partial);
    }

    // ---- What it shows ----

    /// RACK (RFC 8985 6.2 step 5).
    pub(super) fn look_for_losses(&mut self, now: Instant) -> Found {
        if self.snd.board.is_clean() {
            self.timers.stop(Timer::Reorder);
            return self.judge_mtu_probe(now, Found::default());
        }
        let rule = self.snd.rack.rule(now, self.reordering_window());
        let probe = self.snd.path.probe().map(|probe| probe.sent);
        let SendHalf { board, rate, congestion, .. } = &mut self.snd;
        let found = board.detect(&rule, &mut |sent, octets| {
            // A probe of the path's MTU says nothing of congestion (R4821-3).
            if probe != Some(*sent) {
                congestion.on_lost(&rate.on_lost(now, sent, octets));
            }
        });
        let found = self.judge_mtu_probe(now, found);
        self.stats.add_lost(found.octets);
        match found.wait {
            Some(wait) => self.timers.set(Timer::Reorder, now + wait),
            None => self.timers.stop(Timer::Reorder),
        }
        found
    }

    /// Loss detection without SACK: the third duplicate ACK, and each partial one (RFC 5681 3.2, RFC 6582 3.2).
    fn count_duplicate(&mut self, now: Instant, turn: &Turn) -> Found {
        let SendHalf { board, rate, congestion, recovery, una, .. } = &mut self.snd;
        let partial = turn.acked > 0 && recovery.is_fast() && !recovery.ends_at(*una);
        if turn.acked > 0 {
            recovery.clear_duplicates();
            if recovery.is_open() {
                board.clear_duplicates();
            }
        }
        let mut found = Found::default();
        if partial || (turn.duplicate && recovery.on_duplicate(*una)) {
            found.octets = board.lose_head(false, &mut |sent, octets| {
                congestion.on_lost(&rate.on_lost(now, sent, octets));
            });
            self.stats.add_lost(found.octets);
        }
        found
    }

    /// How far reordering is waited for now.
    pub(super) fn reordering_window(&self) -> Duration {
        let snd = &self.snd;
        let (least, srtt) = (snd.rtt.min_rtt().unwrap_or_default(), snd.rtt.srtt().unwrap_or_default());
        snd.rack.window(!snd.recovery.is_open(), snd.board.sacked_segments(), least, srtt)
    }

    /// R5682-4, R5682-6: what the last loss or timeout did to the window is taken back where it was a mistake. The ACK announces
    /// `window`, which SND.WND does not say yet.
    fn undo_if_spurious(&mut self, now: Instant, turn: &Turn, window: u32) {
        let snd = &mut self.snd;
        let state = snd.recovery.state();
        let evidence = Evidence {
            una: snd.una,
            advanced: turn.acked > 0,
            duplicate: turn.duplicate,
            echo: turn.echo,
            news: &turn.news,
            point: snd.board.position(snd.recovery.point()),
            resent: snd.board.resent() > 0,
            has_new: snd.has_unsent() && window > snd.flight_size(),
            sack: self.agreed.sack,
        };
        if !snd.recovery.is_spurious(&evidence) {
            return;
        }
        snd.recovery.finish_undone();
        snd.board.unmark();
        snd.congestion.on_spurious(now);
        self.stats.rare().undos += 1;
        if state == RecoveryState::Loss {
            self.stats.rare().spurious_timeouts += 1;
        } else {
            snd.rack.saw_reordering();
        }
        tracing::debug!(?state, cwnd = snd.congestion.cwnd(), "recovery undone: nothing was lost");
    }

    // ---- Where that leaves recovery ----

    fn tell_controller(&mut self, now: Instant, turn: &Turn, found: &Found) {
        let snd = &mut self.snd;
        if turn.delivered == 0 && turn.acked == 0 && found.octets == 0 {
            return;
        }
        let least = snd.rtt.min_rtt().unwrap_or_default();
        let rate = snd.rate.sample(turn.newest.as_ref(), least);
        snd.congestion.on_ack(&Ack {
            delivered: turn.delivered,
            lost: found.octets,
            prior_flight: turn.prior.pipe,
            flight: snd.board.pipe(),
            una: snd.una,
            nxt: snd.nxt,
            cwnd_limited: turn.cwnd_limited,
            recovery: !snd.recovery.is_open() || snd.has_holes(),
            rtt: turn.rtt,
            srtt: snd.rtt.srtt().unwrap_or_default(),
            min_rtt: least,
            rate,
            ..Ack::new(now, turn.acked)
        });
    }

    /// Ends recovery, begins it, or moves PRR on; whether an ACK that advances is a partial one, of a recovery without SACK.
    fn move_recovery(&mut self, now: Instant, turn: &Turn, found: &Found) -> bool {
        let mss = self.full_segment();
        let una = self.snd.una;
        if self.snd.recovery.ends_at(una) {
            self.end_recovery(now);
        }
        if self.snd.recovery.is_open() {
            self.snd.recovery.keep_close(una);
        }
        self.react_to_losses(now, turn.prior, found);
        let snd = &mut self.snd;
        let mut delivered = turn.delivered;
        if turn.duplicate && !self.agreed.sack {
            let most = snd.recovery.duplicates_limit(mss, snd.nxt);
            // R9937-2
            let left = snd.recovery.prr().map_or(mss, |prr| prr.undelivered());
            delivered += snd.board.duplicate(mss.min(left), most);
        }
        if snd.recovery.is_fast() && delivered > 0 {
            let safe = turn.acked > 0 && found.octets == 0;
            self.step_prr(delivered, safe);
        }
        !self.agreed.sack && self.snd.recovery.is_fast()
    }

    /// How much of the window is used (RFC 7661 4). One of the initial size needs no proof.
    fn validate_window(&mut self, now: Instant, turn: &Turn) {
        let mss = self.full_segment();
        let snd = &mut self.snd;
        let cwnd = snd.congestion.cwnd();
        if cwnd <= initial_window(mss, false) || !snd.recovery.is_open() {
            // R7661-1: losses leave pipeACK undefined.
            snd.validation = None;
        } else if turn.acked > 0 {
            let (una, nxt, srtt) = (snd.una, snd.nxt, snd.rtt.srtt().unwrap_or_default());
            let validation = snd.validation.get_or_insert_default();
            validation.on_ack(now, turn.prior.una, una, nxt, srtt);
            if validation.is_over(now, cwnd, mss) {
                snd.congestion.on_unused(now);
                tracing::debug!(cwnd, reduced = snd.congestion.cwnd(), "a window that is not used");
            }
        }
    }

    fn step_prr(&mut self, delivered: u32, safe: bool) {
        let mss = self.full_segment();
        let snd = &mut self.snd;
        let (inflight, ssthresh) = (snd.board.pipe(), snd.congestion.ssthresh());
        if let Some(prr) = snd.recovery.prr() {
            prr.on_ack(&Step { delivered, inflight, ssthresh, mss, safe });
        }
    }

    fn end_recovery(&mut self, now: Instant) {
        let snd = &mut self.snd;
        // After a timeout too: BBR's window comes back (RBBR-9), and CUBIC's slow start counts whole ACKs again.
        snd.congestion.on_recovered(now, snd.flight_size());
        snd.rack.on_recovered();
        snd.recovery.finish();
        snd.board.clear_duplicates();
        tracing::debug!(una = snd.una.0, cwnd = snd.congestion.cwnd(), "recovery is over");
    }

    /// Losses start recovery (R6675-7), or, if what was sent again is lost, reduce the window once more (R8985-20).
    fn react_to_losses(&mut self, now: Instant, prior: Prior, found: &Found) {
        let snd = &mut self.snd;
        let again = found.resent_at.is_some_and(|at| snd.recovery.is_new_signal(at));
        let begins = match snd.recovery.state() {
            RecoveryState::Open => snd.has_holes(),
            RecoveryState::Resizing => found.octets > 0,
            _ => false,
        };
        if !begins && (!again || snd.recovery.is_open()) {
            return;
        }
        let flight = snd.congested_flight();
        // RecoverFS (R9937-1)
        let recover_fs = snd.nxt.distance_from(prior.una).saturating_sub(prior.sacked);
        let congestion = snd.congestion(now, flight, Signal::Loss);
        snd.congestion.on_congestion(&congestion);
        snd.recovery.enter(now, snd.una, snd.nxt, recover_fs);
        snd.tlp.forget();
        self.stats.rare().fast_retransmits += 1;
        tracing::debug!(
            flight,
            lost = snd.board.held(),
            ssthresh = snd.congestion.ssthresh(),
            again,
            "recovery"
        );
        self.ecn.on_reduction(self.snd.max);
        self.timers.stop(Timer::Probe);
        // R6675-11: the first retransmission restarts the timer, later ones do not.
        self.arm_retransmit(now);
    }

    // ---- Timers ----

    fn restart_timers(&mut self, now: Instant, advanced: bool, partial: bool) {
        if !self.snd.is_outstanding() {
            for timer in [Timer::UserTimeout, Timer::Probe, Timer::Reorder] {
                self.timers.stop(timer);
            }
            if !self.ecn.is_holding() {
                // Else new data waits for it (R3168-8).
                self.timers.stop(Timer::Retransmit);
            }
            if !self.snd.has_unsent() {
                // Else a report of duplicates may still undo it.
                self.snd.recovery.forget();
            }
            return;
        }
        if advanced {
            if !partial || self.snd.recovery.takes_timer_restart() {
                // R6298-8; in recovery without SACK only the first partial ACK does (R6582-4).
                self.arm_retransmit(now);
            }
            self.arm_user_timeout(now);
        }
        self.arm_probe(now);
    }

    /// R8985-13, R8985-14: the tail loss probe is prepared for, or not any more.
    pub(super) fn arm_probe(&mut self, now: Instant) {
        let mss = self.full_segment();
        let snd = &self.snd;
        let wanted = self.agreed.sack
            && self.state.is_synchronized()
            && snd.tlp.may_arm()
            && snd.recovery.is_open()
            && snd.board.sacked() == 0
            && snd.board.pipe() > 0;
        let Some(timeout) = self.timers.deadline(Timer::Retransmit).filter(|_| wanted) else {
            self.timers.stop(Timer::Probe);
            return;
        };
        // So little that the peer may hold its ACK back.
        let lone = snd.board.pipe() < 2 * mss;
        let at = now + Tlp::timeout(snd.rtt.srtt(), lone);
        self.timers.set(Timer::Probe, at.min(timeout));
    }

    /// The reordering timer fired (R8985-11).
    pub(super) fn on_reorder_timeout(&mut self, now: Instant) {
        let snd = &self.snd;
        let prior = Prior { una: snd.una, pipe: snd.board.pipe(), sacked: snd.board.sacked() };
        let found = self.look_for_losses(now);
        self.react_to_losses(now, prior, &found);
    }

    // ---- Figures ----

    /// Octets per second at which data is to leave, where it is paced: as the controller says, or spread over the round
    /// trip, at twice the window in slow start, so that it can double, and at 1.2 times it afterwards.
    pub(super) fn pacing_rate(&self) -> Option<u64> {
        let congestion = &self.snd.congestion;
        match self.config.pacing {
            Pacing::Off => None,
            Pacing::Auto => congestion.pacing_rate(),
            Pacing::On => congestion.pacing_rate().or_else(|| {
                let srtt = self.snd.rtt.srtt()?.as_nanos().max(1);
                // Not what PRR lets leave at the moment, which may be nothing: it bounds how much, not how fast.
                let cwnd = congestion.cwnd();
                let percent = if cwnd < congestion.ssthresh() { 200 } else { 120 };
                let rate = u128::from(cwnd) * percent * 10_000_000 / srtt;
                Some(u64::try_from(rate).unwrap_or(u64::MAX))
            }),
        }
    }

    pub(super) fn recovery_state(&self) -> RecoveryState {
        match self.snd.recovery.state() {
            RecoveryState::Open if self.snd.board.sacked() > 0 => RecoveryState::Disorder,
            state => state,
        }
    }
}
