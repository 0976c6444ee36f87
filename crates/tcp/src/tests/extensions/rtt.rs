//! The retransmission timer (RFC 6298).

use core::time::Duration;
use std::sync::Arc;

use super::{M, ack, at, config, connected_after, connecting, ms, text_sent, without_sack};
use crate::connection::{Connection, Opening};
use crate::testing::{Line, Script};
use crate::time::Instant;

#[test]
fn an_unanswered_syn_is_repeated_after_one_second_and_then_with_doubled_waits() {
    // req: R6298-1, R6298-9
    let mut script = Script::connect(&config());
    let start = script.now();
    script.expect_after(start, ms(0), "S 0:0(0)");
    script.advance_ms(20_000);
    for seconds in [1, 3, 7, 15] {
        script.expect_after(start, Duration::from_secs(seconds), "S 0:0(0)");
    }
    script.expect_nothing();
}

/// Ten octets are written, and sent again after exactly `rto`.
#[track_caller]
fn expect_rto(script: &mut Script, seq: u32, rto: Duration) {
    script.write(10);
    let start = script.now();
    let line = format!("P. {seq}:{}(10) ack 1", seq + 10);
    script.expect(&line);
    script.advance(rto - Duration::from_nanos(1));
    script.expect_nothing();
    script.advance(Duration::from_nanos(1));
    script.expect_after(start, rto, &line);
}

#[test]
fn the_first_sample_gives_three_times_the_round_trip() {
    // req: R6298-2
    let mut script = connected_after(&config(), ms(400));
    assert_eq!(script.connection.info().srtt, Some(ms(400)));
    assert_eq!(script.connection.info().rttvar, ms(200));
    expect_rto(&mut script, 1, ms(1_200));
}

#[test]
fn later_samples_move_the_timeout_by_the_table() {
    // req: R6298-3
    // SRTT and RTTVAR by hand, in ms: (400, 200), (375, 200), (375, 150), (425, 212.5). With SRTT taken first, the
    // second RTTVAR would be 193.75.
    let table = [(200, 1_175_000), (375, 975_000), (775, 1_275_000)];
    for count in 1..=table.len() {
        let mut script = connected_after(&config(), ms(400));
        let mut end = 1;
        for (rtt, _) in &table[..count] {
            script.write(10);
            end += 10;
            script.advance_ms(*rtt);
            ack(&mut script, end);
        }
        script.forget_sent();
        expect_rto(&mut script, end, Duration::from_micros(table[count - 1].1));
    }
}

#[test]
fn a_short_round_trip_leaves_the_timeout_at_its_minimum() {
    // req: R6298-4
    let mut script = connected_after(&config(), ms(1));
    expect_rto(&mut script, 1, ms(200));

    let mut by_the_book = config();
    by_the_book.min_rto(Duration::from_secs(1));
    let mut script = connected_after(&by_the_book, ms(1));
    expect_rto(&mut script, 1, ms(1_000));
}

#[test]
fn silence_doubles_the_waits_up_to_a_minute() {
    // req: R6298-5, R6298-9
    let mut config = config();
    config.user_timeout(None).max_rto(Duration::from_secs(1));
    let mut script = connected_after(&config, ms(1));
    script.write(10);
    let mut last = script.now();
    script.expect("P. 1:11(10) ack 1");
    script.advance(Duration::from_secs(400));
    let mut waits = Vec::new();
    while let Some((when, segment)) = script.next_sent() {
        assert_eq!(script.line(&segment).seq, 1, "always the oldest octet");
        waits.push((when - last).as_millis());
        last = when;
    }
    assert_eq!(waits[..9], [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200]);
    assert!(waits.len() > 11, "it goes on: {waits:?}");
    assert!(waits[9..].iter().all(|wait| *wait == 60_000), "a bound under 60 s is raised to it: {waits:?}");
}

#[test]
fn an_ack_of_a_retransmission_is_no_sample_and_keeps_the_back_off() {
    // req: R6298-6, R6298-11
    let mut script = connected_after(&config(), ms(100));
    script.write(10);
    script.advance_ms(300);
    script.advance_ms(5);
    ack(&mut script, 11);
    assert_eq!(script.connection.info().srtt, Some(ms(100)));
    script.forget_sent();
    expect_rto(&mut script, 11, ms(600));

    // A segment that was sent once ends it: RTTVAR 37.5, SRTT 100.
    ack(&mut script, 21);
    script.write(10);
    script.advance_ms(100);
    ack(&mut script, 31);
    script.forget_sent();
    expect_rto(&mut script, 31, ms(250));
}

#[test]
fn timestamps_tell_the_copies_apart_and_end_the_back_off() {
    // req: R6298-6, R6298-11
    let mut script = without_sack();
    script.write(10);
    script.advance_ms(700);
    // Sent at 0, again at 200 and 600 ms; the peer answers the last copy after 100 ms.
    assert_eq!(text_sent(&mut script).len(), 3);
    assert_eq!(script.connection.info().rto, ms(800));
    ack(&mut script, 11);
    let info = script.connection.info();
    // The clock of timestamps ticks each millisecond: a tick may hide in the sample, which counts for one eighth.
    assert!(info.srtt.is_some_and(|srtt| srtt >= ms(12) && srtt <= ms(13)), "{:?}", info.srtt);
    assert!(info.rto < ms(800), "the back-off is over: {:?}", info.rto);
}

