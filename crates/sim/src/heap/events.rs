//! The heap of things that will arrive.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, VecDeque};

use netstack_tcp::Instant;

use crate::slab::Slab;

/// A priority queue by (time, order of insertion), with lanes for what comes in the order of its time, as the packets of a link
/// do: of a lane only the first lies in the heap, which so stays small however many packets wait. Other items lie in a slab, so
/// that the heap moves keys only. Slots are used again: a steady state allocates nothing.
#[derive(Debug)]
pub(crate) struct EventHeap<T> {
    keys: BinaryHeap<Reverse<(Instant, u64, Place)>>,
    items: Slab<T>,
    /// The first of each has its key in the heap.
    lanes: Vec<VecDeque<Later<T>>>,
    inserted: u64,
    len: usize,
}

/// Where the item of a key lies.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Slot(u32),
    Lane(usize),
}

/// An item of a lane.
#[derive(Debug)]
struct Later<T> {
    at: Instant,
    number: u64,
    item: T,
}

impl<T> EventHeap<T> {
    pub(crate) fn new() -> Self {
        Self { keys: BinaryHeap::new(), items: Slab::new(), lanes: Vec::new(), inserted: 0, len: 0 }
    }

    pub(crate) fn push(&mut self, at: Instant, item: T) {
        let number = self.number();
        let slot = self.items.insert(item);
        self.keys.push(Reverse((at, number, Place::Slot(slot))));
    }

    /// As [`push`](Self::push), and cheap for items of a lane of which none is due before the one that was pushed last. Lanes
    /// are numbered from zero.
    pub(crate) fn push_behind(&mut self, lane: usize, at: Instant, item: T) {
        if lane >= self.lanes.len() {
            self.lanes.resize_with(lane + 1, VecDeque::new);
        }
        let queue = &self.lanes[lane];
        if queue.back().is_some_and(|last| at < last.at) {
            return self.push(at, item);
        }
        let is_first = queue.is_empty();
        let number = self.number();
        if is_first {
            self.keys.push(Reverse((at, number, Place::Lane(lane))));
        }
        self.lanes[lane].push_back(Later { at, number, item });
    }

    fn number(&mut self) -> u64 {
        self.inserted += 1;
        self.len += 1;
        self.inserted
    }

    /// When the first item is due.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.keys.peek().map(|Reverse((at, ..))| *at)
    }

    /// Takes the first item out if it is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, T)> {
        let mut first = self.keys.peek_mut()?;
        let Reverse((at, _, place)) = *first;
        if at > now {
            return None;
        }
        self.len -= 1;
        let item = match place {
            Place::Slot(slot) => {
                PeekMut::pop(first);
                self.items.take(slot)?
            }
            Place::Lane(lane) => {
                let queue = &mut self.lanes[lane];
                let item = queue.pop_front()?.item;
                match queue.front() {
                    // The key of the next one takes its place: one way down the heap instead of two.
                    Some(next) => *first = Reverse((next.at, next.number, place)),
                    None => drop(PeekMut::pop(first)),
                }
                item
            }
        };
        Some((at, item))
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests;
