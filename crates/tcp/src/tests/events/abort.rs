//! ABORT (RFC 9293 3.10.5).

use core::time::Duration;

use crate::config::TcpConfig;
use crate::event::Event;
use crate::state::{CloseReason, State};
use crate::testing::Script;
use crate::tests::reach::{rcv_nxt, reach, snd_nxt};

const TELLING: [State; 5] =
    [State::SynReceived, State::Established, State::FinWait1, State::FinWait2, State::CloseWait];

/// The connection is gone: no timer, no answer to anything.
#[track_caller]
fn assert_silent(script: &mut Script, from: State) {
    assert_eq!(script.state(), State::Closed, "{from}");
    assert_eq!(script.connection.poll_timeout(), None, "{from}");
    assert_eq!(script.connection.send_queued(), 0, "{from}");
    let next = rcv_nxt(from);
    script.inject(&format!("P. {next}:{}(10) ack 1", next + 10));
    script.advance(Duration::from_secs(600));
    script.expect_nothing();
}

#[test]
fn abort_tells_the_peer_once() {
    // req: S-ABORT-1
    for state in TELLING {
        let mut script = reach(state);
        script.abort();
        let at = snd_nxt(state);
        script.expect(&format!("R {at}:{at}(0)"));
        script.expect_nothing();
        assert_eq!(script.drain_events(), [Event::Closed(CloseReason::Aborted)], "{state}");
        assert_silent(&mut script, state);
    }
}

#[test]
fn abort_flushes_what_was_queued() {
    // req: S-ABORT-1
    for state in [State::Established, State::CloseWait] {
        let mut script = reach(state);
        script.auto_read = false;
        script.inject(&format!(". {0}:{0}(0) ack 1 win 100", rcv_nxt(state)));
        script.write(100);
        script.write(1000);
        script.forget_sent();
        script.abort();
        script.expect("R 101:101(0)");
        script.expect_nothing();
        assert_eq!(script.connection.read(), None);
        assert_silent(&mut script, state);
    }
}

#[test]
fn abort_of_a_half_open_connection_counts_its_syn_under_a_closed_window() {
    // The SYN needs no room in the window: SND.NXT is ISS + 1, whatever the peer's SYN announced.
    // req: S-ABORT-1
    let mut script = Script::listen(&TcpConfig::new(), "S 0:0(0) win 0 <mss 1460>");
    script.expect("S. 0:0(0) ack 1");
    script.abort();
    script.expect("R 1:1(0)");
}

#[test]
fn abort_is_silent_where_there_is_nothing_to_tell() {
    // req: S-ABORT-2
    for state in [State::SynSent, State::Closing, State::LastAck, State::TimeWait] {
        let mut script = reach(state);
        script.abort();
        script.expect_nothing();
        assert_eq!(script.drain_events(), [Event::Closed(CloseReason::Aborted)], "{state}");
        assert_silent(&mut script, state);
    }
}

#[test]
fn a_second_abort_does_nothing() {
    // req: S-ABORT-1
    let mut script = reach(State::Established);
    script.abort();
    script.expect("R 1:1(0)");
    script.drain_events();
    script.abort();
    script.expect_nothing();
    assert_eq!(script.drain_events(), []);
}

#[test]
fn the_ack_field_of_a_reset_without_ack_is_empty() {
    // req: S-ABORT-1
    let mut script = reach(State::Established);
    script.inject("P. 1:11(10) ack 1");
    script.forget_sent();
    script.abort();
    assert_eq!(script.expect("R 1:1(0)").header.ack, netstack_wire::SeqNum(0));
}
