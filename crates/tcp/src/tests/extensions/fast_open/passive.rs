//! The server: data before the handshake is over, and answers to it (RFC 7413 4.2.2).

use core::time::Duration;

use super::super::ms;
use super::{COOKIE, bare, config, cookie};
use crate::event::Event;
use crate::fast_open::{FastOpen, FastOpenAnswer};
use crate::state::{CloseReason, State};
use crate::testing::Script;
use crate::timer::Timer;

const SYN: &str = "S 0:1000(1000) win 20000 <mss 1400,wscale 0,sackOK>";

/// In SYN-RECEIVED, with the data of the SYN read; its SYN-ACK has left.
fn early() -> Script {
    let mut script = Script::listen_fast(&bare(), FastOpenAnswer::Accepted(None), SYN);
    script.expect("S. 0:0(0) ack 1001 <mss 1460,wscale 7,sackOK>");
    script.expect_nothing();
    assert_eq!((script.state(), script.octets_read()), (State::SynReceived, 1000));
    script
}

#[test]
fn data_with_a_valid_cookie_is_read_and_acknowledged_before_the_handshake_is_over() {
    // req: R7413-3
    let mut script = early();
    assert_eq!(script.connection.fast_open(), FastOpen::Used);
    assert_eq!(script.drain_events(), []);
    script.inject(". 1001:1001(0) ack 1 win 20000");
    assert_eq!((script.state(), script.drain_events()), (State::Established, vec![Event::Connected]));
    script.expect_nothing();
    assert_eq!(script.connection.poll_timeout(), None);
    script.inject("P. 1001:1101(100) ack 1 win 20000");
    assert_eq!(script.octets_read(), 1100);
}

#[test]
fn an_answer_leaves_right_behind_the_syn_ack() {
    // req: R7413-3
    let mut script = early();
    script.write(3000);
    for (start, end) in [(1, 1401), (1401, 2801)] {
        script.expect(&format!(". {start}:{end}(1400) ack 1001"));
    }
    script.expect("P. 2801:3001(200) ack 1001");
    assert_eq!(script.state(), State::SynReceived);
    script.advance_ms(50);
    // The ACK of all of it completes the handshake too.
    script.inject(". 1001:1001(0) ack 3001 win 20000");
    assert_eq!((script.state(), script.connection.send_queued()), (State::Established, 0));
    assert_eq!(script.connection.info().srtt, Some(ms(50)));
    assert_eq!(script.connection.poll_timeout(), None);
}

#[test]
fn no_more_than_an_initial_window_leaves_before_the_handshake_is_over() {
    // req: R7413-3, R5681-1
    let mut script = early();
    script.write(60_000);
    let mut octets = 0;
    while let Some((_, segment)) = script.next_sent() {
        octets += segment.payload.len();
    }
    assert_eq!(octets, 10 * 1400);
    script.inject(". 1001:1001(0) ack 1 win 20000");
    script.expect_nothing();
    script.inject(". 1001:1001(0) ack 14001 win 60000");
    assert!(script.next_sent().is_some());
}

#[test]
fn an_answer_that_is_lost_is_sent_again() {
    // req: R7413-3
    let mut script = early();
    script.write(500);
    script.expect("P. 1:501(500) ack 1001");
    script.advance_ms(100);
    script.inject(". 1001:1001(0) ack 1 win 20000");
    assert_eq!(script.state(), State::Established);
    script.advance_ms(2000);
    script.expect("P. 1:501(500) ack 1001");
    script.inject(". 1001:1001(0) ack 501 win 20000");
    assert_eq!(script.connection.poll_timeout(), None);
}

#[test]
fn a_lost_syn_ack_comes_again_and_the_answer_behind_it_once_the_peer_is_there() {
    // req: R7413-3, S-TMO-2
    let mut script = early();
    script.write(500);
    script.expect("P. 1:501(500) ack 1001");
    script.advance_ms(1000);
    script.expect("S. 0:0(0) ack 1001 <mss 1460,wscale 7,sackOK>");
    script.expect_nothing();
    script.inject(". 1001:1001(0) ack 1 win 20000");
    script.expect("P. 1:501(500) ack 1001");
    script.expect_nothing();
    script.inject(". 1001:1001(0) ack 501 win 20000");
    assert_eq!((script.connection.send_queued(), script.connection.poll_timeout()), (0, None));
}

