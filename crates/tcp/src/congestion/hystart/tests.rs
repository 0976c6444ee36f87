//! Rounds by hand: segments of one octet, ACKs one by one.

use core::time::Duration;

use netstack_wire::SeqNum;

use super::{Ack, Growth, HyStart, NO_SAMPLE};
use crate::time::Instant;

/// A slow start whose rounds have `acks` ACKs each.
#[derive(Debug, Default)]
struct Start {
    hystart: HyStart,
    una: u32,
    growth: Vec<Growth>,
}

impl Start {
    /// A round of `acks` ACKs, all with a round trip of `millis`.
    fn round(&mut self, acks: u32, millis: u64) {
        // The first ACK of the next round acknowledges what was outstanding when this one began.
        let nxt = SeqNum(self.una + acks + 1);
        for _ in 0..acks {
            self.una += 1;
            let ack = Ack {
                rtt: Some(Duration::from_millis(millis)),
                una: SeqNum(self.una),
                nxt,
                ..Ack::new(Instant::ZERO, 8)
            };
            self.growth.push(self.hystart.on_ack(&ack, 8));
        }
    }

    /// How the ACKs of the last round let the window grow.
    fn last(&self, acks: usize) -> &[Growth] {
        &self.growth[self.growth.len() - acks..]
    }
}

const SLOW: Growth = Growth::By(8);
const CONSERVATIVE: Growth = Growth::By(2);

#[test]
fn a_round_ends_when_what_was_outstanding_at_its_start_is_acknowledged() {
    // req: R9406-1
    let mut hystart = HyStart::default();
    let mut ack = |una: u32, nxt: u32, millis| {
        let rtt = Some(Duration::from_millis(millis));
        let ack = Ack { una: SeqNum(una), nxt: SeqNum(nxt), rtt, ..Ack::new(Instant::ZERO, 1) };
        hystart.on_ack(&ack, 8);
        (
            hystart.window_end.unwrap().0,
            hystart.current_min / 1_000,
            (hystart.last_min != NO_SAMPLE).then_some(hystart.last_min / 1_000),
            hystart.samples,
        )
    };
    assert_eq!(ack(1, 10, 50), (10, 50, None, 1));
    assert_eq!(ack(5, 15, 40), (10, 40, None, 2));
    assert_eq!(ack(9, 19, 45), (10, 40, None, 3));
    assert_eq!(ack(10, 20, 60), (20, 60, Some(40), 1));
    assert_eq!(ack(19, 30, 55), (20, 55, Some(40), 2));
    assert_eq!(ack(25, 33, 58), (33, 58, Some(55), 1));
}

#[test]
fn a_growing_round_trip_makes_slow_start_conservative_in_that_round() {
    // req: R9406-2, R9406-3
    let mut start = Start::default();
    for _ in 0..4 {
        start.round(20, 40);
    }
    assert!(start.growth.iter().all(|growth| *growth == SLOW));
    start.round(20, 46);
    let round = start.last(20);
    assert!(round[..7].iter().all(|growth| *growth == SLOW), "a minimum takes eight samples");
    assert!(round[7..].iter().all(|growth| *growth == CONSERVATIVE), "a quarter of the increment");
}

#[test]
fn the_growth_that_counts_is_an_eighth_within_bounds() {
    // req: R9406-2
    for (before, after, conservative) in [
        (8, 11, false),
        (8, 12, true),
        (40, 44, false),
        (40, 45, true),
        (80, 89, false),
        (80, 90, true),
        (400, 415, false),
        (400, 416, true),
    ] {
        let mut start = Start::default();
        start.round(10, before);
        start.round(10, after);
        assert_eq!(start.hystart.is_conservative(), conservative, "{before} to {after} ms");
    }
    // Seven samples are too few.
    let mut start = Start::default();
    start.round(7, 40);
    start.round(7, 80);
    assert!(!start.hystart.is_conservative());
}

#[test]
fn a_round_trip_below_the_baseline_resumes_slow_start() {
    // req: R9406-4
    let mut start = Start::default();
    for millis in [40, 46, 40] {
        start.round(20, millis);
    }
    assert_eq!(start.last(13), [SLOW; 13]);
    // And HyStart++ with it.
    start.round(20, 46);
    assert!(start.hystart.is_conservative());
}

#[test]
fn five_rounds_that_stay_slow_end_it() {
    // req: R9406-5
    let mut start = Start::default();
    start.round(20, 40);
    for _ in 0..5 {
        start.round(20, 46);
        assert!(!start.growth.contains(&Growth::Leave));
    }
    start.round(1, 46);
    assert_eq!(start.last(1), [Growth::Leave]);
}
