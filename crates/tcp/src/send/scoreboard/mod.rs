//! The scoreboard: what was sent and not cumulatively acknowledged, and what became of it (RFC 2018, RFC 6675 3,
//! RFC 8985 5.2).
//!
//! Text is kept as runs, one for each transmission, in sequence and in the order of sending at once; a segment is a bit in
//! its run. What was sent again is in a second list, which has an order of sending of its own. Positions are sequence
//! numbers extended to 64 bits, so that they compare as numbers.
//!
//! The peer's blocks are believed only where they cover whole segments of ours: so the set of covered ranges is bounded by
//! the segments in flight, whatever the peer invents (R2018-9). They are hints: text is kept until it is acknowledged
//! (R2018-7), and all marks go when the peer turns out to have dropped what it reported (R2018-8).

mod loss;
mod news;
mod recut;
mod run;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use netstack_wire::SeqNum;

pub(crate) use loss::{Found, Hole, Rule};
pub(crate) use news::{Echo, News};
pub(crate) use recut::Fate;
use run::{RUN_SEGMENTS, Run, ones};

use super::rate::SentState;
use crate::time::Instant;

/// The last copy of a segment that was sent again.
#[derive(Debug, Clone, Copy)]
struct Resend {
    sent_at: Instant,
    sent: SentState,
    /// SND.NXT then: what lies above left later, be it in the same tick of the clock.
    nxt: u64,
    /// Tells this copy from earlier ones in the order of sending.
    serial: u32,
}

/// What only exists once something in flight was SACKed, lost or sent again.
#[derive(Debug)]
struct Repairs {
    /// Disjoint ranges of whole segments that are SACKed, start to end.
    ranges: BTreeMap<u64, u64>,
    /// The last copies of what was sent again, by the segment's end: its start moves when it is acknowledged in part.
    resends: BTreeMap<u64, Resend>,
    /// The same in the order of sending; an entry whose serial is not current is stale.
    order: VecDeque<(u64, u32)>,
    serial: u32,
    /// One above the highest position delivered (RACK.fack).
    fack: u64,
    /// No segment below, sent once, waits for a judgement.
    judged: u64,
    /// Ends of the runs in which something waits to be sent again, and of some in which nothing does any more.
    holes: BTreeSet<u64>,
    /// Octets SACKed.
    sacked: u32,
    /// Segments SACKed.
    sacked_segments: u32,
    /// Octets judged lost and not delivered since.
    lost: u32,
    /// Of those, octets that wait to be sent again.
    held: u32,
    /// Octets of which a second copy is in flight.
    resent: u32,
}

impl Repairs {
    fn new(una: u64) -> Self {
        Self {
            ranges: BTreeMap::new(),
            resends: BTreeMap::new(),
            order: VecDeque::new(),
            serial: 0,
            fack: una,
            judged: una,
            holes: BTreeSet::new(),
            sacked: 0,
            sacked_segments: 0,
            lost: 0,
            held: 0,
            resent: 0,
        }
    }

    /// Something of the run that ends at `end` waits to be sent again.
    fn add_hole(&mut self, end: u64, octets: u32) {
        if self.held == 0 {
            // All that is left there is stale.
            self.holes.clear();
        }
        self.held += octets;
        self.holes.insert(end);
    }

    /// The books of what was lost or sent again of `bits` are closed.
    fn forget_loss(&mut self, run: &Run, bits: u64) {
        self.lost -= run.octets(run.lost & bits);
        self.held -= run.octets(run.lost & !run.resent & bits);
        self.resent -= run.octets(run.resent & bits);
    }

    /// `low..high` joins the set of SACKed ranges, of which it overlaps none.
    fn cover(&mut self, low: u64, high: u64) {
        let end = self.ranges.remove(&high).unwrap_or(high);
        match self.ranges.range_mut(..low).next_back() {
            Some((_, last)) if *last == low => *last = end,
            _ => {
                self.ranges.insert(low, end);
            }
        }
    }

