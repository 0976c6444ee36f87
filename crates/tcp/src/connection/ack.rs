//! Fifth: the ACK field (RFC 9293 3.10.7.4; RFC 5681, RFC 6298, RFC 5961 5).

use core::ops::ControlFlow;
use core::time::Duration;

use netstack_wire::SeqNum;
use netstack_wire::tcp::{SackBlock, TcpFlags};

use super::Connection;
use crate::congestion::{Ack, Congestion, Signal};
use crate::segment::Segment;
use crate::send::{AckKind, Timing};
use crate::state::{CloseReason, State};
use crate::time::Instant;
use crate::time_wait::ts_clock;
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
                self.reset_due = Some(seg.header.ack);
                return ControlFlow::Break(());
            }
            self.ecn.take_handshake_ack(seg);
            self.establish(now, seg);
        }
        let ack = seg.header.ack;
        if ack.after(self.snd.max) || ack.before(self.snd.una - self.snd.wnd_max) {
            // S-ACK-6, R5961-5
            self.stats.unacceptable += 1;
            self.challenge(now);
            return ControlFlow::Break(());
        }
        let advanced = ack.after(self.snd.una);
        let congested = self.take_congestion_echo(now, seg);
        if advanced {
            self.soft_error = None;
            self.take_new_ack(now, seg, ack, congested);
        } else if ack == self.snd.una && self.is_duplicate(seg, bare) {
            self.take_duplicate(now);
        }
        if advanced || self.is_window_news(seg) {
            self.take_window(seg);
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

    /// SND.UNA advances to `ack` (S-ACK-4), by a segment that told of congestion marks if `congested`.
    fn take_new_ack(&mut self, now: Instant, seg: &Segment, ack: SeqNum, congested: bool) {
        self.take_rtt_sample(now, seg, ack);
        let mss = self.full_segment();
        let snd = &mut self.snd;
        let acked = ack.distance_from(snd.una);
        let octets = acked.min(snd.buffer.len());
        // What is acknowledged beyond the data is the FIN.
        snd.fin_acked |= acked > octets;
        let cwnd = snd.congestion.cwnd();
        // Slow start may double; avoidance grows only on a full window (R5681-16).
        let used = if cwnd < snd.congestion.ssthresh() {
            2 * u64::from(snd.flight_peak)
        } else {
            u64::from(snd.flight_peak + mss)
        };
        // RFC 3168 6.1.2: a mark makes no window grow.
        let cwnd_limited = used >= u64::from(cwnd) && !congested;

        snd.buffer.release(octets);
        snd.una = ack;
        snd.nxt = snd.nxt.max(ack);
        // Kept close, so that it stays comparable while the sequence space wraps.
        snd.small_end = snd.small_end.max(ack);
        snd.retries = 0;
        snd.probes = 0;
        if snd.urgent.is_some_and(|up| !up.after(ack)) {
            snd.urgent = None;
        }
        self.stats.bytes_acked += u64::from(octets);

        let kind = snd.recovery.on_new_ack(ack, acked, mss);
        match kind {
            AckKind::Ordinary => snd.congestion.on_ack(&Ack { cwnd_limited, ..Ack::new(now, acked) }),
            AckKind::Partial => {}
            AckKind::Full => snd.congestion.on_recovered(now, snd.flight_size()),
        }
        if !snd.is_outstanding() {
            self.timers.stop(Timer::Retransmit);
            self.timers.stop(Timer::UserTimeout);
            return;
        }
        if kind != AckKind::Partial || snd.recovery.takes_timer_restart() {
            // R6298-8; in recovery only the first partial ACK does (R6582-4).
            self.arm_retransmit(now);
        }
        self.arm_user_timeout(now);
    }

    /// RFC 6298 3: from the timed segment, or, where a retransmission spoiled that, from the timestamps.
    fn take_rtt_sample(&mut self, now: Instant, seg: &Segment, ack: SeqNum) {
        let rtt = match self.snd.timing {
            Timing::Running { end, sent } if !ack.before(end) => Some(now - sent),
            Timing::Running { .. } => return,
            Timing::Spoiled { since } => self.rtt_by_timestamp(now, seg, since),
            Timing::Idle => None,
        };
        self.snd.timing = Timing::Idle;
        if let Some(rtt) = rtt {
            self.snd.rtt.sample(rtt, &self.config);
        }
    }

    /// The age of the echoed timestamp; `None` if it was never sent by us (R7323-13), or before the retransmission at
    /// `since`: such an echo answers a copy whose ACK was lost, and its age would be our timeout, not the path's round trip.
    fn rtt_by_timestamp(&self, now: Instant, seg: &Segment, since: Instant) -> Option<Duration> {
        let ts = seg.header.options.timestamps.filter(|_| self.agreed.timestamps)?;
        let since = ts_clock(since).wrapping_add(self.ts_offset);
        if (ts.ecr.wrapping_sub(since) as i32) < 0 {
            return None;
        }
        let age = ts_clock(now).wrapping_add(self.ts_offset).wrapping_sub(ts.ecr);
        // Rounded up by the tick that the clock's steps hide.
        let age = Duration::from_millis(u64::from(age) + 1);
        (age <= now - self.syn_sent_at + Duration::from_millis(1)).then_some(age)
    }

    /// R5681-11: with SACK, new blocks; without, an empty segment that repeats ACK and window while data is in flight.
    fn is_duplicate(&mut self, seg: &Segment, bare: bool) -> bool {
        if self.snd.flight_size() == 0 {
            return false;
        }
        if self.agreed.sack {
            let block = self.newest_block(seg);
            return block.is_some_and(|block| self.snd.recovery.is_news(block));
        }
        let window = self.scaled_window(seg);
        bare && window == self.snd.wnd
    }

    /// The first block that tells of text in flight; a reported duplicate (R2883-4) and forgeries (R2018-9) do not.
    fn newest_block(&self, seg: &Segment) -> Option<SackBlock> {
        let (una, max) = (self.snd.una, self.snd.max);
        let blocks: &[SackBlock] = &seg.header.options.sack;
        let blocks = match blocks {
            [first, second, ..] if !first.left.before(second.left) && !first.right.after(second.right) => {
                &blocks[1..]
            }
            _ => blocks,
        };
        let valid = |block: &SackBlock| {
            block.left.after(una) && block.left.before(block.right) && !block.right.after(max)
        };
        blocks.iter().copied().find(valid)
    }

    fn take_duplicate(&mut self, now: Instant) {
        self.stats.dup_acks += 1;
        let mss = self.full_segment();
        let snd = &mut self.snd;
        if snd.recovery.on_duplicate(snd.una, mss) {
            self.stats.fast_retransmits += 1;
            // R5681-5: what limited transmit added is left out.
            let flight = snd.flight_size().min(snd.congestion.cwnd());
            snd.congestion.on_congestion(&Congestion::new(now, flight, Signal::Loss));
            snd.recovery.enter(snd.max, mss);
            self.ecn.on_reduction(self.snd.max);
            self.arm_retransmit(now);
        }
    }

    /// S-ACK-7: newer by sequence number, or as new and not older by acknowledgment.
    fn is_window_news(&self, seg: &Segment) -> bool {
        let snd = &self.snd;
        !seg.header.ack.before(snd.una)
            && (snd.wl1.before(seg.header.seq)
                || (snd.wl1 == seg.header.seq && !seg.header.ack.before(snd.wl2)))
    }

    fn scaled_window(&self, seg: &Segment) -> u32 {
        let shift = if seg.has(TcpFlags::SYN) { 0 } else { self.agreed.snd_shift };
        u32::from(seg.header.window) << shift
    }

    pub(super) fn take_window(&mut self, seg: &Segment) {
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
