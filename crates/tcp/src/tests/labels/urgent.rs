//! Urgent data (RFC 9293 3.8.5).

use super::config;
use crate::event::Event;
use crate::testing::{Pair, Script, Side};

#[test]
fn urgent_octets_are_sent_with_a_pointer_behind_them() {
    // req: MUST-30, MUST-62
    let mut script = Script::established(&config());
    script.command(|connection, _| {
        connection.write(crate::testing::pattern(1, 6)).unwrap();
        connection.mark_urgent();
    });
    script.expect("UP. 1:6(5) ack 1 urg 5");
    // Acknowledged: what follows is ordinary.
    script.inject(". 1:1(0) ack 6");
    script.command(|connection, _| connection.write(crate::testing::pattern(6, 8)).unwrap());
    script.expect("P. 6:8(2) ack 1 urg 0");
}

#[test]
fn urgent_data_may_span_segments() {
    // req: MUST-31, MUST-62
    let mut script = Script::established_plain(&config());
    script.command(|connection, _| {
        connection.write(crate::testing::pattern(1, 3001)).unwrap();
        connection.mark_urgent();
        connection.write(crate::testing::pattern(3001, 5841)).unwrap();
    });
    script.expect("U. 1:1461(1460) ack 1 urg 3000");
    script.expect("U. 1461:2921(1460) ack 1 urg 1540");
    script.expect("U. 2921:4381(1460) ack 1 urg 80");
    let last = script.expect("P. 4381:5841(1460) ack 1");
    assert_eq!(last.header.urgent, 0, "beyond the urgent octets");
}

#[test]
fn a_retransmission_points_to_the_same_octet() {
    // req: MUST-62
    let mut script = Script::established_plain(&config());
    script.command(|connection, _| {
        connection.write(crate::testing::pattern(1, 101)).unwrap();
        connection.mark_urgent();
    });
    script.expect("UP. 1:101(100) ack 1 urg 100");
    script.inject(". 1:1(0) ack 41");
    script.advance_ms(200);
    script.expect("UP. 41:101(60) ack 1 urg 60");
}

#[test]
fn the_application_learns_how_much_urgent_data_remains() {
    // req: MUST-31, MUST-33
    let mut script = Script::established_plain(&config());
    script.auto_read = false;
    script.inject("U. 1:1001(1000) ack 1 urg 10000");
    assert_eq!(script.drain_events(), [Event::UrgentPending]);
    assert_eq!(script.connection.urgent_remaining(), 10_000);
    // Nothing more is said as the octets arrive.
    for start in (1001..12_001).step_by(1000) {
        let pointer = if start < 10_001 { 10_001 - start } else { 0 };
        let flags = if pointer > 0 { "U." } else { "." };
        script.inject(&format!("{flags} {start}:{}(1000) ack 1 urg {pointer}", start + 1000));
    }
    assert_eq!(script.drain_events(), []);
    assert_eq!(script.connection.urgent_remaining(), 10_000, "none was read");
    for (unread, remaining) in [(11_000, 9000), (2001, 1), (2000, 0), (500, 0)] {
        while script.connection.read().is_some() {}
        script.set_unread(unread);
        assert_eq!(script.connection.urgent_remaining(), remaining, "{unread} unread");
    }
}

#[test]
fn news_of_urgent_data_is_told_once_and_again_when_it_grows() {
    // req: MUST-32
    let mut script = Script::established_plain(&config());
    script.inject("U. 1:11(10) ack 1 urg 30");
    assert_eq!(script.drain_events(), [Event::UrgentPending]);
    script.inject("U. 11:21(10) ack 1 urg 20");
    assert_eq!(script.drain_events(), [], "the same octet");
    script.inject("U. 21:26(5) ack 1 urg 50");
    assert_eq!(script.drain_events(), [Event::UrgentPending], "it grew");
}

#[test]
fn the_pointer_comes_before_the_data_it_speaks_of() {
    // req: MUST-32
    // An empty segment may carry the news alone.
    let mut script = Script::established_plain(&config());
    script.inject("U. 1:1(0) ack 1 urg 5");
    assert_eq!(script.drain_events(), [Event::UrgentPending]);
    assert_eq!(script.connection.urgent_remaining(), 5);
}

#[test]
fn a_segment_that_overlaps_points_to_the_same_octet() {
    // req: MUST-62
    let mut script = Script::established_plain(&config());
    script.inject(". 1:101(100) ack 1");
    // Half of it is known already; the pointer counts from the segment's own first octet.
    script.inject("U. 51:151(100) ack 1 urg 90");
    assert_eq!(script.drain_events(), [Event::UrgentPending]);
    assert_eq!(script.octets_read(), 150);
    script.inject("U. 141:151(10) ack 1 urg 10");
    assert_eq!(script.connection.urgent_remaining(), 0, "it pointed to what has been read");
}

#[test]
fn urgent_data_stays_in_line() {
    // req: SHLD-13
    let mut pair = Pair::established(&config());
    pair.write(Side::A, b"before ");
    pair.command(Side::A, |connection, _| {
        connection.write(bytes::Bytes::from_static(b"urgent ")).unwrap();
        connection.mark_urgent();
    });
    pair.write(Side::A, b"after");
    pair.run_for(super::secs(1));
    assert_eq!(pair.received(Side::B), b"before urgent after");
    // And nothing is urgent unless it was asked for.
    let mut plain = Pair::established(&config());
    plain.write(Side::A, &[0; 10_000]);
    plain.run_for(super::secs(1));
    assert!(plain.log.iter().all(|flight| flight.segment.header.urgent == 0));
}

#[test]
fn urgent_octets_may_be_written_before_the_connection_is_open() {
    // req: MUST-30, MUST-62, S-SEND-1
    let write = |connection: &mut crate::Connection, from: u32, to: u32| {
        connection.write(crate::testing::pattern(from, to)).unwrap();
    };
    let mut active = Script::connect(&config());
    let mut passive = Script::listen(&config(), "S 0:0(0) win 65535 <mss 1460>");
    for script in [&mut active, &mut passive] {
        script.forget_sent();
        script.command(|connection, _| {
            write(connection, 1, 6);
            connection.mark_urgent();
            write(connection, 6, 9);
        });
    }
    active.inject("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    passive.inject(". 1:1(0) ack 1 win 65535");
    for script in [&mut active, &mut passive] {
        script.expect("UP. 1:9(8) ack 1 urg 5");
    }
}

#[test]
fn with_nothing_written_there_is_nothing_urgent() {
    // req: MUST-30
    let mut script = Script::established_plain(&config());
    for end in [4, 7] {
        script.command(|connection, _| connection.mark_urgent());
        script.write(3);
        script.expect(&format!("P. {}:{end}(3) ack 1 urg 0", end - 3));
        script.inject(&format!(". 1:1(0) ack {end}"));
    }
}
