//! The heap of things that will arrive.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use netstack_tcp::Instant;

use crate::slab::Slab;

/// A priority queue by (time, order of insertion). The items lie in a slab of their own, so that the heap moves small keys
/// only, and slots are used again, so that a steady state allocates nothing.
#[derive(Debug)]
pub(crate) struct EventHeap<T> {
    keys: BinaryHeap<Reverse<(Instant, u64, u32)>>,
    items: Slab<T>,
    inserted: u64,
}

impl<T> EventHeap<T> {
    pub(crate) fn new() -> Self {
        Self { keys: BinaryHeap::new(), items: Slab::new(), inserted: 0 }
    }

    pub(crate) fn push(&mut self, at: Instant, item: T) {
        let slot = self.items.insert(item);
        self.keys.push(Reverse((at, self.inserted, slot)));
        self.inserted += 1;
    }

    /// When the first item is due.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.keys.peek().map(|Reverse((at, ..))| *at)
    }

    /// Takes the first item out if it is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, T)> {
        if self.next_at()? > now {
            return None;
        }
        let Reverse((at, _, slot)) = self.keys.pop()?;
        Some((at, self.items.take(slot)?))
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

#[cfg(test)]
mod tests;
