//! Deadlines that passed (RFC 9293 3.10.8, RFC 6298 5, 3.8.3, 3.8.4, 3.8.6).

use core::time::Duration;

use super::Connection;
use crate::event::EventSet;
use crate::send::SendHalf;
use crate::state::{CloseReason, State};
use crate::time::Instant;
use crate::timer::Timer;

/// Retransmissions of one segment at which R1 is crossed (SHLD-10).
pub(super) const R1: u8 = 3;

/// R2 of a connection that the application has dropped, where it set none: nobody is left who could give up.
const ORPHAN_TIMEOUT: Duration = Duration::from_secs(300);

/// Bounds of the override of silly-window avoidance (RFC 9293 3.8.6.2.1).
const OVERRIDE_MIN: Duration = Duration::from_millis(100);
const OVERRIDE_MAX: Duration = Duration::from_secs(1);

impl Connection {
    /// The time is `now`: acts on each deadline that has passed. Does nothing if none has.
    pub fn handle_timeout(&mut self, now: Instant) {
        for timer in Timer::ALL {
            if self.timers.take_due(timer, now) {
                match timer {
                    Timer::Probe => self.on_probe_timeout(now),
                    Timer::Reorder => self.on_reorder_timeout(now),
                    // The batch leaves by `poll_transmit`.
                    Timer::Pacing => {}
                    Timer::Retransmit => self.on_retransmit_timeout(now),
                    Timer::Persist => self.on_persist_timeout(),
                    Timer::DelayedAck => self.on_delayed_ack_timeout(now),
                    Timer::KeepAlive => self.on_keepalive_timeout(now),
                    Timer::UserTimeout => self.give_up(),
                    Timer::Lifetime => self.finish(CloseReason::Normal),
                }
            }
        }
        self.check_invariants();
    }

    /// R6298-9, S-TMO-2: the oldest segment is sent again.
    fn on_retransmit_timeout(&mut self, now: Instant) {
        if self.ecn.release() && !self.snd.is_outstanding() {
            return;
        }
        self.stats.rare().timeouts += 1;
        self.snd.rtt.back_off();
        let snd = &mut self.snd;
        let first = snd.retries == 0;
        snd.retries = snd.retries.saturating_add(1);
        if snd.retries == R1 && self.config.soft_errors {
            // SHLD-9; a SYN is no exception (MUST-22).
            self.events.raise(EventSet::RETRY_WARNING);
        }
        if matches!(self.state, State::SynSent | State::SynReceived) {
            self.syn_due = true;
            return;
        }
        let flight = snd.congested_flight();
        let (una, nxt, again) = (snd.una, snd.nxt, snd.retries.is_multiple_of(R1));
        snd.path.forget_probe(now);
        self.mark_overdue(now);
        if again {
            self.suspect_black_hole(now);
        }
        let snd = &mut self.snd;
        snd.recovery.on_timeout(now, una, nxt, !first);
        snd.tlp.forget();
        self.timers.stop(Timer::Probe);
        self.timers.stop(Timer::Reorder);
        tracing::debug!(una = una.0, flight, retries = snd.retries, "retransmission timeout");
        if snd.wnd == 0 && !first {
            // MUST-35: the window was shrunk to nothing; from here on it is probed.
            snd.force = true;
            self.arm_persist(now);
        } else {
            // R7323-21: what was in the window once is sent again, be it there or not.
            snd.recovery.due = first;
            snd.congestion.on_timeout(now, flight, first);
            self.ecn.on_reduction(self.snd.max);
            self.arm_retransmit(now);
        }
    }

    /// R8985-12: the first segment is lost, and so is what is overdue by RACK's rule; without SACK all that is outstanding.
    fn mark_overdue(&mut self, now: Instant) {
        let since = if self.agreed.sack { self.snd.rack.overdue(now, self.reordering_window()) } else { now };
        let SendHalf { board, rate, congestion, .. } = &mut self.snd;
        let stats = &mut self.stats;
        board.on_timeout(since, &mut |sent, octets| {
            stats.add_lost(octets);
            congestion.on_lost(&rate.on_lost(now, sent, octets));
        });
    }

