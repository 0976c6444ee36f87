//! Packets that wait for the line and can still be dropped, or overtaken, before it takes them.

use std::collections::VecDeque;

use super::QueueLimit;

/// A packet that waits; whoever drives the link keeps its bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// The driver's name for it.
    pub(crate) token: u32,
    pub(crate) len: usize,
    /// To leave with CE if it bears ECT.
    pub(crate) marked: bool,
}

/// A drop-tail queue, first in, first out.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    limit: QueueLimit,
    items: VecDeque<Item>,
    bytes: usize,
}

impl Held {
    pub(crate) fn new(limit: QueueLimit) -> Self {
        Self { limit, items: VecDeque::new(), bytes: 0 }
    }

    /// Sets the bound anew; what waits beyond it stays.
    pub(crate) fn set_limit(&mut self, limit: QueueLimit) {
        self.limit = limit;
    }

    /// Whether a packet of `len` bytes has room behind those that wait.
    pub(crate) fn admits(&self, len: usize) -> bool {
        self.limit.admits(self.bytes, self.items.len(), len)
    }

    pub(crate) fn push(&mut self, item: Item) {
        self.bytes += item.len;
        self.items.push_back(item);
    }

    pub(crate) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes -= item.len;
        Some(item)
    }

    /// Bytes and packets that wait.
    pub(crate) fn depth(&self) -> (usize, usize) {
        (self.bytes, self.items.len())
    }
}
