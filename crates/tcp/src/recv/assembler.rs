//! Segments that came out of order, kept until the gap before them is filled (SHLD-31).

use core::mem;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::segment::{LARGE, received_memory};

/// What a held piece costs beside its octets, in three allocations where it is a run of its own: its handle and its place among
/// the runs, with what an allocator adds. A peer that sends an octet at a time holds what it is charged.
const PIECE_OVERHEAD: usize = 128;

/// Payload shorter than this is copied when it is kept.
const COPY_BELOW: usize = 2048;

/// Blocks remembered for SACK: as many as one option can carry.
const RECENT: usize = 4;

/// One run of contiguous octets, in the pieces in which they came.
#[derive(Debug)]
struct Run {
    end: u64,
    pieces: VecDeque<Bytes>,
}

/// Out-of-order octets by their offset in the peer's stream, as runs with gaps between them.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    runs: BTreeMap<u64, Run>,
    /// Octets and overhead held.
    cost: usize,
    /// As `cost`, with the memory that the octets lie in.
    memory: usize,
    /// Starts of runs, the one that grew last first (R2018-4, R2018-5).
    recent: [Option<u64>; RECENT],
}

/// What became of octets given to the assembler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Inserted {
    /// The first range that was held already (R2883-3).
    pub(crate) duplicate: Option<(u64, u64)>,
    /// Something new was taken.
    pub(crate) stored: bool,
}

/// What is kept of a frame that brought `frame` octets of text. A slice holds the memory of all of its frame, which nobody
/// counts; so a small part is copied out of it, and out of a large frame whatever does not count as large itself.
pub(super) fn detached(kept: Bytes, frame: usize) -> Bytes {
    if kept.len() < frame.div_ceil(2) || (kept.len() <= LARGE && LARGE < frame) {
        Bytes::copy_from_slice(&kept)
    } else {
        kept
    }
}

/// What is kept of a frame until a gap before it is filled: a small frame may share its memory with many others.
fn owned(kept: Bytes, frame: usize) -> Bytes {
    if kept.len() < COPY_BELOW { Bytes::copy_from_slice(&kept) } else { detached(kept, frame) }
}

/// One run of two that touch. The pieces of the longer one stay where they are: a peer chooses which run its octet joins.
pub(super) fn joined(mut front: VecDeque<Bytes>, mut back: VecDeque<Bytes>) -> VecDeque<Bytes> {
    if front.len() >= back.len() {
        front.append(&mut back);
        return front;
    }
    for piece in front.into_iter().rev() {
        back.push_front(piece);
    }
    back
}

