//! Second: RST (RFC 9293 3.10.7.4, RFC 5961 3).

use core::time::Duration;

use netstack_wire::tcp::TcpFlags;

use crate::config::TcpConfig;
use crate::event::Event;
use crate::listener::{Listener, SynAction};
use crate::reset::reset_for;
use crate::state::{CloseReason, State};
use crate::testing::{Line, Script, pattern};
use crate::tests::events::segment;
use crate::tests::reach::{rcv_nxt, reach, reach_with, snd_nxt, snd_una};
use crate::time::Instant;

#[test]
fn a_half_open_connection_goes_and_its_listener_stays() {
    // req: S-RST-1, MUST-11
    let mut listener = Listener::new(1, 1);
    let syn = segment("S 0:0(0) <mss 1460>");
    assert!(matches!(listener.handle_syn(Instant::ZERO, Script::tuple(), &syn), SynAction::Spawn(_)));
    let mut script = reach(State::SynReceived);
    assert!(script.connection.is_passive());
    script.inject("R 1:1(0)");
    assert_eq!(script.state(), State::Closed);
    assert_eq!(
        script.drain_events(),
        [Event::Closed(CloseReason::Reset)],
        "never connected, nothing to accept"
    );
    script.expect_nothing();
    listener.half_open_ended();
    assert!(matches!(listener.handle_syn(Instant::ZERO, Script::tuple(), &syn), SynAction::Spawn(_)));
}

#[test]
fn a_simultaneous_open_is_refused() {
    // req: S-RST-2, MUST-11
    let mut script = reach(State::SynSent);
    script.inject("S 0:0(0) <mss 1460>");
    script.expect("S. 0:0(0) ack 1");
    script.inject("R 1:1(0)");
    assert_eq!(script.drain_events(), [Event::Closed(CloseReason::Refused)]);
    script.expect_nothing();
}

#[test]
fn an_open_connection_is_reset() {
    // req: S-RST-3, R5961-2, MUST-12
    for state in [State::Established, State::FinWait1, State::FinWait2, State::CloseWait] {
        let mut script = reach(state);
        script.auto_read = false;
        let mut next = rcv_nxt(state);
        if state != State::CloseWait {
            script.inject(&format!("P. 1:11(10) ack {}", snd_una(state)));
            next = 11;
        }
        if matches!(state, State::Established | State::CloseWait) {
            script.write(100);
        }
        script.forget_sent();
        script.inject(&format!("R {next}:{next}(0)"));
        assert_eq!(script.drain_events(), [Event::Closed(CloseReason::Reset)], "{state}");
        assert_eq!(script.connection.send_queued(), 0, "{state}: the send queue is flushed");
        assert_eq!(script.connection.read(), None, "{state}: and so is the other");
        assert!(script.connection.write(pattern(1, 2)).is_err(), "{state}");
        assert_eq!(script.connection.poll_timeout(), None, "{state}");
        script.inject(&format!("P. {next}:{}(10) ack 1", next + 10));
        script.advance(Duration::from_secs(600));
        script.expect_nothing();
    }
    // The next segment finds nobody.
    assert!(reset_for(&segment("P. 11:21(10) ack 1")).is_some());
}

#[test]
fn a_closing_connection_ends_at_once() {
    // req: S-RST-4
    for state in [State::Closing, State::LastAck] {
        let mut script = reach(state);
        script.inject("R 2:2(0)");
        assert_eq!(script.state(), State::Closed, "{state}");
        assert_eq!(script.connection.poll_timeout(), None, "{state}");
        script.expect_nothing();
    }
}

#[test]
fn time_wait_ignores_resets() {
    // req: S-RST-5, R1337-1
    let mut script = reach(State::TimeWait);
    let ends = script.connection.poll_timeout();
    for line in ["R 2:2(0)", "R. 2:2(0) ack 2", "R 100:100(0)", "R 1:1(0)"] {
        script.inject(line);
        script.expect_nothing();
    }
    assert_eq!(script.state(), State::TimeWait);
    assert_eq!(script.connection.poll_timeout(), ends);
    script.inject("F. 1:1(0) ack 2");
    script.expect(". 2:2(0) ack 2");
}

#[test]
fn a_reset_never_earns_a_reset() {
    // req: S-RST-6
    for state in State::ALL {
        let (next, una, sent) = (rcv_nxt(state), snd_una(state), snd_nxt(state));
        for bits in 0..0x40 {
            let flags = TcpFlags::from_bits(bits) | TcpFlags::RST;
            for seq in [0, next, next + 5, next + 100_000] {
                for ack in [una, sent, sent + 1, sent + 1_000_000] {
                    let mut script = reach(state);
                    let line = Line {
                        flags,
                        seq,
                        len: 3,
                        ack: Some(ack),
                        win: None,
                        urg: Some(1),
                        ecn: None,
                        options: None,
                    };
                    assert_eq!(reset_for(&script.build(&line)), None);
                    script.inject_line(&line);
                    while let Some((_, sent)) = script.next_sent() {
                        assert!(!sent.header.flags.contains(TcpFlags::RST), "{state}: {line}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_reset_elsewhere_in_the_window_is_challenged() {
    // Pitfall 34: at RCV.NXT it kills, elsewhere in the window it earns one ACK, outside of it nothing.
    // req: R5961-3, R5961-2
    for state in State::ALL.into_iter().filter(|s| s.is_synchronized() && *s != State::TimeWait) {
        let (next, at) = (rcv_nxt(state), snd_nxt(state));
        for below_edge in [None, Some(1)] {
            let mut script = reach(state);
            let edge = next + script.connection.right_edge_room() as u32;
            let seq = below_edge.map_or(next + 1, |below| edge - below);
            script.inject(&format!("R {seq}:{seq}(0)"));
            script.expect(&format!(". {at}:{at}(0) ack {next}"));
            script.expect_nothing();
            assert_eq!(script.state(), state);
            // The peer that meant it answers the challenge from where the ACK says.
            script.inject(&format!("R {next}:{next}(0)"));
            assert_eq!(script.state(), State::Closed);
        }
    }
}

#[test]
fn a_reset_is_heard_through_a_closed_window() {
    // req: MUST-66
    for line in ["R 4097:4097(0)", "R. 4097:4100(3) ack 1"] {
        let mut script = reach_with(TcpConfig::new().recv_buffer(4096), State::Established);
        script.auto_read = false;
        script.inject("P. 1:4097(4096) ack 1");
        script.expect(". 1:1(0) ack 4097 win 0");
        script.inject(line);
        assert_eq!(script.connection.close_reason(), Some(CloseReason::Reset), "{line}");
    }
}
