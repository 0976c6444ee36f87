//! The FIN in every shape, in each state that may receive or send it (pitfall 28).

use core::time::Duration;

use crate::config::TcpConfig;
use crate::event::Event;
use crate::state::State;
use crate::testing::Script;
use crate::tests::reach::{reach, reach_with, snd_una};

// ---- Received ----

/// The states that take a FIN, and where it leads.
const RECEIVING: [(State, State); 4] = [
    (State::SynReceived, State::CloseWait),
    (State::Established, State::CloseWait),
    (State::FinWait1, State::Closing),
    (State::FinWait2, State::TimeWait),
];

/// What the peer acknowledges in `state`: our FIN once it is acknowledged, else our SYN.
fn peer_ack(state: State) -> u32 {
    snd_una(state).max(1)
}

/// The last thing that left acknowledges up to `ack`.
#[track_caller]
fn assert_acknowledged(script: &mut Script, ack: u32) {
    let last = std::iter::from_fn(|| script.next_sent()).last().expect("an ACK leaves at once").1;
    assert_eq!(script.line(&last).ack, Some(ack), "in {}", script.state());
}

/// Injects `steps`, each with the number that it makes us acknowledge; the last one completes the peer's stream of `octets`.
#[track_caller]
fn receive(state: State, after: State, octets: u32, steps: &[(&str, u32)]) {
    let mut script = reach(state);
    for (index, (line, ack)) in steps.iter().enumerate() {
        script.inject(&format!("{line} ack {}", peer_ack(state)));
        assert_acknowledged(&mut script, *ack);
        let complete = index + 1 == steps.len();
        assert_eq!(script.state() == after, complete, "{state}: {line}");
        assert_eq!(script.connection.peer_closed(), complete, "{state}: {line}");
    }
    assert_eq!(script.octets_read(), octets, "{state}");
    let told = script.drain_events().iter().filter(|event| **event == Event::PeerClosed).count();
    assert_eq!(told, 1, "{state}");
}

#[test]
fn alone() {
    // req: S-FIN-2, S-FIN-4, S-FIN-5, S-FIN-6
    for (state, after) in RECEIVING {
        receive(state, after, 0, &[("F. 1:1(0)", 2)]);
    }
}

#[test]
fn with_data() {
    // req: S-FIN-2
    for (state, after) in RECEIVING {
        for flags in ["F.", "FP."] {
            receive(state, after, 10, &[(&format!("{flags} 1:11(10)"), 12)]);
        }
        receive(state, after, 20, &[("P. 1:11(10)", 11), ("FP. 11:21(10)", 22)]);
    }
}

#[test]
fn after_lost_data() {
    // req: S-FIN-3
    for (state, after) in RECEIVING {
        receive(state, after, 10, &[("F. 11:11(0)", 1), ("P. 1:11(10)", 12)]);
        receive(state, after, 20, &[("FP. 11:21(10)", 1), ("P. 1:11(10)", 22)]);
        // The retransmission holds all of it, FIN included.
        receive(state, after, 20, &[("FP. 11:21(10)", 1), ("FP. 1:21(20)", 22)]);
    }
}

#[test]
fn reordered_before_data() {
    // req: S-FIN-3
    for (state, after) in RECEIVING {
        receive(
            state,
            after,
            30,
            &[("F. 31:31(0)", 1), ("P. 21:31(10)", 1), ("P. 11:21(10)", 1), ("P. 1:11(10)", 32)],
        );
        receive(state, after, 30, &[("FP. 21:31(10)", 1), ("P. 1:11(10)", 11), ("P. 11:21(10)", 32)]);
    }
}

#[test]
fn contradicted_by_text() {
    // What a broken peer sends first counts: text beyond a FIN is dropped, and so is a FIN below text.
    // req: S-FIN-3
    for late in ["P. 11:21(10)", "P. 16:21(5)"] {
        let mut script = reach(State::Established);
        script.inject("F. 11:11(0) ack 1");
        script.inject(&format!("{late} ack 1"));
        script.inject("P. 6:21(15) ack 1");
        script.inject("P. 1:6(5) ack 1");
        assert_eq!((script.octets_read(), script.state()), (10, State::CloseWait), "{late}");
    }
    let mut script = reach(State::Established);
    script.inject("P. 11:21(10) ack 1");
    script.inject("F. 11:11(0) ack 1");
    script.inject("P. 1:11(10) ack 1");
    assert_eq!((script.octets_read(), script.state()), (20, State::Established));
    assert!(!script.connection.peer_closed());
    script.inject("F. 21:21(0) ack 1");
    assert_eq!(script.state(), State::CloseWait);
}

