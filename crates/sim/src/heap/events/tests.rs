use netstack_tcp::Instant;

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
