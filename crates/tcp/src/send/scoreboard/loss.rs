//! What is lost, and what of that is to be sent again.

use core::cmp::Ordering;
use core::time::Duration;

use netstack_wire::SeqNum;

use super::run::Run;
#[cfg(test)]
use super::run::ones;
use super::{Repairs, Resend, Scoreboard, SentState};
use crate::time::Instant;

/// A stretch to be sent again, all of it from one transmission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) at: SeqNum,
    /// Octets of text.
    pub(crate) len: u32,
    /// A FIN follows the text.
    pub(crate) fin: bool,
    /// Octets of a full segment when it was sent.
    pub(crate) mss: u32,
}

/// What a look for losses found.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Found {
    /// Octets newly judged lost.
    pub(crate) octets: u32,
    /// When the newest copy left that is lost although it was sent again (R8985-20).
    pub(crate) resent_at: Option<Instant>,
    /// The wait until all is judged that was sent before the newest delivered (R8985-11).
    pub(crate) wait: Option<Duration>,
}

/// By what losses are judged (RFC 8985 6.2 step 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) now: Instant,
    /// The newest transmission known to be delivered: when it left, and its end.
    pub(crate) newest: (Instant, u64),
    /// RACK.rtt and the reordering window: how long the ACK of an earlier one may lag.
    pub(crate) patience: Duration,
}

impl Rule {
    /// How long what left at `sent_at` may still be on its way; zero: it is lost.
    fn remaining(&self, sent_at: Instant) -> Duration {
        (sent_at + self.patience) - self.now
    }
}

impl Scoreboard {
    /// Marks what `rule` holds for lost. `told` hears of each transmission, and how much of it. Amortised, each segment is
    /// looked at once.
    pub(crate) fn detect(&mut self, rule: &Rule, told: &mut impl FnMut(&SentState, u32)) -> Found {
        let mut found = Found::default();
        if self.repairs.is_some() {
            self.detect_originals(rule, &mut found, told);
            self.detect_resends(rule, &mut found, told);
        }
        found
    }

    fn detect_originals(&mut self, rule: &Rule, found: &mut Found, told: &mut impl FnMut(&SentState, u32)) {
        let (newest_at, newest_end) = rule.newest;
        let judged = self.repairs.as_ref().map_or(self.una, |known| known.judged);
        for at in self.find(judged)..self.runs.len() {
            let run = &self.runs[at];
            // Ties are broken by sequence (R8985-10).
            let older = match run.sent_at.cmp(&newest_at) {
                Ordering::Less => run.all(),
                Ordering::Equal => run.below(newest_end),
                Ordering::Greater => return,
            };
            let waiting = older & !run.sacked & !run.lost & !run.resent;
            if waiting != 0 {
                if !rule.remaining(run.sent_at).is_zero() {
                    found.wait = found.wait.max(Some(self.longest_wait(rule)));
                    return;
                }
                found.octets += self.lose(at, waiting, told);
            }
            let run = &self.runs[at];
            if older != run.all() {
                return;
            }
            if let Some(repairs) = &mut self.repairs {
                repairs.judged = run.end;
            }
        }
    }

    /// How long the last transmission that is neither delivered nor younger than the newest delivered may still take.
    fn longest_wait(&self, rule: &Rule) -> Duration {
        let (newest_at, newest_end) = rule.newest;
        let older =
            |run: &Run| run.sent_at < newest_at || (run.sent_at == newest_at && run.start < newest_end);
        let Some(run) = self.runs.partition_point(older).checked_sub(1).map(|last| &self.runs[last]) else {
            return Duration::ZERO;
        };
        let end = if run.sent_at == newest_at { run.end.min(newest_end) } else { run.end };
        let known = self.repairs.as_ref().and_then(|repairs| repairs.ranges.range(..end).next_back());
        let hole_end = match known {
            Some((start, covered)) if *covered >= end => *start,
            _ => end,
        };
        let last = self.runs.partition_point(|run| run.start < hole_end).checked_sub(1);
        rule.remaining(last.map_or(run.sent_at, |last| self.runs[last].sent_at))
    }

