//! Timeouts and recoveries that turn out to be mistakes (RFC 5682, RFC 4015, RFC 2883).

use super::{M, ack, at, config, full, in_flight, ms, sack, text_sent};
use crate::info::RecoveryState;
use crate::testing::Script;

/// Without any option, ten segments in flight over 100 ms and more to send: the timer has fired, and the first segment was
/// sent again.
fn timed_out() -> Script {
    let mut script = super::super::connected_after(&config(), ms(100));
    script.write(40 * M);
    assert_eq!(text_sent(&mut script), full(0..10));
    script.advance_ms(300);
    assert_eq!(text_sent(&mut script), full(0..1));
    assert_eq!(script.connection.info().recovery, RecoveryState::Loss);
    script
}

#[test]
fn a_delay_spike_draws_new_text_and_is_undone() {
    // req: R5682-1, R5682-2, R5682-4, R5682-6
    let mut script = timed_out();
    let before = 10 * M;
    ack(&mut script, at(1));
    assert_eq!(text_sent(&mut script), full(10..12), "new text, and not segment 1");
    script.advance_ms(5);
    ack(&mut script, at(2));
    let info = script.connection.info();
    assert_eq!((info.stats.spurious_timeouts, info.recovery), (1, RecoveryState::Open));
    assert!(info.cwnd >= before && info.ssthresh.is_none(), "{info:?}");
    // The spike is in the timeout.
    assert!(info.rto > ms(400), "{info:?}");
    for segment in 3..=12 {
        ack(&mut script, at(segment));
    }
    assert_eq!(script.connection.info().stats.bytes_retransmitted, u64::from(M), "nothing but the first");
    assert!(text_sent(&mut script).iter().all(|(seq, _)| *seq >= at(12)));
}

#[test]
fn a_duplicate_first_makes_the_timeout_real() {
    // req: R5682-3
    let mut script = timed_out();
    ack(&mut script, 1);
    assert_eq!(text_sent(&mut script), []);
    ack(&mut script, at(1));
    assert_eq!(text_sent(&mut script), full(1..3), "slow start, from SND.UNA");
}

#[test]
fn without_new_text_there_is_nothing_to_try() {
    // req: R5682-3
    let mut script = super::super::connected_after(&config(), ms(100));
    script.write(10 * M);
    script.forget_sent();
    script.advance_ms(300);
    assert_eq!(text_sent(&mut script), full(0..1));
    ack(&mut script, at(1));
    assert_eq!(text_sent(&mut script), full(1..3));
    assert_eq!(script.connection.info().stats.undos, 0);
}

#[test]
fn without_room_in_the_peers_window_there_is_nothing_to_try() {
    // req: R5682-3
    for (room, sent) in [(0, full(1..3)), (M, full(10..11))] {
        let mut script = timed_out();
        script.inject(&format!(". 1:1(0) ack {} win {}", at(1), 9 * M + room));
        assert_eq!(text_sent(&mut script), sent, "{room} octets of it");
    }
}

#[test]
fn an_ack_of_everything_ends_it() {
    // req: R5682-3
    let mut script = timed_out();
    ack(&mut script, at(10));
    let info = script.connection.info();
    assert_eq!((info.recovery, info.stats.undos), (RecoveryState::Open, 0));
    assert_eq!(info.ssthresh, Some(5 * M));
    assert_eq!(text_sent(&mut script), full(10..12));
}

#[test]
fn a_duplicate_second_makes_the_timeout_real() {
    // req: R5682-5
    let mut script = timed_out();
    ack(&mut script, at(1));
    assert_eq!(text_sent(&mut script), full(10..12));
    ack(&mut script, at(1));
    assert_eq!(text_sent(&mut script), full(1..2), "from SND.UNA");
    let info = script.connection.info();
    assert!(info.cwnd <= 3 * M && info.stats.undos == 0, "{info:?}");
    ack(&mut script, at(2));
    assert!(text_sent(&mut script).starts_with(&full(2..3)));
}

