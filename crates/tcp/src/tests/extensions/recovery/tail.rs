//! The tail loss probe (RFC 8985 7).

use core::time::Duration;

use super::{M, ack, at, config, connecting, full, in_flight, ms, sack, sacking_with, text_sent};
use crate::testing::Script;

#[test]
fn a_probe_leaves_two_round_trips_after_the_last_text() {
    // req: R8985-13, R8985-16
    let mut script = in_flight(5);
    let sent = script.now();
    script.advance_ms(400);
    script.expect_after(sent, ms(200), &format!("P. {}:{}({M}) ack 1", at(4), at(5)));
    script.expect_nothing();
    let stats = script.connection.info().stats;
    assert_eq!((stats.tail_probes, stats.timeouts), (1, 0));
}

#[test]
fn a_lone_segment_leaves_the_peer_time_to_hold_back_its_ack() {
    // req: R8985-13
    let mut script = in_flight(1);
    let sent = script.now();
    script.advance_ms(299);
    script.expect_after(sent, ms(240), &format!("P. {}:{}({M}) ack 1", at(0), at(1)));
}

#[test]
fn less_than_two_full_segments_leave_it_that_time_as_well() {
    // req: R8985-13
    for (octets, wait) in [(2 * M - 1, 240), (2 * M, 200)] {
        let mut script = sacking_with(&config(), ms(100));
        script.write(octets);
        let sent = script.now();
        script.forget_sent();
        script.advance_ms(299);
        script.expect_after(sent, ms(wait), &format!("P. {}:{}({}) ack 1", at(1), 1 + octets, octets - M));
    }
}

#[test]
fn without_a_round_trip_a_probe_waits_no_longer_than_the_timeout() {
    // req: R8985-13
    let mut script = connecting(&config());
    // A SYN that was repeated without a timeout gives no sample.
    script.inject("S 0:0(0) win 65535 <mss 1460,sackOK>");
    script.advance_ms(100);
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK>");
    script.forget_sent();
    assert_eq!(script.connection.info().srtt, None);
    script.write(M);
    let sent = script.now();
    script.forget_sent();
    script.advance_ms(1_000);
    script.expect_after(sent, ms(1_000), &format!("P. {}:{}({M}) ack 1", at(0), at(1)));
    assert_eq!(script.connection.info().stats.tail_probes, 1, "a probe, not a timeout");
}

#[test]
fn no_probe_while_something_is_sacked_or_sack_is_off() {
    // req: R8985-14, R8985-1
    let mut script = in_flight(4);
    script.advance_ms(100);
    // The last one lies behind all that arrived: RACK cannot tell, and the timeout does.
    sack(&mut script, 0, &[(1, 3)]);
    script.forget_sent();
    script.advance_ms(190);
    assert_eq!(script.connection.info().stats.tail_probes, 0);

    let mut script = super::super::connected_after(&config(), ms(100));
    script.write(3 * M);
    script.advance_ms(2_000);
    let stats = script.connection.info().stats;
    assert_eq!((stats.tail_probes, stats.timeouts), (0, 2));
}

#[test]
fn a_silent_peer_gets_one_probe_and_then_timeouts() {
    // req: R8985-15, R8985-17, R8985-19
    let mut script = in_flight(3);
    let sent = script.now();
    script.advance_ms(3_000);
    script.expect_after(sent, ms(200), &format!("P. {}:{}({M}) ack 1", at(2), at(3)));
    // One timeout of 300 ms after the probe, then by the back-off.
    for after in [500, 1_100, 2_300] {
        script.expect_after(sent, ms(after), &format!(". {}:{}({M}) ack 1", at(0), at(1)));
    }
    assert_eq!(script.connection.info().stats.tail_probes, 1);
}

#[test]
fn a_second_probe_waits_for_a_sample() {
    // req: R8985-15
    let mut script = in_flight(3);
    script.advance_ms(200);
    assert_eq!(text_sent(&mut script), full(2..3));
    // The ACK of the probe tells nothing of round trips (Karn).
    script.advance_ms(10);
    ack(&mut script, at(3));
    script.write(2 * M);
    script.forget_sent();
    script.advance_ms(250);
    assert_eq!(script.connection.info().stats.tail_probes, 1);
    ack(&mut script, at(5));
    script.write(2 * M);
    script.advance_ms(1_000);
    assert_eq!(script.connection.info().stats.tail_probes, 2);
}