    fn detect_resends(&mut self, rule: &Rule, found: &mut Found, told: &mut impl FnMut(&SentState, u32)) {
        while let Some((end, resend)) = self.oldest_resend() {
            let (newest_at, newest_end) = rule.newest;
            let overtaken =
                resend.sent_at < newest_at || (resend.sent_at == newest_at && newest_end > resend.nxt);
            if !overtaken {
                return;
            }
            let remaining = rule.remaining(resend.sent_at);
            if !remaining.is_zero() {
                found.wait = found.wait.max(Some(remaining));
                return;
            }
            let octets = self.lose_resend(end, &resend, told);
            if octets > 0 {
                found.octets += octets;
                found.resent_at = found.resent_at.max(Some(resend.sent_at));
            }
        }
    }

    /// The end and the copy in flight that left first; stale entries before it are dropped.
    fn oldest_resend(&mut self) -> Option<(u64, Resend)> {
        let Repairs { resends, order, .. } = self.repairs.as_deref_mut()?;
        while let Some((end, serial)) = order.front() {
            match resends.get(end) {
                Some(resend) if resend.serial == *serial => return Some((*end, *resend)),
                _ => order.pop_front(),
            };
        }
        None
    }

    /// The segments `bits` of the run at `at`, neither SACKed nor lost nor sent again, are lost. Says how many octets.
    fn lose(&mut self, at: usize, bits: u64, told: &mut impl FnMut(&SentState, u32)) -> u32 {
        let una = self.una;
        let run = &mut self.runs[at];
        let octets = run.octets(bits);
        if octets == 0 {
            return 0;
        }
        let repairs = self.repairs.get_or_insert_with(|| Box::new(Repairs::new(una)));
        run.lost |= bits;
        repairs.lost += octets;
        repairs.add_hole(run.end, octets);
        told(&run.sent, octets);
        octets
    }

    /// The copy of the segment that ends at `end` is lost as well. Says how many octets that adds to the losses.
    fn lose_resend(&mut self, end: u64, resend: &Resend, told: &mut impl FnMut(&SentState, u32)) -> u32 {
        let at = self.find(end - 1);
        let Some(repairs) = &mut self.repairs else { return 0 };
        if repairs.order.front().is_some_and(|(_, serial)| *serial == resend.serial) {
            repairs.order.pop_front();
        }
        let Some(run) = self.runs.get_mut(at) else { return 0 };
        let index = run.index(end - 1);
        let (bit, octets) = (1 << index, run.len(index));
        if run.resent & bit == 0 {
            return 0;
        }
        run.resent &= !bit;
        repairs.resent -= octets;
        if run.lost & bit == 0 {
            run.lost |= bit;
            repairs.lost += octets;
        }
        repairs.add_hole(run.end, octets);
        told(&resend.sent, octets);
        octets
    }

    /// The segment at SND.UNA is lost; says how many octets that adds. A copy of it in flight counts as lost too if `copy`
    /// says so (R8985-12, R6582-3).
    pub(crate) fn lose_head(&mut self, copy: bool, told: &mut impl FnMut(&SentState, u32)) -> u32 {
        let Some(run) = self.runs.front() else { return 0 };
        let end = run.bounds(0).end;
        if run.resent & 1 == 0 {
            return self.lose(0, 1 & !run.sacked & !run.lost, told);
        }
        let resend = self.repairs.as_ref().and_then(|repairs| repairs.resends.get(&end)).copied();
        resend.filter(|_| copy).map_or(0, |resend| self.lose_resend(end, &resend, told))
    }

