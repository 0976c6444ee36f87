//! The scoreboard against a model that keeps a record for each segment, and by tables.

mod cuts;
mod losses;
mod model;
mod reports;
mod run;

use core::time::Duration;

use netstack_wire::SeqNum;

use super::{News, Scoreboard};
use crate::send::rate::DeliveryRate;
use crate::time::Instant;

const M: u32 = 100;

fn at(micros: u64) -> Instant {
    Instant::from_nanos(micros * 1_000)
}

/// `counts` segments each, sent a millisecond apart.
fn runs(counts: &[u32]) -> (Scoreboard, DeliveryRate) {
    let mut rate = DeliveryRate::default();
    let mut board = Scoreboard::new(SeqNum(0));
    for (millis, count) in (0..).zip(counts) {
        let sent = rate.on_send(at(millis * 1_000), board.pipe(), count * M);
        board.record(count * M, false, M, at(millis * 1_000), sent);
    }
    (board, rate)
}

/// The segments of `left..right` are reported at `now`.
fn sack(board: &mut Scoreboard, now: Instant, left: u32, right: u32) -> News {
    let mut news = News::new(now, Duration::ZERO, None, board.fack());
    board.sack(SeqNum(left * M), SeqNum(right * M), &mut news, &mut |_, _, _| {});
    news
}

/// SND.UNA is `una` at `now`.
fn ack(board: &mut Scoreboard, now: Instant, una: u32) -> News {
    let mut news = News::new(now, Duration::ZERO, None, board.fack());
    board.ack(SeqNum(una), &mut news, &mut |_, _, _| {});
    news
}

/// The segments of `left..right` leave again at `now`.
fn resend(board: &mut Scoreboard, rate: &mut DeliveryRate, now: Instant, left: u32, right: u32) {
    let sent = rate.on_send(now, board.pipe(), (right - left) * M);
    board.resend(SeqNum(left * M), SeqNum(right * M), now, sent);
}
