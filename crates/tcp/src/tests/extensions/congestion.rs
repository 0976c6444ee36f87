//! The congestion window and the ACKs that clock it (RFC 5681, RFC 6928).

use super::{M, ack, at, config, connected_after, connecting, full, ms, text_sent};
use crate::connection::Opening;
use crate::testing::Script;
use netstack_wire::SeqNum;

/// Passive, without options but MSS; the peer's window is 65535.
fn open() -> Script {
    Script::established_plain(&config())
}

fn cwnd(script: &Script) -> u32 {
    script.connection.info().cwnd
}

fn ssthresh(script: &Script) -> Option<u32> {
    script.connection.info().ssthresh
}

/// A round trip later each segment of the last flight is acknowledged by an ACK of its own.
fn ack_each(script: &mut Script) {
    let flight = text_sent(script);
    script.advance_ms(50);
    for (seq, len) in flight {
        ack(script, seq + len);
    }
}

#[test]
fn the_first_flight_is_the_initial_window() {
    // req: R6928-1, R5681-1, R5681-17
    let mut script = open();
    script.write(100_000);
    assert_eq!(text_sent(&mut script), full(0..10));

    for (mss, mtu, segments) in [(536, 1500, 10), (1460, 1500, 10), (9000, 9040, 2), (4000, 9040, 3)] {
        let opening = Opening { tuple: Script::tuple(), iss: SeqNum(0xffff_fff0), ts_offset: 0, mtu };
        let mut script = Script::connect_with(&config(), opening);
        script.auto_timestamps = false;
        script.forget_sent();
        script.inject(&format!("S. 0:0(0) ack 1 win 65535 <mss {mss}>"));
        script.forget_sent();
        script.write(100_000);
        let flight = text_sent(&mut script);
        assert_eq!(flight.len(), segments, "MSS {mss}");
        assert!(flight.iter().all(|(_, len)| *len == mss), "MSS {mss}: {flight:?}");
    }
}

#[test]
fn a_lost_syn_makes_the_first_flight_one_segment() {
    // req: R5681-2, R6928-3
    let mut script = connecting(&config());
    script.advance_ms(1_020);
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    script.forget_sent();
    script.write(100_000);
    assert_eq!(text_sent(&mut script), full(0..1));

    let mut script = Script::listen(&config(), "S 0:0(0) win 65535 <mss 1460>");
    script.advance_ms(1_020);
    ack(&mut script, 1);
    script.forget_sent();
    script.write(100_000);
    assert_eq!(text_sent(&mut script), full(0..1));
}

#[test]
fn slow_start_adds_what_was_acknowledged_and_a_segment_at_most() {
    // req: R5681-3
    let mut script = open();
    script.write(200_000);
    assert_eq!(cwnd(&script), 10 * M);
    for octet in 1..=20 {
        ack(&mut script, 1 + octet);
        assert_eq!(cwnd(&script), 10 * M + octet, "splitting ACKs gains nothing");
    }
    ack(&mut script, at(2));
    assert_eq!(cwnd(&script), 11 * M + 20, "two segments at once still add one");
}

#[test]
fn avoidance_adds_one_segment_for_each_round() {
    // req: R5681-4
    let mut script = open();
    script.write(10 * M);
    ack_each(&mut script);
    script.write(20 * M);
    assert_eq!(text_sent(&mut script), full(10..30));
    for _ in 0..3 {
        ack(&mut script, at(10));
    }
    assert_eq!(ssthresh(&script), Some(10 * M));
    ack(&mut script, at(30));
    script.forget_sent();
    // Recovery ended with nothing in flight: ssthresh, which is not more than an initial window, then one a round.
    script.write(200 * M);
    let mut rounds = Vec::new();
    for _ in 0..6 {
        rounds.push(cwnd(&script) / M);
        ack_each(&mut script);
    }
    assert_eq!(rounds, [10, 11, 12, 13, 14, 15]);
}

