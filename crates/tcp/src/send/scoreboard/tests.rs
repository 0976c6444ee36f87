//! The scoreboard against a model that keeps a record for each segment, and by tables.

use core::time::Duration;

use netstack_wire::SeqNum;
use proptest::prelude::*;

use super::loss::Rule;
use super::run::ones;
use super::{Echo, News, Scoreboard};
use crate::send::rate::DeliveryRate;
use crate::time::Instant;

const M: u32 = 100;

fn at(micros: u64) -> Instant {
    Instant::from_nanos(micros * 1_000)
}

/// A segment as the model sees it.
#[derive(Debug, Clone)]
struct Piece {
    start: u64,
    end: u64,
    /// When each copy left.
    sent: Vec<Instant>,
    /// How far text had been sent when the last copy left.
    nxt: u64,
    sacked: bool,
    lost: bool,
    resent: bool,
}

/// What a scoreboard says, in the simplest way that can be thought of.
#[derive(Debug)]
struct Model {
    pieces: Vec<Piece>,
    una: u64,
}

impl Model {
    fn sum(&self, which: impl Fn(&Piece) -> bool) -> u32 {
        self.pieces.iter().filter(|piece| which(piece)).map(|piece| (piece.end - piece.start) as u32).sum()
    }

    fn pipe(&self) -> u32 {
        self.sum(|piece| !piece.sacked && !piece.lost) + self.sum(|piece| piece.resent)
    }

    fn held(&self) -> u32 {
        self.sum(|piece| piece.lost && !piece.resent)
    }

    /// Says how many octets that delivers.
    fn ack(&mut self, una: u64) -> u32 {
        let mut delivered = 0;
        for piece in &mut self.pieces {
            let gone = una.clamp(piece.start, piece.end);
            delivered += if piece.sacked { 0 } else { (gone - piece.start) as u32 };
            piece.start = gone;
        }
        self.pieces.retain(|piece| piece.start < piece.end);
        self.una = una;
        delivered
    }

    fn sack(&mut self, left: u64, right: u64) -> u32 {
        let mut delivered = 0;
        for piece in &mut self.pieces {
            if left <= piece.start && piece.end <= right && !piece.sacked {
                (piece.sacked, piece.lost, piece.resent) = (true, false, false);
                delivered += (piece.end - piece.start) as u32;
            }
        }
        delivered
    }

    /// R8985-10 for each segment by itself.
    fn detect(&mut self, rule: &Rule) -> u32 {
        let mut octets = 0;
        for piece in &mut self.pieces {
            let last = *piece.sent.last().expect("it was sent");
            let copy = piece.resent;
            let waits = !piece.sacked && (copy || !piece.lost);
            let older =
                if copy { (last, piece.nxt) < rule.newest } else { (piece.sent[0], piece.end) < rule.newest };
            let sent_at = if copy { last } else { piece.sent[0] };
            if waits && older && sent_at + rule.patience <= rule.now {
                (piece.lost, piece.resent) = (true, false);
                octets += (piece.end - piece.start) as u32;
            }
        }
        octets
    }
}

#[derive(Debug, Clone)]
enum Op {
    Send(u32),
    Wait(u64),
    /// Parts of what is outstanding, in thousandths.
    Ack(u32),
    Sack(u32, u32),
    /// Losses as of the newest delivered so far.
    Detect(u64),
    Resend(u32),
    Probe,
    Timeout,
    Undo,
    Recut(u32, bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1..2_000_u32, any::<bool>()).prop_map(|(len, whole)| Op::Send(if whole { len / M * M + M } else { len })),
        3 => (0..50_u64).prop_map(Op::Wait),
        3 => (0..=1_000_u32).prop_map(Op::Ack),
        8 => (0..=1_000_u32, 0..=300_u32).prop_map(|(from, len)| Op::Sack(from, len)),
        5 => (0..100_u64).prop_map(Op::Detect),
        6 => (0..3_000_u32).prop_map(Op::Resend),
        1 => Just(Op::Probe),
        1 => Just(Op::Timeout),
        1 => Just(Op::Undo),
        1 => (1..150_u32, any::<bool>()).prop_map(|(mss, lose)| Op::Recut(mss, lose)),
    ]
}

struct Run {
    board: Scoreboard,
    model: Model,
    rate: DeliveryRate,
    now: Instant,
    nxt: u64,
    newest: (Instant, u64),
}

impl Run {
    fn seq(at: u64) -> SeqNum {
        SeqNum(at as u32)
    }

    fn place(&self, thousandths: u32) -> u64 {
        self.model.una + (self.nxt - self.model.una) * u64::from(thousandths) / 1_000
    }

    fn send(&mut self, len: u32) {
        let sent = self.rate.on_send(self.now, self.board.pipe(), len);
        self.board.record(len, false, M, self.now, sent);
        let mut start = self.nxt;
        self.nxt += u64::from(len);
        while start < self.nxt {
            let end = (start + u64::from(M)).min(self.nxt);
            let sent = vec![self.now];
            self.model.pieces.push(Piece {
                start,
                end,
                sent,
                nxt: 0,
                sacked: false,
                lost: false,
                resent: false,
            });
            start = end;
        }
    }