#[test]
fn a_syn_that_comes_again_with_its_data_changes_nothing() {
    // req: R7413-3, S-SEQ-8
    let mut script = early();
    script.inject(SYN);
    script.expect("S. 0:0(0) ack 1001");
    script.expect_nothing();
    // And so does one without, which the peer sends when it has heard nothing.
    script.inject("S 0:0(0) win 20000 <mss 1400,wscale 0,sackOK>");
    script.expect("S. 0:0(0) ack 1001");
    assert_eq!(script.octets_read(), 1000);
    script.inject(". 1001:1001(0) ack 1 win 20000");
    assert_eq!((script.state(), script.octets_read()), (State::Established, 1000));
    // After the handshake it is challenged as any.
    script.inject(SYN);
    script.expect(". 1:1(0) ack 1001");
    assert_eq!(script.octets_read(), 1000);
}

#[test]
fn a_cookie_goes_with_the_first_syn_ack_alone() {
    // req: R7413-2
    for answer in [
        FastOpenAnswer::Given(cookie()),
        FastOpenAnswer::Refused(cookie()),
        FastOpenAnswer::Accepted(Some(cookie())),
    ] {
        let mut script = Script::listen_fast(&bare(), answer, SYN);
        let ack = if answer.is_accepted() { 1001 } else { 1 };
        script.expect(&format!("S. 0:0(0) ack {ack} <mss 1460,wscale 7,sackOK,{COOKIE}>"));
        script.advance_ms(1000);
        script.expect(&format!("S. 0:0(0) ack {ack} <mss 1460,wscale 7,sackOK>"));
    }
    // With everything else that a SYN-ACK has it fits.
    let line = "S 0:0(0) win 20000 <mss 1400,wscale 0,sackOK,ts 1 0>";
    let mut script = Script::listen_fast(&config(), FastOpenAnswer::Given(cookie()), line);
    let (_, syn_ack) = script.next_sent().unwrap();
    let mut buf = [0; 60];
    let len = syn_ack.header.emit(&mut buf);
    assert_eq!(netstack_wire::tcp::TcpHeader::parse(&buf[..len]), Ok((syn_ack.header, len)));
    assert_eq!(syn_ack.header.options.fast_open, Some(cookie()));
}

#[test]
fn data_without_a_valid_cookie_waits_for_the_handshake() {
    // req: R7413-1, R7413-2, R7413-4
    for answer in [
        FastOpenAnswer::Ignored,
        FastOpenAnswer::Limited,
        FastOpenAnswer::Refused(cookie()),
        FastOpenAnswer::Given(cookie()),
    ] {
        let mut script = Script::listen_fast(&bare(), answer, SYN);
        script.expect("S. 0:0(0) ack 1");
        script.inject(SYN);
        script.expect("S. 0:0(0) ack 1");
        script.write(100);
        script.expect_nothing();
        assert_eq!((script.octets_read(), script.state()), (0, State::SynReceived), "{answer:?}");
        script.inject("P. 1:1001(1000) ack 1 win 20000");
        assert_eq!((script.octets_read(), script.state()), (1000, State::Established));
    }
}

#[test]
fn a_cookie_without_data_opens_early_too() {
    // req: R7413-3
    let mut script =
        Script::listen_fast(&bare(), FastOpenAnswer::Accepted(None), "S 0:0(0) win 20000 <mss 1400>");
    script.expect("S. 0:0(0) ack 1");
    script.write(100);
    script.expect("P. 1:101(100) ack 1");
    script.inject(". 1:1(0) ack 101 win 20000");
    assert_eq!(script.state(), State::Established);
}

#[test]
fn a_reset_ends_it_and_one_elsewhere_is_challenged() {
    // req: R5961-2, R5961-3
    let mut script = early();
    script.inject("R 1:1(0)");
    script.inject("R 1500:1500(0)");
    script.expect(". 1:1(0) ack 1001");
    script.inject("R 1001:1001(0)");
    assert_eq!(script.connection.close_reason(), Some(CloseReason::Reset));
    script.expect_nothing();
}

#[test]
fn a_peer_that_never_answers_is_given_up() {
    // req: R4987-1
    let mut script = early();
    script.write(100);
    script.advance(Duration::from_secs(61));
    assert_eq!(script.connection.close_reason(), Some(CloseReason::TimedOut));
}

