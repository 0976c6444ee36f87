use bytes::Bytes;
use netstack_wire::Ecn;
use netstack_wire::tcp::TcpHeader;

use super::*;

fn arrival(seq: u32, flags: TcpFlags, len: usize) -> Arrival {
    let header = TcpHeader { seq: SeqNum(seq), flags, ..TcpHeader::default() };
    let payload = Bytes::from(vec![0; len]);
    let segment = Segment { header, payload, ecn: Ecn::NotEct, gso_size: 0 };
    Arrival { at: Instant::ZERO, input: Input::Segment(segment) }
}

/// A budget that is never reached.
fn budget() -> Budget {
    Budget::new(usize::MAX)
}

fn sequence(mailbox: &Mailbox, budget: &Budget) -> Vec<u32> {
    let numbers = mailbox.take(budget).into_iter().map(|arrival| match arrival.input {
        Input::Segment(segment) => segment.header.seq.0,
        Input::Icmp { seq, .. } | Input::TooBig { seq, .. } => seq.0,
    });
    numbers.collect()
}

#[test]
fn what_we_promised_room_for_always_fits() {
    let counters = Counters::default();
    let room = 1 << 20;
    let budget = budget();
    let mailbox = Mailbox::new(room);
    // The peer fills the slack with repetitions first.
    for _ in 0..1000 {
        mailbox.push(arrival(0, TcpFlags::ACK, 1000), &counters, &budget);
    }
    let mut seq = 0;
    while (seq as usize) < room {
        mailbox.push(arrival(seq, TcpFlags::ACK, 1024), &counters, &budget);
        seq += 1024;
    }
    let got = sequence(&mailbox, &budget);
    let fresh = got.iter().filter(|&&seq| seq > 0).count();
    assert_eq!(fresh, room / 1024 - 1);
    let snapshot = counters.snapshot();
    assert_eq!(snapshot.drop_mailbox_full, 0);
    assert!(snapshot.drop_mailbox_duplicate > 0);
}

#[test]
fn a_flood_is_dropped_and_counted() {
    let counters = Counters::default();
    let budget = budget();
    let mailbox = Mailbox::new(0);
    for seq in 0..1000 {
        mailbox.push(arrival(seq * 1000, TcpFlags::ACK, 1000), &counters, &budget);
    }
    assert_eq!(mailbox.take(&budget).len(), SLACK / 1000);
    assert_eq!(counters.snapshot().drop_mailbox_full, 1000 - (SLACK / 1000) as u64);
}

#[test]
fn the_newest_of_many_acks_stay_and_control_segments_too() {
    let counters = Counters::default();
    let budget = budget();
    let mailbox = Mailbox::new(0);
    mailbox.push(arrival(1, TcpFlags::FIN | TcpFlags::ACK, 0), &counters, &budget);
    for seq in 2..1000 {
        mailbox.push(arrival(seq, TcpFlags::ACK, 0), &counters, &budget);
    }
    mailbox.push(arrival(1000, TcpFlags::RST, 0), &counters, &budget);
    let got = sequence(&mailbox, &budget);
    assert_eq!(got.len(), MAX_CONTROL as usize);
    assert_eq!((got[0], got[1], got[255]), (1, 746, 1000));
    assert_eq!(counters.snapshot().drop_mailbox_ack, 1000 - MAX_CONTROL as u64);
}

#[test]
fn taking_leaves_no_storage() {
    let counters = Counters::default();
    let budget = budget();
    let mailbox = Mailbox::new(0);
    mailbox.push(arrival(1, TcpFlags::ACK, 10), &counters, &budget);
    assert_eq!(sequence(&mailbox, &budget), [1]);
    assert_eq!(lock(&mailbox.inbox).queue.capacity(), 0);
    mailbox.push(arrival(2, TcpFlags::ACK, SLACK), &counters, &budget);
    assert_eq!(sequence(&mailbox, &budget), [2], "the bytes taken do not count any more");
}

/// A large frame holds the buffer that it was read into; the first part of one is a copy.
#[test]
fn memory_counts_as_it_is_held() {
    let counters = Counters::default();
    let budget = budget();
    let mailbox = Mailbox::new(1 << 20);
    for seq in 0..3 {
        mailbox.push(arrival(seq * 33_000, TcpFlags::ACK, 33_000), &counters, &budget);
    }
    assert!(budget.used() >= 3 * 65_536, "{}", budget.used());
    mailbox.take(&budget);
    assert_eq!(budget.used(), 0);
    let mut large = arrival(0, TcpFlags::ACK | TcpFlags::FIN, 33_000).input;
    large.cut(4096);
    assert_eq!(large.payload_len(), 4096);
    let Input::Segment(segment) = large else { unreachable!() };
    assert_eq!(segment.header.flags, TcpFlags::ACK, "what comes behind is not there");
}