    fn mark_resent(&mut self, start: u64, end: u64) {
        let sent = self.rate.on_send(self.now, self.board.pipe(), (end - start) as u32);
        self.board.resend(Self::seq(start), Self::seq(end), self.now, sent);
        for piece in &mut self.model.pieces {
            if start <= piece.start && piece.end <= end && !piece.sacked {
                piece.resent = true;
                piece.sent.push(self.now);
                piece.nxt = self.nxt;
            }
        }
    }

    fn news(&self) -> News {
        News::new(self.now, Duration::ZERO, None, self.board.fack())
    }

    fn step(&mut self, op: &Op) {
        let mut told = 0;
        let mut tell = |_: Instant, _: &_, octets: u32| told += octets;
        let mut news = self.news();
        match *op {
            Op::Send(len) => self.send(len),
            Op::Wait(micros) => self.now += Duration::from_micros(micros),
            Op::Ack(part) => {
                let una = self.place(part);
                self.board.ack(Self::seq(una), &mut news, &mut tell);
                assert_eq!((news.delivered, told), (self.model.ack(una), news.delivered));
            }
            Op::Sack(from, len) => {
                let (left, right) = (self.place(from), self.place((from + len).min(1_000)));
                if left > self.model.una && left < right {
                    self.board.sack(Self::seq(left), Self::seq(right), &mut news, &mut tell);
                    assert_eq!((news.delivered, told), (self.model.sack(left, right), news.delivered));
                }
            }
            Op::Detect(micros) => {
                let patience = Duration::from_micros(micros);
                let rule = Rule { now: self.now, newest: self.newest, patience };
                let found = self.board.detect(&rule, &mut |_, octets| told += octets);
                assert_eq!((found.octets, told), (self.model.detect(&rule), found.octets));
            }
            Op::Resend(most) => self.resend(most),
            Op::Probe => {
                if let Some(hole) = self.board.last_segment() {
                    let start = self.board.position(hole.at);
                    let sacked = self.model.pieces.last().is_some_and(|last| last.sacked);
                    if !sacked {
                        self.mark_resent(start, start + u64::from(hole.len));
                    }
                }
            }
            Op::Timeout => self.timeout(),
            Op::Recut(mss, lose) => self.recut(mss, lose),
            Op::Undo => {
                self.board.unmark();
                for piece in &mut self.model.pieces {
                    piece.lost = false;
                }
            }
        }
        if let Some(newest) = news.newest {
            self.newest = self.newest.max(newest);
        }
    }

    /// Holes are told in order, each wholly lost, and none larger than asked for but a single segment.
    fn resend(&mut self, most: u32) {
        let hole = self.board.next_hole(most);
        let first = self.model.pieces.iter().find(|piece| piece.lost && !piece.resent);
        assert_eq!(hole.map(|hole| self.board.position(hole.at)), first.map(|piece| piece.start));
        let Some(hole) = hole else { return };
        let (start, single) = first.map(|piece| (piece.start, piece.end - piece.start)).unwrap();
        let end = start + u64::from(hole.len);
        assert!(hole.len <= most || u64::from(hole.len) == single, "{hole:?}, at most {most}");
        let inside = |piece: &&Piece| piece.start >= start && piece.start < end;
        assert!(self.model.pieces.iter().filter(inside).all(|piece| piece.lost && !piece.resent));
        assert_eq!(self.model.pieces.iter().rfind(inside).map(|piece| piece.end), Some(end));
        self.mark_resent(start, end);
    }

    /// Everything is overdue.
    fn timeout(&mut self) {
        self.board.on_timeout(self.now, &mut |_, _| {});
        if self.model.pieces.first().is_some_and(|head| head.sacked) {
            for piece in &mut self.model.pieces {
                piece.sacked = false;
            }
        }
        for piece in self.model.pieces.iter_mut().filter(|piece| !piece.sacked) {
            (piece.lost, piece.resent) = (true, false);
        }
    }

    /// The board says where it cuts; each piece is what the segment was of which it is a part, but for copies that are as wide.
    fn recut(&mut self, mss: u32, lose: bool) {
        let wide = |piece: &Piece| !piece.sacked && piece.end - piece.start > u64::from(mss);
        let expected = self.model.sum(wide);
        assert_eq!(self.board.recut(mss, lose), expected);
        let old = std::mem::take(&mut self.model.pieces);
        let bounds: Vec<_> =
            self.board.runs.iter().flat_map(|run| ones(run.all()).map(|index| run.bounds(index))).collect();
        for bounds in bounds {
            let of = old.iter().find(|piece| piece.end > bounds.start).expect("nothing new is in flight");
            let mut piece = Piece { start: bounds.start, end: bounds.end, ..of.clone() };
            if wide(of) {
                assert!(piece.end - piece.start <= u64::from(mss), "{piece:?} is wider than {mss}");
                piece.lost |= lose;
                piece.resent = false;
                piece.sent.truncate(1);
            } else {
                assert_eq!((piece.start, piece.end), (of.start, of.end), "what fits stays as it is");
            }
            self.model.pieces.push(piece);
        }
        assert_eq!(self.model.pieces.last().map_or(self.nxt, |last| last.end), self.nxt);
    }