#[test]
fn a_timeout_of_what_a_timeout_left_is_not_tried_again() {
    // req: R5682-1
    let mut script = timed_out();
    script.advance_ms(600);
    assert_eq!(text_sent(&mut script), full(0..1), "the second timeout of the segment");
    ack(&mut script, at(1));
    assert_eq!(text_sent(&mut script), full(1..3), "no new text");
}

#[test]
fn with_sack_an_original_that_arrives_after_the_timeout_tells() {
    // req: R5682-7
    let run = |blocks: &[(u32, u32)]| {
        let mut script = in_flight(10);
        script.write(20 * M);
        // The probe first, then the timeout.
        script.advance_ms(200);
        script.forget_sent();
        script.advance_ms(300);
        assert_eq!(text_sent(&mut script), full(0..1));
        ack(&mut script, at(1));
        let tried = text_sent(&mut script);
        assert!(tried.iter().all(|(seq, _)| *seq >= at(11)) && tried.len() == 2, "{tried:?}");
        sack(&mut script, 1, blocks);
        script.connection.info()
    };
    let spurious = run(&[(3, 4)]);
    assert_eq!((spurious.stats.spurious_timeouts, spurious.ssthresh), (1, None));
    // What was sent after the timeout says nothing of what was sent before.
    let real = run(&[(11, 12)]);
    assert_eq!((real.stats.spurious_timeouts, real.ssthresh.is_some()), (0, true));
}

/// With timestamps, ten segments in flight over 100 ms.
fn stamped() -> Script {
    let mut script = Script::connect(&config());
    script.advance_ms(100);
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,ts 1000000 1000>");
    script.forget_sent();
    script.write(30 * 1448);
    assert_eq!(text_sent(&mut script).len(), 10);
    script
}

#[test]
fn an_echo_of_the_first_copy_undoes_a_timeout_at_once() {
    // req: R5682-6
    let mut script = stamped();
    let before = script.connection.info();
    script.advance_ms(550);
    assert_eq!(script.connection.info().recovery, RecoveryState::Loss);
    script.forget_sent();
    script.inject(". 1:1(0) ack 1449 win 65535 <ts 1000650 1100>");
    let after = script.connection.info();
    assert_eq!((after.stats.spurious_timeouts, after.recovery), (1, RecoveryState::Open));
    assert!(after.cwnd >= before.cwnd && after.ssthresh.is_none(), "{after:?}");
    for segment in 2..=11 {
        script.advance_ms(1);
        script.inject(&format!(". 1:1(0) ack {} win 65535 <ts 1000660 1100>", 1 + segment * 1448));
    }
    let info = script.connection.info();
    assert!(info.stats.bytes_retransmitted <= 2 * 1448, "{info:?}");
}

#[test]
fn an_echo_of_the_first_copy_undoes_a_recovery() {
    // req: R5682-6, R8985-6
    let mut script = stamped();
    let before = script.connection.info();
    script.advance_ms(100);
    script.inject(". 1:1(0) ack 1 win 65535 <sack 1449:7241,ts 1000200 1100>");
    assert!(script.connection.info().in_recovery);
    assert!(text_sent(&mut script).contains(&(1, 1448)));
    // The first segment was only late.
    script.advance_ms(8);
    script.inject(". 1:1(0) ack 14481 win 65535 <ts 1000208 1100>");
    let after = script.connection.info();
    assert_eq!((after.stats.undos, after.recovery), (1, RecoveryState::Open));
    assert!(after.cwnd >= before.cwnd && after.ssthresh.is_none(), "{after:?}");
    assert!(after.reordering_seen, "next time it is waited for");
}

