//! What the assembler reports and holds, in cases that chance does not meet.

use bytes::Bytes;
use netstack_wire::tcp::SackBlock;

use super::super::assembler::{Assembler, detached};
use super::{announced, text};
use crate::segment::LARGE;

/// Takes `len` octets at `start`.
fn take(assembler: &mut Assembler, start: u32, len: u32) {
    assert!(assembler.insert(start.into(), &text(start, len), len as usize, usize::MAX).stored);
}

fn starts(assembler: &Assembler) -> Vec<u64> {
    assembler.blocks().map(|(start, _)| start).collect()
}

/// A run that another has swallowed takes no place among the latest.
#[test]
fn four_blocks_are_the_latest_though_runs_have_joined() {
    // req: R2018-5
    let mut assembler = Assembler::default();
    for start in [100, 900, 500, 300] {
        take(&mut assembler, start, 100);
    }
    take(&mut assembler, 400, 100);
    for start in [700, 1100] {
        take(&mut assembler, start, 100);
    }
    assert_eq!(starts(&assembler), [1100, 700, 300, 900, 100]);
}

/// It is not held, so that the run it touches has not changed.
#[test]
fn what_was_given_up_changes_no_order() {
    // req: R2018-4, R2018-5
    let mut assembler = Assembler::default();
    take(&mut assembler, 100, 100);
    take(&mut assembler, 300, 100);
    let cost = assembler.cost();
    assert!(!assembler.insert(200, &text(200, 50), 50, cost).stored);
    assert_eq!(starts(&assembler), [300, 100]);
}

#[test]
fn a_budget_can_be_used_up() {
    // req: SHLD-31
    let mut assembler = Assembler::default();
    take(&mut assembler, 100, 100);
    let cost = assembler.cost();
    for (budget, stored) in [(cost - 1, false), (cost, true)] {
        let inserted = Assembler::default().insert(100, &text(100, 100), 100, budget);
        assert_eq!(inserted.stored, stored, "{budget} of {cost}");
    }
}

/// Memory is counted by what is kept: a part that does not count as large may not lie in the buffer of a frame that does.
#[test]
fn no_small_piece_holds_a_large_frame() {
    // req: SHLD-31
    let shares = |frame: usize, kept: usize| {
        let frame = Bytes::from(vec![7; frame]);
        let kept = frame.slice(..kept);
        detached(kept.clone(), frame.len()).as_ptr() == kept.as_ptr()
    };
    assert!(!shares(LARGE + 1, LARGE));
    assert!(!shares(LARGE + 2_000, LARGE - 2_000));
    assert!(!shares(1400, 600), "less than half of it");
    // Nothing is copied in vain.
    assert!(shares(LARGE + 2, LARGE + 1));
    assert!(shares(LARGE, LARGE));
    assert!(shares(1400, 1400));
}

#[test]
fn the_run_around_a_duplicate_follows_it() {
    // req: R2883-1, R2883-2
    let mut half = announced();
    // An offset other than zero, as in any stream that has begun.
    half.insert(half.nxt, text(0, 50), 50);
    let base = half.nxt - 50;
    let block = |start: u32, end: u32| SackBlock { left: base + start, right: base + end };
    let mut arrives = |start: u32| {
        half.insert(base + start, text(start, 100), 100);
    };
    arrives(100);
    arrives(300);
    arrives(500);
    arrives(100);
    // Before the ACK leaves another gap opens, behind which is the newest run.
    arrives(700);
    let blocks: Vec<_> = half.take_sack_blocks(4).iter().copied().collect();
    assert_eq!(blocks, [block(100, 200), block(100, 200), block(700, 800), block(500, 600)]);
    let blocks: Vec<_> = half.take_sack_blocks(4).iter().copied().collect();
    assert_eq!(blocks, [block(700, 800), block(100, 200), block(500, 600), block(300, 400)], "reported once");
}

#[test]
fn of_two_duplicates_the_first_is_reported_and_of_none_nothing() {
    // req: R2883-1, R2883-3
    let mut half = announced();
    half.report_duplicate(half.nxt, half.nxt);
    assert!(!half.has_sack_blocks());
    half.report_duplicate(half.nxt - 20, half.nxt - 10);
    half.report_duplicate(half.nxt - 10, half.nxt);
    let blocks: Vec<_> = half.take_sack_blocks(4).iter().copied().collect();
    assert_eq!(blocks, [SackBlock { left: half.nxt - 20, right: half.nxt - 10 }]);
}