impl Assembler {
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Octets and overhead held.
    #[cfg(test)]
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }

    /// Memory held.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// One above the highest octet held.
    pub(crate) fn end(&self) -> Option<u64> {
        self.runs.last_key_value().map(|(_, run)| run.end)
    }

    /// Takes `data`, from a frame of `frame` octets of text, at `offset`, as far as `budget` allows; of what is held already
    /// the first copy stays.
    pub(crate) fn insert(&mut self, offset: u64, data: &Bytes, frame: usize, budget: usize) -> Inserted {
        let end = offset + data.len() as u64;
        let mut result = Inserted::default();
        let mut at = offset;
        while at < end {
            // The run that holds `at` or ends there; else the gap up to the next run.
            if let Some(held_to) = self.run_over(at) {
                let upto = held_to.min(end);
                result.duplicate.get_or_insert((at, upto));
                at = upto;
                continue;
            }
            let next = self.runs.range(at..).next().map_or(end, |(start, _)| (*start).min(end));
            let piece = data.slice((at - offset) as usize..(next - offset) as usize);
            if self.cost + piece.len() + PIECE_OVERHEAD > budget {
                break;
            }
            self.store(at, owned(piece, frame));
            result.stored = true;
            at = next;
        }
        if let Some(start) = self.run_start(offset.max(at.saturating_sub(1))) {
            self.remember(start);
        }
        result
    }

    /// The end of the run that holds the octet at `at`.
    fn run_over(&self, at: u64) -> Option<u64> {
        let (_, run) = self.runs.range(..=at).next_back()?;
        (run.end > at).then_some(run.end)
    }

    /// The start of the run that holds the octet at `at`.
    fn run_start(&self, at: u64) -> Option<u64> {
        let (start, run) = self.runs.range(..=at).next_back()?;
        (run.end > at).then_some(*start)
    }

    /// Puts `piece` into the gap at `at`, which it fits, and joins it with the runs it touches.
    fn store(&mut self, at: u64, piece: Bytes) {
        self.cost += piece.len() + PIECE_OVERHEAD;
        self.memory += received_memory(piece.len()) + PIECE_OVERHEAD;
        let mut end = at + piece.len() as u64;
        let follower = self.runs.remove(&end);
        if follower.is_some() {
            self.forget(end);
        }
        let tail = follower.map(|run| {
            end = run.end;
            run.pieces
        });
        match self.runs.range_mut(..at).next_back() {
            Some((_, before)) if before.end == at => {
                before.pieces.push_back(piece);
                if let Some(tail) = tail {
                    before.pieces = joined(mem::take(&mut before.pieces), tail);
                }
                before.end = end;
            }
            _ => {
                let mut pieces = tail.unwrap_or_else(|| VecDeque::with_capacity(1));
                pieces.push_front(piece);
                self.runs.insert(at, Run { end, pieces });
            }
        }
    }

    /// Moves the octets that follow `next` without a gap to `out`; returns the new next offset.
    pub(crate) fn take_ready(&mut self, next: u64, mut out: impl FnMut(Bytes)) -> u64 {
        let mut at = next;
        while let Some(first) = self.runs.first_entry() {
            let start = *first.key();
            if start > at {
                break;
            }
            let run = first.remove();
            self.forget(start);
            let mut piece_at = start;
            for mut piece in run.pieces {
                self.cost -= piece.len() + PIECE_OVERHEAD;
                self.memory -= received_memory(piece.len()) + PIECE_OVERHEAD;
                let piece_end = piece_at + piece.len() as u64;
                if piece_end > at {
                    let (whole, known) = (piece.len(), at - piece_at);
                    out(detached(piece.split_off(known as usize), whole));
                    at = piece_end;
                }
                piece_at = piece_end;
            }
        }
        at
    }

    /// The blocks to report, the one that changed last first; behind those remembered the others (R2018-5).
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let recent =
            self.recent.iter().flatten().filter_map(|start| Some((*start, self.runs.get(start)?.end)));
        let others = self.runs.iter().filter(|(start, _)| !self.recent.contains(&Some(**start)));
        recent.chain(others.map(|(start, run)| (*start, run.end)))
    }

    /// The first part of `range` that is held.
    pub(crate) fn overlap(&self, range: (u64, u64)) -> Option<(u64, u64)> {
        let start = match self.run_over(range.0) {
            Some(_) => range.0,
            None => *self.runs.range(range.0..range.1).next()?.0,
        };
        Some((start, self.run_over(start)?.min(range.1)))
    }

    /// Whether `range` lies in one run; then that run.
    pub(crate) fn run_around(&self, range: (u64, u64)) -> Option<(u64, u64)> {
        let (start, run) = self.runs.range(..=range.0).next_back()?;
        (run.end >= range.1).then_some((*start, run.end))
    }

    fn remember(&mut self, start: u64) {
        let place = self.recent.iter().position(|known| *known == Some(start)).unwrap_or(RECENT - 1);
        self.recent[..=place].rotate_right(1);
        self.recent[0] = Some(start);
    }

    fn forget(&mut self, start: u64) {
        if let Some(place) = self.recent.iter().position(|known| *known == Some(start)) {
            self.recent[place..].rotate_left(1);
            self.recent[RECENT - 1] = None;
        }
    }
}
