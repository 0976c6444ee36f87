//! Over a clean link nothing is sent twice, and the round trip sets the pace, not a timer.

use std::time::Duration;

use netstack_sim::heap::EndpointConfig;

use crate::harness::{CasePair, Property};
use crate::monitor::{Met, Monitor};
use crate::plan::Case;
use crate::transfer::everything_arrived;

const CASES: u64 = 2_000;
/// What the timers may take of a transfer in all: a few delayed ACKs at its start and end.
const TIMERS: Duration = Duration::from_millis(250);

// req: SHLD-19
#[test]
fn over_a_clean_link_nothing_is_sent_twice_and_no_timer_sets_the_pace() {
    let property = Property {
        name: "over_a_clean_link_nothing_is_sent_twice_and_no_timer_sets_the_pace",
        make: Case::clean,
        judge: swift,
    };
    let slowest = property.check(CASES).into_iter().fold(0.0, f64::max);
    println!("the slowest transfer took {slowest:.2} of the time allowed");
}

/// Gives the share of the allowed time that the slower direction took.
fn swift(case: &Case, pair: &CasePair<Monitor>) -> Result<f64, String> {
    let outcome = everything_arrived(case, pair)?;
    for met in [Met::Rto, Met::FastRetransmit] {
        if outcome.met[met as usize] {
            return Err(format!("{met:?} though nothing was lost"));
        }
    }
    let (a, b) = (&case.pair.a, &case.pair.b);
    let ends = [
        (pair.app_a().progress().span, case.b.total, b, a),
        (pair.app_b().progress().span, case.a.total, a, b),
    ];
    let mut slowest = 0.0_f64;
    for (span, bytes, from, to) in ends {
        let Some((opened, eof)) = span else { return Err("an application saw no end of file".to_owned()) };
        let took = eof.saturating_duration_since(opened);
        let rounds = rounds(bytes, from, to);
        let allowed = 2 * rounds * case.round_trip + TIMERS;
        if took > allowed {
            return Err(format!(
                "{bytes} bytes took {took:?}, {rounds} round trips of {:?}",
                case.round_trip
            ));
        }
        slowest = slowest.max(took.as_secs_f64() / allowed.as_secs_f64());
    }
    Ok(slowest)
}

/// Round trips that a transfer takes by slow start and windows alone.
fn rounds(bytes: u64, from: &EndpointConfig, to: &EndpointConfig) -> u32 {
    let window = from.tcp.send_buffer_size().min(to.tcp.recv_buffer_size()) as u64;
    let mut cwnd = 4 * u64::from(from.mtu);
    let (mut sent, mut rounds) = (0, 2);
    while sent < bytes {
        sent += cwnd.min(window);
        cwnd = (cwnd * 3 / 2).min(window.max(cwnd));
        rounds += 1;
    }
    rounds
}
