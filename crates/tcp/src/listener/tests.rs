//! What a listener does with a segment, and its counts.

use netstack_wire::tcp::TcpFlags;

use super::{Listener, SynAction, SynDrop};
use crate::segment::Segment;
use crate::testing::{Line, Script};
use crate::time::Instant;

const NOW: Instant = Instant::from_nanos(5);

fn segment(line: &str) -> Segment {
    let line: Line = line.parse().unwrap();
    line.to_segment((50_000, 7), Script::IRS, Script::ISS)
}

fn handle(listener: &mut Listener, line: &str) -> SynAction {
    listener.handle_syn(NOW, Script::tuple(), &segment(line))
}

const SYN: &str = "S 0:0(0) win 1000 <mss 1460,wscale 3>";

#[test]
fn a_syn_asks_for_a_connection() {
    // req: S-LISTEN-3
    let mut listener = Listener::new(4, 4);
    let SynAction::Spawn(record) = handle(&mut listener, SYN) else { panic!("a SYN opens") };
    assert_eq!((record.tuple, record.irs, record.received_at), (Script::tuple(), Script::IRS, NOW));
    assert_eq!((record.window, record.mss, record.window_scale), (1000, Some(1460), Some(3)));
    assert_eq!(record.ts_val, None);
    assert_eq!((listener.half_open(), listener.queued()), (1, 0));

    let mut deferring = Listener::new(4, 4).deferring();
    assert!(matches!(handle(&mut deferring, SYN), SynAction::Incoming(_)));
}

#[test]
fn what_is_no_syn_is_dropped_or_reset() {
    // req: S-LISTEN-1, S-LISTEN-2, S-LISTEN-5
    let mut listener = Listener::new(4, 4);
    for line in [
        "R 0:0(0)",
        "R. 0:0(0) ack 1",
        "SR 0:0(0)",
        "S.R 0:0(0) ack 1",
        "- 0:5(5)",
        "F 0:0(0)",
        "U 0:1(1)",
        "P 0:1(1)",
    ] {
        assert_eq!(handle(&mut listener, line), SynAction::Drop(SynDrop::NotASyn), "{line}");
    }
    for line in [". 1:1(0) ack 77", "S. 0:0(0) ack 77", "PF. 5:9(4) ack 77"] {
        let SynAction::Reset(header) = handle(&mut listener, line) else { panic!("{line} earns a reset") };
        assert_eq!((header.flags, header.seq), (TcpFlags::RST, Script::ISS + 77));
        assert_eq!((header.src_port, header.dst_port), (7, 50_000));
    }
    assert_eq!((listener.half_open(), listener.queued()), (0, 0));
}

#[test]
fn half_open_handshakes_are_bounded() {
    // req: R4987-1
    let mut listener = Listener::new(100, 3);
    for _ in 0..3 {
        assert!(matches!(handle(&mut listener, SYN), SynAction::Spawn(_)));
    }
    for _ in 0..1_000 {
        assert_eq!(handle(&mut listener, SYN), SynAction::Drop(SynDrop::TooManyHalfOpen));
    }
    // One that was abandoned makes room for one.
    listener.half_open_ended();
    assert!(matches!(handle(&mut listener, SYN), SynAction::Spawn(_)));
    assert_eq!(handle(&mut listener, SYN), SynAction::Drop(SynDrop::TooManyHalfOpen));
}

#[test]
fn the_accept_queue_is_bounded_apart_and_forgets_the_accepted() {
    // req: R4987-6
    // Pitfall 16: connections that were accepted do not count.
    let mut listener = Listener::new(2, 10);
    for _ in 0..2 {
        assert!(matches!(handle(&mut listener, SYN), SynAction::Spawn(_)));
        assert!(listener.reserve());
    }
    assert_eq!((listener.half_open(), listener.queued()), (0, 2));
    assert_eq!(handle(&mut listener, SYN), SynAction::Drop(SynDrop::BacklogFull));
    for _ in 0..100 {
        listener.dequeued();
        assert!(matches!(handle(&mut listener, SYN), SynAction::Spawn(_)));
        assert!(listener.reserve());
    }
    assert_eq!((listener.half_open(), listener.queued()), (0, 2));
}

#[test]
fn a_full_queue_refuses_a_place_without_losing_the_handshake() {
    // req: R4987-6
    let mut listener = Listener::new(1, 10);
    assert!(matches!(handle(&mut listener, SYN), SynAction::Spawn(_)));
    assert!(matches!(handle(&mut listener, SYN), SynAction::Spawn(_)));
    assert!(listener.reserve());
    assert!(!listener.reserve(), "the last ACK is to be dropped");
    assert_eq!((listener.half_open(), listener.queued()), (1, 1));
    listener.dequeued();
    assert!(listener.reserve());
    listener.unreserve();
    assert_eq!((listener.half_open(), listener.queued()), (1, 0));
}

#[test]
fn counts_never_fall_below_nothing_and_limits_are_at_least_one() {
    let mut listener = Listener::new(0, 0);
    listener.half_open_ended();
    listener.dequeued();
    assert_eq!((listener.half_open(), listener.queued()), (0, 0));
    assert!(matches!(handle(&mut listener, SYN), SynAction::Spawn(_)));
    assert!(listener.reserve());
}
