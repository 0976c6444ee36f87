//! What single ACKs tell.

use core::time::Duration;

use netstack_wire::SeqNum;

use super::super::Echo;
use super::{M, News, Scoreboard, ack, at, resend, runs, sack};

#[test]
fn a_lying_peer_leaves_no_more_than_a_range_for_each_segment() {
    // req: R2018-9
    let (mut board, _) = runs(&[50, 50]);
    let mut news = News::new(at(5_000), Duration::ZERO, None, board.fack());
    for octet in (1..100 * M).step_by(2) {
        board.sack(SeqNum(octet), SeqNum(octet + 1), &mut news, &mut |_, _, _| {});
    }
    assert_eq!((news.delivered, board.sacked()), (0, 0), "no segment is covered by any of them");
    assert!(board.repairs.is_none());
    for segment in (1..100).step_by(2) {
        let left = segment * M - 7;
        board.sack(SeqNum(left), SeqNum(left + M + 14), &mut news, &mut |_, _, _| {});
    }
    assert_eq!(board.repairs.as_ref().map(|repairs| repairs.ranges.len()), Some(50));
    board.sack(SeqNum(M), SeqNum(100 * M), &mut news, &mut |_, _, _| {});
    assert_eq!(board.repairs.as_ref().map(|repairs| repairs.ranges.len()), Some(1));
    assert_eq!(board.pipe(), M);
}

#[test]
fn ambiguous_deliveries_do_not_move_the_newest() {
    // req: R8985-5, R6298-6
    let offset = 77;
    let echoing = |millis: u32| Some(Echo { ecr: millis.wrapping_add(offset), offset });
    for (min_rtt, echo, counts) in [
        (5, None, true),
        // Faster than the path ever was: the ACK of the first copy.
        (20, None, false),
        // The echo is of the first copy, or of the second.
        (5, echoing(0), false),
        (5, echoing(30), true),
    ] {
        let (mut board, mut rate) = runs(&[50, 50]);
        board.lose_head(true, &mut |_, _| {});
        resend(&mut board, &mut rate, at(30_000), 0, 1);
        let mut news = News::new(at(40_000), Duration::from_millis(min_rtt), echo, board.fack());
        board.ack(SeqNum(M), &mut news, &mut |_, _, _| {});
        assert_eq!(news.newest.map(|(sent_at, _)| sent_at), counts.then(|| at(30_000)), "{min_rtt} {echo:?}");
        let measured = counts && echo.is_some();
        assert_eq!(news.measured().is_some(), measured, "a sample only where the echo tells: {echo:?}");
    }
}

#[test]
fn reordering_is_what_arrives_below_what_was_delivered_and_was_sent_once() {
    // req: R8985-6
    let (mut board, mut rate) = runs(&[50, 50]);
    let sack = |board: &mut Scoreboard, left, right| sack(board, at(9_000), left, right).reordered;
    assert!(!sack(&mut board, 2, 4));
    assert!(!sack(&mut board, 6, 8), "each above the last");
    assert!(sack(&mut board, 5, 6));
    resend(&mut board, &mut rate, at(9_000), 4, 5);
    assert!(!sack(&mut board, 4, 5), "a second copy comes late by nature");
}

#[test]
fn what_is_acknowledged_is_not_remembered_as_reported() {
    // req: R2018-9
    let (mut board, _) = runs(&[50, 50]);
    let ranges = |board: &Scoreboard| {
        let known = board.repairs.as_ref().map(|repairs| &repairs.ranges);
        known.into_iter().flatten().map(|(start, end)| (end - start) as u32 / M).collect::<Vec<_>>()
    };
    for (left, right) in [(10, 20), (30, 40), (60, 70)] {
        sack(&mut board, at(9_000), left, right);
    }
    assert_eq!(ranges(&board), [10, 10, 10]);
    ack(&mut board, at(9_500), 35 * M);
    assert_eq!(ranges(&board), [5, 10], "of the second the rest");
    ack(&mut board, at(9_600), 40 * M);
    assert_eq!(ranges(&board), [10], "nothing where the rest ends");
}

#[test]
fn what_an_ack_does_not_reach_is_not_told_of() {
    // req: RBBR-1
    // A delivery of nothing would still be the newest, and stand for a flight that it did not end.
    for (una, whole, part) in [(M, 1, 0), (3 * M, 3, 0), (3 * M + 1, 3, 1), (50 * M, 50, 0)] {
        let (mut board, _) = runs(&[50, 50]);
        let mut news = News::new(at(9_000), Duration::ZERO, None, board.fack());
        let mut told = Vec::new();
        board.ack(SeqNum(una), &mut news, &mut |_, _, octets| told.push(octets));
        let expected: Vec<_> = [whole * M, part].into_iter().filter(|octets| *octets > 0).collect();
        assert_eq!(told, expected, "up to {una}");
    }
}
