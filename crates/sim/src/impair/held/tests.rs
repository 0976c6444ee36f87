use super::{Cause, Discipline, Dropped, Held, Item};
use crate::QueueLimit;
use crate::rng::SimRng;

const MS: u64 = 1_000_000;
/// A full packet on a line of 12 Mbit/s.
const SLOT: u64 = MS;

fn held(limit: QueueLimit, discipline: Discipline) -> Held {
    Held::new(limit, discipline, SLOT, SimRng::new(7, 9))
}

fn item(token: u32, flow: u64, came: u64) -> Item {
    Item { token, len: 1_500, flow, can_mark: false, marked: false, came }
}

/// Takes in a packet that finds the line busy.
fn push(held: &mut Held, now: u64, item: Item) -> Dropped {
    let mut dropped = Dropped::new();
    held.push(now, item, true, &mut dropped);
    dropped
}

#[test]
fn red_drops_as_often_as_its_average_says_and_spreads_it_out() {
    let red = Discipline::Red { min: 10_000, max: 30_000, probability: 0.1, ecn: false };
    let mut held = held(QueueLimit::Unbounded, red);
    // 20,000 bytes wait, by and by also on average: half of `probability`, evenly spread, is one in ten on average, the gap
    // uniform between one packet and twenty.
    for token in 0..14 {
        held.put(item(token, 0, 0));
    }
    let mut drops = Vec::new();
    for n in 0..200_000_u32 {
        let early = push(&mut held, 0, item(n, 0, 0));
        if early.is_empty() {
            held.next();
        } else if n > 20_000 {
            assert_eq!(early[0].1, Cause::Early);
            drops.push(n);
        }
    }
    let gaps: Vec<u32> = drops.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mean = gaps.iter().map(|&gap| f64::from(gap)).sum::<f64>() / gaps.len() as f64;
    // share = 0.1 * (21,000 - 10,000) / 20,000, and a gap uniform up to its inverse.
    let expected = (1.0 / 0.055 + 1.0) / 2.0;
    assert!((mean / expected - 1.0).abs() < 0.05, "{mean}, expected {expected}");
    assert!(gaps.iter().all(|&gap| gap <= 19), "{:?}", gaps.iter().max());
}

#[test]
fn red_leaves_a_short_queue_alone_and_drops_all_of_a_very_long_one() {
    let red = Discipline::Red { min: 10_000, max: 30_000, probability: 0.1, ecn: true };
    let mut short = held(QueueLimit::Unbounded, red);
    for n in 0..10_000 {
        assert!(push(&mut short, u64::from(n) * MS, item(n, 0, 0)).is_empty());
        short.next();
    }
    let mut long = held(QueueLimit::Unbounded, red);
    for token in 0..200 {
        long.put(item(token, 0, 0));
    }
    let marks = |n: u32| Item { can_mark: true, ..item(n, 0, 0) };
    let dropped: usize = (0..10_000).map(|n| push(&mut long, 0, marks(n)).len()).sum();
    // Marks below `max`, drops above it; all of them above twice `max`.
    assert!(dropped > 9_000, "{dropped}");
    assert!((0..100).all(|n| push(&mut long, 0, marks(n)).len() == 1));
}

/// Fills a queue to `packets` and lets one leave each slot as another comes; gives what was dropped or marked, and when.
fn stand(held: &mut Held, packets: u32, slots: u64, can_mark: bool) -> Vec<u64> {
    let fresh = |n: u64| Item { can_mark, ..item(n as u32, 0, n * SLOT) };
    let mut hit = Vec::new();
    for _ in 0..packets {
        assert!(push(held, 0, fresh(0)).is_empty());
    }
    for n in 1..=slots {
        let mut dropped = Dropped::new();
        let left = held.pop(n * SLOT, &mut dropped).unwrap();
        hit.extend(dropped.iter().map(|_| n));
        hit.extend(left.marked.then_some(n));
        // As many come as went, so that the queue stands.
        for _ in 0..=dropped.len() {
            assert!(push(held, n * SLOT, fresh(n)).is_empty());
        }
    }
    hit
}

#[test]
fn codel_begins_after_an_interval_and_drops_ever_faster() {
    for can_mark in [false, true] {
        let mut held = held(QueueLimit::Unbounded, Discipline::CODEL);
        // 20 ms of packets.
        let hit = stand(&mut held, 20, 1_000, can_mark);
        // The wait is above 5 ms from the 5th slot on, and 100 ms later the first is hit.
        assert_eq!(hit[0], 105, "{hit:?}");
        // RFC 8289 5.4: the next after 100 ms / sqrt(count).
        let gaps: Vec<u64> = hit.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps[0], 100);
        assert!((70..=72).contains(&gaps[1]), "{gaps:?}");
        assert!(gaps.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{gaps:?}");
        assert!(hit.len() > 15, "{hit:?}");
    }
}

#[test]
fn codel_leaves_a_burst_alone_that_drains_in_time() {
    let mut held = held(QueueLimit::Unbounded, Discipline::CODEL);
    for n in 0..80 {
        assert!(push(&mut held, 0, item(n, 0, 0)).is_empty());
    }
    let mut dropped = Dropped::new();
    for n in 1..=80 {
        assert_eq!(held.pop(n * SLOT, &mut dropped).map(|item| item.token), Some(n as u32 - 1));
    }
    assert!(dropped.is_empty() && held.depth() == (0, 0));
}

#[test]
fn fair_queueing_serves_flows_in_turn_by_bytes() {
    let mut held = held(QueueLimit::Unbounded, Discipline::Fair { quantum: 1_500 });
    // Flow 1 has waited with 30 full packets when flow 2 comes with 30 of a third the size.
    for n in 0..30 {
        held.put(item(n, 1, 0));
    }
    for n in 30..60 {
        held.put(Item { len: 500, ..item(n, 2, 0) });
    }
    let mut bytes = [0; 2];
    let mut dropped = Dropped::new();
    for _ in 0..40 {
        let item = held.pop(0, &mut dropped).unwrap();
        bytes[item.flow as usize - 1] += item.len;
    }
    assert_eq!(bytes, [15_000, 15_000]);
    // In order within each flow.
    let rest: Vec<u32> = std::iter::from_fn(|| held.pop(0, &mut dropped)).map(|item| item.token).collect();
    assert_eq!(rest, (10..30).collect::<Vec<_>>());
}

#[test]
fn fair_queueing_takes_room_from_the_flow_that_has_most() {
    let mut held = held(QueueLimit::Packets(10), Discipline::FAIR);
    for n in 0..10 {
        assert!(push(&mut held, 0, item(n, 1, 0)).is_empty());
    }
    for n in 10..15 {
        let dropped = push(&mut held, 0, item(n, 2, 0));
        assert_eq!(dropped.len(), 1);
        assert_eq!((dropped[0].0.flow, dropped[0].1), (1, Cause::Full));
    }
    assert_eq!(held.depth(), (15_000, 10));
    // Five each: the flow whose packet comes may lose one as well.
    assert_eq!(push(&mut held, 0, item(15, 2, 0)).len(), 1);
    assert_eq!(held.depth(), (15_000, 10));
}

#[test]
fn what_waits_is_kept_when_the_discipline_changes() {
    let mut old = held(QueueLimit::Unbounded, Discipline::FAIR);
    for n in 0..6 {
        old.put(item(n, u64::from(n % 2), 0));
    }
    let mut new = held(QueueLimit::Packets(2), Discipline::CODEL);
    new.take_over(old);
    assert_eq!(new.depth(), (9_000, 6));
}
