use bytes::Bytes;
use netstack_tcp::{Instant, Segment};
use netstack_wire::tcp::{TcpFlags, TcpHeader};
use netstack_wire::{Ecn, SeqNum};

use super::Mailbox;

fn segment(seq: u32, len: usize, flags: TcpFlags) -> Segment {
    let header = TcpHeader { seq: SeqNum(seq), flags, ..TcpHeader::default() };
    let payload = (0..len).map(|i| (seq as usize + i) as u8).collect::<Bytes>();
    Segment { header, payload, ecn: Ecn::NotEct, gso_size: 0 }
}

/// Lengths, cut sizes and times of what comes out of a mailbox that takes `segments` in, one per nanosecond.
fn popped(segments: &[Segment], merge: bool) -> Vec<(usize, u16, u64)> {
    let mut mailbox = Mailbox::default();
    for (at, segment) in segments.iter().enumerate() {
        mailbox.push(Instant::from_nanos(at as u64), segment.clone());
    }
    let mut all = Vec::new();
    while let Some((at, segment)) = mailbox.pop(merge) {
        let start = segment.header.seq.0 as usize;
        assert!(segment.payload.iter().enumerate().all(|(i, byte)| *byte == (start + i) as u8));
        all.push((segment.payload.len(), segment.gso_size, at.as_nanos()));
    }
    all
}

const ACK: TcpFlags = TcpFlags::ACK;

#[test]
fn neighbours_merge_up_to_a_short_one() {
    let train = [segment(0, 100, ACK), segment(100, 100, ACK), segment(200, 60, ACK), segment(260, 100, ACK)];
    assert_eq!(popped(&train, true), [(260, 100, 2), (100, 0, 3)]);
    assert_eq!(popped(&train, false), [(100, 0, 0), (100, 0, 1), (60, 0, 2), (100, 0, 3)]);
}

#[test]
fn push_ends_a_super_segment_and_other_flags_start_none() {
    let push = ACK.union(TcpFlags::PSH);
    let fin = ACK.union(TcpFlags::FIN);
    let train =
        [segment(0, 100, ACK), segment(100, 100, push), segment(200, 100, ACK), segment(300, 100, fin)];
    assert_eq!(popped(&train, true), [(200, 100, 1), (100, 0, 2), (100, 0, 3)]);
}

#[test]
fn gaps_empty_segments_and_other_acknowledgments_stay_apart() {
    let mut other = segment(200, 100, ACK);
    other.header.ack = SeqNum(9);
    let train =
        [segment(0, 100, ACK), segment(150, 100, ACK), segment(250, 0, ACK), segment(100, 100, ACK), other];
    assert_eq!(popped(&train, true).len(), 5);
}
