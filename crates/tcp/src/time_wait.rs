//! TIME-WAIT as a record of its own (RFC 9293 3.6.1, RFC 1337, RFC 6191).

use core::time::Duration;

use netstack_wire::SeqNum;
use netstack_wire::tcp::{TcpFlags, TcpHeader, TcpOptions, Timestamps};

use crate::negotiate::is_opening_syn;
use crate::segment::Segment;
use crate::time::Instant;
use crate::tuple::FourTuple;

/// What becomes of a segment that reached a connection in TIME-WAIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeWaitAction {
    /// Send this ACK.
    Reply(TcpHeader),
    /// Nothing is sent.
    Ignore,
    /// The SYN may open the tuple anew (MAY-2, R6191-1); the new initial sequence number must lie above `iss_above`.
    Reopen {
        /// The old connection's highest sequence number sent.
        iss_above: SeqNum,
    },
}

/// A connection in TIME-WAIT: what is needed to answer a repeated FIN and to judge a new SYN, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeWait {
    pub(crate) tuple: FourTuple,
    pub(crate) snd_nxt: SeqNum,
    pub(crate) rcv_nxt: SeqNum,
    /// The window field of the last ACK.
    pub(crate) window: u16,
    /// Whether the connection used timestamps.
    pub(crate) timestamps: bool,
    pub(crate) ts_recent: u32,
    pub(crate) ts_offset: u32,
    pub(crate) length: Duration,
    pub(crate) expires_at: Instant,
    /// Empty segments may be answered again from here on.
    pub(crate) quiet_until: Instant,
}

/// Pause between two answers to segments that carry nothing (R5961-8): two records whose numbers do not fit each other
/// would else exchange ACKs without end.
const QUIET: Duration = Duration::from_millis(500);

const _: () = assert!(size_of::<TimeWait>() <= 128, "a TIME-WAIT record fits 128 bytes");

impl TimeWait {
    /// The connection's name.
    #[must_use]
    pub fn tuple(&self) -> FourTuple {
        self.tuple
    }

    /// When the record ends and the tuple is free (S-TMO-3).
    #[must_use]
    pub fn expires_at(&self) -> Instant {
        self.expires_at
    }

    /// The old connection's highest sequence number sent; a new one of the same tuple starts above it.
    #[must_use]
    pub fn snd_nxt(&self) -> SeqNum {
        self.snd_nxt
    }

    /// Answers `seg`. A retransmitted FIN restarts the 2 MSL (S-ACK-11); a RST is ignored (R1337-1).
    pub fn handle_segment(&mut self, now: Instant, seg: &Segment) -> TimeWaitAction {
        if seg.has(TcpFlags::RST) {
            return TimeWaitAction::Ignore;
        }
        if is_opening_syn(seg) && self.may_reopen(seg) {
            return TimeWaitAction::Reopen { iss_above: self.snd_nxt };
        }
        if seg.has(TcpFlags::FIN) && seg.header.seq + (seg.len() - 1) == self.rcv_nxt - 1 {
            self.expires_at = now + self.length;
        } else if seg.is_empty() && seg.header.seq == self.rcv_nxt && !self.is_stale(seg) {
            // An ACK in its place tells nothing new; answering it would start a loop of ACKs.
            return TimeWaitAction::Ignore;
        }
        if seg.is_empty() {
            if now < self.quiet_until {
                return TimeWaitAction::Ignore;
            }
            self.quiet_until = now + QUIET;
        }
        TimeWaitAction::Reply(self.ack(now))
    }

    /// RFC 6191 2, and MAY-2 where no timestamps tell.
    fn may_reopen(&self, seg: &Segment) -> bool {
        let above = seg.header.seq.after(self.rcv_nxt);
        match seg.header.options.timestamps {
            Some(ts) if self.timestamps => match (ts.val.wrapping_sub(self.ts_recent) as i32).signum() {
                1 => true,
                0 => above,
                _ => false,
            },
            Some(_) => true,
            None => above,
        }
    }

    fn is_stale(&self, seg: &Segment) -> bool {
        let old = |ts: Timestamps| (ts.val.wrapping_sub(self.ts_recent) as i32) < 0;
        self.timestamps && seg.header.options.timestamps.is_some_and(old)
    }

    fn ack(&self, now: Instant) -> TcpHeader {
        let ts = Timestamps { val: ts_clock(now).wrapping_add(self.ts_offset), ecr: self.ts_recent };
        TcpHeader {
            src_port: self.tuple.local().port(),
            dst_port: self.tuple.remote().port(),
            seq: self.snd_nxt,
            ack: self.rcv_nxt,
            flags: TcpFlags::ACK,
            window: self.window,
            urgent: 0,
            options: TcpOptions { timestamps: self.timestamps.then_some(ts), ..TcpOptions::default() },
        }
    }
}

/// The timestamp clock: milliseconds (R7323-19).
pub(crate) fn ts_clock(now: Instant) -> u32 {
    (now.as_nanos() / 1_000_000) as u32
}