    /// SND.UNA is `una`: of the ranges what lies above remains.
    fn cut_ranges(&mut self, una: u64) {
        while let Some(entry) = self.ranges.first_entry()
            && *entry.key() < una
        {
            let (_, end) = entry.remove_entry();
            if end > una {
                self.ranges.insert(una, end);
            }
        }
    }
}

/// What is in flight, segment by segment.
#[derive(Debug)]
pub(crate) struct Scoreboard {
    /// Without gap from `una` to `nxt`.
    runs: VecDeque<Run>,
    repairs: Option<Box<Repairs>>,
    una: u64,
    nxt: u64,
    /// Without SACK: octets that duplicate ACKs report as having left the network.
    duplicates: u32,
}

impl Scoreboard {
    pub(crate) fn new(iss: SeqNum) -> Self {
        // Room below, so that nothing underflows.
        Self::empty((1 << 32) + u64::from(iss.0))
    }

    /// Nothing is in flight; it holds no storage.
    fn empty(at: u64) -> Self {
        Self { runs: VecDeque::new(), repairs: None, una: at, nxt: at, duplicates: 0 }
    }

    /// Nothing is in flight; what is sent next begins at `seq`.
    pub(crate) fn restart(&mut self, seq: SeqNum) {
        *self = Self::new(seq);
    }

    // ---- Figures ----

    fn outstanding(&self) -> u32 {
        // Sequence space in flight is below 2^31.
        (self.nxt - self.una) as u32
    }

    /// Octets in flight: sent, less what was delivered or lost, and what was sent again (R9937-3, R6675-2).
    pub(crate) fn pipe(&self) -> u32 {
        let outstanding = self.outstanding() - self.duplicates;
        match &self.repairs {
            None => outstanding,
            Some(known) => outstanding.saturating_add(known.resent).saturating_sub(known.sacked + known.lost),
        }
    }

    /// Octets SACKed, or reported by duplicate ACKs.
    pub(crate) fn sacked(&self) -> u32 {
        self.duplicates + self.repairs.as_ref().map_or(0, |known| known.sacked)
    }

    pub(crate) fn sacked_segments(&self) -> u32 {
        self.repairs.as_ref().map_or(0, |known| known.sacked_segments)
    }

    /// Octets judged lost that wait to be sent again.
    pub(crate) fn held(&self) -> u32 {
        self.repairs.as_ref().map_or(0, |known| known.held)
    }

    /// Octets of which a second copy is in flight.
    pub(crate) fn resent(&self) -> u32 {
        self.repairs.as_ref().map_or(0, |known| known.resent)
    }

    /// Whether nothing in flight was ever SACKed, lost or sent again: there is nothing to judge.
    pub(crate) fn is_clean(&self) -> bool {
        self.repairs.is_none()
    }

    /// Transmissions in flight, each of which costs memory.
    pub(crate) fn records(&self) -> usize {
        self.runs.len()
    }

    /// One above the highest position delivered.
    pub(crate) fn fack(&self) -> u64 {
        self.repairs.as_ref().map_or(self.una, |known| known.fack)
    }

    /// The position of `seq`.
    pub(crate) fn position(&self, seq: SeqNum) -> u64 {
        // The low half of a position is its sequence number.
        let offset = seq.distance_from(SeqNum(self.una as u32)) as i32;
        self.una.wrapping_add_signed(i64::from(offset))
    }

    /// The run that holds `at`, or the first behind it.
    fn find(&self, at: u64) -> usize {
        self.runs.partition_point(|run| run.end <= at)
    }

    // ---- Sending ----

    /// `len` octets of new text, and a FIN behind them if `fin`, leave at `now` in segments of `mss` octets.
    pub(crate) fn record(&mut self, len: u32, fin: bool, mss: u32, now: Instant, sent: SentState) {
        let most = RUN_SEGMENTS * mss;
        let mut left = len;
        loop {
            let part = left.min(most);
            left -= part;
            // An MSS fits 16 bits.
            let run = Run::new(self.nxt, part, fin && left == 0, mss as u16, now, sent);
            self.nxt = run.end;
            self.runs.push_back(run);
            if left == 0 {
                return;
            }
        }
    }

