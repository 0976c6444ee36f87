//! The answer to a segment that belongs to no connection (RFC 9293 3.5.2, 3.10.7.1).

#[cfg(test)]
mod tests;

use netstack_wire::SeqNum;
use netstack_wire::tcp::{TcpFlags, TcpHeader, TcpOptions, Timestamps};

use crate::negotiate::SynRecord;
use crate::segment::Segment;

/// The RST that answers `seg` when nobody owns it, or `None` when it is a RST itself (S-CLOSED-1 to S-CLOSED-3).
///
/// A peer that uses timestamps gets its own value back, so that it can place the RST (R7323-8).
#[must_use]
pub fn reset_for(seg: &Segment) -> Option<TcpHeader> {
    if seg.has(TcpFlags::RST) {
        return None;
    }
    let (seq, ack, flags) = if seg.has(TcpFlags::ACK) {
        (seg.header.ack, SeqNum(0), TcpFlags::RST)
    } else {
        (SeqNum(0), seg.header.seq + seg.len(), TcpFlags::RST | TcpFlags::ACK)
    };
    let ports = (seg.header.dst_port, seg.header.src_port);
    Some(reset(ports, (seq, ack, flags), seg.header.options.timestamps.map(|ts| ts.val)))
}

impl SynRecord {
    /// The RST that refuses the connection (S-CLOSED-2).
    #[must_use]
    pub fn reset(&self) -> TcpHeader {
        let ports = (self.tuple.local().port(), self.tuple.remote().port());
        reset(ports, (SeqNum(0), self.irs + 1, TcpFlags::RST | TcpFlags::ACK), self.ts_val)
    }
}

fn reset(
    (src_port, dst_port): (u16, u16),
    (seq, ack, flags): (SeqNum, SeqNum, TcpFlags),
    ts_val: Option<u32>,
) -> TcpHeader {
    TcpHeader {
        src_port,
        dst_port,
        seq,
        ack,
        flags,
        window: 0,
        urgent: 0,
        options: TcpOptions {
            timestamps: ts_val.map(|ecr| Timestamps { val: 0, ecr }),
            ..TcpOptions::default()
        },
    }
}
