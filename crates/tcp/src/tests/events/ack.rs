//! Fifth: the ACK field (RFC 9293 3.10.7.4).

use core::time::Duration;

use crate::config::TcpConfig;
use crate::event::Event;
use crate::reset::reset_for;
use crate::state::{CloseReason, State};
use crate::testing::Script;
use crate::tests::events::segment;
use crate::tests::reach::reach;

#[test]
fn a_segment_without_ack_is_dropped() {
    // req: S-ACK-1
    for line in ["P 1:11(10)", "- 1:11(10)", "F 1:1(0)", "FPU 1:11(10) urg 3"] {
        let mut script = reach(State::Established);
        script.inject(line);
        script.advance_ms(600);
        script.expect_nothing();
        assert_eq!(script.octets_read(), 0, "{line}");
        assert_eq!(script.state(), State::Established, "{line}");
    }
}

#[test]
fn the_last_ack_of_the_handshake_opens_and_brings_the_window() {
    // req: S-ACK-2
    let mut script = Script::listen(&TcpConfig::new(), "S 0:0(0) win 65535 <mss 1460,wscale 3>");
    script.expect("S. 0:0(0) ack 1");
    script.inject(". 1:1(0) ack 1 win 10");
    assert_eq!(script.state(), State::Established);
    assert_eq!(script.drain_events(), [Event::Connected]);
    assert_eq!(script.connection.info().snd_wnd, 80);
}

#[test]
fn in_syn_received_any_other_ack_earns_a_reset() {
    // req: S-ACK-3
    for (line, reset) in
        [(". 1:1(0) ack 0", "R 0:0(0)"), (". 1:1(0) ack 2", "R 2:2(0)"), ("FP. 1:11(10) ack 2", "R 2:2(0)")]
    {
        let mut script = reach(State::SynReceived);
        script.inject(line);
        script.expect(reset);
        script.expect_nothing();
        assert_eq!(script.state(), State::SynReceived);
        assert_eq!(script.octets_read(), 0);
        script.inject(". 1:1(0) ack 1");
        assert_eq!(script.state(), State::Established);
    }
}

#[test]
fn a_new_ack_frees_what_it_covers() {
    // req: S-ACK-4
    let mut script = reach(State::Established);
    script.write(2920);
    script.expect(". 1:1461(1460) ack 1");
    script.expect("P. 1461:2921(1460) ack 1");
    let space = script.connection.send_space();
    script.inject(". 1:1(0) ack 731");
    assert_eq!(script.connection.send_queued(), 2190);
    assert_eq!(script.connection.send_space(), space + 730);
    script.expect_nothing();
    // The retransmission starts in the middle of the first segment, and ends where that did.
    let start = script.now();
    script.advance_ms(200);
    script.expect_after(start, Duration::from_millis(200), ". 731:1461(730) ack 1");
}

#[test]
fn an_old_ack_frees_nothing_and_its_text_counts() {
    // req: S-ACK-5
    let mut script = reach(State::Established);
    script.write(10);
    script.inject(". 1:1(0) ack 11");
    script.write(10);
    script.forget_sent();
    script.inject("P. 1:6(5) ack 1");
    assert_eq!(script.octets_read(), 5);
    assert_eq!(script.connection.send_queued(), 10);
    script.expect(". 21:21(0) ack 6");
    script.inject("P. 6:11(5) ack 11");
    assert_eq!(script.octets_read(), 10);
    assert_eq!(script.connection.send_queued(), 10);
}

#[test]
fn an_ack_of_what_was_never_sent_is_answered_and_dropped() {
    // Pitfall 34.
    // req: S-ACK-6
    let mut script = reach(State::Established);
    script.write(10);
    script.forget_sent();
    script.inject("P. 1:6(5) ack 12 win 99");
    script.expect(". 11:11(0) ack 1");
    script.expect_nothing();
    assert_eq!(script.octets_read(), 0);
    assert_eq!(script.connection.send_queued(), 10);
    assert_ne!(script.connection.info().snd_wnd, 99);
}

#[test]
fn fin_wait_1_ends_with_the_ack_of_the_fin() {
    // req: S-ACK-8
    let mut script = reach(State::FinWait1);
    script.inject(". 1:1(0) ack 2");
    assert_eq!(script.state(), State::FinWait2);
    script.advance(Duration::from_secs(3600));
    script.expect_nothing();
    script.inject("P. 1:11(10) ack 2");
    assert_eq!(script.octets_read(), 10);
    script.expect(". 2:2(0) ack 11");
}

#[test]
fn closing_ends_with_the_ack_of_the_fin() {
    // req: S-ACK-9
    let mut script = reach(State::Closing);
    script.inject(". 2:2(0) ack 2");
    assert_eq!(script.state(), State::TimeWait);
    script.expect_nothing();
    script.inject("F. 1:1(0) ack 2");
    script.expect(". 2:2(0) ack 2");
    script.expect_nothing();
}

#[test]
fn last_ack_ends_with_the_ack_of_the_fin() {
    // req: S-ACK-10
    let mut script = reach(State::LastAck);
    script.inject(". 2:2(0) ack 2");
    assert_eq!(script.drain_events(), [Event::Closed(CloseReason::Normal)]);
    assert_eq!(script.connection.poll_timeout(), None);
    script.expect_nothing();
    assert!(reset_for(&segment("F. 1:1(0) ack 2")).is_some(), "what comes now finds nobody");
}

#[test]
fn old_acks_do_not_stand_for_the_ack_of_the_fin() {
    // Pitfall 28: the FIN stands at 11, behind ten octets; an ACK of these, or older, moves nothing.
    // req: S-ACK-8, S-ACK-9, S-ACK-10
    for (passive, both) in [(false, false), (false, true), (true, false)] {
        let mut script = reach(if passive { State::CloseWait } else { State::Established });
        script.write(10);
        script.shutdown_write();
        if both {
            script.inject("F. 1:1(0) ack 1");
        }
        let next = 1 + u32::from(passive || both);
        let state = script.state();
        script.forget_sent();
        for ack in [1, 6, 11, 11, 1] {
            script.inject(&format!(". {next}:{next}(0) ack {ack}"));
            assert_eq!(script.state(), state, "ACK of {ack}");
        }
        script.expect_nothing();
        // And the FIN is still sent again, where it stood.
        script.advance_ms(250);
        script.expect(&format!("F. 11:11(0) ack {next}"));
        script.inject(&format!(". {next}:{next}(0) ack 12"));
        assert_ne!(script.state(), state);
    }
}

#[test]
fn time_wait_starts_again_with_each_fin() {
    // req: S-ACK-11, MUST-13, S-TMO-3
    let mut script = reach(State::TimeWait);
    script.advance(Duration::from_secs(30));
    script.inject("F. 1:1(0) ack 2");
    script.expect(". 2:2(0) ack 2");
    script.advance(Duration::from_secs(60) - Duration::from_nanos(1));
    assert_eq!(script.state(), State::TimeWait);
    script.advance(Duration::from_nanos(1));
    assert_eq!(script.connection.close_reason(), Some(CloseReason::Normal));
    script.expect_nothing();
}

#[test]
fn an_ack_of_nothing_sent_is_counted() {
    // req: S-ACK-6
    let mut script = reach(State::Established);
    for count in 1..=3 {
        script.inject(". 1:1(0) ack 2");
        assert_eq!(script.connection.info().stats.unacceptable, count);
    }
    script.inject(". 1:1(0) ack 1");
    assert_eq!(script.connection.info().stats.unacceptable, 3);
}
