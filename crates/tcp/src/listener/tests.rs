//! What a listener does with a segment, and its counts.

use core::time::Duration;

use netstack_wire::tcp::{FastOpenCookie, TcpFlags};

use super::{Listener, SynAction, SynCookies, SynDrop, SynPolicy};
use crate::fast_open::{CookieKey, FastOpenAnswer};
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

fn with_policy(policy: SynPolicy) -> Listener {
    Listener::new(100, 3).with_policy(policy)
}

#[test]
fn a_full_table_answers_as_configured() {
    // req: R4987-2
    for (policy, first) in [
        (SynPolicy::DropNew, true),
        (SynPolicy::RecycleOldest, true),
        (SynPolicy::CookiesWhenFull, true),
        (SynPolicy::AlwaysCookies, false),
    ] {
        let mut listener = with_policy(policy);
        for _ in 0..3 {
            let action = handle(&mut listener, SYN);
            assert_eq!(matches!(action, SynAction::Spawn(_)), first, "{policy:?}");
        }
        let action = handle(&mut listener, SYN);
        let expected = match policy {
            SynPolicy::DropNew => action == SynAction::Drop(SynDrop::TooManyHalfOpen),
            SynPolicy::RecycleOldest => matches!(action, SynAction::Recycle(_)),
            _ => matches!(action, SynAction::Cookie(_)),
        };
        assert!(expected, "{policy:?}: {action:?}");
        let held = match policy {
            SynPolicy::AlwaysCookies => 0,
            SynPolicy::RecycleOldest => 4,
            _ => 3,
        };
        assert_eq!(listener.half_open(), held, "{policy:?}");
    }
}

/// What was told to end and has not yet counts; past twice the limit nothing more is taken.
#[test]
fn recycling_is_bounded_too() {
    // req: R4987-1, R4987-2
    let mut listener = with_policy(SynPolicy::RecycleOldest);
    let taken = (0..1_000).filter(|_| !matches!(handle(&mut listener, SYN), SynAction::Drop(_))).count();
    assert_eq!((taken, listener.half_open()), (6, 6));
}

#[test]
fn answers_to_cookies_are_looked_at_while_some_may_come() {
    // req: R4987-4, S-LISTEN-2
    let mut listener = with_policy(SynPolicy::AlwaysCookies);
    let ack = segment(". 1:1(0) ack 77");
    let mut at = |now| listener.handle_syn(now, Script::tuple(), &ack);
    assert!(matches!(at(NOW), SynAction::Reset(_)), "none was sent");
    assert!(matches!(handle(&mut listener, SYN), SynAction::Cookie(_)));
    let mut at = |now| listener.handle_syn(now, Script::tuple(), &ack);
    assert_eq!(at(NOW), SynAction::CheckCookie);
    assert_eq!(at(NOW + (SynCookies::LIFETIME - Duration::from_nanos(1))), SynAction::CheckCookie);
    assert!(matches!(at(NOW + SynCookies::LIFETIME), SynAction::Reset(_)));
    // A place in the accept queue costs none of the half-open ones.
    assert!(listener.reserve_for_cookie());
    assert_eq!((listener.half_open(), listener.queued()), (0, 1));
}

#[test]
fn no_cookie_for_a_tuple_in_time_wait_nor_from_a_listener_that_defers() {
    // req: R4987-2, MUST-13
    let mut listener = with_policy(SynPolicy::AlwaysCookies);
    let reopen = |listener: &mut Listener| listener.handle_reopening_syn(NOW, Script::tuple(), &segment(SYN));
    for _ in 0..3 {
        assert!(matches!(reopen(&mut listener), SynAction::Spawn(_)));
    }
    assert_eq!(reopen(&mut listener), SynAction::Drop(SynDrop::TooManyHalfOpen));
    for policy in [SynPolicy::AlwaysCookies, SynPolicy::CookiesWhenFull, SynPolicy::RecycleOldest] {
        let mut listener = with_policy(policy).deferring();
        for _ in 0..3 {
            assert!(matches!(handle(&mut listener, SYN), SynAction::Incoming(_)));
        }
        assert_eq!(handle(&mut listener, SYN), SynAction::Drop(SynDrop::TooManyHalfOpen));
    }
}

/// A connection whose data is taken early waits for `accept` from its SYN on, within the backlog as any other.
#[test]
fn a_connection_by_fast_open_takes_its_place_in_the_queue_at_once() {
    // req: R7413-3, R7413-4, R4987-6
    let key = CookieKey::new([9; 16]);
    let mut listener = Listener::new(2, 10);
    assert_eq!((listener.fast_open_limit(), listener.fast_open_pending()), (0, 0));
    listener.set_fast_open(key, 5);
    assert_eq!(listener.fast_open_limit(), 5);
    let mut syn = segment("S 0:100(100) win 1000 <mss 1460>");
    let mut opens = |listener: &mut Listener, cookie| {
        syn.header.options.fast_open = Some(cookie);
        listener.handle_syn(NOW, Script::tuple(), &syn)
    };
    let cookie = key.cookie(NOW, &Script::tuple());
    for held in 1..=2 {
        let SynAction::Spawn(record) = opens(&mut listener, cookie) else { panic!("there is room") };
        assert_eq!(record.fast_open, FastOpenAnswer::Accepted(None));
        assert_eq!((listener.half_open(), listener.queued(), listener.fast_open_pending()), (0, held, held));
    }
    assert_eq!(opens(&mut listener, cookie), SynAction::Drop(SynDrop::BacklogFull));
    // Accepted, and its handshake over: what is left of it is nothing; of one that was reset a minute.
    listener.dequeued();
    listener.fast_open_ended(NOW, false);
    assert_eq!((listener.queued(), listener.fast_open_pending()), (1, 1));
    listener.fast_open_ended(NOW, true);
    assert_eq!(listener.fast_open_pending(), 1);
    // Who asks for a cookie begins a handshake as any other.
    let SynAction::Spawn(record) = opens(&mut listener, FastOpenCookie::REQUEST) else {
        panic!("there is room")
    };
    assert_eq!(record.fast_open, FastOpenAnswer::Given(cookie));
    assert_eq!((listener.half_open(), listener.queued()), (1, 1));
}
