//! The queue in front of the line: drop-tail, bounded in bytes or in packets.

use std::collections::VecDeque;

/// How much may wait for the line. The packet that the line is sending does not wait and does not count.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum QueueLimit {
    /// No bound: nothing is dropped for want of room.
    #[default]
    Unbounded,
    /// At most so many bytes wait.
    Bytes(usize),
    /// At most so many packets wait.
    Packets(usize),
}

impl QueueLimit {
    /// Whether a packet of `len` bytes has room behind `packets` of `bytes` in all.
    pub(crate) fn admits(self, bytes: usize, packets: usize, len: usize) -> bool {
        match self {
            Self::Unbounded => true,
            Self::Bytes(limit) => bytes + len <= limit,
            Self::Packets(limit) => packets < limit,
        }
    }

    /// Whether `packets` of `bytes` in all are more than may wait.
    pub(crate) fn is_passed(self, bytes: usize, packets: usize) -> bool {
        match self {
            Self::Unbounded => false,
            Self::Bytes(limit) => bytes > limit,
            Self::Packets(limit) => packets > limit,
        }
    }
}

/// Drop-tail queue: a packet that does not fit when it comes is dropped; what has been let in is sent in order.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    limit: QueueLimit,
    /// When each waiting packet moves on to the line, and its size. Times never decrease.
    waiting: VecDeque<(u64, usize)>,
    bytes: usize,
}

impl Queue {
    pub(crate) fn new(limit: QueueLimit) -> Self {
        Self { limit, waiting: VecDeque::new(), bytes: 0 }
    }

    /// Whether a packet of `len` bytes that finds the line busy until `free_at` may come in at `now`.
    pub(crate) fn admits(&mut self, now: u64, free_at: u64, len: usize) -> bool {
        self.advance(now);
        if free_at <= now {
            return true;
        }
        self.limit.admits(self.bytes, self.waiting.len(), len)
    }

    /// Sets the bound anew; what waits beyond it stays.
    pub(crate) fn set_limit(&mut self, limit: QueueLimit) {
        self.limit = limit;
    }

    /// Forgets the packets that have moved on to the line by `now`.
    pub(crate) fn advance(&mut self, now: u64) {
        while let Some(&(start, bytes)) = self.waiting.front() {
            if start > now {
                break;
            }
            self.waiting.pop_front();
            self.bytes -= bytes;
        }
    }

    /// Takes in a packet that moves on to the line at `start`.
    pub(crate) fn push(&mut self, now: u64, start: u64, len: usize) {
        if start > now {
            self.waiting.push_back((start, len));
            self.bytes += len;
        }
    }

    /// Bytes and packets that wait, as of the last call that knew the time.
    pub(crate) fn depth(&self) -> (usize, usize) {
        (self.bytes, self.waiting.len())
    }
}