#[test]
fn a_timeout_halves_what_was_in_flight_not_the_window() {
    // req: R5681-5
    let mut script = open();
    script.write(4 * M);
    assert_eq!(ssthresh(&script), None, "as high as it can be");
    assert_eq!(cwnd(&script), 10 * M);
    script.advance_ms(200);
    assert_eq!(ssthresh(&script), Some(2 * M));

    // Of 12 segments in flight limited transmit sent two.
    let mut script = open();
    script.write(100_000);
    for _ in 0..3 {
        ack(&mut script, 1);
    }
    assert_eq!(ssthresh(&script), Some(5 * M));
}

#[test]
fn repeated_timeouts_of_a_segment_lower_the_threshold_once() {
    // req: R5681-6, R5681-7, R6928-2
    let mut script = open();
    script.write(100_000);
    script.forget_sent();
    for round in 0..3 {
        script.advance_ms(200 << round);
        assert_eq!(text_sent(&mut script), full(0..1), "one segment, until an ACK");
        assert_eq!((cwnd(&script), ssthresh(&script)), (M, Some(5 * M)), "timeout {round}");
    }
    ack(&mut script, at(1));
    assert_eq!(text_sent(&mut script), full(1..3), "slow start from one segment");
}

#[test]
fn both_windows_bound_the_flight() {
    // req: R5681-8
    let mut script = open();
    script.inject(". 1:1(0) ack 1 win 4380");
    script.write(100_000);
    assert_eq!(text_sent(&mut script), full(0..3));
    assert_eq!(script.connection.info().in_flight, 3 * M);
    script.inject(". 1:1(0) ack 1 win 65535");
    assert_eq!(text_sent(&mut script), full(3..10));
    assert_eq!(script.connection.info().in_flight, 10 * M);
}

#[test]
fn two_full_segments_earn_an_ack_and_one_waits_less_than_half_a_second() {
    // req: R5681-9
    let mut config = config();
    config.quick_acks(0).ack_delay(ms(10_000));
    let mut script = Script::established_plain(&config);
    script.inject(". 1:1461(1460) ack 1");
    script.expect_nothing();
    script.inject(". 1461:2921(1460) ack 1");
    script.expect(". 1:1(0) ack 2921");
    script.inject(". 2921:4381(1460) ack 1");
    let start = script.now();
    script.advance_ms(498);
    script.expect_nothing();
    script.advance_ms(10);
    script.expect_after(start, ms(499), ". 1:1(0) ack 4381");
    script.expect_nothing();
}

#[test]
fn what_is_out_of_order_or_fills_a_gap_is_acknowledged_at_once() {
    // req: R5681-10
    let mut config = config();
    config.quick_acks(0);
    let mut script = Script::established_plain(&config);
    script.inject(". 1:1461(1460) ack 1");
    script.expect_nothing();
    script.inject(". 2921:4381(1460) ack 1");
    script.expect(". 1:1(0) ack 1461");
    script.inject(". 4381:5841(1460) ack 1");
    script.expect(". 1:1(0) ack 1461");
    // Half of the gap, then the rest.
    script.inject(". 1461:2000(539) ack 1");
    script.expect(". 1:1(0) ack 2000");
    script.inject(". 2000:2921(921) ack 1");
    script.expect(". 1:1(0) ack 5841");
    script.expect_nothing();
}

#[test]
fn one_segment_earns_one_ack_at_most() {
    // req: R5681-19
    let mut script = open();
    script.inject(". 1001:2001(1000) ack 1");
    script.expect(". 1:1(0) ack 1");
    // Known in part, and a filler of the gap: two reasons for one ACK.
    script.inject(". 1:501(500) ack 1");
    script.expect(". 1:1(0) ack 501");
    script.inject(". 400:1001(601) ack 1");
    script.expect(". 1:1(0) ack 2001");
    script.expect_nothing();
    // Beyond the window, out of order, with a FIN and an ACK of nothing sent.
    script.inject("F. 60001:70001(10000) ack 1");
    script.expect(". 1:1(0) ack 2001");
    script.inject("F. 80001:80002(1) ack 99");
    script.expect(". 1:1(0) ack 2001");
    script.expect_nothing();
}