    fn check(&self) {
        let [sacked, lost, held, resent, segments] = self.board.recount();
        assert_eq!(self.board.pipe(), self.model.pipe());
        assert_eq!((self.board.sacked(), sacked), (self.model.sum(|piece| piece.sacked), sacked));
        assert_eq!(self.board.sacked(), sacked);
        assert_eq!(lost, self.model.sum(|piece| piece.lost));
        assert_eq!((self.board.held(), held), (self.model.held(), self.board.held()));
        assert_eq!(
            (self.board.resent(), resent),
            (self.model.sum(|piece| piece.resent), self.board.resent())
        );
        assert_eq!(self.board.sacked_segments(), segments);
        if self.model.pieces.is_empty() {
            assert!(
                self.board.records() == 0 && self.board.repairs.is_none(),
                "nothing in flight, nothing held"
            );
        }
    }
}

proptest! {
    /// Whatever is sent, SACKed, lost, sent again, acknowledged in part, reneged on and undone, every counter is what a
    /// recount of single segments gives.
    #[test]
    fn the_scoreboard_is_its_model(ops in proptest::collection::vec(op(), 1..200), iss in any::<u32>()) {
        // req: R9937-3, R6675-2, R6675-3, R8985-10, R2018-8, R1191-2
        let board = Scoreboard::new(SeqNum(iss));
        let una = board.position(SeqNum(iss));
        let mut run = Run {
            board,
            model: Model { pieces: Vec::new(), una },
            rate: DeliveryRate::default(),
            now: at(1_000),
            nxt: una,
            newest: (Instant::ZERO, 0),
        };
        for op in &ops {
            run.step(op);
            run.check();
        }
        run.step(&Op::Ack(1_000));
        run.check();
    }
}

/// A hundred segments in two runs, sent a millisecond apart.
fn two_runs() -> (Scoreboard, DeliveryRate) {
    let mut rate = DeliveryRate::default();
    let mut board = Scoreboard::new(SeqNum(0));
    for run in 0..2 {
        let sent = rate.on_send(at(run * 1_000), board.pipe(), 50 * M);
        board.record(50 * M, false, M, at(run * 1_000), sent);
    }
    (board, rate)
}

#[test]
fn a_lying_peer_leaves_no_more_than_a_range_for_each_segment() {
    // req: R2018-9
    let (mut board, _) = two_runs();
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
        let (mut board, mut rate) = two_runs();
        board.lose_head(true, &mut |_, _| {});
        let sent = rate.on_send(at(30_000), board.pipe(), M);
        board.resend(SeqNum(0), SeqNum(M), at(30_000), sent);
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
    let (mut board, mut rate) = two_runs();
    let sack = |board: &mut Scoreboard, left: u32, right: u32| {
        let mut news = News::new(at(9_000), Duration::ZERO, None, board.fack());
        board.sack(SeqNum(left * M), SeqNum(right * M), &mut news, &mut |_, _, _| {});
        news.reordered
    };
    assert!(!sack(&mut board, 2, 4));
    assert!(!sack(&mut board, 6, 8), "each above the last");
    assert!(sack(&mut board, 5, 6));
    let sent = rate.on_send(at(9_000), board.pipe(), M);
    board.resend(SeqNum(4 * M), SeqNum(5 * M), at(9_000), sent);
    assert!(!sack(&mut board, 4, 5), "a second copy comes late by nature");
}

#[test]
fn the_wait_is_that_of_the_last_overtaken() {
    // req: R8985-11
    let (mut board, _) = two_runs();
    let mut news = News::new(at(20_000), Duration::ZERO, None, board.fack());
    board.sack(SeqNum(80 * M), SeqNum(81 * M), &mut news, &mut |_, _, _| {});
    let rule = |now: u64| Rule {
        now: at(now),
        newest: news.newest.unwrap(),
        patience: Duration::from_micros(25_000),
    };
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
fn what_is_lost_is_cut_without_short_pieces_between_and_the_rest_keeps_its_bounds() {
    // req: R1191-2, R4821-2
    for (lose, expected) in [(true, vec![60, 60, 60, 60, 60]), (false, vec![60, 40, 60, 40, 60, 40])] {
        let mut board = Scoreboard::new(SeqNum(0));
        let sent = DeliveryRate::default().on_send(at(0), 0, 3 * M);
        board.record(3 * M, false, M, at(0), sent);
        assert_eq!(board.segment_at(SeqNum(M)).map(|segment| segment.len), Some(M));
        assert_eq!(board.segment_at(SeqNum(M + 1)), None, "no segment begins there");
        assert_eq!(board.recut(60, lose), 3 * M);
        let lens: Vec<_> =
            board.runs.iter().flat_map(|run| ones(run.all()).map(|index| run.len(index))).collect();
        assert_eq!(lens, expected);
        assert_eq!((board.held(), board.pipe()), if lose { (3 * M, 0) } else { (0, 3 * M) });
        assert_eq!(board.recut(60, lose), 0, "all of it fits");
    }
}
