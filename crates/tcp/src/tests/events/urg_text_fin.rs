//! Sixth to eighth: URG, text, FIN (RFC 9293 3.10.7.4).

use core::time::Duration;

use crate::config::TcpConfig;
use crate::event::Event;
use crate::state::State;
use crate::testing::Script;
use crate::tests::reach::{reach, reach_with, snd_una};

#[test]
fn urgent_data_is_told_once_per_run() {
    // req: S-URG-1
    for state in [State::Established, State::FinWait1, State::FinWait2] {
        let mut script = reach(state);
        let una = snd_una(state);
        script.inject(&format!("U. 1:1(0) ack {una} urg 20"));
        assert_eq!(script.drain_events(), [Event::UrgentPending], "{state}");
        assert_eq!(script.connection.urgent_remaining(), 20);
        script.inject(&format!("PU. 1:11(10) ack {una} urg 20"));
        assert_eq!(script.drain_events(), [], "{state}: the same pointer");
        script.inject(&format!("PU. 11:16(5) ack {una} urg 5"));
        assert_eq!(script.drain_events(), [], "{state}: a lower one, RCV.UP is the larger");
        assert_eq!(script.connection.urgent_remaining(), 5);
        script.inject(&format!("PU. 16:21(5) ack {una} urg 100"));
        assert_eq!(script.drain_events(), [Event::UrgentPending], "{state}: a higher one");
    }
}

#[test]
fn a_pointer_counts_from_the_sequence_number_that_was_sent() {
    // A retransmission that overlaps what is known: the pointer is the same as before.
    // req: S-URG-1, MUST-62
    let mut script = reach(State::Established);
    script.inject("PU. 1:11(10) ack 1 urg 20");
    assert_eq!(script.drain_events(), [Event::UrgentPending]);
    script.inject("PU. 1:16(15) ack 1 urg 20");
    assert_eq!(script.drain_events(), []);
    assert_eq!(script.connection.urgent_remaining(), 5);
    // One that points below what is new tells nothing.
    script.inject("PU. 1:26(25) ack 1 urg 3");
    assert_eq!(script.drain_events(), []);
}

#[test]
fn urgent_data_is_ignored_after_the_fin() {
    // req: S-URG-1
    for state in [State::CloseWait, State::Closing, State::LastAck, State::TimeWait] {
        let mut script = reach(state);
        script.inject(&format!("U. 2:2(0) ack {} urg 20", snd_una(state)));
        assert_eq!(script.drain_events(), [], "{state}");
        assert_eq!(script.connection.urgent_remaining(), 0, "{state}");
    }
}

#[test]
fn text_is_delivered_and_acknowledged_in_order() {
    // req: S-TEXT-1
    for state in [State::Established, State::FinWait1, State::FinWait2] {
        let mut script = reach(state);
        let una = snd_una(state);
        let edge = |script: &Script, next: u32| next + script.connection.info().rcv_wnd;
        let mut last = edge(&script, 1);
        for (line, next) in [("1:11(10)", 11), ("16:21(5)", 11), ("11:16(5)", 21), ("21:1481(1460)", 1481)] {
            script.inject(&format!("P. {line} ack {una}"));
            let (_, ack) = script.next_sent().expect("each is acknowledged at once");
            assert_eq!(script.line(&ack).ack, Some(next), "{state}");
            script.expect_nothing();
            assert_eq!(script.octets_read(), next - 1, "{state}");
            assert!(edge(&script, next) >= last, "{state}: the right edge never moves left");
            last = edge(&script, next);
        }
        assert_eq!(script.state(), state);
    }
}

#[test]
fn the_right_edge_stays_while_nobody_reads() {
    // req: S-TEXT-1
    let mut script = reach_with(TcpConfig::new().recv_buffer(4096), State::Established);
    script.auto_read = false;
    for at in [1, 1001, 2001, 3001] {
        script.inject(&format!("P. {at}:{}(1000) ack 1", at + 1000));
        script.expect(&format!(". 1:1(0) ack {} win {}", at + 1000, 4097 - at - 1000));
    }
}

#[test]
fn text_after_the_fin_is_ignored() {
    // req: S-TEXT-2
    for state in [State::CloseWait, State::Closing, State::LastAck, State::TimeWait] {
        let mut script = reach(state);
        script.inject(&format!("P. 2:12(10) ack {}", snd_una(state)));
        let (_, ack) = script.next_sent().expect("the ACK of the FIN");
        assert_eq!(script.line(&ack).ack, Some(2), "{state}");
        script.expect_nothing();
        assert_eq!(script.octets_read(), 0, "{state}");
        assert_eq!(script.state(), state);
    }
}

