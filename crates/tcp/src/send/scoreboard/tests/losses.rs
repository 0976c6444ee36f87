//! What is lost, how long it is waited for, and what of it is sent again.

use core::time::Duration;

use netstack_wire::SeqNum;

use super::super::loss::Rule;
use super::{M, Scoreboard, ack, at, resend, runs, sack};
use crate::send::rate::DeliveryRate;
use crate::time::Instant;

const PATIENCE: Duration = Duration::from_micros(25_000);

/// The rule at `now` with `newest` delivered.
fn rule(now: Instant, newest: Option<(Instant, u64)>) -> Rule {
    Rule { now, newest: newest.unwrap(), patience: PATIENCE }
}

#[test]
fn the_wait_is_that_of_the_last_overtaken() {
    // req: R8985-11
    let (mut board, _) = runs(&[50, 50]);
    let news = sack(&mut board, at(20_000), 80, 81);
    let rule = |now: u64| rule(at(now), news.newest);
    let found = board.detect(&rule(20_000), &mut |_, _| {});
    // The first run left at 0, the second at 1 ms.
    assert_eq!((found.octets, found.wait), (0, Some(Duration::from_micros(6_000))));
    let found = board.detect(&rule(25_000), &mut |_, _| {});
    assert_eq!((found.octets, found.wait), (50 * M, Some(Duration::from_micros(1_000))));
    // Of the second what lies below the one that was delivered.
    let found = board.detect(&rule(26_000), &mut |_, _| {});
    assert_eq!((found.octets, found.wait), (30 * M, None));
    assert_eq!(board.held(), 80 * M);
}

#[test]
fn what_was_delivered_and_what_left_later_is_not_waited_for() {
    // req: R8985-11
    // All of the second transmission has arrived, or its first segment: the wait is that of the first, which left at 0.
    for delivered in [100, 51] {
        let (mut board, _) = runs(&[50, 50]);
        let news = sack(&mut board, at(20_000), 50, delivered);
        let found = board.detect(&rule(at(20_000), news.newest), &mut |_, _| {});
        assert_eq!((found.octets, found.wait), (0, Some(Duration::from_micros(5_000))), "up to {delivered}");
    }
}

#[test]
fn what_leaves_in_the_tick_of_a_copy_is_not_waited_for_with_its_elders() {
    // req: R8985-10, R8985-11
    let (mut board, mut rate) = runs(&[50, 50]);
    board.lose_head(true, &mut |_, _| {});
    resend(&mut board, &mut rate, at(10_000), 0, 1);
    let sent = rate.on_send(at(10_000), board.pipe(), 10 * M);
    board.record(10 * M, false, M, at(10_000), sent);
    let news = ack(&mut board, at(20_000), M);
    assert_eq!(news.newest.map(|(sent_at, _)| sent_at), Some(at(10_000)), "the copy");
    let found = board.detect(&rule(at(20_000), news.newest), &mut |_, _| {});
    // The last of those that left before the copy left at 1 ms.
    assert_eq!((found.octets, found.wait), (0, Some(Duration::from_micros(6_000))));
}

#[test]
fn a_copy_is_not_overtaken_by_what_left_before_it_in_the_same_tick() {
    // req: R8985-10
    let (mut board, mut rate) = runs(&[50, 50]);
    board.lose_head(true, &mut |_, _| {});
    resend(&mut board, &mut rate, at(1_000), 0, 1);
    let news = sack(&mut board, at(20_000), 99, 100);
    assert_eq!(
        news.newest.map(|(sent_at, _)| sent_at),
        Some(at(1_000)),
        "the last of the second transmission"
    );
    let found = board.detect(&rule(at(30_000), news.newest), &mut |_, _| {});
    assert_eq!((found.octets, board.resent()), (98 * M, M), "all but the copy and what was delivered");
    // One that left later does overtake it.
    let sent = rate.on_send(at(1_000), board.pipe(), M);
    board.record(M, false, M, at(1_000), sent);
    let news = sack(&mut board, at(30_000), 100, 101);
    let found = board.detect(&rule(at(30_000), news.newest), &mut |_, _| {});
    assert_eq!((found.octets, board.resent()), (M, 0));
}

