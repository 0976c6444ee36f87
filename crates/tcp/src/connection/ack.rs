//! Fifth: the ACK field (RFC 9293 3.10.7.4; RFC 5961 5). What it means to what is in flight is in `recovery`.

use core::ops::ControlFlow;

use netstack_wire::tcp::TcpFlags;

use super::Connection;
use crate::segment::Segment;
use crate::state::{CloseReason, State};
use crate::time::Instant;
use crate::timer::Timer;

impl Connection {
    /// `bare` says that the segment came without text, SYN and FIN.
    pub(super) fn check_ack(&mut self, now: Instant, seg: &Segment, bare: bool) -> ControlFlow<()> {
        if !seg.has(TcpFlags::ACK) {
            return ControlFlow::Break(());
        }
        if self.state == State::SynReceived {
            if !self.acknowledges_syn(seg) {
                // S-ACK-3
                self.owe_reset(seg.header.ack);
                return ControlFlow::Break(());
            }
            self.ecn.take_handshake_ack(seg);
            self.establish(now, seg);
        }
        let ack = seg.header.ack;
        if ack.after(self.snd.max) || ack.before(self.snd.una - self.snd.wnd_max) {
            // S-ACK-6, R5961-5
            self.stats.rare().unacceptable += 1;
            self.challenge(now);
            return ControlFlow::Break(());
        }
        let advanced = ack.after(self.snd.una);
        let congested = self.take_congestion_echo(now, seg);
        self.take_ack(now, seg, bare, congested);
        if advanced || self.is_window_news(seg) {
            self.take_window(now, seg);
        }
        if self.snd.wnd == 0 && !self.orphaned && self.timers.is_armed(Timer::UserTimeout) {
            // MUST-37: a peer that answers with a closed window is alive, and may keep it closed.
            self.arm_user_timeout(now);
        }
        if congested && self.ecn.is_holding() {
            let time = self.ecn.hold_time(self.snd.rtt.rto(&self.config)).min(self.config.max_rto);
            self.timers.set(Timer::Retransmit, now + time);
        }
        self.leave_on_fin_acked(now)
    }

    /// S-ACK-7: newer by sequence number, or as new and not older by acknowledgment.
    fn is_window_news(&self, seg: &Segment) -> bool {
        let snd = &self.snd;
        !seg.header.ack.before(snd.una)
            && (snd.wl1.before(seg.header.seq)
                || (snd.wl1 == seg.header.seq && !seg.header.ack.before(snd.wl2)))
    }

    pub(super) fn scaled_window(&self, seg: &Segment) -> u32 {
        let shift = if seg.has(TcpFlags::SYN) { 0 } else { self.agreed.snd_shift };
        u32::from(seg.header.window) << shift
    }

    pub(super) fn take_window(&mut self, now: Instant, seg: &Segment) {
        let snd = &mut self.snd;
        snd.wl1 = seg.header.seq;
        snd.wl2 = seg.header.ack;
        let window = self.scaled_window(seg);
        let snd = &mut self.snd;
        if window > snd.wnd {
            // The next transmission finds out whether a probe is still needed.
            self.timers.stop(Timer::Persist);
            snd.probes = 0;
        }
        snd.wnd = window;
        snd.wnd_max = snd.wnd_max.max(window);
        if snd.flight_size() > 0 && !self.timers.is_armed(Timer::Persist) {
            self.keep_retransmit_armed(now);
        }
    }

    /// S-ACK-8 to S-ACK-10.
    fn leave_on_fin_acked(&mut self, now: Instant) -> ControlFlow<()> {
        if !self.snd.fin_acked {
            return ControlFlow::Continue(());
        }
        match self.state {
            State::FinWait1 => self.enter_fin_wait2(now),
            State::Closing => self.enter_time_wait(now),
            State::LastAck => {
                self.finish(CloseReason::Normal);
                return ControlFlow::Break(());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
