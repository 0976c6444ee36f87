//! Reassembly against a plain array of octets.

mod blocks;
mod updates;

use std::collections::VecDeque;

use bytes::Bytes;
use netstack_wire::SeqNum;
use proptest::prelude::*;

use super::assembler::{Assembler, joined};
use super::{RecvHalf, Text};
use crate::config::TcpConfig;
use crate::testing::pattern;

/// Octets of the test's stream.
const LEN: u32 = 6_000;

/// Segments as (start, length), overlapping, repeated and in any order.
fn segments() -> impl Strategy<Value = Vec<(u32, u32)>> {
    let short = (0..LEN, 1..40_u32);
    let long = (0..LEN, 1..1_500_u32);
    // A grid repeats whole segments and touches without overlapping.
    let grid = (0..LEN / 100).prop_map(|cell| (cell * 100, 100));
    proptest::collection::vec(prop_oneof![short, long, grid], 1..250)
        .prop_map(|all| all.into_iter().map(|(start, len)| (start, len.min(LEN - start))).collect())
}

/// The ranges of set octets.
fn ranges(held: &[bool]) -> Vec<(u64, u64)> {
    let mut found: Vec<(u64, u64)> = Vec::new();
    for (at, _) in held.iter().enumerate().filter(|(_, held)| **held) {
        match found.last_mut() {
            Some((_, end)) if *end == at as u64 => *end += 1,
            _ => found.push((at as u64, at as u64 + 1)),
        }
    }
    found
}

