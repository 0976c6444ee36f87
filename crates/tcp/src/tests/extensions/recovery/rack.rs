//! What is judged lost, and when (RFC 8985 6).

use core::time::Duration;

use super::{M, ack, at, config, full, in_flight, ms, open_window, sack, sacking, sacking_with, text_sent};
use crate::testing::Script;

#[test]
fn three_segments_above_a_hole_are_a_loss_at_once() {
    // req: R6675-1, R8985-7
    let mut script = in_flight(5);
    script.advance_ms(100);
    // All of it told by one ACK.
    sack(&mut script, 0, &[(1, 4)]);
    assert_eq!(text_sent(&mut script), full(0..1));
    assert_eq!(script.connection.info().stats.fast_retransmits, 1);
}

#[test]
fn one_segment_above_a_hole_is_waited_for_a_quarter_of_the_round_trip() {
    // req: R8985-8, R8985-10, R8985-11
    let mut script = in_flight(2);
    let sent = script.now();
    script.advance_ms(100);
    sack(&mut script, 0, &[(1, 2)]);
    assert_eq!(script.connection.info().reordering_window, ms(25));
    script.advance(ms(25) - Duration::from_nanos(1));
    script.expect_nothing();
    // No further ACK: the timer does it.
    script.advance(Duration::from_nanos(1));
    script.expect_after(sent, ms(125), &format!(". {}:{}({M}) ack 1", at(0), at(1)));
    assert_eq!(script.connection.info().stats.timeouts, 0);
}

#[test]
fn marking_is_exact_on_a_path_of_microseconds() {
    // req: R8985-2
    let rtt = Duration::from_micros(200);
    let mut script = sacking_with(&config(), rtt);
    script.write(2 * M);
    script.forget_sent();
    let sent = script.now();
    script.advance(rtt);
    sack(&mut script, 0, &[(1, 2)]);
    script.advance(rtt);
    script.expect_after(sent, Duration::from_micros(250), &format!(". {}:{}({M}) ack 1", at(0), at(1)));
}

#[test]
fn once_reordering_was_seen_three_segments_prove_nothing() {
    // req: R8985-6
    let mut script = in_flight(3);
    script.advance_ms(100);
    sack(&mut script, 1, &[(2, 3)]);
    script.advance_ms(5);
    ack(&mut script, at(3));
    let info = script.connection.info();
    assert!(info.reordering_seen && info.stats.reorderings == 1, "{info:?}");
    script.write(8 * M);
    script.forget_sent();
    let sent = script.now();
    script.advance_ms(100);
    sack(&mut script, 3, &[(4, 9)]);
    assert_eq!(text_sent(&mut script), [], "it may only be late");
    script.advance_ms(25);
    script.expect_after(sent, ms(125), &format!(". {}:{}({M}) ack 1", at(3), at(4)));
}

#[test]
fn reported_duplicates_widen_the_window_and_sixteen_recoveries_narrow_it() {
    // req: R8985-9, R2883-4
    let mut script = sacking();
    let mut next = 0;
    // Each round trip a segment is sent again that came after all.
    for widths in [50, 75, 100, 100] {
        script.write(6 * M);
        script.forget_sent();
        script.advance_ms(100);
        sack(&mut script, next, &[(next + 1, next + 6)]);
        script.advance_ms(100);
        assert_eq!(text_sent(&mut script)[0], (at(next), M));
        script.inject(&format!(
            ". 1:1(0) ack {} win 65535 <sack {}:{}>",
            at(next + 6),
            at(next),
            at(next + 1)
        ));
        next += 6;
        let info = script.connection.info();
        // At most the smoothed round trip.
        assert_eq!(info.reordering_window.min(ms(100)), ms(widths), "{info:?}");
    }
    for recovery in 1..=16 {
        assert!(script.connection.info().reordering_window > ms(50), "recovery {recovery}");
        script.write(2 * M);
        script.forget_sent();
        script.advance_ms(100);
        sack(&mut script, next, &[(next + 1, next + 2)]);
        script.advance_ms(150);
        assert_eq!(text_sent(&mut script), [(at(next), M)], "recovery {recovery}");
        ack(&mut script, at(next + 2));
        next += 2;
    }
    assert_eq!(script.connection.info().reordering_window, ms(25));
}

#[test]
fn a_duplicate_of_the_networks_making_widens_nothing() {
    // req: R8985-9
    let mut script = in_flight(4);
    script.advance_ms(100);
    ack(&mut script, at(2));
    script.inject(&format!(". 1:1(0) ack {} win 65535 <sack {}:{}>", at(4), at(0), at(1)));
    let info = script.connection.info();
    assert_eq!((info.reordering_window, info.stats.dsacks, info.stats.undos), (ms(25), 1, 0));
}

#[test]
fn a_duplicate_above_the_ack_is_told_by_the_block_that_holds_it() {
    // req: R2883-4
    let mut script = in_flight(10);
    script.advance_ms(100);
    let report = |script: &mut Script, first: (u32, u32), second: (u32, u32)| {
        sack(script, 0, &[first, second]);
        script.connection.info().stats.dsacks
    };
    assert_eq!(report(&mut script, (2, 3), (1, 4)), 1, "within the second");
    assert_eq!(report(&mut script, (5, 6), (1, 4)), 1, "beside it, it is news");
}

