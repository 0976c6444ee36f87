//! Abrupt ends: resets, and sockets dropped with data on the way. Nobody hangs, and nobody takes a torn stream for a whole
//! one.

use netstack_sim::heap::Side;
use netstack_tcp::{CloseReason, State};

use crate::app::Scripted;
use crate::harness::{CasePair, Property, progress};
use crate::monitor::Monitor;
use crate::plan::{Case, Close};

const CASES: u64 = 2_000;

// req: MUST-12
#[test]
fn an_abrupt_end_is_never_taken_for_a_clean_one_and_never_hangs() {
    let property = Property {
        name: "an_abrupt_end_is_never_taken_for_a_clean_one_and_never_hangs",
        make: Case::abrupt,
        judge: honest_end,
    };
    let outcomes = property.check(CASES);
    let torn = outcomes.iter().filter(|torn| **torn).count();
    println!("{} cases, {torn} streams torn", outcomes.len());
    if outcomes.len() as u64 >= CASES {
        assert!(torn > outcomes.len() / 4, "only {torn} streams were torn");
    }
}

/// Tells whether a stream was torn.
fn honest_end(case: &Case, pair: &CasePair<Monitor>) -> Result<bool, String> {
    let mut torn = false;
    let ends = [
        (Side::A, &case.a.close, pair.app_a(), pair.app_b()),
        (Side::B, &case.b.close, pair.app_b(), pair.app_a()),
    ];
    for (side, close, app, peer) in ends {
        let endpoint = pair.endpoint(side);
        if endpoint.state().is_some_and(|state| state != State::Closed) {
            return Err(format!("{side} never reached CLOSED, {}", progress(pair)));
        }
        if endpoint.state().is_none() {
            // A reset before ESTABLISHED returned it to LISTEN (RFC 9293 3.10.7.4): there is nothing to tell.
            if pair.endpoint(side.other()).close_reason().is_none() || app.progress().read > 0 {
                return Err(format!("{side} never heard of its peer, {}", progress(pair)));
            }
            continue;
        }
        let left = matches!(close, Close::AbortAt(_) | Close::DropAt(_)) && app.progress().closed;
        torn |= judge_reader(side, left, app, peer, endpoint.close_reason())
            .map_err(|fault| format!("{fault}, {}", progress(pair)))?;
    }
    Ok(torn)
}

/// What an application that stayed to the end must have seen. `left`: it did not stay.
fn judge_reader(
    side: Side,
    left: bool,
    app: &Scripted,
    peer: &Scripted,
    reason: Option<CloseReason>,
) -> Result<bool, String> {
    let (own, other) = (app.progress(), peer.progress());
    if own.eof && own.read != other.written {
        return Err(format!("{side} saw the end of file in the middle of the stream"));
    }
    if own.eof && !other.closed {
        return Err(format!("{side} saw an end of file that nobody sent"));
    }
    if !left && !own.eof && matches!(reason, None | Some(CloseReason::Normal)) {
        return Err(format!("{side} was told neither of the end of file nor of an error"));
    }
    Ok(!left && !own.eof)
}