fn text(start: u32, len: u32) -> Bytes {
    pattern(start, start + len)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The blocks are exactly the contiguous ranges held, the one of the last segment first; duplicates are the first
    /// range that was there.
    #[test]
    fn the_assembler_holds_what_a_map_of_octets_holds(segments in segments()) {
        // req: R2018-4, R2018-6, R2883-3
        let mut assembler = Assembler::default();
        let mut held = vec![false; LEN as usize];
        for (start, len) in segments {
            let place = start as usize..(start + len) as usize;
            let known = ranges(&held[place.clone()]).first().copied();
            let known = known.map(|(left, right)| (left + u64::from(start), right + u64::from(start)));
            prop_assert_eq!(assembler.overlap((u64::from(start), u64::from(start + len))), known);
            let inserted = assembler.insert(u64::from(start), &text(start, len), len as usize, usize::MAX);
            prop_assert_eq!(inserted.stored, held[place.clone()].contains(&false));
            // The assembler stops a duplicate at the end of a run, as the map does at the end of a range.
            prop_assert_eq!(inserted.duplicate, known);
            held[place].fill(true);
            let mut blocks: Vec<_> = assembler.blocks().collect();
            let newest = blocks[0];
            prop_assert!(newest.0 <= u64::from(start) && newest.1 >= u64::from(start + len), "newest first");
            blocks.sort_unstable();
            prop_assert_eq!(blocks, ranges(&held));
        }
        // Everything comes out again, run by run.
        for (left, right) in ranges(&held) {
            let mut out = Vec::new();
            let end = assembler.take_ready(left, |piece| out.extend_from_slice(&piece));
            prop_assert_eq!(end, right);
            prop_assert_eq!(&out[..], &pattern(left as u32, right as u32)[..]);
            prop_assert_eq!(assembler.memory(), assembler.cost(), "small pieces hold no more than themselves");
        }
        prop_assert!(assembler.is_empty());
        prop_assert_eq!(assembler.cost(), 0);
    }

    /// A budget bounds what is held, octets and overhead; what does not fit is not held in part wrongly.
    #[test]
    fn the_assembler_keeps_to_its_budget(segments in segments(), budget in 0..5_000_usize) {
        // req: R2018-6
        let mut assembler = Assembler::default();
        for (start, len) in segments {
            assembler.insert(u64::from(start), &text(start, len), len as usize, budget);
            prop_assert!(assembler.cost() <= budget);
            let octets: u64 = assembler.blocks().map(|(left, right)| right - left).sum();
            prop_assert!(octets <= budget as u64);
            prop_assert!(assembler.blocks().all(|(left, right)| left < right));
        }
        let mut at = 0;
        while let Some((left, right)) = assembler.blocks().min() {
            prop_assert!(left >= at);
            let mut out = Vec::new();
            at = assembler.take_ready(left, |piece| out.extend_from_slice(&piece));
            prop_assert_eq!(at, right);
            prop_assert_eq!(&out[..], &pattern(left as u32, right as u32)[..]);
        }
    }

    /// Whatever the order, the stream comes out whole, and the next octet is always taken.
    #[test]
    fn the_receiving_half_delivers_the_stream(
        segments in segments(),
        offset in 0..131_072_u32,
        tight in any::<bool>(),
    ) {
        // req: S-SEQ-7, R2018-6
        // Pitfalls 30 and 35: within 64 KiB of the wrap on both sides of it.
        let irs = SeqNum(0_u32.wrapping_sub(65_536).wrapping_add(offset));
        let mut config = TcpConfig::new();
        config.recv_buffer(if tight { 1 << 10 } else { 1 << 20 });
        let mut half = RecvHalf::new(&config);
        half.start(irs);
        half.adv = half.nxt + LEN;
        let first = half.nxt;
        let (mut seen, mut got) = (vec![false; LEN as usize], Vec::new());
        let whole = (0..LEN / 100).map(|cell| (cell * 100, 100));
        for (start, len) in segments.into_iter().chain(whole) {
            let before = half.nxt.distance_from(first);
            if start + len <= before {
                continue;
            }
            let from = start.max(before);
            let end = start + len;
            let result = half.insert(first + from, text(from, end - from), len as usize);
            prop_assert_eq!(from == before, matches!(result, Text::InOrder { .. }));
            let now = half.nxt.distance_from(first);
            prop_assert!(from > before || now >= end, "in-order text is always taken");
            while let Some(data) = half.fetch() {
                got.extend_from_slice(&data);
            }
            half.set_unread(0);
            prop_assert_eq!(got.len() as u32, now);
            seen[from as usize..end as usize].fill(true);
            let reached = seen.iter().position(|seen| !seen).unwrap_or(seen.len()) as u32;
            if !tight {
                prop_assert_eq!(now, reached, "nothing that came is missing");
            }
            half.dsack = None;
            let blocks = half.take_sack_blocks(4);
            let held: Vec<_> = ranges(&seen[now as usize..]);
            for (index, block) in blocks.iter().enumerate() {
                prop_assert!(block.left.after(half.nxt), "never below the ACK");
                let range = (
                    u64::from(block.left.distance_from(half.nxt)),
                    u64::from(block.right.distance_from(half.nxt)),
                );
                prop_assert!(tight || held.contains(&range), "{range:?} of {held:?}");
                if index == 0 && !tight && from > now {
                    prop_assert!(range.0 <= u64::from(from - now) && range.1 >= u64::from(end - now));
                }
            }
            prop_assert!(tight || blocks.len() == held.len().min(4));
            if tight && let Some(held) = &half.out_of_order {
                prop_assert!(held.cost() <= 2 << 10);
            }
        }
        prop_assert_eq!(&got[..], &pattern(0, LEN)[..]);
        prop_assert!(half.out_of_order.is_none());
    }

    /// The announced edge never moves left by more than the rounding of the field, and never promises more than there is.
    #[test]
    fn the_right_edge_never_moves_left(
        steps in proptest::collection::vec((1..3_000_u32, 0..4_000_u32), 1..200),
        offset in 0..131_072_u32,
        buffer in 1_024..200_000_usize,
    ) {
        // req: SHLD-14, R7323-4
        let mut config = TcpConfig::new();
        config.recv_buffer(buffer);
        let shift = config.window_shift();
        let mut half = RecvHalf::new(&config);
        half.start(SeqNum(0_u32.wrapping_sub(65_536).wrapping_add(offset)));
        half.announce(shift);
        let (mut unread, mut largest) = (0, half.adv);
        for (arriving, consumed) in steps {
            let taken = arriving.min(half.window());
            if taken > 0 {
                half.insert(half.nxt, pattern(0, taken), taken as usize);
            }
            while let Some(data) = half.fetch() {
                unread += data.len() as u32;
            }
            unread -= consumed.min(unread);
            half.set_unread(unread);
            let field = u32::from(half.announce(shift));
            let edge = half.nxt + (field << shift);
            prop_assert!(!edge.after(half.adv), "the true edge is tracked");
            if edge.before(largest) {
                prop_assert!(largest.distance_from(edge) < 1 << shift);
            }
            largest = largest.max(edge);
            prop_assert!(unread + half.window() <= buffer as u32, "no more than the buffer is promised");
        }
    }
}

/// Octets that fill the gaps of a stream from right to left, or from left to right, move the short run and not the long one.
#[test]
fn a_long_run_stays_where_it_is() {
    // req: SHLD-31
    for long_first in [true, false] {
        let pieces = |range: core::ops::Range<u32>| range.map(|at| text(at, 1)).collect::<VecDeque<_>>();
        let (front, back) =
            if long_first { (pieces(0..99), pieces(99..100)) } else { (pieces(0..1), pieces(1..100)) };
        let mut long = if long_first { front.clone() } else { back.clone() };
        let short = if long_first { back } else { front };
        long.reserve(8);
        let place = &raw const long[50];
        let all = if long_first { joined(long, short) } else { joined(short, long) };
        assert_eq!(all, pieces(0..100));
        assert_eq!(&raw const all[if long_first { 50 } else { 51 }], place);
    }
}

#[test]
fn nothing_is_held_behind_a_fin() {
    // req: S-TEXT-2
    let config = TcpConfig::new();
    let mut half = RecvHalf::new(&config);
    half.start(SeqNum(0));
    half.adv = half.nxt + 1_000;
    half.insert(half.nxt + 50, text(50, 10), 10);
    assert!(half.has_sack_blocks());
    half.fin = Some(half.nxt);
    assert!(half.take_fin());
    assert!(!half.has_sack_blocks());
    assert!(!half.take_fin(), "once");
}

