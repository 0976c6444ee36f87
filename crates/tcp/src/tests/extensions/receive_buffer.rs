//! The round trip as the receiver of a stream sees it, by the timestamps that come back.

use core::time::Duration;

use super::{config, ms};
use crate::testing::{Line, Script};

/// Payload of a full segment beside timestamps.
const FULL: u32 = 1_448;

/// Open since a second after the stack began, when its clock of timestamps showed 1000; 300 ms have passed.
fn receiving() -> Script {
    let mut script = Script::established(&config());
    script.auto_timestamps = false;
    script.advance_ms(300);
    script
}

/// `octets` arrive in order, with the echo of what our clock showed at `echo`.
fn text(script: &mut Script, at: u32, octets: u32, echo: u32) {
    script.inject(&format!(". {at}:{}({octets}) ack 1 win 65535 <ts 1002000 {echo}>", at + octets));
}

#[track_caller]
fn assert_round_trip(script: &Script, expected: Duration) {
    let seen = script.connection.info().recv_rtt.expect("text has arrived");
    assert!(seen.abs_diff(expected) < Duration::from_micros(10), "{seen:?}, not {expected:?}");
}

#[test]
fn the_age_of_an_echo_on_full_segments_is_the_round_trip() {
    let mut script = receiving();
    text(&mut script, 1, FULL, 1_000);
    assert_round_trip(&script, ms(300));
    // The first estimate counts for seven eighths.
    text(&mut script, 1 + FULL, FULL, 1_220);
    assert_round_trip(&script, (7 * ms(300) + ms(80)) / 8);
}

#[test]
fn short_segments_waited_for_an_application_and_tell_nothing() {
    let mut script = receiving();
    text(&mut script, 1, FULL, 1_000);
    text(&mut script, 1 + FULL, FULL - 1, 1_220);
    assert_round_trip(&script, ms(300));
}

/// What is new of it may be short.
#[test]
fn a_super_segment_consists_of_full_ones() {
    let mut script = receiving();
    text(&mut script, 1, FULL, 1_000);
    let line = format!(". {}:{}({}) ack 1 win 65535 <ts 1002000 1220>", FULL - 99, 2 * FULL - 99, FULL);
    let line: Line = line.parse().unwrap();
    let mut segment = script.build(&line);
    segment.payload = segment.payload.slice(..200);
    segment.gso_size = 100;
    script.inject_segment(segment);
    assert_round_trip(&script, (7 * ms(300) + ms(80)) / 8);
}

#[test]
fn an_echo_from_before_the_connection_is_none() {
    for echo in [998, 5_000, 0, u32::MAX] {
        let mut script = receiving();
        text(&mut script, 1, FULL, 1_000);
        text(&mut script, 1 + FULL, FULL, echo);
        assert_round_trip(&script, ms(300));
    }
}

/// A peer that fills the buffer each round trip finds it larger.
#[test]
fn the_buffer_grows_while_its_reader_keeps_up() {
    let mut script = receiving();
    let before = script.connection.info().recv_buffer;
    let mut at = 1;
    for round in 0..8 {
        for _ in 0..30 {
            text(&mut script, at, FULL, 1_300 + round * 50 - 50);
            at += FULL;
        }
        script.advance_ms(50);
    }
    let after = script.connection.info().recv_buffer;
    assert!(after > before, "{before} to {after}");
    assert_eq!(script.octets_read(), at - 1);
}
