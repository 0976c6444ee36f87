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
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_block_comes_back_when_its_last_part_is_dropped() {
        let mut places = HashSet::new();
        let mut held = VecDeque::new();
        for round in 0..100_u8 {
            let mut block = block();
            assert!(block.is_empty() && block.capacity() >= BLOCK);
            places.insert(block.as_ptr() as usize);
            block.resize(BLOCK, round);
            let parts = [block.split_to(100).freeze(), block.split_to(BLOCK - 100).freeze()];
            held.push_back((parts, round));
            if held.len() == 5 {
                let (parts, round) = held.pop_front().unwrap();
                assert!(parts.iter().all(|part| part.iter().all(|&byte| byte == round)));
            }
        }
        assert!(places.len() <= 5, "{} blocks", places.len());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let held: Vec<_> = (0..3 * KEPT).map(|_| block()).collect();
        drop(held);
        let marks = MARKS.take();
        assert_eq!(marks.len(), KEPT);
    }
}
