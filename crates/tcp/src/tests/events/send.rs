//! SEND and RECEIVE (RFC 9293 3.10.2, 3.10.3).

use crate::config::TcpConfig;
use crate::event::Event;
use crate::state::State;
use crate::testing::{Script, pattern};
use crate::tests::reach::reach;

#[test]
fn data_written_in_syn_sent_leaves_with_the_last_ack_of_the_handshake() {
    // req: S-SEND-1
    let mut script = Script::connect(&TcpConfig::new());
    script.expect("S 0:0(0)");
    script.write(100);
    script.expect_nothing();
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    script.expect("P. 1:101(100) ack 1");
    script.expect_nothing();
}

#[test]
fn data_written_in_syn_received_leaves_once_the_connection_is_open() {
    // req: S-SEND-1
    let mut script = reach(State::SynReceived);
    script.write(100);
    script.expect_nothing();
    script.inject(". 1:1(0) ack 1");
    script.expect("P. 1:101(100) ack 1");
    script.expect_nothing();
}

#[test]
fn data_may_be_written_after_the_peer_has_closed() {
    // req: S-SEND-2
    let mut script = reach(State::CloseWait);
    script.write(10);
    script.expect("P. 1:11(10) ack 2");
    script.inject(". 2:2(0) ack 11");
    assert_eq!(script.connection.send_queued(), 0);
    assert_eq!(script.state(), State::CloseWait);
}

#[test]
fn nothing_can_be_written_after_close() {
    // req: S-SEND-2
    for state in [State::Established, State::CloseWait, State::SynSent, State::SynReceived] {
        let mut script = reach(state);
        script.shutdown_write();
        script.forget_sent();
        assert!(script.connection.write(pattern(1, 11)).is_err(), "{state}");
        script.advance_ms(100);
        script.expect_nothing();
        assert_eq!(script.connection.send_queued(), 0, "{state}");
    }
}

#[test]
fn what_came_before_the_fin_is_read_before_the_end() {
    // req: S-RECV-1
    let mut script = reach(State::Established);
    script.auto_read = false;
    script.inject("P. 1:11(10) ack 1");
    script.inject("FP. 11:31(20) ack 1");
    assert_eq!(script.state(), State::CloseWait);
    assert_eq!(script.drain_events(), [Event::PeerClosed]);
    assert!(script.connection.peer_closed());
    assert_eq!(script.connection.read(), Some(pattern(1, 11)));
    assert_eq!(script.connection.read(), Some(pattern(11, 31)));
    assert_eq!(script.connection.read(), None);
}
