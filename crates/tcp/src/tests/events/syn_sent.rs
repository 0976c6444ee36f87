//! SYN-SENT (RFC 9293 3.10.7.3).

use core::time::Duration;

use crate::config::TcpConfig;
use crate::event::Event;
use crate::state::{CloseReason, State};
use crate::testing::{Script, pattern};
use crate::tests::reach::reach;

/// The connect still goes on: a good SYN-ACK opens it.
fn goes_on(script: &mut Script) {
    assert_eq!(script.state(), State::SynSent);
    script.inject("S. 0:0(0) ack 1 <mss 1460>");
    script.expect(". 1:1(0) ack 1");
    assert_eq!(script.state(), State::Established);
}

#[test]
fn an_ack_of_nothing_sent_earns_a_reset() {
    // req: S-SYNSENT-1
    for (line, reset) in [
        ("S. 0:0(0) ack 0 <mss 1460>", "R 0:0(0)"),
        ("S. 0:0(0) ack 2 <mss 1460>", "R 2:2(0)"),
        ("S. 0:5(5) ack 99", "R 99:99(0)"),
    ] {
        let mut script = reach(State::SynSent);
        script.inject(line);
        script.expect(reset);
        script.expect_nothing();
        goes_on(&mut script);
    }
}

#[test]
fn a_reset_of_our_syn_refuses() {
    // req: S-SYNSENT-2
    let mut script = reach(State::SynSent);
    script.inject("R. 0:0(0) ack 1");
    assert_eq!(script.drain_events(), [Event::Closed(CloseReason::Refused)]);
    assert_eq!(script.connection.poll_timeout(), None);
    script.expect_nothing();
}

#[test]
fn any_other_reset_is_dropped() {
    // req: S-SYNSENT-3
    for line in ["R 0:0(0)", "R 1:1(0)", "R. 0:0(0) ack 0", "R. 0:0(0) ack 2", "SR. 0:0(0) ack 0"] {
        let mut script = reach(State::SynSent);
        script.inject(line);
        script.expect_nothing();
        goes_on(&mut script);
    }
}

#[test]
fn a_syn_ack_opens_the_connection() {
    // req: S-SYNSENT-4
    let mut script = reach(State::SynSent);
    script.inject("S. 0:0(0) ack 1 <mss 1460>");
    script.expect(". 1:1(0) ack 1");
    assert_eq!(script.state(), State::Established);
    assert_eq!(script.drain_events(), [Event::Connected]);
    script.advance(Duration::from_secs(3600));
    script.expect_nothing();
}

#[test]
fn a_syn_without_ack_is_a_simultaneous_open() {
    // req: S-SYNSENT-5, MUST-10
    let mut script = reach(State::SynSent);
    script.inject("S 0:0(0) <mss 1460>");
    script.expect("S. 0:0(0) ack 1");
    script.expect_nothing();
    assert_eq!(script.state(), State::SynReceived);
    assert_eq!(script.drain_events(), []);
    script.inject(". 1:1(0) ack 1");
    assert_eq!(script.state(), State::Established);
    assert_eq!(script.drain_events(), [Event::Connected]);
}

#[test]
fn text_and_fin_on_the_syn_ack_are_taken() {
    // req: S-SYNSENT-6
    let mut script = reach(State::SynSent);
    script.auto_read = false;
    script.inject("S. 0:5(5) ack 1 <mss 1460>");
    script.expect(". 1:1(0) ack 6");
    assert_eq!(script.connection.read(), Some(pattern(1, 6)));
    assert_eq!(script.state(), State::Established);

    let mut script = reach(State::SynSent);
    script.auto_read = false;
    script.inject("SF. 0:5(5) ack 1 <mss 1460>");
    script.expect(". 1:1(0) ack 7");
    assert_eq!(script.connection.read(), Some(pattern(1, 6)));
    assert_eq!(script.state(), State::CloseWait);
    assert_eq!(script.drain_events(), [Event::Connected, Event::PeerClosed]);
}

#[test]
fn a_segment_without_syn_and_reset_is_dropped() {
    // req: S-SYNSENT-7
    for line in [". 1:1(0) ack 1", "P. 1:6(5) ack 1", "- 1:1(0)", "P 1:6(5)"] {
        let mut script = reach(State::SynSent);
        script.inject(line);
        script.expect_nothing();
        goes_on(&mut script);
        assert_eq!(script.octets_read(), 0, "{line}");
    }
}

#[test]
fn a_fin_is_not_processed() {
    // req: S-FIN-1
    for line in ["F. 1:1(0) ack 1", "F 1:1(0)"] {
        let mut script = reach(State::SynSent);
        script.inject(line);
        script.expect_nothing();
        goes_on(&mut script);
        assert!(!script.connection.peer_closed(), "{line}");
    }
}

#[test]
fn the_window_of_the_syn_ack_is_the_first_send_window() {
    // req: S-SYNSENT-8
    let mut script = Script::connect(&TcpConfig::new());
    script.forget_sent();
    script.inject("S. 0:0(0) ack 1 win 1000 <mss 1460,wscale 7>");
    assert_eq!(script.connection.info().snd_wnd, 1000, "never scaled in a SYN");
    script.forget_sent();
    script.write(3000);
    script.expect(". 1:1001(1000) ack 1");
    script.expect_nothing();
    // SND.WL1 = IRS, SND.WL2 = ISS + 1: a segment as new as the SYN-ACK updates it.
    script.inject(". 1:1(0) ack 1001 win 10");
    script.expect(". 1001:2281(1280) ack 1");
}