#[test]
fn reported_duplicates_of_all_that_was_sent_again_undo_a_recovery() {
    // req: R2883-4
    let mut script = in_flight(10);
    script.advance_ms(100);
    sack(&mut script, 0, &[(2, 6)]);
    script.advance_ms(5);
    assert!(script.connection.info().in_recovery);
    script.write(10 * M);
    script.forget_sent();
    ack(&mut script, at(10));
    let reduced = script.connection.info();
    assert_eq!(reduced.ssthresh, Some(5 * M));
    let resent = reduced.stats.bytes_retransmitted as u32 / M;
    assert!(resent > 0);
    for segment in 0..resent {
        assert_eq!(script.connection.info().stats.undos, 0, "not before the last");
        script.inject(&format!(
            ". 1:1(0) ack {} win 65535 <sack {}:{}>",
            at(10),
            at(segment),
            at(segment + 1)
        ));
    }
    let after = script.connection.info();
    assert_eq!((after.stats.undos, after.ssthresh), (1, None));
    assert!(after.cwnd >= 10 * M, "{after:?}");
}

#[test]
fn what_something_else_reduced_since_is_not_taken_back() {
    // req: R2883-4, R8985-18
    let mut script = in_flight(10);
    script.write(4 * M);
    script.advance_ms(100);
    sack(&mut script, 0, &[(1, 6)]);
    script.advance_ms(5);
    ack(&mut script, at(10));
    assert!(!script.connection.info().in_recovery);
    assert_eq!(script.connection.info().stats.bytes_retransmitted, u64::from(M), "the first segment");
    script.advance_ms(100);
    // The tail is lost; a probe repairs it, and the ACK of what was sent after it tells.
    script.advance_ms(250);
    assert_eq!(script.connection.info().stats.tail_probes, 1);
    script.write(2 * M);
    ack(&mut script, at(14));
    ack(&mut script, at(15));
    let reduced = script.connection.info();
    assert!(reduced.ssthresh < Some(5 * M), "{reduced:?}");
    // Only now the report comes that the first segment had arrived twice.
    script.inject(&format!(". 1:1(0) ack {} win 65535 <sack {}:{}>", at(15), at(0), at(1)));
    let after = script.connection.info();
    assert_eq!((after.ssthresh, after.cwnd, after.stats.undos), (reduced.ssthresh, reduced.cwnd, 0));
}

#[test]
fn a_recovery_is_undone_before_its_end_once_no_copy_is_in_flight() {
    // req: R5682-6
    let mut script = stamped();
    script.advance_ms(100);
    script.inject(". 1:1(0) ack 1 win 65535 <sack 1449:7241,ts 1000200 1100>");
    assert!(text_sent(&mut script).contains(&(1, 1448)));
    script.advance_ms(8);
    script.inject(". 1:1(0) ack 7241 win 65535 <ts 1000208 1100>");
    let after = script.connection.info();
    assert_eq!((after.stats.undos, after.recovery), (1, RecoveryState::Open));
}

#[test]
fn a_recovery_is_not_undone_while_a_copy_is_in_flight_that_may_have_been_needed() {
    // req: R5682-6
    let mut script = stamped();
    script.advance_ms(100);
    script.inject(". 1:1(0) ack 1 win 65535 <sack 2897:11585,ts 1000200 1100>");
    assert!(text_sent(&mut script).starts_with(&[(1, 1448), (1449, 1448)]));
    script.advance_ms(8);
    script.inject(". 1:1(0) ack 1449 win 65535 <sack 2897:11585,ts 1000208 1100>");
    let first = script.connection.info();
    assert_eq!((first.stats.undos, first.recovery), (0, RecoveryState::Recovery));
    script.inject(". 1:1(0) ack 11585 win 65535 <ts 1000208 1100>");
    assert_eq!(script.connection.info().stats.undos, 1, "that was only late, too");
}

#[test]
fn each_of_several_spikes_is_undone() {
    // req: R5682-6
    let mut script = stamped();
    script.write(60 * 1448);
    for spikes in 1..=3 {
        let sent_at = (script.now().as_nanos() / 1_000_000) as u32;
        while script.connection.info().stats.timeouts < spikes {
            script.advance_ms(10);
        }
        let una = 1 + (spikes - 1) * 1448;
        script.inject(&format!(". 1:1(0) ack {} win 65535 <ts 1002000 {sent_at}>", una + 1448));
        let info = script.connection.info();
        assert_eq!((info.stats.spurious_timeouts, info.ssthresh), (spikes, None), "{info:?}");
    }
}
