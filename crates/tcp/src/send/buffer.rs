//! The send buffer: what the application wrote and the peer has not acknowledged.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use crate::segment::MAX_SLICES;

/// One written piece and its place in the stream.
#[derive(Debug)]
struct Chunk {
    /// Offset of the first octet.
    start: u64,
    data: Bytes,
}

/// Octets from SND.UNA on, in the pieces in which they were written; retransmission reads the same memory.
#[derive(Debug, Default)]
pub(crate) struct SendBuffer {
    chunks: VecDeque<Chunk>,
    /// Offset of the oldest octet held, in all that was written since the buffer was cleared.
    start: u64,
    len: u32,
    /// Octets of the oldest piece that are acknowledged, but stay in memory with the rest of it.
    spent: u32,
}

impl SendBuffer {
    /// Octets held.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Octets of memory in use: of the oldest piece, all of it.
    pub(crate) fn memory(&self) -> usize {
        self.len as usize + self.spent as usize
    }

    pub(crate) fn push(&mut self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        let start = self.start + u64::from(self.len);
        // Capacity is far below 4 GiB: the caller keeps to the send buffer's limit.
        self.len += data.len() as u32;
        self.chunks.push_back(Chunk { start, data });
    }

    /// Frees the oldest `count` octets: they are acknowledged.
    pub(crate) fn release(&mut self, count: u32) {
        debug_assert!(count <= self.len, "more acknowledged than held");
        self.start += u64::from(count);
        self.len -= count;
        while let Some(chunk) = self.chunks.front_mut() {
            let done = (self.start - chunk.start) as usize;
            if done < chunk.data.len() {
                chunk.data.advance(done);
                chunk.start += done as u64;
                self.spent += done as u32;
                break;
            }
            self.chunks.pop_front();
            self.spent = 0;
        }
        if self.chunks.is_empty() {
            // An idle connection holds no storage.
            self.chunks = VecDeque::new();
        }
    }

    /// Appends to `out` the slices of up to `len` octets from `offset` (counted from the oldest octet held), at most
    /// [`MAX_SLICES`] of them; returns how many octets they hold.
    pub(crate) fn slices(&self, offset: u32, len: u32, out: &mut Vec<Bytes>) -> u32 {
        let mut at = self.start + u64::from(offset);
        let mut left = len.min(self.len - offset) as usize;
        let first = match self.chunks.back() {
            // What is sent for the first time is mostly what was written last: no search through pieces long out of cache.
            Some(last) if last.start <= at => self.chunks.len() - 1,
            _ => self.chunks.partition_point(|chunk| chunk.start + chunk.data.len() as u64 <= at),
        };
        let mut taken = 0;
        for chunk in self.chunks.range(first..).take(MAX_SLICES) {
            if left == 0 {
                break;
            }
            let from = (at - chunk.start) as usize;
            let part = left.min(chunk.data.len() - from);
            out.push(chunk.data.slice(from..from + part));
            at += part as u64;
            taken += part as u32;
            left -= part;
        }
        taken
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