    /// The retransmission timer fired: the first segment is lost, and what left at or before `since` and was not
    /// delivered (R8985-12). If the first segment had been SACKed, the peer has dropped what it reported: no mark counts
    /// any more (R2018-8).
    pub(crate) fn on_timeout(&mut self, since: Instant, told: &mut impl FnMut(&SentState, u32)) {
        self.duplicates = 0;
        if self.runs.front().is_some_and(|run| run.sacked & 1 != 0) {
            self.forget_sacks();
        }
        self.lose_head(true, told);
        for at in 0..self.runs.len() {
            let run = &self.runs[at];
            if run.sent_at > since {
                break;
            }
            let bits = run.all() & !run.sacked & !run.lost & !run.resent;
            self.lose(at, bits, told);
        }
        while let Some((end, resend)) = self.oldest_resend().filter(|(_, resend)| resend.sent_at <= since) {
            self.lose_resend(end, &resend, told);
        }
        if let Some(repairs) = &mut self.repairs {
            repairs.judged = self.una;
        }
    }

    fn forget_sacks(&mut self) {
        for run in &mut self.runs {
            run.sacked = 0;
        }
        if let Some(repairs) = &mut self.repairs {
            repairs.sacked = 0;
            repairs.sacked_segments = 0;
            repairs.fack = self.una;
            repairs.ranges.clear();
        }
    }

    /// Nothing was lost after all: what waits to be sent again counts as in flight (R5682-4).
    pub(crate) fn unmark(&mut self) {
        let Some(repairs) = &mut self.repairs else { return };
        for run in &mut self.runs {
            run.lost = 0;
        }
        repairs.lost = 0;
        repairs.held = 0;
        repairs.judged = self.una;
        repairs.holes.clear();
    }

    /// The first run in which something waits to be sent again, and what. O(log n), amortised.
    fn first_hole(&mut self) -> Option<(usize, u64)> {
        loop {
            let end = *self.repairs.as_ref()?.holes.first()?;
            let at = self.find(end - 1);
            let run = self.runs.get(at).filter(|run| run.end == end);
            let bits = run.map_or(0, |run| run.lost & !run.resent);
            if bits != 0 {
                return Some((at, bits));
            }
            if let Some(repairs) = &mut self.repairs {
                repairs.holes.pop_first();
            }
        }
    }

    /// The lowest stretch that is lost and not sent again (R6675-3), of at most `most` octets but a whole segment at least.
    pub(crate) fn next_hole(&mut self, most: u32) -> Option<Hole> {
        let (at, bits) = self.first_hole()?;
        let run = &self.runs[at];
        let index = bits.trailing_zeros();
        let start = run.bounds(index).start;
        // A short segment in front would shift the cuts behind it.
        let alone = index == 0 && run.has_short_head();
        let stretch = if alone { 1 } else { (!(bits >> index)).trailing_zeros() };
        let mut octets = run.len(index);
        for next in index + 1..(index + stretch).min(run.count()) {
            if octets + run.len(next) > most {
                break;
            }
            octets += run.len(next);
        }
        let fin = run.fin && start + u64::from(octets) == run.end;
        Some(Hole { at: SeqNum(start as u32), len: octets - u32::from(fin), fin, mss: run.mss() })
    }

    /// The segment with the highest sequence number (R8985-16).
    pub(crate) fn last_segment(&self) -> Option<Hole> {
        let run = self.runs.back()?;
        let bounds = run.bounds(run.count() - 1);
        let len = (bounds.end - bounds.start) as u32 - u32::from(run.fin);
        Some(Hole { at: SeqNum(bounds.start as u32), len, fin: run.fin, mss: run.mss() })
    }

    /// Counts again what the counters say, segment by segment.
    #[cfg(test)]
    pub(super) fn recount(&self) -> [u32; 5] {
        let mut sums = [0; 5];
        for run in &self.runs {
            for index in ones(run.all()) {
                let (bit, len) = (1_u64 << index, run.len(index));
                let held = run.lost & !run.resent;
                for (sum, map) in sums.iter_mut().zip([run.sacked, run.lost, held, run.resent]) {
                    *sum += if map & bit != 0 { len } else { 0 };
                }
                sums[4] += u32::from(run.sacked & bit != 0);
            }
        }
        sums
    }
}
