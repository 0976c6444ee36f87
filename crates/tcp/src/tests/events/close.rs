//! CLOSE (RFC 9293 3.10.4).

use core::time::Duration;

use crate::reset::reset_for;
use crate::state::{CloseReason, State};
use crate::testing::{Script, pattern};
use crate::tests::events::segment;
use crate::tests::reach::reach;

#[test]
fn queued_data_leaves_before_the_fin() {
    // req: S-CLOSE-1
    let mut script = reach(State::Established);
    script.command(|connection, _| {
        connection.write(pattern(1, 4381)).expect("the connection is open");
        connection.shutdown_write();
    });
    script.expect(". 1:1461(1460) ack 1");
    script.expect(". 1461:2921(1460) ack 1");
    script.expect("FP. 2921:4381(1460) ack 1");
    script.expect_nothing();
    assert_eq!(script.state(), State::FinWait1);
}

#[test]
fn the_fin_waits_for_data_that_the_window_holds_back() {
    // req: S-CLOSE-1
    let mut script = reach(State::Established);
    script.inject(". 1:1(0) ack 1 win 1460");
    script.command(|connection, _| {
        connection.write(pattern(1, 4381)).expect("the connection is open");
        connection.shutdown_write();
    });
    script.expect(". 1:1461(1460) ack 1");
    script.expect_nothing();
    script.inject(". 1:1(0) ack 1461 win 1460");
    script.expect(". 1461:2921(1460) ack 1");
    script.expect_nothing();
    script.inject(". 1:1(0) ack 2921 win 1461");
    script.expect("FP. 2921:4381(1460) ack 1");
    script.expect_nothing();
}

#[test]
fn the_fin_is_not_held_back_by_nagle() {
    // Pitfall 28: a partial segment waits for the ACK of the one before it, until the sender closes.
    // req: S-CLOSE-1
    let mut script = reach(State::Established);
    script.write(10);
    script.expect("P. 1:11(10) ack 1");
    script.write(10);
    script.expect_nothing();
    script.shutdown_write();
    script.expect("FP. 11:21(10) ack 1");
    script.expect_nothing();
}

#[test]
fn close_in_syn_sent_leaves_nothing_behind() {
    // req: S-CLOSE-2
    let mut script = reach(State::SynSent);
    script.write(10);
    script.close();
    script.expect_nothing();
    assert_eq!(script.state(), State::Closed);
    assert_eq!(script.connection.poll_timeout(), None);
    // The SYN-ACK that comes later belongs to nobody.
    let reset = reset_for(&segment("S. 0:0(0) ack 1 <mss 1460>")).expect("it is no RST");
    assert_eq!(reset.seq, Script::ISS + 1);
}

#[test]
fn close_in_syn_received_waits_for_the_open() {
    // req: S-CLOSE-3
    let mut script = reach(State::SynReceived);
    script.close();
    script.expect_nothing();
    script.inject(". 1:1(0) ack 1");
    script.expect("F. 1:1(0) ack 1");
    assert_eq!(script.state(), State::FinWait1);
    script.inject(". 1:1(0) ack 2");
    script.inject("F. 1:1(0) ack 2");
    script.expect(". 2:2(0) ack 2");
    assert_eq!(script.state(), State::TimeWait);
}

#[test]
fn shutdown_in_syn_sent_waits_for_the_open() {
    // req: S-CLOSE-3, S-SEND-1
    let mut script = reach(State::SynSent);
    script.write(10);
    script.shutdown_write();
    script.expect_nothing();
    script.inject("S. 0:0(0) ack 1 <mss 1460>");
    script.expect("FP. 1:11(10) ack 1");
    script.expect_nothing();
    assert_eq!(script.state(), State::FinWait1);
}

#[test]
fn the_passive_closer_needs_no_time_wait() {
    // req: S-CLOSE-4, S-ACK-10
    for whole in [false, true] {
        let mut script = reach(State::CloseWait);
        if whole {
            script.close()
        } else {
            script.shutdown_write()
        }
        script.expect("F. 1:1(0) ack 2");
        assert_eq!(script.state(), State::LastAck);
        script.inject(". 2:2(0) ack 2");
        assert_eq!(script.connection.close_reason(), Some(CloseReason::Normal));
        assert_eq!(script.connection.poll_timeout(), None);
        script.expect_nothing();
    }
}

#[test]
fn a_second_close_sends_no_second_fin() {
    // req: S-CLOSE-5
    let closed = [State::FinWait1, State::FinWait2, State::Closing, State::LastAck, State::TimeWait];
    for state in closed {
        for second in [Script::close, Script::shutdown_write] {
            let mut script = reach(state);
            second(&mut script);
            second(&mut script);
            script.expect_nothing();
            assert_eq!(script.state(), state);
            // What a timer sends later is the first FIN again.
            script.advance(Duration::from_secs(30));
            while let Some((_, segment)) = script.next_sent() {
                let line = script.line(&segment);
                assert_eq!((line.seq, line.len), (1, 0), "{state}: {line}");
            }
        }
    }
}

#[test]
fn close_with_unread_data_is_a_reset() {
    // req: SHLD-3
    let mut script = reach(State::Established);
    script.auto_read = false;
    script.inject("P. 1:11(10) ack 1");
    script.forget_sent();
    script.close();
    script.expect("R 1:1(0)");
    script.expect_nothing();
    assert_eq!(script.connection.close_reason(), Some(CloseReason::Aborted));
}

#[test]
fn close_with_unread_data_is_a_reset_after_both_fins_too() {
    // An ABORT would be silent here; but the peer sent what nobody read.
    // req: SHLD-3
    for state in [State::Closing, State::LastAck] {
        let mut script = reach(State::Established);
        script.auto_read = false;
        if state == State::Closing {
            script.shutdown_write();
        }
        script.inject("FP. 1:11(10) ack 1");
        script.shutdown_write();
        assert_eq!(script.state(), state);
        script.forget_sent();
        script.close();
        script.expect("R 2:2(0)");
        script.expect_nothing();
        assert_eq!(script.state(), State::Closed);
    }
}

#[test]
fn close_with_unread_data_does_not_cut_time_wait_short() {
    // req: MUST-13
    let mut script = reach(State::FinWait2);
    script.auto_read = false;
    script.inject("FP. 1:11(10) ack 2");
    script.expect(". 2:2(0) ack 12");
    script.close();
    script.expect_nothing();
    assert_eq!(script.state(), State::TimeWait);
    script.inject("FP. 1:11(10) ack 2");
    script.expect(". 2:2(0) ack 12");
}

#[test]
fn close_in_syn_received_meets_the_fin_of_the_peer() {
    // Both FINs cross as the connection opens.
    // req: S-CLOSE-3, S-FIN-5
    let mut script = reach(State::SynReceived);
    script.shutdown_write();
    script.inject("FP. 1:11(10) ack 1");
    assert_eq!(script.state(), State::Closing);
    script.expect("F. 1:1(0) ack 12");
    script.expect_nothing();
    assert_eq!(script.octets_read(), 10);
    script.inject(". 12:12(0) ack 2");
    assert_eq!(script.state(), State::TimeWait);
}

#[test]
fn data_after_a_full_close_is_answered_with_a_reset() {
    // req: SHLD-3
    for state in [State::FinWait1, State::FinWait2] {
        let mut script = reach(state);
        script.close();
        script.expect_nothing();
        script.inject("P. 1:11(10) ack 1");
        script.expect("R 2:2(0)");
        script.expect_nothing();
        assert_eq!(script.state(), State::Closed);
        assert_eq!(script.octets_read(), 0);
    }
}