#[test]
fn only_an_empty_repetition_of_ack_and_window_is_a_duplicate() {
    // req: R5681-11
    let mut script = open();
    script.write(10 * M);
    script.forget_sent();
    for window in [60_000, 61_000, 62_000, 63_000] {
        script.inject(&format!(". 1:1(0) ack 1 win {window}"));
    }
    for octet in 1..5 {
        script.inject(&format!(". {octet}:{}(1) ack 1 win 63000", octet + 1));
    }
    assert_eq!(script.connection.info().stats.dup_acks, 0);
    assert_eq!(text_sent(&mut script), []);
    for _ in 0..3 {
        script.inject(". 5:5(0) ack 1 win 63000");
    }
    assert_eq!(script.connection.info().stats.dup_acks, 3);
    assert_eq!(text_sent(&mut script), full(0..1));
    // With nothing outstanding there are no duplicates.
    let mut script = open();
    for _ in 0..5 {
        ack(&mut script, 1);
    }
    assert_eq!(script.connection.info().stats.dup_acks, 0);
}

#[test]
fn the_third_duplicate_resends_and_further_ones_let_new_text_leave_in_proportion() {
    // req: R5681-12, R9937-4, R9937-6
    let mut script = open();
    script.write(100_000);
    assert_eq!(text_sent(&mut script), full(0..10));
    ack(&mut script, 1);
    ack(&mut script, 1);
    assert_eq!(text_sent(&mut script), full(10..12), "limited transmit");
    ack(&mut script, 1);
    assert_eq!(text_sent(&mut script), full(0..1), "fast retransmit, and nothing else");
    assert_eq!(ssthresh(&script), Some(5 * M));
    // PRR in the place of inflation: half of what is delivered leaves, the retransmission first; once five are in flight, one
    // for each that is delivered.
    for (index, count) in [0, 0, 1, 0, 0, 1, 1, 1].into_iter().enumerate() {
        ack(&mut script, 1);
        assert_eq!(text_sent(&mut script).len(), count, "duplicate {}", index + 4);
    }
    assert_eq!(script.connection.info().in_flight, 5 * M);
}

#[test]
fn many_duplicates_are_only_counted() {
    // Pitfall 25: more duplicates than any counter of eight bits holds.
    // req: R5681-12, R5681-8
    let mut script = open();
    script.write(5 * M);
    script.forget_sent();
    for _ in 0..70_000 {
        ack(&mut script, 1);
    }
    assert_eq!(text_sent(&mut script), full(0..1));
    assert_eq!(script.connection.info().stats.fast_retransmits, 1);
}

#[test]
fn the_first_two_duplicates_leave_the_window_alone() {
    // req: R5681-13, R3042-1, R3042-2
    let mut script = open();
    script.write(100_000);
    script.forget_sent();
    for index in 10..12 {
        ack(&mut script, 1);
        assert_eq!(text_sent(&mut script), full(index..index + 1));
        assert_eq!((cwnd(&script), ssthresh(&script)), (10 * M, None));
    }
    ack(&mut script, at(1));
    assert_eq!(cwnd(&script), 11 * M, "normal growth, from the old window");
    assert_eq!(text_sent(&mut script), [], "11 are in flight");
}

#[test]
fn limited_transmit_keeps_to_the_peers_window() {
    // req: R3042-1, R5681-8
    let mut script = open();
    script.inject(". 1:1(0) ack 1 win 14600");
    script.write(100_000);
    script.forget_sent();
    for _ in 0..2 {
        script.inject(". 1:1(0) ack 1 win 14600");
    }
    assert_eq!(text_sent(&mut script), []);
}

#[test]
fn after_recovery_the_flight_is_at_most_the_threshold() {
    // req: R5681-14
    let mut script = open();
    script.write(100_000);
    for _ in 0..11 {
        ack(&mut script, 1);
    }
    let sent = text_sent(&mut script);
    let end = sent.iter().map(|(seq, len)| seq + len).max().unwrap();
    assert!(end > at(12), "new text left during recovery");
    ack(&mut script, at(12));
    let info = script.connection.info();
    assert!(!info.in_recovery);
    assert!(info.cwnd <= 5 * M, "{info:?}");
    assert!(info.in_flight <= 5 * M, "{info:?}");
}