#[test]
fn the_level_for_an_update_agrees_with_the_update() {
    // req: MUST-39
    for (buffer, mss) in [(4_096, 536), (4_096, 1_460), (65_535, 1_460), (1 << 20, 1_448), (1_024, 9_000)] {
        let mut config = TcpConfig::new();
        config.recv_buffer(buffer);
        let shift = config.window_shift();
        let mut half = RecvHalf::new(&config);
        half.start(SeqNum(u32::MAX - 5));
        half.mss = mss;
        half.announce(shift);
        // The peer fills the window, and the owner has fetched all of it.
        let window = half.window();
        half.insert(half.nxt, pattern(0, window), window as usize);
        while half.fetch().is_some() {}
        half.announce(shift);
        let level = half.update_below(shift).expect("an update is owed");
        assert!(level < window, "buffer {buffer}, MSS {mss}");
        half.set_unread(level + 1);
        assert!(!half.update_is_due(shift), "buffer {buffer}, MSS {mss}");
        half.set_unread(level);
        assert!(half.update_is_due(shift), "buffer {buffer}, MSS {mss}");
    }
}

/// A receiving half with a buffer of 64 KiB whose first window is announced.
fn announced() -> RecvHalf {
    let mut config = TcpConfig::new();
    config.recv_buffer(64 << 10);
    let mut half = RecvHalf::new(&config);
    half.start(SeqNum(u32::MAX - 5));
    half.mss = 1460;
    half.announce(0);
    half
}

#[test]
fn a_limit_keeps_the_window_shut_and_the_edge_in_place() {
    // req: SHLD-14
    let mut half = announced();
    let edge = half.adv;
    half.set_limit(8 << 10);
    half.announce(0);
    assert_eq!(half.adv, edge, "what was promised stays");
    assert_eq!(half.insert(half.nxt, pattern(0, 60_000), 60_000), Text::InOrder { filled: false });
    while half.fetch().is_some() {}
    half.set_unread(0);
    assert_eq!(half.announce(0), 8 << 10, "from here on it is the limit that counts");
    half.set_limit(u32::MAX);
    assert_eq!(half.announce(0), u16::MAX);
}

#[test]
fn two_segments_always_have_room() {
    // req: MUST-39
    let mut half = announced();
    half.set_limit(0);
    half.insert(half.nxt, pattern(0, 65_535), 65_535);
    while half.fetch().is_some() {}
    let level = half.update_below(0).expect("an update is owed");
    assert!(!half.update_is_due(0));
    half.set_unread(level);
    assert!(half.update_is_due(0));
    half.set_unread(0);
    assert_eq!(half.announce(0), 2 * 1460);
}

#[test]
fn what_came_out_of_order_can_be_given_up() {
    // req: R2018-6, SHLD-31
    let mut half = announced();
    half.insert(half.nxt + 100, text(100, 100), 100);
    half.insert(half.nxt + 100, text(100, 100), 100);
    assert!(half.out_of_order_memory() > 100);
    assert!(half.discard_out_of_order() && !half.discard_out_of_order());
    assert!(half.take_sack_blocks(4).is_empty(), "no block speaks of it");
    assert_eq!((half.out_of_order_memory(), half.highest()), (0, half.nxt));
    half.set_limit(0);
    assert_eq!(half.insert(half.nxt + 100, text(100, 100), 100), Text::OutOfOrder);
    assert!(!half.has_sack_blocks(), "nothing is kept");
    half.insert(half.nxt, text(0, 100), 100);
    half.insert(half.nxt, text(100, 100), 100);
    let mut got = Vec::new();
    while let Some(data) = half.fetch() {
        got.extend_from_slice(&data);
    }
    assert_eq!(&got[..], &pattern(0, 200)[..]);
    assert_eq!(half.consumed(), 0);
    half.set_unread(50);
    assert_eq!(half.consumed(), 150);
}

/// A gain that the scaled field cannot tell is no reason for an update, which would be due for ever: the level at which one is
/// lies where the field can.
// req: R7323-4, MUST-39
#[test]
fn an_update_is_due_only_where_the_field_can_tell_of_it() {
    let mut config = TcpConfig::new();
    config.recv_buffer(128 << 20);
    let shift = config.window_shift();
    assert_eq!(shift, 12, "steps of 4,096 octets, longer than a segment");
    let mut half = RecvHalf::new(&config);
    half.start(SeqNum(0));
    half.mss = 1460;
    half.set_limit(16 << 10);
    assert_eq!(half.announce(shift), 4);
    half.insert(SeqNum(1), text(1, 16 << 10), 16 << 10);
    while half.fetch().is_some() {}
    half.set_unread((16 << 10) - 2000);
    assert!(!half.update_is_due(shift), "2,000 octets are less than a step");
    let level = half.update_below(shift).expect("an update is owed");
    assert_eq!(level, (16 << 10) - 4096);
    half.set_unread(level);
    assert!(half.update_is_due(shift));
    assert_eq!(half.announce(shift), 1);
    assert!(!half.update_is_due(shift), "the peer has heard of it");
}