#[test]
fn a_fin_of_either_end_waits_for_the_handshake() {
    // req: S-LISTEN-6, S-CLOSE-3
    let line = "SF 0:1000(1000) win 20000 <mss 1400>";
    let mut script = Script::listen_fast(&bare(), FastOpenAnswer::Accepted(None), line);
    script.expect("S. 0:0(0) ack 1001");
    script.write(100);
    script.expect("P. 1:101(100) ack 1001");
    script.shutdown_write();
    script.expect_nothing();
    script.inject("F. 1001:1001(0) ack 1 win 20000");
    script.expect("F. 101:101(0) ack 1002");
    script.inject(". 1002:1002(0) ack 102 win 20000");
    assert_eq!(script.state(), State::TimeWait);
}

#[test]
fn a_window_of_nothing_holds_the_answer_back_until_the_handshake_is_over() {
    // req: MUST-36
    let line = "S 0:1000(1000) win 0 <mss 1400>";
    let mut script = Script::listen_fast(&bare(), FastOpenAnswer::Accepted(None), line);
    script.expect("S. 0:0(0) ack 1001");
    script.write(100);
    script.expect_nothing();
    script.advance_ms(900);
    script.expect_nothing();
    // Nor is it probed meanwhile.
    script.advance_ms(10_000);
    for _ in 0..3 {
        script.expect("S. 0:0(0) ack 1001");
    }
    script.expect_nothing();
    script.inject(". 1001:1001(0) ack 1 win 20000");
    script.expect("P. 1:101(100) ack 1001");
}

#[test]
fn data_beyond_our_window_is_left_to_be_sent_again() {
    // req: R7413-3, S-SEQ-7
    let mut config = bare();
    config.recv_buffer(1024);
    let mut script =
        Script::listen_fast(&config, FastOpenAnswer::Accepted(None), "S 0:1400(1400) win 20000 <mss 1400>");
    let (_, syn_ack) = script.next_sent().unwrap();
    let taken = syn_ack.header.ack.distance_from(Script::IRS + 1);
    assert!((1024..1400).contains(&taken), "{taken}");
    assert_eq!(script.octets_read(), taken);
    script.inject(&format!("P. {}:1401({}) ack 1 win 20000", 1 + taken, 1400 - taken));
    assert_eq!(script.octets_read(), 1400);
}

#[test]
fn the_announced_edge_does_not_move_left_while_nobody_reads() {
    // req: SHLD-14
    let mut script = Script::listen_fast(&bare(), FastOpenAnswer::Accepted(None), SYN);
    script.auto_read = false;
    let edge = |script: &mut Script| {
        let (_, segment) = script.next_sent().unwrap();
        segment.header.ack + u32::from(segment.header.window)
    };
    let first = edge(&mut script);
    script.set_unread(1000);
    script.write(100);
    // Scaled, and rounded down.
    script.forget_sent();
    script.advance_ms(1000);
    assert!(!edge(&mut script).before(first));
}

#[test]
fn an_end_that_is_dropped_early_is_closed_in_order() {
    // req: S-CLOSE-3
    let mut script = early();
    script.write(100);
    script.expect("P. 1:101(100) ack 1001");
    script.close();
    script.expect_nothing();
    script.inject(". 1001:1001(0) ack 101 win 20000");
    script.expect("F. 101:101(0) ack 1001");
}

#[test]
fn a_fin_that_waits_for_the_handshake_wakes_nobody() {
    // req: S-CLOSE-3
    let mut script = early();
    script.shutdown_write();
    script.expect_nothing();
    assert_eq!(script.connection.deadline(Timer::Persist), None, "there is no window to probe");
}

#[test]
fn an_early_answer_that_nobody_acknowledges_is_given_up_in_time() {
    // req: MUST-20, R7413-3
    let mut config = bare();
    config.user_timeout(Some(Duration::from_secs(5)));
    let mut script = Script::listen_fast(&config, FastOpenAnswer::Accepted(None), SYN);
    script.write(500);
    script.inject(". 1001:1001(0) ack 1 win 20000");
    assert_eq!(script.state(), State::Established);
    script.advance_ms(4_999);
    assert_eq!(script.state(), State::Established);
    script.advance_ms(1);
    assert_eq!(script.connection.close_reason(), Some(CloseReason::TimedOut));
}

#[test]
fn an_early_answer_may_be_urgent() {
    // req: MUST-62, R7413-3
    let mut script = early();
    script.command(|connection, _| {
        connection.write(crate::testing::pattern(1, 6)).unwrap();
        connection.mark_urgent();
    });
    script.expect("UP. 1:6(5) ack 1001 urg 5");
}
