//! Segments, and segments cut anew.

use core::time::Duration;

use netstack_wire::SeqNum;

use super::super::run::ones;
use super::{M, News, Scoreboard, ack, at, resend, runs, sack};
use crate::send::rate::DeliveryRate;

/// How long the segments in flight are, the FIN counted.
fn lens(board: &Scoreboard) -> Vec<u32> {
    board.runs.iter().flat_map(|run| ones(run.all()).map(|index| run.len(index))).collect()
}

#[test]
fn what_is_lost_is_cut_without_short_pieces_between_and_the_rest_keeps_its_bounds() {
    // req: R1191-2, R4821-2
    for (lose, expected) in [(true, vec![60, 60, 60, 60, 60]), (false, vec![60, 40, 60, 40, 60, 40])] {
        let mut board = Scoreboard::new(SeqNum(0));
        let sent = DeliveryRate::default().on_send(at(0), 0, 3 * M);
        board.record(3 * M, false, M, at(0), sent);
        assert_eq!(board.segment_at(SeqNum(M)).map(|segment| segment.len), Some(M));
        assert_eq!(board.segment_at(SeqNum(M + 1)), None, "no segment begins there");
        assert_eq!(board.recut(60, lose), 3 * M);
        assert_eq!(lens(&board), expected);
        assert_eq!((board.held(), board.pipe()), if lose { (3 * M, 0) } else { (0, 3 * M) });
        assert_eq!(board.recut(60, lose), 0, "all of it fits");
    }
}

#[test]
fn only_a_segment_that_may_still_be_on_its_way_is_one_in_flight() {
    // req: R5927-4
    let mut board = Scoreboard::new(SeqNum(0));
    let sent = DeliveryRate::default().on_send(at(0), 0, 3 * M + 51);
    board.record(3 * M + 50, true, M, at(0), sent);
    let segment = |board: &Scoreboard, index| board.segment_at(SeqNum(index * M)).map(|it| (it.len, it.fin));
    assert_eq!(segment(&board, 0), Some((M, false)));
    assert_eq!(segment(&board, 2), Some((M, false)));
    assert_eq!(segment(&board, 3), Some((50, true)), "the FIN is no text");
    sack(&mut board, at(1_000), 1, 3);
    assert_eq!([0, 1, 2, 3].map(|index| segment(&board, index).is_some()), [true, false, false, true]);
    assert_eq!(board.segment_at(SeqNum(4 * M)), None, "it lies beyond what was sent");
}

#[test]
fn the_fin_stays_behind_the_last_of_the_text() {
    // req: R1191-2
    let table = [
        (50, true, vec![60, 60, 60, 20, 51]),
        (50, false, vec![60, 40, 60, 40, 51]),
        (80, true, vec![60, 60, 60, 60, 41]),
        (80, false, vec![60, 40, 60, 40, 60, 21]),
    ];
    for (last, lose, expected) in table {
        let mut board = Scoreboard::new(SeqNum(0));
        let sent = DeliveryRate::default().on_send(at(0), 0, 2 * M + last + 1);
        board.record(2 * M + last, true, M, at(0), sent);
        board.recut(60, lose);
        assert_eq!(lens(&board), expected);
        let mut start = 0;
        for len in &expected {
            let segment = board.segment_at(SeqNum(start)).unwrap();
            start += len;
            assert_eq!(segment.fin, start == 2 * M + last + 1, "{segment:?}");
            assert_eq!(segment.len + u32::from(segment.fin), *len);
        }
    }
}

#[test]
fn what_fits_stays_in_one_record_whatever_became_of_it() {
    let (mut board, mut rate) = runs(&[]);
    for (octets, mss) in [(60 * 60, 60), (2 * M, M)] {
        let sent = rate.on_send(at(0), board.pipe(), octets);
        board.record(octets, false, mss, at(0), sent);
    }
    let mut news = News::new(at(1_000), Duration::ZERO, None, board.fack());
    for segment in (1..60).step_by(2) {
        board.sack(SeqNum(segment * 60), SeqNum(segment * 60 + 60), &mut news, &mut |_, _, _| {});
    }
    board.on_timeout(at(0), &mut |_, _| {});
    assert_eq!((board.recut(60, true), board.records()), (2 * M, 2));
}

#[test]
fn what_was_sent_again_and_cut_anew_measures_no_round_trip() {
    // req: R6298-6
    for copied in [false, true] {
        let (mut board, mut rate) = runs(&[1, 1]);
        if copied {
            board.lose_head(true, &mut |_, _| {});
            resend(&mut board, &mut rate, at(5_000), 0, 1);
        }
        board.recut(60, false);
        let news = ack(&mut board, at(9_000), 2 * M);
        let left = news.measured().map(|(first, _)| first);
        assert_eq!(
            left,
            (!copied).then(|| at(0)),
            "what lies above may have waited for it; copied: {copied}"
        );
    }
}
