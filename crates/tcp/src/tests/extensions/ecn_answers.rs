//! What an echo of a mark does to the timers, and what proves that a path takes ECT (RFC 3168 6.1.2, 6.1.1.1).

use super::{M, ack, at, config, ms};
use crate::ecn::EcnMode;
use crate::fast_open::{FastOpenAnswer, FastOpenOffer};
use crate::testing::Script;
use crate::timer::Timer;
use netstack_wire::Ecn;
use netstack_wire::tcp::FastOpenCookie;

/// Opened by a peer that asked for ECN and has `options`; all that left is forgotten.
fn agreed(options: &str, window: u16) -> Script {
    let mut config = config();
    config.nodelay(true);
    let mut script = Script::listen(&config, &format!("SEW 0:0(0) win {window} <mss 1460{options}>"));
    script.inject(&format!(". 1:1(0) ack 1 win {window}"));
    script.forget_sent();
    assert_eq!(script.connection.info().ecn, EcnMode::Classic);
    script
}

/// The window is one segment, two short ones are in flight, and the echo with the ACK of the first stops the sender.
fn holding() -> Script {
    let mut script = agreed("", 65_535);
    script.write(M);
    script.advance_ms(1_000);
    script.forget_sent();
    script.inject(&format!(".E 1:1(0) ack {} win 65535", at(1)));
    assert_eq!(script.connection.info().cwnd, M);
    for _ in 0..2 {
        script.write(100);
        assert!(script.next_sent().is_some());
    }
    script.inject(&format!(".E 1:1(0) ack {} win 65535", at(1) + 100));
    script.write(100);
    script.expect_nothing();
    script
}

#[test]
fn a_clear_ack_of_the_rest_ends_a_hold() {
    // req: R3168-8
    let mut script = holding();
    ack(&mut script, at(1) + 200);
    assert!(script.next_sent().is_some(), "at once: nothing in flight, no timer");
}

#[test]
fn what_acknowledges_nothing_neither_ends_nor_prolongs_a_hold() {
    // req: R3168-8
    let mut script = holding();
    let end = script.connection.deadline(Timer::Retransmit);
    assert!(end.is_some());
    script.advance_ms(50);
    script.inject(&format!(". 1:1(0) ack {} win 60000", at(1) + 100));
    script.expect_nothing();
    assert_eq!(script.connection.deadline(Timer::Retransmit), end);
}

#[test]
fn an_echo_on_a_duplicate_does_not_put_the_timeout_off() {
    // req: R3168-6, R6298-8
    let mut script = agreed("", 65_535);
    script.write(4 * M);
    let end = script.connection.deadline(Timer::Retransmit);
    script.advance_ms(50);
    script.inject(".E 1:1(0) ack 1 win 65535");
    assert_eq!(script.connection.info().stats.ecn_reductions, 1);
    assert_eq!(script.connection.deadline(Timer::Retransmit), end);
}

#[test]
fn with_nothing_in_flight_an_echo_reduces_nothing() {
    // req: R3168-6
    let mut script = agreed("", 65_535);
    script.write(M);
    ack(&mut script, at(1));
    let before = script.connection.info().cwnd;
    script.inject(&format!("P.E 1:101(100) ack {} win 65535", at(1)));
    let info = script.connection.info();
    assert_eq!((info.cwnd, info.stats.ecn_reductions, info.stats.ce_reported), (before, 0, 1));
}

/// All that was sent is acknowledged, new text leaves, and is or is not marked as ECN-capable.
fn next_is_capable(script: &mut Script, ack: u32) -> bool {
    script.forget_sent();
    script.inject(&format!(". 1:1(0) ack {ack} win 65535"));
    script.write(M);
    let (_, segment) = script.next_sent().expect("the window takes it");
    assert_eq!(segment.ecn == Ecn::Ect0, script.connection.info().ecn_sending);
    segment.ecn == Ecn::Ect0
}

#[test]
fn only_what_arrives_proves_that_the_path_takes_ect() {
    // req: R3168-9
    // A window update, and then silence.
    let mut script = agreed("", 65_535);
    script.write(M);
    script.inject(". 1:1(0) ack 1 win 60000");
    script.advance_ms(300);
    assert!(!next_is_capable(&mut script, at(1)));
    // The same with what one ACK takes.
    let mut script = agreed("", 65_535);
    script.write(2 * M);
    ack(&mut script, at(1));
    script.advance_ms(1_000);
    assert!(next_is_capable(&mut script, at(2)));
    // A block alone says as much.
    let mut script = agreed(",sackOK", 65_535);
    script.write(4 * M);
    script.inject(&format!(". 1:1(0) ack 1 win 65535 <sack {}:{}>", at(1), at(4)));
    script.advance_ms(300);
    assert!(next_is_capable(&mut script, at(4)));
}

#[test]
fn what_never_bore_ect_neither_proves_nor_disproves_it() {
    // req: R3168-9
    // Probes of a closed window, one after the other; then the path swallows the first segment with ECT.
    let mut script = agreed("", 0);
    script.write(4 * M);
    script.advance_ms(3_000);
    script.inject(". 1:1(0) ack 2 win 2000");
    assert!(script.connection.info().ecn_sending, "nothing with ECT was lost");
    script.forget_sent();
    script.advance_ms(20_000);
    assert!(!next_is_capable(&mut script, 2 + M), "nothing with ECT has arrived");

    // Text of a SYN that the server did not take.
    let mut asking = config();
    asking.ecn(crate::ecn::EcnPolicy::On);
    let offer = FastOpenOffer { cookie: FastOpenCookie::new(&[7; 8]), mss: Some(1460) };
    let mut script = Script::connect_fast(&asking, &offer, 500);
    script.inject("S.E 0:0(0) ack 1 win 65535 <mss 1460>");
    script.forget_sent();
    assert!(next_is_capable(&mut script, 501));
}

#[test]
fn an_echo_is_heard_two_gigabytes_after_the_last() {
    // req: R3168-6
    // Sequence numbers compare over half their space: what the last reduction is remembered by must not fall behind.
    let mut config = config();
    config.congestion(crate::testing::FixedWindow::control(40));
    let mut script = Script::listen(&config, "SEW 0:0(0) win 65535 <mss 1460,wscale 14>");
    script.inject(". 1:1(0) ack 1 win 65535");
    script.forget_sent();
    let (now, mut payload, piece) = (script.now() + ms(1), Vec::new(), bytes::Bytes::from(vec![0; 58_400]));
    let mut end = 1_u32;
    let mut round = |flags: &str| {
        script.connection.write(piece.clone()).unwrap();
        while let Some(sent) = script.connection.poll_transmit(now, &mut payload, usize::MAX) {
            end += sent.payload_len as u32;
        }
        let line = format!("{flags} 1:1(0) ack {end} win 65535").parse().unwrap();
        let segment = script.build(&line);
        script.connection.handle_segment(now, segment);
        script.connection.info().stats.ecn_reductions
    };
    for _ in 0..(1_u32 << 31) / 58_400 + 10 {
        assert_eq!(round("."), 0);
    }
    assert_eq!(round(".E"), 1);
}

#[test]
fn an_early_answer_is_ecn_capable() {
    // req: R3168-3, R7413-3
    let line = "SEW 0:100(100) win 20000 <mss 1400>";
    let mut script = Script::listen_fast(&config(), FastOpenAnswer::Accepted(None), line);
    script.expect("S.E 0:0(0) ack 101 ecn not");
    script.write(10);
    script.expect("P. 1:11(10) ack 101 ecn ect0");
}
