//! Segments cut anew: the path takes less than it did when they left (RFC 1191 6.4, RFC 8201 5.4).

use netstack_wire::SeqNum;

use super::run::{RUN_SEGMENTS, Run, ones};
use super::{Hole, Repairs, Scoreboard};

/// What became of a stretch of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// All of it has arrived.
    Delivered,
    /// Some of it is lost and waits to be sent again.
    Lost,
    /// It is on its way.
    InFlight,
}

impl Scoreboard {
    /// The segment in flight that begins at `seq`.
    pub(crate) fn segment_at(&self, seq: SeqNum) -> Option<Hole> {
        let at = self.position(seq);
        let run = self.runs.get(self.find(at)).filter(|run| run.start <= at)?;
        let index = run.index(at);
        let known = run.bounds(index).start == at && run.sacked >> index & 1 == 0;
        let fin = run.fin && index + 1 == run.count();
        known.then(|| Hole { at: seq, len: run.text(index), fin, mss: run.mss() })
    }

    /// What became of the segment `start..end`.
    pub(crate) fn fate(&self, start: SeqNum, end: SeqNum) -> Fate {
        let (start, end) = (self.position(start), self.position(end));
        if end <= self.una {
            return Fate::Delivered;
        }
        let Some(run) = self.runs.get(self.find(start)) else { return Fate::Delivered };
        let bits = run.within(start, end);
        match run {
            _ if bits != 0 && run.sacked & bits == bits => Fate::Delivered,
            _ if run.lost & !run.resent & bits != 0 => Fate::Lost,
            _ => Fate::InFlight,
        }
    }

    /// Cuts what is outstanding in segments of more than `mss` octets of text into such of `mss`, but for what is SACKed. If
    /// `lose`, it is lost with its copies, for no node on the path could carry it. Says how many octets were cut.
    pub(crate) fn recut(&mut self, mss: u32, lose: bool) -> u32 {
        if self.runs.iter().all(|run| run.largest() <= mss) {
            return 0;
        }
        if lose {
            self.duplicates = 0;
        }
        let mut octets = 0;
        for run in core::mem::take(&mut self.runs) {
            let wide = run.wider_than(mss) & !run.sacked;
            let (mut from, count) = (0, run.count());
            while from < count {
                // Segments in a row of which the same is true.
                let alike = |index: u32| {
                    let of = |map: u64| map >> index & 1;
                    (of(wide), of(wide & run.lost))
                };
                let to = (from + 1..count).find(|to| alike(*to) != alike(from)).unwrap_or(count);
                let part = run.part(from..to);
                if wide >> from & 1 == 0 {
                    if let Some(repairs) = self.repairs.as_mut().filter(|_| part.lost & !part.resent != 0) {
                        // Its end may be new.
                        repairs.holes.insert(part.end);
                    }
                    self.runs.push_back(part);
                } else {
                    octets += (part.end - part.start) as u32;
                    self.recut_part(&part, mss, lose);
                }
                from = to;
            }
        }
        octets
    }

    /// Of `part` every segment is too wide, and either all are lost or none is.
    fn recut_part(&mut self, part: &Run, mss: u32, lose: bool) {
        let una = self.una;
        if lose {
            self.repairs.get_or_insert_with(|| Box::new(Repairs::new(una)));
        }
        // A copy on its way is as wide as the original: it is not counted on.
        let lost = lose || part.lost != 0;
        if let Some(repairs) = &mut self.repairs {
            for index in ones(part.ever) {
                repairs.resends.remove(&part.bounds(index).end);
            }
            repairs.forget_loss(part, part.all());
            repairs.judged = repairs.judged.min(part.start);
            if lost {
                repairs.lost += (part.end - part.start) as u32;
            }
        }
        // Where the originals may still arrive their bounds stay, so that reports of them are understood.
        let pieces = if lost { 1 } else { part.count() };
        for index in 0..pieces {
            let piece = if lost { part.clone() } else { part.part(index..index + 1) };
            self.push_cut(&piece, mss, lost);
        }
    }

    /// The text of `part` in segments of `mss` octets.
    fn push_cut(&mut self, part: &Run, mss: u32, lost: bool) {
        let mut start = part.start;
        let end = part.end - u64::from(part.fin);
        while start < end {
            let len = (end - start).min(u64::from(RUN_SEGMENTS * mss)) as u32;
            let fin = part.fin && start + u64::from(len) == end;
            let mut run = Run::new(start, len, fin, mss as u16, part.sent_at, part.sent);
            run.lost = if lost { run.all() } else { 0 };
            run.ever = if part.ever != 0 { run.all() } else { 0 };
            start += u64::from(len);
            if let Some(repairs) = self.repairs.as_mut().filter(|_| lost) {
                repairs.add_hole(run.end, run.octets(run.all()));
            }
            self.runs.push_back(run);
        }
    }
}
