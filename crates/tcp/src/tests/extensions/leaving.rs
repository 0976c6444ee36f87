//! What leaves at the edges of windows, and after a pause.

use core::time::Duration;

use super::{M, ack, at, config, connected_after, connecting, full, ms, text_sent};
use crate::state::CloseReason;
use crate::testing::{FixedWindow, Script};

/// Ten segments in flight over 100 ms with SACK, the congestion window full.
fn ten_in_flight() -> Script {
    let mut script = connecting(&config());
    script.advance_ms(100);
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK>");
    script.forget_sent();
    script.write(10 * M);
    assert_eq!(text_sent(&mut script), full(0..10));
    script
}

#[test]
fn congestion_control_cuts_no_segment_short() {
    // req: MUST-38
    let mut config = config();
    config.nodelay(true).congestion(FixedWindow::control(1));
    let mut script = Script::listen(&config, "S 0:0(0) win 1900 <mss 1460>");
    script.inject(". 1:1(0) ack 1 win 1900");
    script.forget_sent();
    script.write(500);
    assert_eq!(text_sent(&mut script), [(1, 500)]);
    // 960 octets of our window are left, which is half of the peer's; more waits.
    script.write(5_000);
    assert_eq!(text_sent(&mut script), []);
    script.inject(". 1:1(0) ack 501 win 1900");
    assert_eq!(text_sent(&mut script), [(501, M)]);
}

#[test]
fn a_pause_counts_from_more_than_a_retransmission_timeout_on() {
    // req: R5681-15
    for (longer, segments) in [(Duration::ZERO, 20), (Duration::from_nanos(1), 10)] {
        let mut script = connected_after(&config(), ms(100));
        script.write(10 * M);
        script.advance_ms(100);
        for segment in 1..=10 {
            ack(&mut script, at(segment));
        }
        script.forget_sent();
        assert_eq!(script.connection.info().cwnd, 20 * M);
        let rto = script.connection.info().rto;
        script.advance(rto - ms(100) + longer);
        script.write(60 * M);
        assert_eq!(text_sent(&mut script).len(), segments, "{longer:?} more than {rto:?}");
    }
}

#[test]
fn what_is_sent_again_fills_a_window_taken_back_to_its_last_octet() {
    // req: R7323-21, S-ACK-7
    let mut script = ten_in_flight();
    script.advance_ms(100);
    // The first five are lost, and the window takes four of them now.
    script.inject(&format!(". 1:1(0) ack 1 win {} <sack {}:{}>", 4 * M, at(5), at(10)));
    assert_eq!(text_sent(&mut script), full(0..4));
}

#[test]
fn a_tail_probe_carries_the_fin_where_the_window_takes_it() {
    // req: R8985-16, MUST-38
    for (room, flags) in [(500, "P."), (501, "FP.")] {
        let mut script = ten_in_flight();
        script.inject(&format!(". 1:1(0) ack 1 win {}", 10 * M + room));
        script.write(500);
        script.shutdown_write();
        script.expect_nothing();
        script.advance_ms(200);
        script.expect(&format!("{flags} {}:{}(500) ack 1", at(10), at(10) + 500));
    }
}

/// The user timeout counts from the last sign of life.
#[test]
fn a_peer_that_keeps_its_window_closed_is_given_up_when_it_was_silent_for_the_user_timeout() {
    // req: MUST-37
    for options in ["", ",sackOK"] {
        let mut config = config();
        config.user_timeout(Some(Duration::from_secs(30)));
        let mut script = Script::listen(&config, &format!("S 0:0(0) win 65535 <mss 1460{options}>"));
        script.inject(". 1:1(0) ack 1 win 0");
        script.write(100);
        script.advance_ms(50);
        script.inject(". 1:1(0) ack 1 win 0");
        script.advance(Duration::from_secs(30) - Duration::from_nanos(1));
        assert_eq!(script.connection.close_reason(), None);
        script.advance(Duration::from_nanos(1));
        assert_eq!(script.connection.close_reason(), Some(CloseReason::TimedOut));
    }
}

/// What a hold waits for is a timer; nothing that arrives meanwhile takes that away.
#[test]
fn a_sender_that_an_echo_stopped_goes_on_whatever_arrives_meanwhile() {
    // req: R3168-8
    for answer in ["", &format!(" <sack 1:{}>", at(1))] {
        let mut script = Script::listen(&config(), "SEW 0:0(0) win 65535 <mss 1460,sackOK>");
        script.inject(". 1:1(0) ack 1 win 65535");
        script.write(M);
        // A timeout, and an echo with the ACK that ends it: the window is one segment.
        script.advance_ms(2_000);
        script.inject(&format!(".E 1:1(0) ack {} win 65535", at(1)));
        script.write(M);
        script.inject(&format!(".E 1:1(0) ack {} win 65535", at(2)));
        script.write(M);
        script.forget_sent();
        let rto = script.connection.info().rto;
        script.inject(&format!(". 1:1(0) ack {} win 65535{answer}", at(2)));
        script.expect_nothing();
        script.advance(rto * 4);
        assert!(text_sent(&mut script).starts_with(&full(2..3)), "after {answer:?}");
    }
}
