use netstack_tcp::Instant;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::EventHeap;

#[test]
fn items_come_out_by_time_and_then_by_order_of_insertion() {
    let mut heap = EventHeap::new();
    for (at, name) in [(30, "d"), (10, "a"), (20, "b"), (20, "c"), (30, "e")] {
        heap.push(Instant::from_nanos(at), name);
    }
    assert_eq!(heap.next_at(), Some(Instant::from_nanos(10)));
    let mut order = Vec::new();
    while let Some((_, name)) = heap.pop_due(Instant::from_nanos(30)) {
        order.push(name);
    }
    assert_eq!(order, ["a", "b", "c", "d", "e"]);
}

#[test]
fn nothing_comes_out_before_it_is_due() {
    let mut heap = EventHeap::new();
    heap.push(Instant::from_nanos(10), ());
    assert!(heap.pop_due(Instant::from_nanos(9)).is_none());
    assert!(heap.pop_due(Instant::from_nanos(10)).is_some());
    assert_eq!(heap.next_at(), None);
}

proptest! {
    /// Lanes make a difference to the cost alone.
    #[test]
    fn what_lies_in_a_lane_comes_out_in_its_turn(
        steps in vec((of(0..3_usize), 0..50_u64, 0..4_u64), 0..200),
    ) {
        let mut heap = EventHeap::new();
        let mut expected: Vec<(u64, usize)> = Vec::new();
        let mut now = 0;
        for (number, (lane, after, passed)) in steps.into_iter().enumerate() {
            let at = Instant::from_nanos(now + after);
            match lane {
                Some(lane) => heap.push_behind(lane, at, number),
                None => heap.push(at, number),
            }
            expected.push((now + after, number));
            prop_assert_eq!(heap.len(), expected.len());
            now += passed;
            expected.sort_unstable();
            while let Some((at, item)) = heap.pop_due(Instant::from_nanos(now)) {
                prop_assert_eq!((at.as_nanos(), item), expected.remove(0));
            }
            prop_assert_eq!(heap.next_at().map(Instant::as_nanos), expected.first().map(|&(at, _)| at));
            prop_assert!(expected.first().is_none_or(|&(at, _)| at > now));
        }
    }
}
