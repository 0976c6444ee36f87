//! Nothing is left behind: what a connection does after its end (pitfall 39).

use core::time::Duration;

use netstack_wire::tcp::TcpFlags;
use proptest::prelude::*;

use crate::state::State;
use crate::testing::{Line, Script};
use crate::tests::reach::{rcv_nxt, reach, snd_nxt};

/// Something that happens to a connection.
#[derive(Debug, Clone)]
enum Input {
    Segment(Line),
    Time(u64),
}

/// Segments near both sequence spaces, with any flags, and pauses.
fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let offset = prop_oneof![-3i32..15, -100_000i32..100_000];
    let segment = (0u16..0x40, offset.clone(), 0u32..30, offset, any::<u16>()).prop_map(
        |(bits, seq, len, ack, win)| {
            Input::Segment(Line {
                flags: TcpFlags::from_bits(bits),
                seq: seq as u32,
                len,
                ack: Some(ack as u32),
                win: Some(win),
                urg: Some(win),
                ecn: None,
                options: None,
            })
        },
    );
    let time = prop_oneof![0u64..500, 0u64..400_000].prop_map(Input::Time);
    prop::collection::vec(prop_oneof![4 => segment, 1 => time], 50)
}

fn feed(script: &mut Script, input: Input, state: State) {
    match input {
        Input::Segment(mut line) => {
            line.seq = line.seq.wrapping_add(rcv_nxt(state));
            line.ack = line.ack.map(|ack| ack.wrapping_add(snd_nxt(state)));
            script.inject_line(&line);
        }
        Input::Time(millis) => script.advance(Duration::from_millis(millis)),
    }
}

fn any_state() -> impl Strategy<Value = State> {
    prop::sample::select(State::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Aborted, or reset by the peer: whatever comes finds no state, and nothing leaves.
    #[test]
    fn an_ended_connection_is_silent(state in any_state(), reset in any::<bool>(), inputs in inputs()) {
        // req: S-ABORT-1, S-ABORT-2, S-RST-3, S-RST-4
        let mut script = reach(state);
        if reset {
            script.inject(&format!("R {0}:{0}(0)", rcv_nxt(state)));
        }
        // Where the RST found nothing to end, the abort does.
        script.abort();
        script.forget_sent();
        script.drain_events();
        for input in inputs {
            feed(&mut script, input, state);
            script.expect_nothing();
            prop_assert_eq!(script.state(), State::Closed);
            prop_assert_eq!(script.connection.poll_timeout(), None);
            prop_assert_eq!(script.connection.poll_event(), None);
        }
        prop_assert_eq!(script.octets_read(), 0);
    }

    /// Dropped by the application: nothing is delivered any more, what leaves is ACK, FIN or RST, and once the connection is
    /// closed nothing does.
    #[test]
    fn a_dropped_connection_delivers_nothing(state in any_state(), inputs in inputs()) {
        // req: SHLD-3, S-CLOSE-5
        let mut script = reach(state);
        script.close();
        script.forget_sent();
        let mut closed = script.state() == State::Closed;
        for input in inputs {
            feed(&mut script, input, state);
            while let Some((_, sent)) = script.next_sent() {
                prop_assert!(!closed, "sent after the end");
                prop_assert!(sent.payload.is_empty());
                if sent.header.flags.contains(TcpFlags::FIN) {
                    prop_assert_eq!(script.line(&sent).seq, 1, "one FIN sequence number");
                }
            }
            closed = script.state() == State::Closed;
            prop_assert_eq!(script.octets_read(), 0);
        }
        script.advance(Duration::from_secs(3600));
        prop_assert_eq!(script.state(), State::Closed, "nothing keeps it for ever");
    }

    /// In any state any input is survived, in the open too.
    #[test]
    fn a_live_connection_survives_anything(state in any_state(), inputs in inputs(), octets in 0u32..5000) {
        let mut script = reach(state);
        script.auto_read = false;
        if octets > 0 && matches!(state, State::Established | State::CloseWait) {
            script.write(octets);
        }
        for input in inputs {
            feed(&mut script, input, state);
            while script.connection.read().is_some() {}
            script.set_unread(0);
            let closed = script.state() == State::Closed;
            prop_assert_eq!(closed, script.connection.close_reason().is_some());
            prop_assert!(!closed || script.connection.poll_timeout().is_none());
        }
    }
}
