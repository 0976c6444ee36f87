//! Traces of ACKs.

use core::time::Duration;

use netstack_wire::SeqNum;

use super::Validation;
use crate::time::Instant;

const RTT: Duration = Duration::from_millis(100);
const M: u32 = 1_000;

fn at(millis: u64) -> Instant {
    Instant::from_nanos(1_000_000_000 + millis * 1_000_000)
}

/// ACKs as (milliseconds, octets acknowledged, octets in flight after it), and pipeACK behind each.
fn trace(acks: &[(u64, u32, u32)]) -> Vec<Option<u32>> {
    let mut validation = Validation::default();
    let mut una = SeqNum(0xffff_ff00);
    acks.iter()
        .map(|(millis, acked, flight)| {
            let prior = una;
            una += *acked;
            validation.on_ack(at(*millis), prior, una, una + *flight, RTT);
            validation.pipe_ack()
        })
        .collect()
}

#[test]
fn the_most_of_a_round_trip_counts_for_a_second() {
    // req: R7661-1
    let table: [(u64, u32, u32, Option<u32>); 9] = [
        (0, 1_000, 9_000, None),
        (50, 5_000, 5_000, None),
        // A round trip is over: all that was in flight when it began. Undefined for the first second.
        (100, 4_000, 6_000, None),
        (200, 6_000, 0, None),
        (1_050, 2_000, 0, None),
        (1_100, 500, 0, Some(10_000)),
        // Another second.
        (2_200, 700, 0, Some(700)),
        (3_100, 600, 0, Some(700)),
        // Nothing for longer than that.
        (9_000, 300, 0, Some(300)),
    ];
    let acks: Vec<_> = table.iter().map(|(at, acked, flight, _)| (*at, *acked, *flight)).collect();
    let expected: Vec<_> = table.iter().map(|row| row.3).collect();
    assert_eq!(trace(&acks), expected);
}

#[test]
fn what_leaves_together_is_one_round_trip() {
    // req: R7661-1
    // Ten segments after each pause, acknowledged by twos; what the first round trip measured is long forgotten.
    let burst = |start: u64| (1..=5).map(move |ack| (start + ack, 2_000, 10_000 - ack as u32 * 2_000));
    for pause in [500, 1_100, 4_000] {
        let acks: Vec<_> = (0..10).flat_map(|round| burst(round * pause)).collect();
        assert_eq!(trace(&acks).last(), Some(&Some(10_000)), "{pause} ms");
    }
}

#[test]
fn a_window_is_unused_below_half_and_for_five_minutes() {
    // req: R7661-2, R7661-5
    let mut validation = Validation::default();
    assert!(!validation.is_unused(u32::MAX, M), "undefined");
    for (millis, una) in [(0, 0), (1_000, 20_000)] {
        validation.on_ack(at(millis), SeqNum(una), SeqNum(una + 20_000), SeqNum(una + 20_000), RTT);
    }
    // One ACK of slow start beyond twice what was used.
    assert!(!validation.is_unused(48_000, M));
    assert!(validation.is_unused(48_002, M));
    let over = |validation: &mut Validation, millis, cwnd| validation.is_over(at(millis), cwnd, M);
    assert!(!over(&mut validation, 0, 50_000));
    assert!(!over(&mut validation, 299_999, 50_000));
    assert!(over(&mut validation, 300_000, 50_000));
    assert!(!over(&mut validation, 300_001, 50_000), "five minutes more");
    // Used in between.
    assert!(!over(&mut validation, 500_000, 40_000));
    assert!(!over(&mut validation, 600_000, 50_000));
    assert!(over(&mut validation, 900_000, 50_000));
}
