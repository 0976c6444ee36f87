//! When an acknowledgment leaves (RFC 9293 3.8.6.3, 3.10.7.4).

use super::{config, delaying, ms, secs};
use crate::config::TcpConfig;
use crate::connection::Opening;
use crate::testing::{Pair, Script, Side};

#[test]
fn a_batch_is_acknowledged_as_one() {
    // req: MUST-58, MUST-59, R5681-9
    let mut script = Script::established(&config());
    let lines: Vec<String> = (0..10)
        .map(|index| format!(". {}:{}(1448) ack 1", 1 + index * 1448, 1 + (index + 1) * 1448))
        .collect();
    script.inject_batch(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    script.expect(". 1:1(0) ack 14481");
    script.expect_nothing();
    assert_eq!(script.octets_read(), 14_480);
}

#[test]
fn what_arrives_out_of_order_is_kept() {
    // req: SHLD-31, MAY-13
    let mut script = Script::established_plain(&config());
    script.inject(". 101:201(100) ack 1");
    script.expect(". 1:1(0) ack 1");
    script.inject(". 201:301(100) ack 1");
    script.expect(". 1:1(0) ack 1");
    script.inject(". 1:101(100) ack 1");
    script.expect(". 1:1(0) ack 301");
    script.expect_nothing();
    assert_eq!(script.octets_read(), 300);
}

#[test]
fn each_segment_out_of_order_in_a_batch_has_its_own_ack() {
    // req: MUST-59, MAY-13
    // They are what the peer's loss detection counts.
    let mut script = Script::established_plain(&config());
    script.inject_batch(&[". 101:201(100) ack 1", ". 201:301(100) ack 1", ". 301:401(100) ack 1"]);
    for _ in 0..3 {
        script.expect(". 1:1(0) ack 1");
    }
    script.expect_nothing();
}

#[test]
fn an_ack_in_order_is_delayed() {
    // req: SHLD-18, MUST-40
    let mut script = Script::established(&delaying());
    let start = script.now();
    script.inject("P. 1:101(100) ack 1");
    script.advance_ms(39);
    script.expect_nothing();
    script.advance_ms(10);
    script.expect_after(start, ms(40), ". 1:1(0) ack 101");
}

#[test]
fn the_delay_counts_from_the_first_segment() {
    // req: MUST-40
    // Pitfall 33: a third packet must not start the delay anew.
    let mut script = Script::established(&delaying());
    let start = script.now();
    for index in 0..7u32 {
        script.inject(&format!("P. {}:{}(10) ack 1", 1 + index * 10, 11 + index * 10));
        script.expect_nothing();
        script.advance_ms(5);
    }
    script.advance_ms(30);
    script.expect_after(start, ms(40), ". 1:1(0) ack 71");
    script.expect_nothing();
}

#[test]
fn the_delay_stays_below_half_a_second() {
    // req: MUST-40
    let mut config = delaying();
    config.ack_delay(secs(5));
    let mut script = Script::established(&config);
    script.inject("P. 1:101(100) ack 1");
    script.advance_ms(499);
    script.expect(". 1:1(0) ack 101");
}

#[test]
fn an_ack_rides_on_data() {
    // req: SHLD-18
    let mut script = Script::established(&delaying());
    script.inject("P. 1:101(100) ack 1");
    script.write(100);
    script.expect("P. 1:101(100) ack 101");
    script.inject(". 101:101(0) ack 101");
    script.advance(secs(0) + ms(150));
    script.expect_nothing();
}

#[test]
fn two_full_segments_are_acknowledged_at_once() {
    // req: SHLD-19
    let mut script = Script::established(&delaying());
    script.inject(". 1:1449(1448) ack 1");
    script.expect_nothing();
    script.inject(". 1449:2897(1448) ack 1");
    script.expect(". 1:1(0) ack 2897");
    script.inject(". 2897:4345(1448) ack 1");
    script.expect_nothing();
    script.inject(". 4345:5793(1448) ack 1");
    script.expect(". 1:1(0) ack 5793");
}

#[test]
fn two_segments_worth_of_octets_are_acknowledged_at_once() {
    // req: SHLD-19
    let mut script = Script::established(&delaying());
    script.inject(". 1:1449(1448) ack 1");
    script.inject(". 1449:2897(1448) ack 1");
    script.expect(". 1:1(0) ack 2897");
    // The peer's segments have become shorter: octets count, not segments that look full.
    script.inject(". 2897:3897(1000) ack 1");
    script.inject(". 3897:4897(1000) ack 1");
    script.expect_nothing();
    script.inject(". 4897:5897(1000) ack 1");
    script.expect(". 1:1(0) ack 5897");
}

#[test]
fn the_start_of_a_connection_is_acknowledged_at_once() {
    // req: SHLD-18
    // So that the peer's slow start does not wait for our timer; bounded, and configured.
    let mut config = config();
    config.quick_acks(3);
    let mut script = Script::established(&config);
    for index in 0..3u32 {
        script.inject(&format!(". {}:{}(10) ack 1", 1 + index * 10, 11 + index * 10));
        script.expect(&format!(". 1:1(0) ack {}", 11 + index * 10));
    }
    script.inject(". 31:41(10) ack 1");
    script.expect_nothing();
}

/// How many delayed ACKs went out by timer while `octets` went from A to B, and how long that took.
fn transfer(mtu: u16, recv_buffer: usize, octets: usize) -> (core::time::Duration, usize) {
    let mut receiver = delaying();
    receiver.recv_buffer(recv_buffer);
    let mut pair = Pair::with_mtu(config(), receiver, ms(1), mtu);
    pair.run_for(ms(100));
    let start = pair.now();
    let data = vec![5; octets];
    pair.write(Side::A, &data);
    let done = pair.run_until(secs(60), |pair| pair.received(Side::B).len() == octets);
    assert!(done, "MTU {mtu}, buffer {recv_buffer}, {octets} octets");
    (pair.now() - start, pair.log.len())
}

/// Pitfall 33: large segments, windows of one segment and odd counts of segments are not paced by the delayed ACK.
#[test]
fn no_transfer_is_paced_by_the_delayed_ack() {
    // req: SHLD-19, MUST-39
    // The round trip is 2 ms, the delay 40 ms: a timer per round would show as 20 times the time.
    for (mtu, buffer, octets, rounds) in [
        // Windows that hold one segment and a half, one, and less than one.
        (65_535, 98_304, 2_000_000, 40),
        (65_535, 65_535, 2_000_000, 40),
        (9000, 9000, 500_000, 70),
        (1500, 2000, 100_000, 110),
        (1500, 1460, 100_000, 90),
        // Odd counts.
        (1500, 1 << 20, 1448 * 3, 3),
        (1500, 1 << 20, 1448 * 101, 8),
        (9000, 1 << 20, 8948 * 31, 8),
    ] {
        let (time, _) = transfer(mtu, buffer, octets);
        assert!(time <= ms(2 * rounds), "MTU {mtu}, buffer {buffer}, {octets} octets took {time:?}");
    }
}

/// Pitfall 33: a peer whose send buffer holds less than two segments can do nothing but wait for each ACK.
#[test]
fn a_small_send_buffer_is_not_paced_by_the_delayed_ack() {
    // req: SHLD-19
    for (mtu, buffer) in [(9000, 4096), (1500, 2048), (1500, 1024)] {
        let mut sender = config();
        sender.send_buffer(buffer);
        let mut pair = Pair::with_mtu(sender, delaying(), ms(1), mtu);
        pair.run_for(ms(100));
        let start = pair.now();
        let (rounds, mut written) = (50, 0);
        while written < rounds * buffer {
            let room = pair.connection(Side::A).send_space();
            pair.write(Side::A, &vec![5; room]);
            written += room;
            assert!(
                pair.run_until(secs(1), |pair| pair.connection(Side::A).send_space() > 0),
                "MTU {mtu}, buffer {buffer}"
            );
        }
        // A round trip is 2 ms; two delays of 40 ms show who waits for whom.
        let time = pair.now() - start;
        assert!(time < ms(2 * 3 * rounds as u64 + 100), "MTU {mtu}, buffer {buffer}: {time:?}");
    }
}

/// An application that answers, and a peer that keeps sending, are no reason to hurry.
#[test]
fn acks_stay_delayed_while_the_application_answers_or_the_peer_goes_on() {
    // req: SHLD-18
    let mut script = Script::established(&delaying());
    let mut next = 1;
    for round in 0..4u32 {
        script.inject(&format!("P. {next}:{}(10) ack {}", next + 10, 1 + round * 10));
        next += 10;
        script.advance_ms(10);
        script.expect_nothing();
        script.write(10);
        script.expect(&format!("P. {}:{}(10) ack {next}", 1 + round * 10, 11 + round * 10));
    }
    for _ in 0..20 {
        script.inject(&format!("P. {next}:{}(10) ack 41", next + 10));
        next += 10;
        script.advance_ms(10);
    }
    let acks = std::iter::from_fn(|| script.next_sent()).count();
    assert!(acks <= 6, "{acks} ACKs for 20 segments in 200 ms");
}

/// Pitfall 33: what the peer waits for is said at once.
#[test]
fn gaps_and_filled_gaps_are_acknowledged_at_once() {
    // req: MAY-13, SHLD-31
    let mut script = Script::established(&delaying());
    script.inject(". 11:21(10) ack 1");
    script.expect(". 1:1(0) ack 1");
    script.inject(". 1:11(10) ack 1");
    script.expect(". 1:1(0) ack 21");
    script.expect_nothing();
}

/// Pitfall 33: a window that doubled since it was last told is told at once.
#[test]
fn a_reopened_window_is_told_at_once() {
    // req: MUST-39
    let mut config = delaying();
    config.recv_buffer(14_600);
    let mut script = Script::established_plain(&config);
    script.auto_read = false;
    for index in 0..9u32 {
        script.inject(&format!(". {}:{}(1460) ack 1", 1 + index * 1460, 1 + (index + 1) * 1460));
    }
    script.advance_ms(40);
    script.forget_sent();
    assert_eq!(script.connection.right_edge_room(), 1460);
    assert_eq!(script.read(), 9 * 1460);
    script.set_unread(0);
    script.expect(". 1:1(0) ack 13141 win 14600");
}

#[test]
fn an_mtu_of_64_kib_is_used_whole() {
    // req: SHLD-19
    let opening = Opening { tuple: Script::tuple(), iss: Script::ISS, ts_offset: 0, mtu: 65_535 };
    let mut script = Script::connect_with(&TcpConfig::new(), opening);
    let syn = script.expect("S 0:0(0)");
    assert_eq!(syn.header.options.mss, Some(65_495));
    script.inject("S. 0:0(0) ack 1 <mss 65495,wscale 7>");
    script.forget_sent();
    script.inject(". 1:1(0) ack 1 win 65535");
    script.write(65_495);
    let (_, segment) = script.next_sent().unwrap();
    assert!(segment.payload.len() > 65_000, "{}", segment.payload.len());
}
