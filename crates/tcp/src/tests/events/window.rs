//! When the send window is updated (RFC 9293 3.10.7.4, fifth; pitfall 29).

use core::time::Duration;

use crate::config::TcpConfig;
use crate::state::State;
use crate::testing::Script;
use crate::tests::reach::reach_with;

fn open() -> Script {
    reach_with(TcpConfig::new().nodelay(true), State::Established)
}

fn window(script: &Script) -> u32 {
    script.connection.info().snd_wnd
}

#[test]
fn an_older_ack_brings_no_window() {
    // Pitfall 29: two ACKs change places, the older with a closed or an open window.
    // req: S-ACK-7
    for (newer, older) in [(65_000, 0), (0, 65_000)] {
        let mut script = open();
        script.write(10);
        script.write(10);
        script.inject(&format!(". 1:1(0) ack 21 win {newer}"));
        assert_eq!(window(&script), newer);
        script.inject(&format!(". 1:1(0) ack 11 win {older}"));
        assert_eq!(window(&script), newer, "SND.WL2 is 21");
    }
}

#[test]
fn an_older_segment_brings_no_window() {
    // req: S-ACK-7
    for (newer, older) in [(65_000, 0), (0, 65_000)] {
        let mut script = open();
        // The second of two segments comes first.
        script.inject(&format!("P. 11:21(10) ack 1 win {newer}"));
        assert_eq!(window(&script), newer);
        script.inject(&format!("P. 1:11(10) ack 1 win {older}"));
        assert_eq!(window(&script), newer, "SND.WL1 is 11");
        assert_eq!(script.octets_read(), 20, "its text counts all the same");
    }
}

#[test]
fn a_newer_segment_brings_its_window() {
    // req: S-ACK-7
    let mut script = open();
    script.inject("P. 1:11(10) ack 1 win 1000");
    assert_eq!(window(&script), 1000);
    script.inject(". 11:11(0) ack 1 win 2000");
    assert_eq!(window(&script), 2000, "newer by sequence number");
    script.inject(". 11:11(0) ack 1 win 3000");
    assert_eq!(window(&script), 3000, "as new");
    script.inject(". 11:11(0) ack 1 win 500");
    assert_eq!(window(&script), 500, "a window may shrink");
}

#[test]
fn a_low_sequence_number_with_a_new_ack_brings_its_window() {
    // A retransmission of the peer: SEQ below SND.WL1, ACK above SND.UNA.
    // req: S-ACK-7
    let mut script = open();
    script.inject("P. 1:11(10) ack 1");
    script.inject("P. 11:21(10) ack 1 win 100");
    script.write(10);
    script.inject("P. 1:11(10) ack 11 win 700");
    assert_eq!(window(&script), 700);
    assert_eq!(script.connection.send_queued(), 0);
}

#[test]
fn a_pure_update_reopens_a_closed_window_at_once() {
    // Pitfall 29: nothing new is acknowledged by it.
    // req: S-ACK-7
    let mut script = open();
    script.inject(". 1:1(0) ack 1 win 0");
    script.write(100);
    script.expect_nothing();
    script.advance_ms(50);
    script.inject(". 1:1(0) ack 1 win 1000");
    let now = script.now();
    script.expect_after(now, Duration::ZERO, "P. 1:101(100) ack 1");
    script.expect_nothing();
}
