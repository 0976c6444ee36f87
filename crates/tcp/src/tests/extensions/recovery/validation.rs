//! Windows that are not used (RFC 7661).

use super::{M, ack, at, config, ms, open_window, sack, sacking, sacking_with, text_sent};
use crate::config::TcpConfig;
use crate::testing::Script;

/// `segments` each round trip of 100 ms, for so many of them. Says the next segment's place.
fn use_little(script: &mut Script, mut next: u32, segments: u32, rounds: u32) -> u32 {
    for _ in 0..rounds {
        script.write(segments * M);
        assert_eq!(text_sent(script).len() as u32, segments);
        script.advance_ms(100);
        next += segments;
        ack(script, at(next));
    }
    next
}

#[test]
fn a_window_that_is_not_used_is_kept_for_a_minute() {
    // req: R7661-2
    let mut script = sacking();
    let next = open_window(&mut script, 40);
    let grown = script.connection.info().cwnd;
    use_little(&mut script, next, 1, 600);
    assert_eq!(script.connection.info().cwnd, grown);
    script.write(100 * M);
    assert_eq!(text_sent(&mut script).len() as u32, grown / M, "all of it");
}

#[test]
fn after_five_minutes_half_of_it_goes() {
    // req: R7661-5
    let mut script = sacking();
    let next = open_window(&mut script, 40);
    let grown = script.connection.info().cwnd;
    let next = use_little(&mut script, next, 1, 2_999);
    assert_eq!(script.connection.info().cwnd, grown);
    use_little(&mut script, next, 1, 40);
    let info = script.connection.info();
    assert_eq!((info.cwnd, info.ssthresh), (grown / 2, None), "and it comes back by slow start");
}

#[test]
fn a_loss_goes_by_what_was_used() {
    // req: R7661-1, R7661-3
    // Ten segments a round trip of forty: the default controller leaves 0.7 of ten, NewReno half.
    for (config, threshold) in [(TcpConfig::new(), 7 * M), (config(), 5 * M)] {
        let mut script = sacking_with(&config, ms(100));
        let next = open_window(&mut script, 40);
        let next = use_little(&mut script, next, 10, 30);
        script.write(10 * M);
        script.forget_sent();
        script.advance_ms(100);
        // The seventh is lost.
        ack(&mut script, at(next + 6));
        sack(&mut script, next + 6, &[(next + 7, next + 10)]);
        let info = script.connection.info();
        assert!(info.in_recovery);
        assert_eq!(info.ssthresh, Some(threshold), "{}", info.controller);
    }
}

#[test]
fn a_loss_of_a_window_that_was_used_goes_by_the_window() {
    // req: R7661-1, R9438-6
    let mut script = sacking_with(&TcpConfig::new(), ms(100));
    let next = open_window(&mut script, 40);
    let next = use_little(&mut script, next, 20, 10);
    let window = script.connection.info().cwnd;
    assert!(window > 40 * M);
    script.write(2 * M);
    script.forget_sent();
    script.advance_ms(100);
    sack(&mut script, next, &[(next + 1, next + 2)]);
    script.advance_ms(30);
    assert_eq!(script.connection.info().ssthresh, Some((u64::from(window) * 7 / 10) as u32));
}

#[test]
fn a_window_of_the_initial_size_needs_no_proof() {
    // req: R7661-5
    let mut script = super::in_flight(10);
    script.advance_ms(100);
    sack(&mut script, 0, &[(1, 4)]);
    script.advance_ms(100);
    ack(&mut script, at(10));
    script.forget_sent();
    let mut next = 10;
    while script.connection.info().cwnd < 9 * M {
        script.write(script.connection.info().cwnd / M * M);
        let sent = text_sent(&mut script).len() as u32;
        script.advance_ms(100);
        next += sent;
        ack(&mut script, at(next));
    }
    let before = script.connection.info();
    assert!(before.cwnd <= 10 * M && before.ssthresh < Some(6 * M), "{before:?}");
    for octets in (0..3_100).map(|round| at(next) + 100 * (round + 1)) {
        script.write(100);
        script.advance_ms(100);
        ack(&mut script, octets);
        script.forget_sent();
    }
    let after = script.connection.info();
    assert_eq!((after.cwnd, after.ssthresh), (before.cwnd, before.ssthresh));
}