#[test]
fn into_a_closed_window() {
    // A FIN alone needs no room; text with it does.
    // req: S-SEQ-3, S-FIN-2
    for (state, after) in RECEIVING {
        let ack = peer_ack(state);
        let full = || {
            let mut script = reach_with(TcpConfig::new().recv_buffer(4096), state);
            script.auto_read = false;
            script.inject(&format!("P. 1:4097(4096) ack {ack}"));
            assert_acknowledged(&mut script, 4097);
            assert_eq!(script.connection.info().rcv_wnd, 0);
            script
        };
        let mut script = full();
        script.inject(&format!("F. 4097:4097(0) ack {ack}"));
        assert_acknowledged(&mut script, 4098);
        assert_eq!(script.state(), after);
        assert_eq!(script.read(), 4096);

        let mut script = full();
        let before = script.state();
        script.inject(&format!("FP. 4097:4107(10) ack {ack}"));
        assert_acknowledged(&mut script, 4097);
        assert_eq!(script.state(), before, "neither text nor FIN is taken");
        script.auto_read = true;
        script.inject(&format!("FP. 4097:4107(10) ack {ack}"));
        script.inject(&format!("FP. 4097:4107(10) ack {ack}"));
        assert_acknowledged(&mut script, 4108);
        assert_eq!((script.state(), script.octets_read()), (after, 4106));
    }
}

#[test]
fn repeated_because_our_ack_was_lost() {
    // req: S-FIN-7, S-ACK-11
    for (state, after) in RECEIVING {
        for line in ["F. 1:1(0)", "FP. 1:11(10)"] {
            let mut script = reach(state);
            let ack = peer_ack(state);
            script.inject(&format!("{line} ack {ack}"));
            let octets = script.octets_read();
            for _ in 0..3 {
                script.forget_sent();
                script.inject(&format!("{line} ack {ack}"));
                assert_acknowledged(&mut script, 2 + octets);
                assert_eq!(script.state(), after);
            }
            assert_eq!(script.octets_read(), octets);
        }
    }
}

// ---- Sent ----

/// The states in which our FIN is unacknowledged, and where its ACK leads.
const SENDING: [(State, State); 3] =
    [(State::FinWait1, State::FinWait2), (State::Closing, State::TimeWait), (State::LastAck, State::Closed)];

/// A connection that may still write, on the way to `state`; its peer announces `window`.
fn before(state: State, window: u16) -> Script {
    let passive = state == State::LastAck;
    let mut script = reach(if passive { State::CloseWait } else { State::Established });
    let next = 1 + u32::from(passive);
    script.inject(&format!(". {next}:{next}(0) ack 1 win {window}"));
    script
}

/// Writes `octets` and closes in one turn, then goes to `state`; what left meanwhile is returned.
fn close_into(script: &mut Script, state: State, octets: u32, window: u16) -> Vec<String> {
    script.command(|connection, _| {
        connection.write(crate::testing::pattern(1, 1 + octets)).expect("the half is open");
        connection.shutdown_write();
    });
    let sent = sent(script);
    if state == State::Closing {
        script.inject(&format!("F. 1:1(0) ack 1 win {window}"));
        script.forget_sent();
    }
    assert_eq!(script.state(), state, "a FIN that cannot leave yet changes the state all the same");
    sent
}

/// What left, in notation without ACK and window.
fn sent(script: &mut Script) -> Vec<String> {
    let segments: Vec<_> = std::iter::from_fn(|| script.next_sent()).collect();
    segments
        .iter()
        .map(|(_, segment)| {
            let line = script.line(segment).to_string();
            line.split(" ack").next().expect("a line has a start").to_owned()
        })
        .collect()
}

fn acknowledge(script: &mut Script, state: State, ack: u32, window: u16) {
    let next = 1 + u32::from(state != State::FinWait1);
    script.inject(&format!(". {next}:{next}(0) ack {ack} win {window}"));
}

/// The FIN is acknowledged: the state changes, and nothing is sent again.
#[track_caller]
fn assert_done(script: &mut Script, state: State, after: State, ack: u32) {
    acknowledge(script, state, ack, 65_535);
    assert_eq!(script.state(), after, "from {state}");
    script.advance(Duration::from_secs(30));
    assert_eq!(sent(script), [""; 0], "from {state}");
}