#[test]
fn an_echo_from_before_a_timeout_is_no_sample() {
    // req: R6298-6, R7323-13
    // The first copy arrived and its ACK was lost; the second is a duplicate, so the peer echoes the first again.
    let mut script = without_sack();
    script.write(10);
    script.advance_ms(250);
    let (_, first) = script.next_sent().unwrap();
    assert_eq!(text_sent(&mut script).len(), 1, "sent again once");
    let before = script.connection.info();
    assert_eq!(before.rto, ms(400));
    let first = first.header.options.timestamps.unwrap().val;
    script.inject(&format!(". 1:1(0) ack 11 <ts 1002000 {first}>"));
    let after = script.connection.info();
    assert_eq!((after.srtt, after.rto), (before.srtt, before.rto));
}

#[test]
fn each_round_trip_gives_a_sample() {
    // req: R6298-7
    let mut script = connected_after(&config(), ms(80));
    let mut srtt = 80_000.0;
    let mut end = 1;
    for rtt in [80, 80, 120, 160, 160, 40, 40, 40_u64] {
        script.write(3 * M);
        end += 3 * M;
        script.advance_ms(rtt);
        ack(&mut script, end);
        srtt = srtt * 7.0 / 8.0 + rtt as f64 * 1_000.0 / 8.0;
        let seen = script.connection.info().srtt.unwrap().as_nanos() as f64 / 1_000.0;
        assert!((seen - srtt).abs() < 1.0, "SRTT {seen} us, expected {srtt}");
    }
}

#[test]
fn the_timer_starts_with_the_first_restarts_with_progress_and_stops_at_the_end() {
    // req: R6298-8
    let mut script = connected_after(&config(), ms(100));
    script.write(M);
    let first = script.now();
    script.advance_ms(50);
    // The timer runs already: a second segment does not move it.
    script.write(M);
    assert_eq!(text_sent(&mut script), [(at(0), M), (at(1), M)]);
    assert_eq!(script.connection.poll_timeout(), Some(first + ms(300)));
    script.advance_ms(50);
    // The sample of 100 ms gives RTTVAR 37.5 and RTO 250.
    ack(&mut script, at(1));
    let acked = script.now();
    script.advance_ms(400);
    script.expect_after(acked, ms(250), &format!("P. {}:{}({M}) ack 1", at(1), at(2)));
    ack(&mut script, at(2));
    assert_eq!(script.connection.poll_timeout(), None);
    script.advance(Duration::from_secs(600));
    script.expect_nothing();
}

#[test]
fn a_lost_syn_makes_data_wait_three_seconds() {
    // req: R6298-10
    let mut script = connecting(&config());
    script.advance_ms(1_020);
    script.forget_sent();
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    script.expect(". 1:1(0) ack 1");
    expect_rto(&mut script, 1, ms(3_000));
}

#[test]
fn a_lost_syn_ack_makes_data_wait_three_seconds() {
    // req: R6298-10
    let mut script = Script::listen(&config(), "S 0:0(0) win 65535 <mss 1460>");
    script.advance_ms(1_020);
    script.expect("S. 0:0(0) ack 1");
    script.expect("S. 0:0(0) ack 1");
    ack(&mut script, 1);
    expect_rto(&mut script, 1, ms(3_000));
}

#[test]
fn acks_are_timed_when_they_arrive_not_when_they_are_worked_off() {
    // Pitfall 23: an ACK that waited 50 ms in a queue carries the time at which the device was read.
    let mut script = connected_after(&config(), ms(40));
    script.write(10);
    let arrival = script.now() + ms(40);
    script.advance_ms(90);
    let segment = script.build(&". 1:1(0) ack 11 win 65535".parse().unwrap());
    script.connection.handle_segment(arrival, segment);
    assert_eq!(script.connection.info().srtt, Some(ms(40)));
}

#[test]
fn a_slow_path_with_a_write_every_tenth_of_its_round_trip_repeats_nothing() {
    // req: R6298-8
    let mut config = config();
    config.nodelay(true);
    let mut script = connected_after(&config, ms(999));
    // The ACK of write n arrives a second after it.
    for tick in 0..100_u32 {
        if tick >= 10 {
            ack(&mut script, tick - 10 + 2);
        }
        script.write(1);
        script.advance_ms(100);
    }
    assert_eq!(script.connection.info().stats.bytes_retransmitted, 0);
    assert_eq!(script.connection.info().stats.timeouts, 0);
}

#[test]
fn the_round_trip_of_the_handshake_begins_when_the_syn_leaves() {
    // req: R6298-2
    // The device was busy for a while.
    let made = Instant::from_nanos(1_000_000_000);
    let opening = Opening { tuple: Script::tuple(), iss: Script::ISS, ts_offset: 0, mtu: 1500 };
    let mut connection = Connection::connect(made, opening, Arc::new(config()));
    let left = made + ms(500);
    connection.poll_transmit(left, &mut Vec::new(), usize::MAX).expect("a SYN");
    let line: Line = "S. 0:0(0) ack 1 win 65535 <mss 1460>".parse().unwrap();
    connection.handle_segment(left + ms(30), line.to_segment((50_000, 7), Script::IRS, Script::ISS));
    assert_eq!(connection.info().srtt, Some(ms(30)));
}