    /// The segments of `at..end` leave again at `now`.
    pub(crate) fn resend(&mut self, at: SeqNum, end: SeqNum, now: Instant, sent: SentState) {
        let (at, end) = (self.position(at), self.position(end));
        let first = self.find(at);
        let repairs = self.repairs.get_or_insert_with(|| Box::new(Repairs::new(self.una)));
        for run in self.runs.range_mut(first..) {
            if run.start >= end {
                break;
            }
            for index in ones(run.within(at, end) & !run.sacked) {
                let (bit, end) = (1 << index, run.bounds(index).end);
                let octets = run.len(index);
                if run.resent & bit == 0 {
                    repairs.resent += octets;
                    if run.lost & bit != 0 {
                        repairs.held -= octets;
                    }
                }
                run.resent |= bit;
                run.ever |= bit;
                repairs.serial = repairs.serial.wrapping_add(1);
                let serial = repairs.serial;
                repairs.resends.insert(end, Resend { sent_at: now, sent, nxt: self.nxt, serial });
                repairs.order.push_back((end, serial));
            }
        }
    }

    // ---- Acknowledgment ----

    /// SND.UNA is `una` now. `told` hears of each transmission that is delivered for the first time: when it left, what it
    /// remembers, and how much of it.
    pub(crate) fn ack(
        &mut self,
        una: SeqNum,
        news: &mut News,
        told: &mut impl FnMut(Instant, &SentState, u32),
    ) {
        let to = self.position(una);
        while self.runs.front().is_some_and(|run| run.end <= to)
            && let Some(run) = self.runs.pop_front()
        {
            Self::release(&mut self.repairs, &run, run.all(), news, told);
        }
        if self.runs.is_empty() {
            // A window probe may have taken SND.UNA beyond what is recorded.
            *self = Self::empty(to);
            return;
        }
        self.release_part(to, news, told);
        self.una = to;
        self.duplicates = self.duplicates.min(self.outstanding());
        if let Some(repairs) = &mut self.repairs {
            repairs.cut_ranges(to);
            repairs.fack = repairs.fack.max(to);
            repairs.judged = repairs.judged.max(to);
        }
    }

    /// SND.UNA moves into the first run.
    fn release_part(&mut self, to: u64, news: &mut News, told: &mut impl FnMut(Instant, &SentState, u32)) {
        let Some(run) = self.runs.front_mut().filter(|run| run.start < to) else { return };
        let index = run.index(to);
        Self::release(&mut self.repairs, run, (1 << index) - 1, news, told);
        let start = run.bounds(index).start;
        if start < to {
            // A part of a segment: its rest keeps what is known of it.
            let (bit, part) = (1_u64 << index, (to - start) as u32);
            if run.sacked & bit == 0 {
                news.delivered += part;
                told(run.sent_at, &run.sent, part);
            }
            if let Some(repairs) = &mut self.repairs {
                let of = |map: u64| if map & bit != 0 { part } else { 0 };
                repairs.sacked -= of(run.sacked);
                repairs.lost -= of(run.lost);
                repairs.held -= of(run.lost & !run.resent);
                repairs.resent -= of(run.resent);
            }
        }
        run.drop_front(to);
    }

    /// The segments `bits` of `run` are cumulatively acknowledged.
    fn release(
        repairs: &mut Option<Box<Repairs>>,
        run: &Run,
        bits: u64,
        news: &mut News,
        told: &mut impl FnMut(Instant, &SentState, u32),
    ) {
        if let Some(repairs) = repairs
            && run.sacked | run.lost | run.ever != 0
        {
            let gone = run.sacked & bits;
            repairs.sacked -= run.octets(gone);
            repairs.sacked_segments -= gone.count_ones();
            repairs.forget_loss(run, bits);
        }
        Self::deliver(repairs, run, bits & !run.sacked, news, told);
    }