#[test]
fn a_probe_that_was_answered_by_a_duplicate_measures_nothing() {
    // req: R8985-15
    let mut script = in_flight(3);
    script.advance_ms(200);
    assert_eq!(text_sent(&mut script), full(2..3));
    // Both copies arrived, which ends the probe; which of them the ACK answers is not known.
    script.inject(&format!(". 1:1(0) ack {} win 65535 <sack {}:{}>", at(3), at(2), at(3)));
    script.write(2 * M);
    script.advance_ms(250);
    assert_eq!(script.connection.info().stats.tail_probes, 1, "no second without a sample");
}

#[test]
fn no_probe_in_recovery() {
    // req: R8985-14
    use crate::timer::Timer;
    let mut script = in_flight(10);
    script.advance_ms(100);
    sack(&mut script, 0, &[(1, 4)]);
    script.advance_ms(100);
    ack(&mut script, at(4));
    let info = script.connection.info();
    assert!(info.in_recovery && info.in_flight > 0, "{info:?}");
    assert_eq!(script.connection.deadline(Timer::Probe), None);
    ack(&mut script, at(9));
    assert_eq!(script.connection.deadline(Timer::Probe), None);
}

#[test]
fn new_text_is_the_better_probe() {
    // req: R8985-16
    // Over a short path it is pushed, though more is written: what follows waits for its ACK, which the peer may hold back.
    for (rtt, flags) in [(100, "."), (20, "."), (19, "P.")] {
        let mut script = sacking_with(&config(), ms(rtt));
        script.write(12 * M);
        let sent = script.now();
        assert_eq!(text_sent(&mut script), full(0..10), "the window is full");
        script.advance_ms(2 * rtt);
        script.expect_after(sent, ms(2 * rtt), &format!("{flags} {}:{}({M}) ack 1", at(10), at(11)));
        script.expect_nothing();
    }
}

#[test]
fn on_a_short_path_a_probe_waits_for_the_peer_not_for_a_timer_of_its_own() {
    // req: R8985-13
    let mut script = sacking_with(&config(), Duration::from_micros(100));
    script.write(3 * M);
    let sent = script.now();
    script.forget_sent();
    script.advance_ms(50);
    script.expect_after(sent, ms(2), &format!("P. {}:{}({M}) ack 1", at(2), at(3)));
    script.expect_nothing();
}

#[test]
fn a_window_taken_back_is_not_probed_beyond() {
    // req: R8985-16
    let mut script = in_flight(4);
    script.inject(&format!(". 1:1(0) ack {} win 1460", at(1)));
    let rto = script.connection.info().rto;
    script.advance(rto - ms(1));
    assert_eq!(text_sent(&mut script), []);
    script.advance_ms(1);
    assert_eq!(text_sent(&mut script), full(1..2), "the timeout comes at its time");
}

/// Twenty segments with timestamps over 50 ms, of which the last or its ACK is lost; what the probe's ACK says.
fn tail(blocks: &str, echo_probe: bool) -> Script {
    let mut script = Script::connect(&config());
    script.advance_ms(50);
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,ts 1000000 1000>");
    script.forget_sent();
    let m = 1448;
    script.write(20 * m);
    script.advance_ms(50);
    for segment in 1..=10 {
        ack(&mut script, 1 + segment * m);
    }
    script.advance_ms(50);
    for segment in 11..=19 {
        ack(&mut script, 1 + segment * m);
    }
    script.forget_sent();
    let asked = script.now();
    script.advance(4 * ms(50));
    let (at, probe) = script.next_sent().expect("a probe");
    assert!(at - asked <= ms(160), "{:?}", at - asked);
    script.expect_nothing();
    let now = probe.header.options.timestamps.unwrap().val;
    let echo = if echo_probe { now } else { now - 160 };
    script.inject(&format!(". 1:1(0) ack {} win 65535 <{blocks}ts 1002000 {echo}>", 1 + 20 * m));
    let stats = script.connection.info().stats;
    assert_eq!((stats.tail_probes, stats.timeouts, script.connection.send_queued()), (1, 0, 0));
    // The peer's clock has to come to where that ACK has put it.
    script.advance_ms(1_000);
    script
}

