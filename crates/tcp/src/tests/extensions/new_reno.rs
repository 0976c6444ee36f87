//! Recovery without SACK (RFC 6582) and limited transmit (RFC 3042).

use super::{M, ack, at, config, full, text_sent};
use crate::testing::Script;

/// Ten full segments in flight, and `more` octets behind them.
fn in_flight(more: u32) -> Script {
    let mut script = Script::established_plain(&config());
    script.write(10 * M + more);
    assert_eq!(text_sent(&mut script), full(0..10));
    script
}

fn duplicates(script: &mut Script, count: usize, at: u32) {
    for _ in 0..count {
        ack(script, at);
    }
}

#[test]
fn duplicates_of_what_was_sent_before_a_timeout_start_no_recovery() {
    // req: R6582-1, R6582-6
    let mut script = in_flight(0);
    script.advance_ms(200);
    assert_eq!(text_sent(&mut script), full(0..1));
    let before = script.connection.info();
    duplicates(&mut script, 9, 1);
    let after = script.connection.info();
    assert_eq!(after.stats.fast_retransmits, 0);
    assert_eq!((after.cwnd, after.ssthresh), (before.cwnd, before.ssthresh), "no second halving");
    assert_eq!(text_sent(&mut script), [], "old text is not new text: limited transmit sends none of it");
}

#[test]
fn the_first_segment_of_a_connection_can_be_recovered() {
    // req: R6582-1
    let mut script = in_flight(0);
    duplicates(&mut script, 3, 1);
    assert_eq!(text_sent(&mut script), full(0..1));
    assert!(script.connection.info().in_recovery);
}

#[test]
fn two_losses_in_a_window_are_one_reduction_and_cost_no_timeout() {
    // req: R6582-2, R6582-3
    let mut script = in_flight(0);
    ack(&mut script, at(2));
    // Segments 2 and 5 are lost; 3, 4, 6, 7, 8, 9 arrive.
    duplicates(&mut script, 6, at(2));
    assert_eq!(text_sent(&mut script), full(2..3));
    let threshold = script.connection.info().ssthresh;
    assert_eq!(threshold, Some(4 * M), "eight in flight");
    ack(&mut script, at(5));
    assert_eq!(text_sent(&mut script), full(5..6), "at once");
    assert!(script.connection.info().in_recovery);
    ack(&mut script, at(10));
    let info = script.connection.info();
    assert!(!info.in_recovery);
    assert_eq!(info.ssthresh, threshold);
    assert_eq!((info.stats.fast_retransmits, info.stats.timeouts), (1, 0));
    assert_eq!(info.in_flight, 0);
}

#[test]
fn a_partial_ack_resends_the_next_hole_within_the_proportion() {
    // req: R6582-3, R9937-2
    let mut script = in_flight(40 * M);
    duplicates(&mut script, 2, 1);
    assert_eq!(text_sent(&mut script), full(10..12));
    duplicates(&mut script, 5, 1);
    // Half of what has arrived since recovery began leaves.
    let sent = text_sent(&mut script);
    assert_eq!((sent[0], sent.len()), ((at(0), M), 2), "{sent:?}");
    ack(&mut script, at(4));
    let sent = text_sent(&mut script);
    assert_eq!(sent[0], (at(4), M), "at once: {sent:?}");
    assert!(sent.len() <= 2, "{sent:?}");
}

#[test]
fn only_the_first_partial_ack_restarts_the_timer() {
    // req: R6582-4
    let mut script = in_flight(0);
    script.advance_ms(150);
    duplicates(&mut script, 3, 1);
    script.advance_ms(100);
    ack(&mut script, at(2));
    let first = script.now();
    let rto = script.connection.info().rto;
    assert_eq!(script.connection.poll_timeout(), Some(first + rto));
    script.advance_ms(100);
    ack(&mut script, at(4));
    script.forget_sent();
    assert_eq!(script.connection.poll_timeout(), Some(first + rto));
    script.advance(rto);
    script.expect_after(first, rto, &format!(". {}:{}({M}) ack 1", at(4), at(5)));
    assert_eq!(script.connection.info().stats.timeouts, 1);
}

#[test]
fn the_end_of_recovery_makes_no_burst() {
    // req: R6582-5
    let mut script = in_flight(0);
    duplicates(&mut script, 3, 1);
    ack(&mut script, at(10));
    script.forget_sent();
    assert_eq!(script.connection.info().cwnd, 5 * M, "ssthresh, and at most an initial window at once");
    script.write(30 * M);
    assert_eq!(text_sent(&mut script), full(10..15));
}

#[test]
fn a_timeout_ends_recovery_and_duplicates_below_start_none() {
    // req: R6582-6
    let mut script = in_flight(0);
    duplicates(&mut script, 3, 1);
    assert!(script.connection.info().in_recovery);
    script.advance_ms(200);
    let info = script.connection.info();
    assert!(!info.in_recovery);
    assert_eq!(info.cwnd, M);
    script.forget_sent();
    ack(&mut script, at(1));
    assert_eq!(text_sent(&mut script), full(1..3), "slow start");
    duplicates(&mut script, 5, at(1));
    assert_eq!(script.connection.info().stats.fast_retransmits, 1);
    assert_eq!(text_sent(&mut script), []);
}

#[test]
fn a_loss_above_recover_is_a_new_one() {
    // req: R6582-1, R6582-2
    let mut script = in_flight(30 * M);
    duplicates(&mut script, 3, 1);
    ack(&mut script, at(12));
    script.forget_sent();
    let reduced = script.connection.info().ssthresh;
    // The next segment makes it: what follows it is above recover.
    ack(&mut script, at(13));
    duplicates(&mut script, 3, at(13));
    let info = script.connection.info();
    assert_eq!(info.stats.fast_retransmits, 2);
    assert!(info.ssthresh < reduced, "{info:?}");
}

#[test]
fn with_sack_only_news_counts_as_a_duplicate() {
    // req: R3042-3, R5681-11
    let mut script = Script::established(&config());
    script.write(20 * 1448);
    script.forget_sent();
    let one = ". 1:1(0) ack 1 win 65535 <sack 1449:2897,ts 1001000 1000>";
    script.inject(one);
    assert_eq!(text_sent(&mut script).len(), 1, "the first tells of segment 1");
    for _ in 0..10 {
        script.inject(one);
        ack(&mut script, 1);
    }
    assert_eq!(text_sent(&mut script), []);
    assert_eq!(script.connection.info().stats.dup_acks, 1);
    script.inject(". 1:1(0) ack 1 win 65535 <sack 1449:4345,ts 1001000 1000>");
    assert_eq!(text_sent(&mut script).len(), 1);
    script.inject(". 1:1(0) ack 1 win 65535 <sack 1449:5793,ts 1001000 1000>");
    assert_eq!(text_sent(&mut script), [(1, 1448)]);
}

#[test]
fn a_recovered_connection_sends_everything() {
    // req: R6582-3
    let mut script = in_flight(90 * M);
    script.advance_ms(5);
    // Every third segment of the first flight is lost; the peer keeps the rest and says where it stands.
    duplicates(&mut script, 6, 1);
    for hole in [4, 7, 10] {
        script.advance_ms(5);
        ack(&mut script, at(hole));
    }
    while script.connection.send_queued() > 0 {
        script.advance_ms(5);
        let end = text_sent(&mut script).iter().map(|(seq, len)| seq + len).max();
        ack(&mut script, end.expect("something is sent while something is queued").max(at(10)));
    }
    assert_eq!(script.connection.info().stats.timeouts, 0);
}