#[test]
fn lost_one_to_three_times() {
    // Sent again where it stood, by a timer that doubles.
    // req: S-TMO-2, S-ACK-8, S-ACK-9, S-ACK-10
    for (state, after) in SENDING {
        for (octets, fin) in [(0, "F. 1:1(0)"), (10, "FP. 1:11(10)")] {
            for losses in 1..=3u32 {
                let mut script = before(state, 65_535);
                assert_eq!(close_into(&mut script, state, octets, 65_535), [fin]);
                for loss in 0..losses {
                    script.advance(Duration::from_millis((200 << loss) - 1));
                    assert_eq!(sent(&mut script), [""; 0], "{state}, loss {loss}");
                    script.advance(Duration::from_millis(1));
                    assert_eq!(sent(&mut script), [fin], "{state}, loss {loss}");
                }
                assert_done(&mut script, state, after, octets + 2);
            }
        }
    }
}

#[test]
fn sent_after_data_that_is_lost() {
    // req: S-TMO-2, S-CLOSE-1
    for (state, after) in SENDING {
        let mut script = before(state, 65_535);
        let first = close_into(&mut script, state, 3000, 65_535);
        assert_eq!(first, [". 1:1461(1460)", ". 1461:2921(1460)", "FP. 2921:3001(80)"]);
        // The first segment is lost; the peer's ACKs say so, the FIN is not acknowledged by them.
        acknowledge(&mut script, state, 1, 65_535);
        acknowledge(&mut script, state, 1, 65_535);
        assert_eq!(script.state(), state);
        script.advance_ms(200);
        assert_eq!(sent(&mut script), [". 1:1461(1460)"]);
        assert_done(&mut script, state, after, 3002);
    }
}

#[test]
fn sent_and_lost_behind_data_that_arrives() {
    // req: S-TMO-2, S-ACK-8, S-ACK-9, S-ACK-10
    for (state, after) in SENDING {
        let mut script = before(state, 65_535);
        close_into(&mut script, state, 3000, 65_535);
        acknowledge(&mut script, state, 3001, 65_535);
        assert_eq!(script.state(), state, "all data is acknowledged, the FIN is not");
        script.advance_ms(200);
        assert_eq!(sent(&mut script), ["F. 3001:3001(0)"]);
        assert_done(&mut script, state, after, 3002);
    }
}

#[test]
fn sent_into_a_closed_window() {
    // The window does not take it; the probe is the FIN itself, at the same sequence number each time.
    // req: S-CLOSE-1, MUST-36
    for (state, after) in SENDING {
        let mut script = before(state, 0);
        assert_eq!(close_into(&mut script, state, 0, 0), [""; 0]);
        for wait in [200, 400, 800] {
            script.advance_ms(wait);
            assert_eq!(sent(&mut script), ["F. 1:1(0)"], "{state}");
            acknowledge(&mut script, state, 1, 0);
        }
        // The window opens: once more, and from then on by the retransmission timer.
        acknowledge(&mut script, state, 1, 1000);
        assert_eq!(sent(&mut script), ["F. 1:1(0)"], "{state}");
        assert_done(&mut script, state, after, 2);
    }
}

#[test]
fn taken_by_a_closed_window() {
    // req: S-ACK-8, S-ACK-9, S-ACK-10
    for (state, after) in SENDING {
        let mut script = before(state, 0);
        close_into(&mut script, state, 0, 0);
        script.advance_ms(200);
        assert_eq!(sent(&mut script), ["F. 1:1(0)"], "{state}");
        acknowledge(&mut script, state, 2, 0);
        assert_eq!(script.state(), after);
    }
}

#[test]
fn behind_data_that_fills_the_window() {
    // req: S-CLOSE-1
    for (state, after) in SENDING {
        let mut script = before(state, 10);
        assert_eq!(close_into(&mut script, state, 10, 10), ["P. 1:11(10)"]);
        acknowledge(&mut script, state, 11, 0);
        assert_eq!(sent(&mut script), [""; 0]);
        acknowledge(&mut script, state, 11, 1);
        assert_eq!(sent(&mut script), ["F. 11:11(0)"], "{state}");
        assert_done(&mut script, state, after, 12);
    }
}

#[test]
fn never_sent_early_by_a_fast_retransmission() {
    // Four short segments fill the window, the first is lost: it is sent again as it was.
    let mut script = reach_with(TcpConfig::new().nodelay(true), State::Established);
    script.inject(". 1:1(0) ack 1 win 40");
    for _ in 0..4 {
        script.write(10);
    }
    script.shutdown_write();
    script.forget_sent();
    for _ in 0..3 {
        script.inject(". 1:1(0) ack 1 win 40");
    }
    assert_eq!(sent(&mut script), [". 1:11(10)"]);
    script.inject(". 1:1(0) ack 41 win 40");
    assert_eq!(sent(&mut script), ["F. 41:41(0)"]);
}