    /// The segments `bits` of `run` have arrived, which was not known before.
    fn deliver(
        repairs: &mut Option<Box<Repairs>>,
        run: &Run,
        bits: u64,
        news: &mut News,
        told: &mut impl FnMut(Instant, &SentState, u32),
    ) {
        if bits == 0 {
            return;
        }
        news.delivered += run.octets(bits);
        if let Some(repairs) = repairs {
            repairs.fack = repairs.fack.max(run.bounds(bits.ilog2()).end);
        }
        let once = bits & !run.ever;
        if once != 0 {
            let low = run.bounds(once.trailing_zeros()).end;
            news.add_originals(run.sent_at, low, run.bounds(once.ilog2()).end);
            told(run.sent_at, &run.sent, run.octets(once));
        }
        for index in ones(bits & run.ever) {
            let bounds = run.bounds(index);
            let resend = repairs.as_mut().and_then(|repairs| repairs.resends.remove(&bounds.end));
            match resend {
                Some(resend) => {
                    news.add_resent(resend.sent_at, bounds.end);
                    told(resend.sent_at, &resend.sent, run.len(index));
                }
                // It was SACKed once, and the peer dropped it; or it was cut anew.
                None => {
                    news.add_unknown();
                    told(run.sent_at, &run.sent, run.len(index));
                }
            }
        }
    }

    /// The peer reports `left..right`, within SND.UNA and what was sent, as arrived. O(log n) for what is known already.
    pub(crate) fn sack(
        &mut self,
        left: SeqNum,
        right: SeqNum,
        news: &mut News,
        told: &mut impl FnMut(Instant, &SentState, u32),
    ) {
        let (mut at, right) = (self.position(left), self.position(right).min(self.nxt));
        while at < right {
            let ranges = self.repairs.as_ref().map(|repairs| &repairs.ranges);
            let known = ranges.and_then(|ranges| ranges.range(..=at).next_back());
            if let Some((_, end)) = known
                && *end > at
            {
                at = *end;
                continue;
            }
            let next = ranges.and_then(|ranges| ranges.range(at..).next());
            let end = next.map_or(right, |(start, _)| (*start).min(right));
            self.sack_gap(at, end, news, told);
            at = end;
        }
    }

    /// Nothing of `start..end` was SACKed before.
    fn sack_gap(
        &mut self,
        start: u64,
        end: u64,
        news: &mut News,
        told: &mut impl FnMut(Instant, &SentState, u32),
    ) {
        let mut covered: Option<(u64, u64)> = None;
        for at in self.find(start)..self.runs.len() {
            let run = &mut self.runs[at];
            if run.start >= end {
                break;
            }
            let bits = run.within(start, end) & !run.sacked;
            if bits == 0 {
                continue;
            }
            let una = self.una;
            let repairs = self.repairs.get_or_insert_with(|| Box::new(Repairs::new(una)));
            repairs.sacked += run.octets(bits);
            repairs.sacked_segments += bits.count_ones();
            repairs.forget_loss(run, bits);
            Self::deliver(&mut self.repairs, run, bits, news, told);
            run.sacked |= bits;
            run.lost &= !bits;
            run.resent &= !bits;
            let low = run.bounds(bits.trailing_zeros()).start;
            let high = run.bounds(bits.ilog2()).end;
            covered = Some((covered.map_or(low, |(known, _)| known), high));
        }
        if let (Some((low, high)), Some(repairs)) = (covered, &mut self.repairs) {
            repairs.cover(low, high);
        }
    }

    // ---- Without SACK ----

    /// A duplicate ACK: a segment of `mss` octets has left the network, at most `most` octets in all. Says how many that
    /// adds.
    pub(crate) fn duplicate(&mut self, mss: u32, most: u32) -> u32 {
        let lost = self.repairs.as_ref().map_or(0, |known| known.lost);
        let room = self.outstanding().saturating_sub(lost).min(most).saturating_sub(self.duplicates);
        let added = mss.min(room);
        self.duplicates += added;
        added
    }

    /// SND.UNA is about to move by `acked`: all but the hole's segment was reported by duplicates before. Says how many
    /// octets that were.
    pub(crate) fn settle_duplicates(&mut self, acked: u32, mss: u32) -> u32 {
        let settled = acked.saturating_sub(mss).min(self.duplicates);
        self.duplicates -= settled;
        settled
    }

    /// Duplicates count from zero.
    pub(crate) fn clear_duplicates(&mut self) {
        self.duplicates = 0;
    }
}
