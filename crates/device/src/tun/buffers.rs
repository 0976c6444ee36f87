//! Memory for what is read, used again once nobody holds it.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Frames up to this size are gathered in blocks. Whoever keeps so little for long copies it out of its block.
const GATHER_UP_TO: usize = 2048;
/// Size of a block: some twenty full frames of an Ethernet MTU, or hundreds of ACKs, for one allocation at most.
const BLOCK: usize = 32 * 1024;
/// Read buffers that are remembered while their frames are in use.
const LENT: usize = 32;
/// Of those as many are looked at for one that has come back: most do in the order in which they went.
const TRIES: usize = 3;
/// Buffers that may be asked for in vain before another is forgotten, so that those of a reader that stands still make room
/// in the end. Not at each: with more in use than are remembered none would come back in time.
const PATIENCE: u32 = 8;

/// The read buffer, and what frames are handed out in.
///
/// A frame costs an allocation only where readers lag behind: blocks and read buffers are taken up again when the
/// last frame in them is dropped. At most [`LENT`] read buffers and a block stay with an idle queue.
pub(super) struct Buffers {
    /// The read buffer. Always initialised: `tokio-tun` would zero what is not, at each read.
    buf: BytesMut,
    size: usize,
    block: BytesMut,
    /// Read buffers whose frames were handed out whole, oldest first.
    lent: VecDeque<Bytes>,
    misses: u32,
}

impl Buffers {
    /// With a read buffer of `size` bytes.
    pub(super) fn new(size: usize) -> Self {
        Self { buf: BytesMut::zeroed(size), size, block: BytesMut::new(), lent: VecDeque::new(), misses: 0 }
    }

    /// What to read into.
    pub(super) fn read_buf(&mut self) -> &mut [u8] {
        &mut self.buf
    }

    /// The bytes from `start` to `end` of the read buffer, which is then free again: copied out, or with the buffer itself
    /// where they fill half of it.
    pub(super) fn take(&mut self, start: usize, end: usize) -> Bytes {
        let len = end - start;
        if len <= GATHER_UP_TO {
            if self.block.capacity() < len {
                // Takes up the old block if nobody holds a part of it.
                self.block.reserve(BLOCK);
            }
            self.block.extend_from_slice(&self.buf[start..end]);
            return self.block.split().freeze();
        }
        if end <= self.size / 2 {
            return Bytes::copy_from_slice(&self.buf[start..end]);
        }
        let free = self.free();
        let whole = std::mem::replace(&mut self.buf, free).freeze();
        let frame = whole.slice(start..end);
        if self.lent.len() < LENT {
            self.lent.push_back(whole);
        }
        frame
    }

    /// A read buffer: one that was lent and has come back, if there is one.
    fn free(&mut self) -> BytesMut {
        for _ in 0..TRIES {
            match self.lent.pop_front().map(Bytes::try_into_mut) {
                Some(Ok(free)) => return free,
                Some(Err(held)) => self.lent.push_back(held),
                None => break,
            }
        }
        if self.lent.len() == LENT {
            self.misses += 1;
            if self.misses == PATIENCE {
                self.misses = 0;
                // One of those that were looked at.
                self.lent.pop_back();
            }
        }
        BytesMut::zeroed(self.size)
    }
}

#[cfg(test)]
mod tests;