#[test]
fn a_repaired_tail_loss_counts_as_congestion_and_a_lost_ack_does_not() {
    // req: R8985-18
    let mut repaired = tail("", true);
    let threshold = repaired.connection.info().ssthresh;
    assert!(threshold.is_some(), "the echo tells that the probe filled the gap");
    // Once.
    repaired.write(1448);
    repaired.advance_ms(50);
    ack(&mut repaired, 1 + 21 * 1448);
    assert_eq!(repaired.connection.info().ssthresh, threshold);

    let mut spared = tail(&format!("sack {}:{},", 1 + 19 * 1448, 1 + 20 * 1448), false);
    spared.write(1448);
    spared.advance_ms(50);
    ack(&mut spared, 1 + 21 * 1448);
    assert_eq!(spared.connection.info().ssthresh, None);

    // A peer that reports no duplicates answers the second copy by a bare repetition.
    let mut repeated = tail("", false);
    ack(&mut repeated, 1 + 20 * 1448);
    repeated.write(1448);
    repeated.advance_ms(50);
    ack(&mut repeated, 1 + 21 * 1448);
    assert_eq!(repeated.connection.info().ssthresh, None);
    // And where the second copy was needed nothing but the next ACK tells.
    let mut silent = tail("", false);
    silent.write(1448);
    silent.advance_ms(50);
    ack(&mut silent, 1 + 21 * 1448);
    assert!(silent.connection.info().ssthresh.is_some());
}

#[test]
fn without_timestamps_the_next_ack_tells_of_a_repaired_tail() {
    // req: R8985-18
    for duplicate in [false, true] {
        let mut script = in_flight(3);
        script.advance_ms(200);
        assert_eq!(text_sent(&mut script), full(2..3));
        script.advance_ms(100);
        ack(&mut script, at(3));
        assert_eq!(script.connection.info().ssthresh, None, "not known yet");
        script.write(M);
        if duplicate {
            // Both copies arrived: the second drew a duplicate ACK.
            ack(&mut script, at(3));
        }
        script.advance_ms(100);
        ack(&mut script, at(4));
        assert_eq!(script.connection.info().ssthresh.is_some(), !duplicate);
    }
}

#[test]
fn a_probe_and_the_reordering_timer_leave_the_timeout_in_place() {
    // req: R8985-19
    use crate::timer::Timer;
    let mut script = in_flight(3);
    let timers = |script: &Script| {
        [Timer::Probe, Timer::Reorder, Timer::Retransmit]
            .map(|timer| script.connection.deadline(timer).is_some())
    };
    assert_eq!(timers(&script), [true, false, true]);
    script.advance_ms(100);
    sack(&mut script, 0, &[(1, 2)]);
    assert_eq!(timers(&script), [false, true, true]);
    script.advance_ms(30);
    assert_eq!(timers(&script), [false, false, true], "the wait is over, and the hole sent again");
    script.advance_ms(20);
    ack(&mut script, at(3));
    assert_eq!(timers(&script), [false; 3]);
    assert_eq!(script.connection.poll_timeout(), None);
}

#[test]
fn a_duplicate_of_the_probe_counts_with_nothing_in_flight_too() {
    // req: R8985-18
    let mut script = in_flight(3);
    script.advance_ms(200);
    assert_eq!(text_sent(&mut script), full(2..3));
    ack(&mut script, at(3));
    script.inject(&format!(". 1:1(0) ack {} win 65535 <sack {}:{}>", at(3), at(2), at(3)));
    assert_eq!(script.connection.info().stats.dsacks, 1);
    script.write(M);
    script.advance_ms(100);
    ack(&mut script, at(4));
    assert_eq!(script.connection.info().ssthresh, None, "nothing was lost");
}
