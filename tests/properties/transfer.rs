//! Whole transfers: everything arrives, and both directions close.

use netstack_sim::heap::Side;
use netstack_tcp::CloseReason;

use crate::harness::{CasePair, Property, progress};
use crate::monitor::{Met, Monitor};
use crate::plan::{Case, LARGE};

const CASES: u64 = 10_000;
/// Cases that must meet each situation, in a run of [`CASES`].
const ENOUGH: usize = 100;

// req: MUST-10, MUST-36, S-SEQ-1, S-SEQ-2
#[test]
fn bytes_read_are_bytes_written_and_both_directions_close() {
    let property = Property {
        name: "bytes_read_are_bytes_written_and_both_directions_close",
        make: Case::new,
        judge: everything_arrived,
    };
    let outcomes = property.check(CASES);
    let packets: u64 = outcomes.iter().map(|outcome| outcome.packets).sum();
    let large = outcomes.iter().filter(|outcome| outcome.large).count();
    println!("{} cases, {large} of them over {LARGE} bytes, {packets} packets", outcomes.len());
    let mut rare = Vec::new();
    for met in Met::ALL {
        let count = outcomes.iter().filter(|outcome| outcome.met[met as usize]).count();
        println!("{met:?}: {count}");
        if count <= ENOUGH {
            rare.push(met);
        }
    }
    if outcomes.len() as u64 >= CASES {
        assert!(large * 10 >= outcomes.len() * 3, "{large} cases were over {LARGE} bytes");
        assert!(rare.is_empty(), "too few cases met {rare:?}");
    }
}

/// What one good case has met.
pub(crate) struct Outcome {
    large: bool,
    packets: u64,
    pub(crate) met: [bool; Met::ALL.len()],
}

pub(crate) fn everything_arrived(case: &Case, pair: &CasePair<Monitor>) -> Result<Outcome, String> {
    let ends = [
        (Side::A, pair.app_a(), case.a.total, case.b.total),
        (Side::B, pair.app_b(), case.b.total, case.a.total),
    ];
    for (side, app, to_write, to_read) in ends {
        let done = app.progress();
        let complete = done.written == to_write && done.read == to_read && done.eof && done.closed;
        if !complete || pair.endpoint(side).close_reason() != Some(CloseReason::Normal) {
            return Err(format!("{side} did not end well, {}", progress(pair)));
        }
    }
    Ok(Outcome {
        large: case.a.total.max(case.b.total) > LARGE,
        packets: pair.trace().packets(),
        met: Met::ALL.map(|met| pair.observer().has_met(met)),
    })
}
