//! The reordering window on its own.

use core::time::Duration;

use netstack_wire::SeqNum;

use super::Rack;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn the_window_grows_by_a_quarter_for_each_round_trip_up_to_the_smoothed_one() {
    // req: R8985-8, R8985-9
    let mut rack = Rack::new();
    let window = |rack: &Rack| rack.window(false, 0, ms(100), ms(110));
    // Three duplicates of one round trip are one.
    for una in [1, 2, 3] {
        rack.on_dsack(SeqNum(una), SeqNum(100));
    }
    assert_eq!(window(&rack), ms(50));
    for round in 1..=8 {
        rack.on_dsack(SeqNum(round * 100), SeqNum(round * 100 + 100));
    }
    assert_eq!(window(&rack), ms(110));
}

#[test]
fn where_the_clock_is_too_coarse_for_the_path_the_smoothed_round_trip_stands_in() {
    // req: R8985-8
    let mut rack = Rack::new();
    let window = |rack: &Rack, srtt| rack.window(false, 0, Duration::from_nanos(1), srtt);
    assert_eq!(window(&rack, ms(40)), ms(10), "a quarter");
    assert_eq!(window(&rack, Duration::from_nanos(1)), ms(1), "of nothing at all a millisecond");
    rack.on_dsack(SeqNum(1), SeqNum(100));
    assert_eq!(window(&rack, ms(40)), ms(20), "reported duplicates widen it as any other");
}

#[test]
fn reordering_is_known_once_a_duplicate_was_reported() {
    // req: R8985-9
    let mut rack = Rack::new();
    assert!(!rack.is_reordering_seen());
    rack.on_dsack(SeqNum(1), SeqNum(100));
    assert!(rack.is_reordering_seen());
}
