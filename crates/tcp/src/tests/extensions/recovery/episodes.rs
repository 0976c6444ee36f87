//! Where a recovery begins and ends, and how much leaves meanwhile (RFC 6675 5, RFC 9937).

use super::{M, ack, at, config, full, in_flight, ms, open_window, sack, sacking, sacking_with, text_sent};
use crate::congestion::Pacing;
use crate::info::RecoveryState;
use crate::testing::Script;

#[test]
fn five_losses_in_a_window_are_one_reduction() {
    // req: R6675-7
    let mut script = in_flight(10);
    script.advance_ms(100);
    sack(&mut script, 0, &[(8, 10), (6, 7), (4, 5)]);
    sack(&mut script, 0, &[(2, 3), (8, 10), (6, 7)]);
    let info = script.connection.info();
    assert_eq!((info.ssthresh, info.stats.fast_retransmits), (Some(5 * M), 1));
    script.advance_ms(100);
    ack(&mut script, at(9));
    assert!(script.connection.info().in_recovery, "until all of it is acknowledged");
    ack(&mut script, at(10));
    let info = script.connection.info();
    assert_eq!((info.in_recovery, info.ssthresh, info.stats.timeouts), (false, Some(5 * M), 0));
}

#[test]
fn the_states_are_told() {
    let mut script = in_flight(10);
    let state = |script: &Script| script.connection.info().recovery;
    assert_eq!(state(&script), RecoveryState::Open);
    script.advance_ms(100);
    sack(&mut script, 0, &[(1, 2)]);
    assert_eq!(state(&script), RecoveryState::Disorder);
    sack(&mut script, 0, &[(1, 4)]);
    assert_eq!(state(&script), RecoveryState::Recovery);
    script.advance_ms(1_000);
    assert_eq!(state(&script), RecoveryState::Loss);
    ack(&mut script, at(10));
    assert_eq!(state(&script), RecoveryState::Open);
}

#[test]
fn a_timeout_ends_recovery_and_what_was_sent_before_it_starts_none() {
    // req: R6675-10
    let mut script = in_flight(10);
    script.advance_ms(100);
    sack(&mut script, 0, &[(1, 4)]);
    let rto = script.connection.info().rto;
    script.advance(rto);
    script.forget_sent();
    let before = script.connection.info();
    assert_eq!((before.recovery, before.cwnd), (RecoveryState::Loss, M));
    for right in 5..=9 {
        sack(&mut script, 0, &[(1, right)]);
    }
    let after = script.connection.info();
    assert_eq!((after.recovery, after.ssthresh), (RecoveryState::Loss, before.ssthresh));
    assert_eq!(after.stats.fast_retransmits, before.stats.fast_retransmits);
}

#[test]
fn the_first_retransmission_restarts_the_timer_and_later_ones_do_not() {
    // req: R6675-11
    let mut script = in_flight(10);
    script.advance_ms(100);
    sack(&mut script, 0, &[(3, 6)]);
    let (entered, rto) = (script.now(), script.connection.info().rto);
    assert_eq!(script.connection.poll_timeout(), Some(entered + rto));
    script.advance_ms(20);
    sack(&mut script, 0, &[(3, 9)]);
    assert!(text_sent(&mut script).len() > 1, "more was sent again");
    assert_eq!(script.connection.poll_timeout(), Some(entered + rto));
}

#[test]
fn half_of_what_is_delivered_leaves_evenly() {
    // req: R9937-1, R9937-4, R9937-7
    let mut script = sacking();
    let base = open_window(&mut script, 20);
    script.write(80 * M);
    let count = text_sent(&mut script).len() as u32;
    script.advance_ms(100);
    let mut total = 0;
    for segment in 1..count {
        sack(&mut script, base, &[(base + 1, base + segment + 1)]);
        let sent = text_sent(&mut script).len() as u32;
        if segment > 3 {
            assert!(sent <= 1, "no burst: {sent} at {segment}");
        }
        let info = script.connection.info();
        assert!(info.in_flight <= info.cwnd, "{info:?}");
        total += if info.in_recovery { sent } else { 0 };
    }
    let threshold = script.connection.info().ssthresh.unwrap() / M;
    assert!(total.abs_diff(threshold) <= 2, "{total} sent, ssthresh {threshold} segments");
    // The end: exactly the threshold.
    script.advance_ms(100);
    // Two segments had left in limited transmit.
    ack(&mut script, at(base + count + 2));
    let info = script.connection.info();
    assert_eq!((info.in_recovery, Some(info.cwnd)), (false, info.ssthresh));
}

#[test]
fn a_burst_of_losses_is_repaired_in_slow_start_and_only_by_good_acks() {
    // req: R9937-5, R9937-6
    let mut script = sacking();
    let base = open_window(&mut script, 20);
    script.write(80 * M);
    let count = text_sent(&mut script).len() as u32;
    script.advance_ms(100);
    // The last five of the flight arrive, all else is lost.
    sack(&mut script, base, &[(base + count - 5, base + count)]);
    let first = text_sent(&mut script);
    assert_eq!(first[0], (at(base), M));
    let info = script.connection.info();
    assert!(first.len() <= 5, "no more than was delivered: {first:?}");
    assert!(info.in_flight < info.ssthresh.unwrap(), "{info:?}");
    // Each good ACK: what it delivered, and one more.
    script.advance_ms(100);
    let mut next = base;
    for _ in 0..first.len() {
        next += 1;
        ack(&mut script, at(next));
        let sent = text_sent(&mut script);
        assert!(sent.len() <= 2, "{sent:?}");
        let info = script.connection.info();
        assert!(info.in_flight <= info.ssthresh.unwrap(), "{info:?}");
    }
    assert_eq!(script.connection.info().stats.timeouts, 0);
}

#[test]
fn duplicates_without_sack_let_no_more_leave_than_was_in_flight() {
    // req: R9937-2
    let mut script = super::super::connected_after(&config(), ms(100));
    script.write(100 * M);
    assert_eq!(text_sent(&mut script), full(0..10));
    for _ in 0..500 {
        ack(&mut script, 1);
    }
    let sent = text_sent(&mut script);
    assert!(sent.len() <= 12, "{} for a flood of duplicates", sent.len());
}

#[test]
fn pacing_spreads_what_recovery_and_its_end_allow() {
    // req: R9937-8
    let mut config = config();
    config.pacing(Pacing::On);
    let mut script = sacking_with(&config, ms(100));
    script.write(200 * M);
    let mut next = 0;
    for _ in 0..400 {
        script.advance_ms(1);
        let sent = text_sent(&mut script);
        assert!(sent.len() <= 4, "{} in a millisecond", sent.len());
        next += sent.len() as u32;
    }
    assert!(next > 5);
}
