//! Large blocks, used again once nobody holds a part of them.
//!
//! The allocator gives large blocks back to the system as soon as they are free: in a bulk transfer each would be mapped
//! and cleared again for the next 64 KiB, which costs more than the copy into it.

use std::cell::Cell;
use std::collections::VecDeque;

use bytes::BytesMut;

/// Size of a block.
pub(crate) const BLOCK: usize = 64 * 1024;

/// Blocks that a thread remembers, in use or not: at most 1 MiB stays with an idle one.
const KEPT: usize = 16;

/// Blocks looked at for one that has come back: most do in the order in which they went.
const TRIES: usize = 3;

thread_local! {
    /// An empty handle to each block, oldest first.
    static MARKS: Cell<VecDeque<BytesMut>> = const { Cell::new(VecDeque::new()) };
}

/// An empty block with room for [`BLOCK`] bytes.
pub(crate) fn block() -> BytesMut {
    // A thread that ends has no marks any more.
    let mut marks = MARKS.try_with(Cell::take).unwrap_or_default();
    let mut block = reclaimed(&mut marks).unwrap_or_else(|| BytesMut::with_capacity(BLOCK));
    if marks.len() < KEPT {
        marks.push_back(block.split_off(block.capacity()));
    }
    let _ = MARKS.try_with(|cell| cell.set(marks));
    block
}

fn reclaimed(marks: &mut VecDeque<BytesMut>) -> Option<BytesMut> {
    for _ in 0..TRIES {
        let mut mark = marks.pop_front()?;
        if mark.try_reclaim(BLOCK) {
            return Some(mark);
        }
        marks.push_back(mark);
    }
    None
}

#[cfg(test)]
mod tests;
