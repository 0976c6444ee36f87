//! Fourth: SYN (RFC 9293 3.10.7.4, RFC 5961 4).

use crate::event::Event;
use crate::state::State;
use crate::tests::events::segment;
use crate::tests::reach::{rcv_nxt, reach, snd_nxt, snd_una, synchronized};
use crate::time_wait::TimeWaitAction;

#[test]
fn a_stray_syn_does_not_end_a_handshake() {
    // Chosen of the two that the row allows: a challenge ACK.
    // req: S-SYN-1
    let mut script = reach(State::SynReceived);
    script.inject("S 6:6(0) <mss 1460>");
    script.expect(". 1:1(0) ack 1");
    script.expect_nothing();
    assert_eq!(script.state(), State::SynReceived);
    script.inject(". 1:1(0) ack 1");
    assert_eq!(script.drain_events(), [Event::Connected]);
}

#[test]
fn a_syn_is_challenged_wherever_it_stands() {
    // req: S-SYN-2, R5961-4
    for state in synchronized() {
        let (next, at, una) = (rcv_nxt(state), snd_nxt(state), snd_una(state));
        // In the window, at its left edge, below and above it; with and without ACK.
        for seq in [next + 100, next, 0, next + 100_000, next.wrapping_sub(100_000)] {
            for line in [format!("S {seq}:{seq}(0)"), format!("S. {seq}:{seq}(0) ack {una}")] {
                let mut script = reach(state);
                script.inject(&line);
                script.expect(&format!(". {at}:{at}(0) ack {next}"));
                script.expect_nothing();
                assert_eq!(script.state(), state, "{line}");
                assert_eq!(script.drain_events(), [], "{line}");
            }
        }
    }
    // Data flows on.
    let mut script = reach(State::Established);
    script.inject("S 1:1(0)");
    script.forget_sent();
    script.inject("P. 1:11(10) ack 1");
    script.write(5);
    assert_eq!(script.octets_read(), 10);
    script.expect(". 1:1(0) ack 11");
    script.expect("P. 1:6(5) ack 11");
}

#[test]
fn a_new_syn_may_reopen_time_wait() {
    // Pitfall 20: higher sequence number reopens, an old duplicate does not.
    // req: S-SYN-3, MAY-2
    let script = reach(State::TimeWait);
    let now = script.now();
    let mut record = script.connection.time_wait().expect("it is in TIME-WAIT");
    let expires = record.expires_at();
    let above = record.snd_nxt();
    assert_eq!(
        record.handle_segment(now, &segment("S 5000:5000(0) <mss 1460>")),
        TimeWaitAction::Reopen { iss_above: above }
    );
    for line in ["S 0:0(0) <mss 1460>", "S 2:2(0) <mss 1460>", "S. 5000:5000(0) ack 2"] {
        assert!(matches!(record.handle_segment(now, &segment(line)), TimeWaitAction::Reply(_)), "{line}");
    }
    assert_eq!(record.expires_at(), expires);
}

#[test]
fn a_repeated_syn_is_answered_whatever_its_ack_field_holds() {
    // Without the flag the field means nothing.
    // req: S-SEQ-8
    for ack in [0, 1, 77] {
        let mut script = reach(State::SynReceived);
        script.inject(&format!("S 0:0(0) ack {ack} <mss 1460>"));
        script.expect("S. 0:0(0) ack 1");
        script.expect_nothing();
        assert_eq!(script.state(), State::SynReceived);
    }
}