#[test]
fn the_acknowledgment_rides_on_the_answer() {
    // req: S-TEXT-3
    let mut script = reach_with(TcpConfig::new().quick_acks(0), State::Established);
    script.inject("P. 1:11(10) ack 1");
    script.advance_ms(10);
    script.write(10);
    script.expect("P. 1:11(10) ack 11");
    script.inject(". 11:11(0) ack 11");
    script.advance(Duration::from_secs(10));
    script.expect_nothing();
}

#[test]
fn a_fin_in_order_is_acknowledged_at_once() {
    // req: S-FIN-2
    let mut script = reach_with(TcpConfig::new().quick_acks(0), State::Established);
    script.inject("FP. 1:11(10) ack 1");
    script.expect(". 1:1(0) ack 12");
    script.expect_nothing();
    assert_eq!(script.octets_read(), 10);
    assert!(script.connection.peer_closed());
    assert_eq!(script.drain_events(), [Event::PeerClosed]);
}

#[test]
fn a_fin_out_of_order_waits_for_what_comes_before_it() {
    // req: S-FIN-3
    let mut script = reach(State::Established);
    script.inject("F. 21:21(0) ack 1");
    script.expect(". 1:1(0) ack 1");
    assert_eq!(script.state(), State::Established);
    script.inject("P. 11:21(10) ack 1");
    script.expect(". 1:1(0) ack 1");
    assert!(!script.connection.peer_closed());
    script.inject("P. 1:11(10) ack 1");
    script.expect(". 1:1(0) ack 22");
    assert_eq!(script.octets_read(), 20);
    assert_eq!(script.state(), State::CloseWait);
    assert_eq!(script.drain_events(), [Event::PeerClosed]);
}

#[test]
fn a_fin_with_the_last_ack_of_the_handshake() {
    // req: S-FIN-4
    let mut script = reach(State::SynReceived);
    script.inject("F. 1:1(0) ack 1");
    assert_eq!(script.state(), State::CloseWait);
    assert_eq!(script.drain_events(), [Event::Connected, Event::PeerClosed]);
    script.expect(". 1:1(0) ack 2");
    script.write(10);
    script.expect("P. 1:11(10) ack 2");
    // And in ESTABLISHED.
    let mut script = reach(State::Established);
    script.inject("F. 1:1(0) ack 1");
    assert_eq!(script.state(), State::CloseWait);
}

#[test]
fn fin_wait_1_goes_by_whether_our_fin_is_acknowledged() {
    // req: S-FIN-5
    let mut script = reach(State::FinWait1);
    script.inject("F. 1:1(0) ack 2");
    assert_eq!(script.state(), State::TimeWait);
    script.expect(". 2:2(0) ack 2");

    let mut script = reach(State::FinWait1);
    script.inject("F. 1:1(0) ack 1");
    assert_eq!(script.state(), State::Closing);
    script.expect(". 2:2(0) ack 2");
    script.inject(". 2:2(0) ack 2");
    assert_eq!(script.state(), State::TimeWait);
}

#[test]
fn fin_wait_2_ends_with_the_fin() {
    // req: S-FIN-6
    let mut script = reach(State::FinWait2);
    script.inject("F. 1:1(0) ack 2");
    script.expect(". 2:2(0) ack 2");
    assert_eq!(script.state(), State::TimeWait);
    assert_eq!(script.connection.poll_timeout(), Some(script.now() + Duration::from_secs(60)));
    script.advance(Duration::from_secs(60));
    script.expect_nothing();
    assert_eq!(script.state(), State::Closed);
}

#[test]
fn a_repeated_fin_is_acknowledged_and_changes_nothing() {
    // req: S-FIN-7
    for state in [State::CloseWait, State::Closing, State::LastAck] {
        let mut script = reach(state);
        for _ in 0..3 {
            script.inject("F. 1:1(0) ack 1");
            let (_, ack) = script.next_sent().expect("each is acknowledged");
            assert_eq!(script.line(&ack).ack, Some(2), "{state}");
            script.expect_nothing();
            assert_eq!(script.state(), state);
        }
        assert_eq!(script.drain_events(), [], "{state}: the end was told");
    }
}