#[test]
fn what_is_lost_in_a_row_leaves_in_one_piece_as_long_as_allowed() {
    // req: R6675-3
    let (mut board, mut rate) = runs(&[50]);
    board.on_timeout(at(0), &mut |_, _| {});
    let hole = |board: &mut Scoreboard, most| board.next_hole(most).map(|hole| (hole.at, hole.len));
    assert_eq!(hole(&mut board, 10 * M), Some((SeqNum(0), 10 * M)), "exactly what is allowed");
    assert_eq!(hole(&mut board, 10 * M - 1), Some((SeqNum(0), 9 * M)), "whole segments");
    assert_eq!(hole(&mut board, 0), Some((SeqNum(0), M)), "one at least");
    resend(&mut board, &mut rate, at(1_000), 0, 10);
    assert_eq!(hole(&mut board, 10 * M), Some((SeqNum(10 * M), 10 * M)), "from the middle of a transmission");
    sack(&mut board, at(2_000), 13, 14);
    assert_eq!(hole(&mut board, 10 * M), Some((SeqNum(10 * M), 3 * M)), "up to what has arrived");
}

#[test]
fn what_is_left_of_a_segment_leaves_alone_so_that_those_behind_keep_their_bounds() {
    // req: R2018-9
    let (mut board, mut rate) = runs(&[50]);
    ack(&mut board, at(1_000), 30);
    board.on_timeout(at(0), &mut |_, _| {});
    assert_eq!(board.next_hole(10 * M).map(|hole| (hole.at, hole.len)), Some((SeqNum(30), M - 30)));
    let sent = rate.on_send(at(1_000), board.pipe(), M - 30);
    board.resend(SeqNum(30), SeqNum(M), at(1_000), sent);
    assert_eq!(board.next_hole(10 * M).map(|hole| (hole.at, hole.len)), Some((SeqNum(M), 10 * M)));
}

#[test]
fn a_copy_that_was_reported_leaves_the_books_with_its_acknowledgment() {
    // req: R9937-3
    let (mut board, mut rate) = runs(&[1, 1, 1]);
    board.lose_head(true, &mut |_, _| {});
    resend(&mut board, &mut rate, at(5_000), 0, 1);
    sack(&mut board, at(9_000), 0, 1);
    assert_eq!((board.sacked(), board.pipe()), (M, 2 * M));
    ack(&mut board, at(9_500), M);
    assert_eq!((board.sacked(), board.sacked_segments(), board.pipe()), (0, 0, 2 * M));
}

#[test]
fn the_last_segment_is_told_with_its_fin() {
    // req: R8985-16
    for (len, last) in [(0, (0, 0)), (M, (0, M)), (M + 1, (M, 1))] {
        let mut board = Scoreboard::new(SeqNum(0));
        let sent = DeliveryRate::default().on_send(at(0), 0, len + 1);
        board.record(len, true, M, at(0), sent);
        let hole = board.last_segment().unwrap();
        assert_eq!((hole.at, hole.len, hole.fin), (SeqNum(last.0), last.1, true), "{len} octets");
    }
}

#[test]
fn a_copy_is_found_lost_once() {
    // req: R8985-20
    let (mut board, mut rate) = runs(&[50]);
    for (now, segment) in [(2_000, 5), (3_000, 0), (4_000, 7)] {
        resend(&mut board, &mut rate, at(now), segment, segment + 1);
    }
    assert_eq!(board.lose_head(true, &mut |_, _| {}), M, "told as the head's loss");
    sack(&mut board, at(9_000), 5, 6);
    let news = sack(&mut board, at(9_000), 7, 8);
    let found = board.detect(&rule(at(40_000), news.newest), &mut |_, _| {});
    assert_eq!((found.octets, found.resent_at), (47 * M, None), "the originals, and no copy");
}
