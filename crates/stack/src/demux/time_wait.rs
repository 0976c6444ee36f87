//! The TIME-WAIT records of one shard.

use std::collections::VecDeque;

use netstack_tcp::{FourTuple, Instant, Segment, TimeWait, TimeWaitAction};

/// Records that a stack holds by default; past it the oldest goes.
pub(crate) const MAX_RECORDS: usize = 65_536;

const _: () = assert!(size_of::<Record>() <= 128, "a TIME-WAIT record fits 128 bytes");

#[derive(Debug)]
enum Record {
    Used { record: TimeWait, stamp: u64 },
    Free { next: Option<u32> },
}

/// Records in slots that keep their numbers, and the order in which they came.
///
/// Records of one stack live equally long but for those that a repeated FIN prolongs, so the order of arrival serves
/// as the order of expiry: a prolonged record goes to the end when its turn comes.
#[derive(Debug, Default)]
pub(crate) struct Records {
    slots: Vec<Record>,
    free: Option<u32>,
    /// Slot, stamp, and when it was to expire. Stale once the slot's stamp is another.
    order: VecDeque<(u32, u64, Instant)>,
    used: usize,
}

impl Records {
    /// Stale entries of `order` that are not worth a sweep.
    const STALE: usize = 32;

    /// Stores a record and returns its slot.
    pub(crate) fn insert(&mut self, record: TimeWait, stamp: u64) -> u32 {
        let expires_at = record.expires_at();
        self.used += 1;
        let used = Record::Used { record, stamp };
        let slot = match self.free {
            Some(slot) => {
                if let Record::Free { next } = self.slots[slot as usize] {
                    self.free = next;
                }
                self.slots[slot as usize] = used;
                slot
            }
            None => {
                self.slots.push(used);
                // Bounded by the stack's limit on records, far below 2^32.
                (self.slots.len() - 1) as u32
            }
        };
        // A connection may have a shorter TIME-WAIT than others: it goes before those that outlive it.
        let at = self.order.iter().rposition(|&(_, _, other)| other <= expires_at).map_or(0, |at| at + 1);
        self.order.insert(at, (slot, stamp, expires_at));
        slot
    }

    /// The name of the connection in `slot`.
    pub(crate) fn tuple(&self, slot: u32) -> FourTuple {
        match &self.slots[slot as usize] {
            Record::Used { record, .. } => record.tuple(),
            Record::Free { .. } => unreachable!("a table entry points to a record in use"),
        }
    }

    /// The record in `slot`.
    pub(crate) fn get(&self, slot: u32) -> Option<TimeWait> {
        match &self.slots[slot as usize] {
            Record::Used { record, .. } => Some(*record),
            Record::Free { .. } => None,
        }
    }

    /// Lets the record answer.
    pub(crate) fn handle_segment(&mut self, slot: u32, at: Instant, segment: &Segment) -> TimeWaitAction {
        match &mut self.slots[slot as usize] {
            Record::Used { record, .. } => record.handle_segment(at, segment),
            Record::Free { .. } => TimeWaitAction::Ignore,
        }
    }

    /// Frees a slot.
    pub(crate) fn remove(&mut self, slot: u32) {
        self.slots[slot as usize] = Record::Free { next: self.free };
        self.free = Some(slot);
        self.used -= 1;
        if self.used == 0 {
            // A shard without records holds no storage.
            *self = Self::default();
        } else if self.order.len() > 2 * self.used + Self::STALE {
            let slots = &self.slots;
            self.order.retain(|&(slot, stamp, _)| {
                matches!(slots[slot as usize], Record::Used { stamp: current, .. } if current == stamp)
            });
        }
    }

    /// When the next record expires.
    pub(crate) fn next_expiry(&mut self) -> Option<Instant> {
        self.settle();
        self.order.front().map(|&(_, _, expires_at)| expires_at)
    }

    /// The stamp of the record that is first in order.
    pub(crate) fn oldest(&mut self) -> Option<u64> {
        self.settle();
        self.order.front().map(|&(_, stamp, _)| stamp)
    }

    /// The record that is first in order.
    pub(crate) fn front(&mut self) -> Option<(u32, FourTuple)> {
        self.settle();
        self.order.front().map(|&(slot, _, _)| (slot, self.tuple(slot)))
    }

    /// Makes the first in order a record that exists and expires when the order says.
    fn settle(&mut self) {
        while let Some(&(slot, stamp, expires_at)) = self.order.front() {
            match &self.slots[slot as usize] {
                Record::Used { record, stamp: current } if *current == stamp => {
                    if record.expires_at() == expires_at {
                        return;
                    }
                    let prolonged = (slot, stamp, record.expires_at());
                    self.order.pop_front();
                    let at = self.order.iter().rposition(|entry| entry.2 <= prolonged.2);
                    self.order.insert(at.map_or(0, |at| at + 1), prolonged);
                }
                _ => {
                    self.order.pop_front();
                }
            }
        }
    }
}