#[test]
fn a_lost_retransmission_is_found_without_a_timeout_and_counts_once_more() {
    // req: R8985-3, R8985-20, R5681-20
    let mut script = sacking();
    script.write(40 * M);
    assert_eq!(text_sent(&mut script), full(0..10));
    script.advance_ms(100);
    for segment in 2..=9 {
        sack(&mut script, 0, &[(1, segment + 1)]);
    }
    let sent = text_sent(&mut script);
    assert!(sent.contains(&(at(0), M)) && sent.len() > 3, "{sent:?}");
    let first = script.connection.info();
    assert_eq!((first.ssthresh, first.stats.fast_retransmits), (Some(5 * M), 1));
    // What left with it arrives; the retransmission does not.
    script.advance_ms(100);
    let end = sent.iter().map(|(seq, len)| seq + len).max().unwrap();
    script.inject(&format!(". 1:1(0) ack 1 win 65535 <sack {}:{end}>", at(1)));
    script.advance_ms(26);
    assert!(text_sent(&mut script).contains(&(at(0), M)), "sent a third time");
    let second = script.connection.info();
    assert_eq!((second.stats.fast_retransmits, second.stats.timeouts), (2, 0));
    assert!(second.ssthresh < first.ssthresh, "{second:?}");
}

#[test]
fn a_timeout_spares_what_has_just_left() {
    // req: R8985-12, R8985-17
    let mut script = in_flight(2);
    // The probe at 200 ms, the timeout 300 ms after it.
    script.advance_ms(490);
    assert_eq!(text_sent(&mut script), full(1..2));
    script.write(M);
    assert_eq!(text_sent(&mut script), full(2..3));
    script.advance_ms(10);
    assert_eq!(text_sent(&mut script), full(0..1));
    let info = script.connection.info();
    assert_eq!((info.stats.timeouts, info.stats.bytes_lost), (1, u64::from(2 * M)), "{info:?}");
    assert_eq!(info.in_flight, 2 * M, "the first, again, and the third");
}

#[test]
fn the_least_round_trip_is_forgotten_in_time() {
    // req: R8985-4
    let mut script = sacking_with(&config(), ms(40));
    let mut next = 0;
    let mut round = |script: &mut Script, rtt: u64| {
        script.write(2 * M);
        script.advance_ms(rtt);
        next += 2;
        ack(script, at(next));
        script.forget_sent();
        script.connection.info()
    };
    assert_eq!(round(&mut script, 80).reordering_window, ms(10));
    assert_eq!(round(&mut script, 20).reordering_window, ms(5));
    for _ in 0..(61_000 / 80) {
        round(&mut script, 80);
    }
    let info = round(&mut script, 80);
    assert_eq!((info.min_rtt, info.reordering_window), (Some(ms(80)), ms(20)));
}

#[test]
fn holes_are_sent_again_in_order_once_and_before_new_text() {
    // req: R6675-3, R6675-4, R6675-8, R6675-9
    let mut script = sacking();
    let base = open_window(&mut script, 20);
    script.write(60 * M);
    let flight = text_sent(&mut script);
    let (count, room) = (flight.len() as u32, script.connection.info().cwnd);
    assert!(count >= 20 && room >= 20 * M);
    script.advance_ms(100);
    // Segments 2, 5 and 7 are lost.
    let holes = [base + 2, base + 5, base + 7];
    let blocks = [(base + 8, base + count), (base + 6, base + 7), (base + 3, base + 5)];
    sack(&mut script, base + 2, &blocks);
    let sent = text_sent(&mut script);
    let expected: Vec<_> = holes.iter().map(|hole| (at(*hole), M)).collect();
    assert_eq!(sent[..3], expected[..], "the holes first");
    assert!(sent[3..].iter().all(|(seq, _)| *seq >= at(base + count)), "then new text: {sent:?}");
    let info = script.connection.info();
    assert!(info.in_flight <= info.cwnd, "{info:?}");
    // Partial ACKs: recovery goes on, and nothing is sent twice.
    script.advance_ms(100);
    for next in [base + 5, base + 7] {
        ack(&mut script, at(next));
        assert!(script.connection.info().in_recovery);
        assert!(text_sent(&mut script).iter().all(|(seq, _)| *seq >= at(base + count)));
    }
    ack(&mut script, at(base + count));
    let info = script.connection.info();
    assert!(!info.in_recovery);
    assert_eq!(info.stats.bytes_retransmitted, u64::from(3 * M));
}

#[test]
fn what_is_not_lost_is_not_sent_again_however_much_room_there_is() {
    // RACK's timers come in the place of NextSeg's third and fourth rule.
    // req: R6675-5, R6675-6
    let mut script = in_flight(10);
    script.advance_ms(100);
    // Segment 0 is lost; segments 6 to 9 are behind all that arrived.
    sack(&mut script, 0, &[(1, 6)]);
    assert_eq!(text_sent(&mut script), full(0..1));
    assert!(script.connection.info().in_flight < script.connection.info().cwnd + M);
    script.advance_ms(90);
    assert_eq!(text_sent(&mut script), []);
}
