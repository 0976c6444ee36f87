//! The header of each segment that leaves, and its options.

use netstack_wire::Ecn;
use netstack_wire::SeqNum;
use netstack_wire::tcp::{TcpFlags, TcpHeader, TcpOptions, Timestamps};

use super::Connection;
use crate::segment::Transmit;
use crate::time::Instant;
use crate::time_wait::ts_clock;

impl Connection {
    pub(super) fn header(&self, seq: SeqNum, flags: TcpFlags) -> TcpHeader {
        TcpHeader {
            src_port: self.tuple.local().port(),
            dst_port: self.tuple.remote().port(),
            seq,
            ack: self.rcv.nxt,
            flags,
            window: 0,
            urgent: 0,
            options: TcpOptions::default(),
        }
    }

    pub(super) fn transmit(&mut self, header: TcpHeader, len: u32) -> Transmit {
        self.stats.segments_sent += 1;
        Transmit {
            header,
            payload_len: len as usize,
            gso_size: 0,
            ecn: Ecn::NotEct,
            dscp: self.dscp,
            hop_limit: self.hop_limit,
        }
    }

    pub(super) fn timestamp(&self, now: Instant, ecr: u32) -> Timestamps {
        Timestamps { val: ts_clock(now).wrapping_add(self.ts_offset), ecr }
    }

    pub(super) fn timestamps(&self, now: Instant) -> Option<Timestamps> {
        self.agreed.timestamps.then(|| self.timestamp(now, self.rcv.ts_recent))
    }

    /// The options of a segment that carries an ACK.
    pub(super) fn options(&mut self, now: Instant) -> TcpOptions {
        let mut options = TcpOptions { timestamps: self.timestamps(now), ..TcpOptions::default() };
        if self.agreed.sack && self.rcv.has_sack_blocks() && self.sack_room() > 0 {
            options.sack = self.rcv.take_sack_blocks(self.sack_room());
        }
        options
    }

    /// SACK blocks beside timestamps, on a path that is narrow beyond measure as well.
    fn sack_room(&self) -> usize {
        let (most, timestamps) = if self.agreed.timestamps { (3, 12) } else { (4, 0) };
        (usize::from(self.snd.mss).saturating_sub(timestamps + 4 + 8) / 8).min(most)
    }

    /// What [`options`](Self::options) will occupy at most, so that text beside it keeps within the MTU.
    pub(super) fn options_len(&self) -> usize {
        let timestamps = if self.agreed.timestamps { 12 } else { 0 };
        let sack = if self.agreed.sack && self.rcv.has_sack_blocks() && self.sack_room() > 0 {
            4 + 8 * self.sack_room()
        } else {
            0
        };
        (timestamps + sack).min(40)
    }
}
