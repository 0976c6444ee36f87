//! The scoreboard against a model that keeps a record for each segment.

use core::time::Duration;

use netstack_wire::SeqNum;
use proptest::prelude::*;

use super::super::loss::Rule;
use super::super::run::ones;
use super::{M, News, Scoreboard, at};
use crate::send::rate::DeliveryRate;
use crate::time::Instant;

/// A segment as the model sees it.
#[derive(Debug, Clone)]
struct Piece {
    start: u64,
    end: u64,
    /// The last octet is a FIN.
    fin: bool,
    /// When each copy left.
    sent: Vec<Instant>,
    /// How far text had been sent when the last copy left.
    nxt: u64,
    sacked: bool,
    lost: bool,
    resent: bool,
}

impl Piece {
    fn text_end(&self) -> u64 {
        self.end - u64::from(self.fin)
    }

    fn text(&self) -> u32 {
        (self.text_end() - self.start) as u32
    }

    /// A report of the text alone stands for the FIN that came with it.
    fn is_within(&self, left: u64, right: u64) -> bool {
        let end = if self.text() > 0 { self.text_end() } else { self.end };
        left <= self.start && end <= right
    }
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
            if piece.is_within(left, right) && !piece.sacked {
                (piece.sacked, piece.lost, piece.resent) = (true, false, false);
                delivered += (piece.end - piece.start) as u32;
            }
        }
        delivered
    }

    /// R8985-10 for each segment by itself. Says how many octets are lost, and whether anything is waited for.
    fn detect(&mut self, rule: &Rule) -> (u32, bool) {
        let (mut octets, mut waits) = (0, false);
        for piece in &mut self.pieces {
            let last = *piece.sent.last().expect("it was sent");
            let copy = piece.resent;
            let in_flight = !piece.sacked && (copy || !piece.lost);
            let older =
                if copy { (last, piece.nxt) < rule.newest } else { (piece.sent[0], piece.end) < rule.newest };
            let sent_at = if copy { last } else { piece.sent[0] };
            if !in_flight || !older {
                continue;
            }
            if sent_at + rule.patience > rule.now {
                waits = true;
                continue;
            }
            (piece.lost, piece.resent) = (true, false);
            octets += (piece.end - piece.start) as u32;
        }
        (octets, waits)
    }
}

#[derive(Debug, Clone)]
enum Op {
    Send(u32),
    /// The last text, and a FIN behind it.
    Finish(u32),
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
        1 => (0..300_u32).prop_map(Op::Finish),
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
    /// Nothing follows the FIN.
    finished: bool,
    newest: (Instant, u64),
}

impl Run {
    fn seq(at: u64) -> SeqNum {
        SeqNum(at as u32)
    }

    fn place(&self, thousandths: u32) -> u64 {
        self.model.una + (self.nxt - self.model.una) * u64::from(thousandths) / 1_000
    }

    fn send(&mut self, len: u32, fin: bool) {
        if self.finished {
            return;
        }
        self.finished = fin;
        let octets = len + u32::from(fin);
        let sent = self.rate.on_send(self.now, self.board.pipe(), octets);
        self.board.record(len, fin, M, self.now, sent);
        let mut start = self.nxt;
        let text_end = start + u64::from(len);
        self.nxt += u64::from(octets);
        while start < self.nxt {
            let text = (start + u64::from(M)).min(text_end);
            let fin = fin && text == text_end;
            let end = text + u64::from(fin);
            let sent = vec![self.now];
            self.model.pieces.push(Piece {
                start,
                end,
                fin,
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
            if piece.is_within(start, end) && !piece.sacked {
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
        let mut tell = |_: Instant, _: &_, octets: u32| {
            assert!(octets > 0, "nothing of it was delivered");
            told += octets;
        };
        let mut news = self.news();
        match *op {
            Op::Send(len) => self.send(len, false),
            Op::Finish(len) => self.send(len, true),
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
                assert_eq!(
                    ((found.octets, found.wait.is_some()), told),
                    (self.model.detect(&rule), found.octets)
                );
                assert_ne!(found.wait, Some(Duration::ZERO), "what is overdue is lost");
            }
            Op::Resend(most) => self.resend(most),
            Op::Probe => {
                if let Some(hole) = self.board.last_segment() {
                    let start = self.board.position(hole.at);
                    let sacked = self.model.pieces.last().is_some_and(|last| last.sacked);
                    if !sacked {
                        assert_eq!(hole.fin, self.finished);
                        self.mark_resent(start, start + u64::from(hole.len) + u64::from(hole.fin));
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

    /// Holes are told in order, each wholly lost, and none larger than asked for but a single segment. Cut again, they give
    /// the segments that they were.
    fn resend(&mut self, most: u32) {
        let hole = self.board.next_hole(most);
        let first = self.model.pieces.iter().find(|piece| piece.lost && !piece.resent);
        assert_eq!(hole.map(|hole| self.board.position(hole.at)), first.map(|piece| piece.start));
        let Some(hole) = hole else { return };
        let (start, single) = first.map(|piece| (piece.start, piece.end)).unwrap();
        let end = start + u64::from(hole.len) + u64::from(hole.fin);
        assert!(end - start <= u64::from(most) || end == single, "{hole:?}, at most {most}");
        let inside = |piece: &&Piece| piece.start >= start && piece.start < end;
        assert!(self.model.pieces.iter().filter(inside).all(|piece| piece.lost && !piece.resent));
        let last = self.model.pieces.iter().rfind(inside).unwrap();
        assert_eq!((last.end, last.fin), (end, hole.fin));
        let mut before = self.model.pieces.iter().filter(inside).filter(|piece| piece.end < end);
        assert!(before.all(|piece| piece.text() == hole.mss), "{hole:?} shifts what lies behind");
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
        let wide = |piece: &Piece| !piece.sacked && piece.text() > mss;
        let expected = self.model.sum(wide);
        assert_eq!(self.board.recut(mss, lose), expected);
        let old = std::mem::take(&mut self.model.pieces);
        let bounds: Vec<_> =
            self.board.runs.iter().flat_map(|run| ones(run.all()).map(|index| run.bounds(index))).collect();
        for bounds in bounds {
            let of = old.iter().find(|piece| piece.end > bounds.start).expect("nothing new is in flight");
            let fin = self.finished && bounds.end == self.nxt;
            let mut piece = Piece { start: bounds.start, end: bounds.end, fin, ..of.clone() };
            if wide(of) {
                assert!(piece.text() <= mss, "{piece:?} is wider than {mss}");
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
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for piece in self.model.pieces.iter().filter(|piece| piece.sacked) {
            match ranges.last_mut() {
                Some((_, end)) if *end == piece.start => *end = piece.end,
                _ => ranges.push((piece.start, piece.end)),
            }
        }
        let known = self.board.repairs.as_ref().map(|repairs| &repairs.ranges);
        assert!(
            known.into_iter().flatten().map(|(start, end)| (*start, *end)).eq(ranges.iter().copied()),
            "{known:?}, not {ranges:?}"
        );
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
        // req: R9937-3, R6675-2, R6675-3, R8985-10, R8985-11, R2018-8, R1191-2
        let board = Scoreboard::new(SeqNum(iss));
        let una = board.position(SeqNum(iss));
        let mut run = Run {
            board,
            model: Model { pieces: Vec::new(), una },
            rate: DeliveryRate::default(),
            now: at(1_000),
            nxt: una,
            finished: false,
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
