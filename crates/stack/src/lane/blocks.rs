//! Large blocks, used again once nobody holds a part of them.
//!
//! The allocator gives large blocks back to the system as soon as they are free: in a bulk transfer each would be mapped
//! and cleared again for the next 64 KiB, which costs more than the copy into it.

use std::cell::Cell;
use std::collections::VecDeque;

use bytes::BytesMut;

/// Size of a block.
pub(crate) const BLOCK: usize = 64 * 1024;

/// Blocks that a thread remembers, in use or not: at most 4 MiB stays with it when its flows end at once.
const KEPT: usize = 64;

/// Beyond these, 1 MiB, blocks that nobody uses are given back one by one.
const IDLE: usize = 16;

/// Blocks looked at for one that has come back: most do in the order in which they went.
const TRIES: usize = 3;

/// Blocks that may be asked for in vain before another is forgotten, so that those of a flow that stands still make room
/// in the end. Not at each: with more in use than are remembered none would come back in time.
const PATIENCE: u32 = 8;

thread_local! {
    static POOL: Cell<Pool> = const { Cell::new(Pool { marks: VecDeque::new(), misses: 0 }) };
}

#[derive(Default)]
struct Pool {
    /// An empty handle to each block, oldest first.
    marks: VecDeque<BytesMut>,
    misses: u32,
}

/// An empty block with room for [`BLOCK`] bytes.
pub(crate) fn block() -> BytesMut {
    // A thread that ends has none any more.
    let mut pool = POOL.try_with(Cell::take).unwrap_or_default();
    let block = pool.block();
    let _ = POOL.try_with(|cell| cell.set(pool));
    block
}

impl Pool {
    fn block(&mut self) -> BytesMut {
        let mut block = match self.reclaimed() {
            Some(block) => {
                self.give_back();
                block
            }
            None => {
                self.forget();
                BytesMut::with_capacity(BLOCK)
            }
        };
        if self.marks.len() < KEPT {
            self.marks.push_back(block.split_off(block.capacity()));
        }
        block
    }

    fn reclaimed(&mut self) -> Option<BytesMut> {
        for _ in 0..TRIES {
            let mut mark = self.marks.pop_front()?;
            if mark.try_reclaim(BLOCK) {
                return Some(mark);
            }
            self.marks.push_back(mark);
        }
        None
    }

    /// One block served: the next is not needed if it lies idle too.
    fn give_back(&mut self) {
        if self.marks.len() >= IDLE
            && let Some(mut mark) = self.marks.pop_front()
            && !mark.try_reclaim(BLOCK)
        {
            self.marks.push_front(mark);
        }
    }

    fn forget(&mut self) {
        if self.marks.len() == KEPT {
            self.misses += 1;
            if self.misses == PATIENCE {
                self.misses = 0;
                // One of those that were looked at.
                self.marks.pop_back();
            }
        }
    }
}

#[cfg(test)]
mod tests;