    /// R8985-15: a probe goes out; the retransmission timer waits for its answer (R8985-17).
    fn on_probe_timeout(&mut self, now: Instant) {
        if self.plan_tail_probe(self.full_segment()).is_some() {
            self.snd.tlp.due = true;
            self.arm_retransmit(now);
        }
    }

    /// R2 is crossed (S-TMO-1). A connect that an ICMP error explained says so (SHLD-25).
    fn give_up(&mut self) {
        let reason = match self.soft_error {
            Some(notice) if self.state == State::SynSent => CloseReason::Unreachable(notice),
            _ => CloseReason::TimedOut,
        };
        self.finish(reason);
    }

    fn on_delayed_ack_timeout(&mut self, now: Instant) {
        let silent = now - self.last_received >= self.config.ack_delay / 2;
        self.rcv.ack.on_delay_over(silent);
    }

    /// MUST-36: a probe, or the override of silly-window avoidance.
    fn on_persist_timeout(&mut self) {
        self.snd.force = true;
        self.snd.probes = self.snd.probes.saturating_add(1);
    }

    fn on_keepalive_timeout(&mut self, now: Instant) {
        let Some(keepalive) = self.keepalive.as_deref().copied() else { return };
        let due = self.last_received + keepalive.idle;
        // MUST-26: nothing outstanding, and silence for the whole interval.
        if self.snd.is_outstanding() || self.snd.has_unsent() {
            self.timers.set(Timer::KeepAlive, now + keepalive.idle);
        } else if self.keepalive_probes == 0 && due > now {
            self.timers.set(Timer::KeepAlive, due);
        } else if self.keepalive_probes >= keepalive.count.max(1) {
            self.abort();
            self.close_reason = CloseReason::TimedOut;
        } else {
            self.keepalive_probes += 1;
            self.keepalive_due = true;
            self.timers.set(Timer::KeepAlive, now + keepalive.interval);
        }
    }

    pub(super) fn arm_keepalive(&mut self, now: Instant) {
        if let Some(keepalive) = &self.keepalive {
            self.timers.set(Timer::KeepAlive, now + keepalive.idle);
        }
    }

    pub(super) fn arm_retransmit(&mut self, now: Instant) {
        self.timers.set(Timer::Retransmit, now + self.snd.rtt.rto(&self.config));
    }

    /// Starts the retransmission timer if it does not run (R6298-8).
    pub(super) fn keep_retransmit_armed(&mut self, now: Instant) {
        if !self.timers.is_armed(Timer::Retransmit) {
            self.arm_retransmit(now);
        }
    }

    pub(super) fn arm_user_timeout(&mut self, now: Instant) {
        match self.user_timeout.limit().or_else(|| self.orphaned.then_some(ORPHAN_TIMEOUT)) {
            Some(limit) => self.timers.set(Timer::UserTimeout, now + limit),
            None => self.timers.stop(Timer::UserTimeout),
        }
    }

    /// Something waits to be sent, nothing is in flight, and the window does not take it: the timer that keeps the
    /// connection from waiting for ever (SHLD-29, SHLD-30; MUST-38 for a window that is merely silly).
    pub(super) fn arm_persist(&mut self, now: Instant) {
        let rto = self.snd.rtt.rto(&self.config);
        let interval = if self.snd.wnd == 0 {
            rto.saturating_mul(1 << self.snd.probes.min(16)).min(self.config.max_rto)
        } else {
            rto.clamp(OVERRIDE_MIN, OVERRIDE_MAX)
        };
        self.timers.set(Timer::Persist, now + interval);
        if !self.timers.is_armed(Timer::UserTimeout) {
            self.arm_user_timeout(now);
        }
    }
}
