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
    assert_eq!(marks(), KEPT);
    drop(held);
    // What fewer flows do not need goes back.
    (0..KEPT).for_each(|_| drop(block()));
    assert_eq!(marks(), IDLE);
}

fn marks() -> usize {
    let pool = POOL.take();
    let marks = pool.marks.len();
    POOL.set(pool);
    marks
}

/// How many of `rounds` blocks, `in_use` of them at a time, were none that the pool knew.
fn fresh(rounds: usize, in_use: usize) -> usize {
    let mut held = VecDeque::new();
    let is_fresh = |_: &usize| {
        let mut pool = POOL.take();
        // A mark is the end of its block.
        let known: HashSet<_> = pool.marks.iter().map(|mark| mark.as_ptr() as usize).collect();
        let mut block = pool.block();
        POOL.set(pool);
        let end = block.as_ptr() as usize + block.capacity();
        block.resize(BLOCK, 1);
        held.push_back(block);
        if held.len() == in_use {
            held.pop_front();
        }
        !known.contains(&end)
    };
    (0..rounds).filter(is_fresh).count()
}

#[test]
fn a_flow_that_stands_still_does_not_keep_the_others_from_their_blocks() {
    let stalled: Vec<_> = (0..KEPT).map(|_| block()).collect();
    // It takes a while until theirs are forgotten.
    fresh(PATIENCE as usize * 32, 4);
    let fresh = fresh(200, 4);
    assert!(fresh < 100, "{fresh} of 200 blocks were new");
    drop(stalled);
}

#[test]
fn flows_with_more_in_use_than_is_remembered_get_some_of_it_back() {
    fresh(1000, 3 * KEPT);
    let fresh = fresh(1000, 3 * KEPT);
    assert!(fresh < 850, "{fresh} of 1,000 blocks were new");
}