#[test]
fn an_idle_connection_starts_again_from_the_initial_window() {
    // req: R5681-15, R2861-1, R7661-4
    let mut script = open();
    script.write(30 * M);
    while script.connection.send_queued() > 0 {
        ack_each(&mut script);
    }
    assert!(cwnd(&script) > 20 * M, "{}", cwnd(&script));
    let rto = script.connection.info().rto;
    script.advance(2 * rto);
    script.write(44 * M);
    assert_eq!(text_sent(&mut script), full(30..40));
}

#[test]
fn a_pause_below_the_timeout_keeps_the_window() {
    // req: R5681-15
    let mut script = open();
    script.write(30 * M);
    while script.connection.send_queued() > 0 {
        ack_each(&mut script);
    }
    let grown = cwnd(&script);
    script.advance_ms(100);
    script.write(44 * M);
    assert_eq!(text_sent(&mut script).len() as u32, grown / M);
}

#[test]
fn a_window_that_is_not_used_does_not_grow() {
    // req: R5681-16
    let mut script = open();
    for round in 1..=100 {
        script.write(10);
        script.advance_ms(20);
        ack(&mut script, 1 + 10 * round);
    }
    assert_eq!(cwnd(&script), 10 * M);

    // Limited by the peer's window instead.
    let mut script = open();
    script.inject(". 1:1(0) ack 1 win 2920");
    script.write(200 * M);
    for _ in 0..50 {
        let flight = text_sent(&mut script);
        script.advance_ms(20);
        for (seq, len) in flight {
            script.inject(&format!(". 1:1(0) ack {} win 2920", seq + len));
        }
    }
    assert_eq!(cwnd(&script), 10 * M);
}

#[test]
fn a_lost_retransmission_lowers_the_window_twice() {
    // req: R5681-20
    let mut script = open();
    script.write(20 * M);
    ack_each(&mut script);
    assert_eq!(text_sent(&mut script).len(), 10);
    for _ in 0..3 {
        ack(&mut script, at(10));
    }
    let first = ssthresh(&script).unwrap();
    assert_eq!(first, 5 * M);
    script.advance_ms(300);
    assert_eq!(cwnd(&script), M);
    assert!(ssthresh(&script).unwrap() < first, "{:?}", ssthresh(&script));
}

#[test]
fn an_ack_outside_recovery_never_lowers_the_window() {
    // req: R5681-3
    let mut script = connected_after(&config(), ms(30));
    script.write(60_000);
    let mut largest = cwnd(&script);
    for octets in (1..60_000).step_by(733) {
        ack(&mut script, octets);
        assert!(cwnd(&script) >= largest);
        largest = cwnd(&script);
    }
}

#[test]
fn in_avoidance_a_window_that_is_not_full_does_not_grow() {
    // req: R5681-16
    // An echo of a mark halves the window to exactly the threshold.
    let mut script = Script::listen(&config(), "SEW 0:0(0) win 65535 <mss 1460>");
    script.inject(". 1:1(0) ack 1 win 65535");
    script.write(10 * M);
    script.inject(&format!(".E 1:1(0) ack {} win 65535", at(10)));
    assert_eq!((cwnd(&script), ssthresh(&script)), (5 * M, Some(5 * M)));
    let mut next = at(10);
    let mut rounds = |script: &mut Script, octets: u32, rounds: u32| {
        for _ in 0..rounds {
            script.write(octets);
            script.advance_ms(20);
            next += octets;
            ack(script, next);
        }
    };
    rounds(&mut script, 10, 500);
    rounds(&mut script, 3 * M, 20);
    assert_eq!(cwnd(&script), 5 * M);
    rounds(&mut script, 5 * M, 2);
    assert_eq!(cwnd(&script), 6 * M, "one that is full does");
}

#[test]
fn a_window_filled_segment_by_segment_is_full() {
    // req: R5681-16
    let mut script = open();
    for index in 0..10 {
        script.write(M);
        assert_eq!(text_sent(&mut script), full(index..index + 1));
    }
    for index in 1..=10 {
        ack(&mut script, at(index));
    }
    assert_eq!(cwnd(&script), 20 * M);
}
