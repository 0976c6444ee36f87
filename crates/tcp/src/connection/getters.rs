//! What a connection tells of itself; nothing here changes it.

use netstack_wire::tcp::TcpFlags;

use super::{Connection, timeout};
use crate::info::TcpInfo;
use crate::segment::Segment;
use crate::state::{CloseReason, State};
use crate::time::Instant;
use crate::time_wait::TimeWait;
use crate::timer::Timer;
use crate::tuple::FourTuple;

impl Connection {
    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The connection's name.
    #[must_use]
    pub fn tuple(&self) -> FourTuple {
        self.tuple
    }

    /// Whether the peer opened it.
    #[must_use]
    pub fn is_passive(&self) -> bool {
        self.passive
    }

    /// Whether the peer's FIN arrived in order: nothing follows what can be read.
    #[must_use]
    pub fn peer_closed(&self) -> bool {
        self.rcv.fin.is_some_and(|fin| self.rcv.nxt.after(fin))
    }

    /// Why the connection ended, once it has.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        (self.state == State::Closed).then_some(self.close_reason)
    }

    /// Octets that may be written now without passing [`send_capacity`](Self::send_capacity).
    #[must_use]
    pub fn send_space(&self) -> usize {
        self.send_capacity().saturating_sub(self.send_queued())
    }

    /// Octets written and not acknowledged.
    #[must_use]
    pub fn send_queued(&self) -> usize {
        self.snd.buffer.len() as usize
    }

    /// Octets of memory that hold what is written and not acknowledged: of a piece acknowledged in part, all of it.
    #[must_use]
    pub fn send_memory(&self) -> usize {
        self.snd.buffer.memory()
    }

    /// Octets of the peer's that the application has consumed so far.
    #[must_use]
    pub fn consumed(&self) -> u64 {
        self.rcv.consumed()
    }

    /// Octets of memory that hold what came out of order.
    #[must_use]
    pub fn out_of_order_memory(&self) -> usize {
        self.rcv.out_of_order_memory()
    }

    /// Octets written and not yet sent.
    #[must_use]
    pub fn unsent(&self) -> usize {
        let sent = self.snd.flight_size().saturating_sub(self.syn_in_front());
        self.snd.buffer.len().saturating_sub(sent) as usize
    }

    /// Payload octets of a full segment as it is sent now.
    #[must_use]
    pub fn effective_mss(&self) -> usize {
        self.full_segment() as usize
    }

    /// Octets below the right edge that we announced: what the peer may send now.
    #[must_use]
    pub fn right_edge_room(&self) -> usize {
        self.rcv.window() as usize
    }

    /// Octets from what the application reads next to the end of the peer's urgent data; 0 when there is none (MUST-33).
    #[must_use]
    pub fn urgent_remaining(&self) -> usize {
        self.rcv.urgent_remaining() as usize
    }

    /// Whether the Nagle algorithm is off.
    #[must_use]
    pub fn nodelay(&self) -> bool {
        self.nodelay
    }

    /// Whether `seg` would complete the handshake: then a place in the accept queue has to be free, or the segment is to
    /// be dropped.
    #[must_use]
    pub fn completes_handshake(&self, seg: &Segment) -> bool {
        self.state == State::SynReceived
            && seg.has(TcpFlags::ACK)
            && !seg.has(TcpFlags::RST)
            && self.acknowledges_syn(seg)
    }

    /// The record that stands for the connection in TIME-WAIT.
    #[must_use]
    pub fn time_wait(&self) -> Option<TimeWait> {
        (self.state == State::TimeWait).then(|| TimeWait {
            tuple: self.tuple,
            snd_nxt: self.snd.max,
            rcv_nxt: self.rcv.nxt,
            window: self.rcv.window_field(self.agreed.rcv_shift),
            timestamps: self.agreed.timestamps,
            ts_recent: self.rcv.ts_recent,
            ts_offset: self.ts_offset,
            length: self.config.time_wait,
            expires_at: self.timers.next().unwrap_or(Instant::ZERO),
            quiet_until: Instant::ZERO,
        })
    }

    /// The connection's figures.
    #[must_use]
    pub fn info(&self) -> TcpInfo {
        let ssthresh = self.snd.congestion.ssthresh();
        TcpInfo {
            state: self.state,
            timestamps: self.agreed.timestamps,
            sack: self.agreed.sack,
            ecn: self.ecn.mode(),
            ecn_sending: self.ecn.is_sending(),
            fast_open: self.fast_open,
            snd_wscale: self.agreed.snd_shift,
            rcv_wscale: self.agreed.rcv_shift,
            mss: self.full_segment(),
            path_mtu: self.path_mtu(),
            cwnd: self.snd.cwnd(),
            ssthresh: (ssthresh != u32::MAX).then_some(ssthresh),
            controller: self.snd.congestion.name(),
            controller_phase: self.snd.congestion.phase(),
            snd_wnd: self.snd.wnd,
            rcv_wnd: self.rcv.window(),
            in_flight: self.in_flight(),
            unsent: self.unsent() as u32,
            unread: self.rcv.buffered(),
            srtt: self.snd.rtt.srtt(),
            rttvar: self.snd.rtt.rttvar(),
            min_rtt: self.snd.rtt.min_rtt(),
            rto: self.snd.rtt.rto(&self.config),
            in_recovery: self.snd.recovery.is_fast(),
            recovery: self.recovery_state(),
            reordering_seen: self.snd.rack.is_reordering_seen(),
            reordering_window: self.reordering_window(),
            pacing_rate: self.pacing_rate(),
            delivery_rate: self.snd.rate.rate(),
            retries: self.snd.retries,
            retry_warning: self.snd.retries >= timeout::R1,
            recv_buffer: self.rcv.buffer(),
            recv_rtt: self.rcv.rtt(),
            send_buffer: self.send_capacity() as u32,
            urgent_remaining: self.rcv.urgent_remaining(),
            soft_error: self.soft_error,
            stats: self.stats.totals(),
        }
    }

    /// Octets in flight; a SYN is in no scoreboard.
    fn in_flight(&self) -> u32 {
        if self.state.is_synchronized() { self.snd.board.pipe() } else { self.snd.flight_size() }
    }

    /// When `timer` fires, if it runs.
    #[must_use]
    pub fn deadline(&self, timer: Timer) -> Option<Instant> {
        self.timers.deadline(timer)
    }
}
