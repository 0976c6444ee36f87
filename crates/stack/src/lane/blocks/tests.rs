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
    // Not five: only a few are looked at each time.
    assert!(places.len() <= KEPT, "{} blocks for 100 rounds", places.len());
}

#[test]
fn what_is_remembered_is_bounded() {
    let held: Vec<_> = (0..3 * KEPT).map(|_| block()).collect();
    drop(held);
    let marks = MARKS.take();
    assert_eq!(marks.len(), KEPT);
}
