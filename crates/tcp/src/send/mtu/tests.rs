//! The search on its own, against a path that takes so much and no more.

use proptest::prelude::*;

use super::*;
use crate::send::rate::DeliveryRate;

const RAISE: Duration = Duration::from_secs(600);

fn at(secs: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(secs)
}

fn bounds(most: u16) -> Bounds {
    Bounds { mtu: most, most, floor: ReportFloor::new(false, 552), raise: RAISE }
}

/// Sends each probe that is due, second by second, over a path that takes `takes`: when each left, and its size.
fn probe(path: &mut PathMtu, seconds: core::ops::Range<u64>, takes: u16) -> Vec<(u64, u16)> {
    let mut sent = Vec::new();
    for second in seconds {
        while let Some(size) = path.wanted(at(second)) {
            let state = DeliveryRate::default().on_send(at(second), 0, u32::from(size));
            path.on_probe_sent(SeqNum(1), SeqNum(1) + u32::from(size), size, state);
            assert_eq!(path.wanted(at(second)), None, "one at a time");
            if size <= takes {
                path.on_probe_delivered(at(second))
            } else {
                path.on_probe_lost(at(second))
            }
            sent.push((second, size));
        }
    }
    sent
}

/// Full segments of `most` octets vanished, smaller ones get through.
fn black_hole(most: u16) -> PathMtu {
    let mut path = PathMtu::default();
    assert!(path.fall_back(at(0), u32::from(most), &bounds(most)));
    assert_eq!(path.wanted(at(0)), None, "not before anything gets through");
    path.on_progress();
    path
}

proptest! {
    /// The size that was given up is tried once, then the steps; none that is lost three times, none beyond the link. Once the
    /// path takes as much as the link it is found out, wherever the search had ended.
    #[test]
    fn a_search_ends_at_the_largest_step_that_the_path_takes_and_begins_again(
        most in 1201..=9_000_u16,
        takes in 1_200..=9_100_u16,
    ) {
        // req: R4821-2, R8899-3, R8899-5
        let mut path = black_hole(most);
        let sent = probe(&mut path, 0..200, takes);
        prop_assert_eq!(sent[0], (0, most), "it may have been a burst of losses");
        let steps = || SIZES.into_iter().chain([1200]).filter(|size| *size < most);
        let best = if takes >= most { most } else { steps().filter(|size| *size <= takes).max().unwrap() };
        prop_assert_eq!(path.mtu(), Some(best));
        prop_assert_eq!(path.take_news(), (best > 1200).then_some(PathNews::Raised(best)).or(Some(PathNews::Lowered(1200))));
        prop_assert!(sent.iter().all(|(_, size)| *size <= most), "{sent:?}");
        prop_assert_eq!(sent.iter().filter(|(_, size)| *size == most).count(), 1, "{:?}", sent);
        let lost = |size: u16| sent.iter().filter(|(_, other)| *other == size).count();
        prop_assert!(sent.iter().all(|(_, size)| *size <= takes || lost(*size) <= 3), "{sent:?}");

        let again = probe(&mut path, 200..1_000, u16::MAX);
        prop_assert_eq!(path.mtu(), Some(most), "{:?}", again);
        prop_assert_eq!(again.len(), usize::from(best < most), "at once in full size: {:?}", again);
    }
}

#[test]
fn the_estimate_falls_below_what_vanished_and_not_below_the_bases() {
    // req: R4821-1
    for (packet, base) in
        [(1_500, Some(1_200)), (1_201, Some(1_200)), (1_200, Some(576)), (577, Some(576)), (576, None)]
    {
        let mut path = PathMtu::default();
        assert_eq!(path.fall_back(at(0), packet, &bounds(1_500)), base.is_some());
        assert_eq!(path.mtu(), base, "{packet}");
    }
}

#[test]
fn a_size_that_arrived_is_followed_by_the_next_at_once_and_one_that_was_lost_by_another_try_after_15_s() {
    // req: R8899-3, R8899-5
    let mut path = black_hole(9_000);
    let sent = probe(&mut path, 0..100, 1_400);
    let steps = [(15, 1_280), (15, 1_340), (15, 1_380), (15, 1_400), (15, 1_420), (30, 1_420), (45, 1_420)];
    assert_eq!(sent[0], (0, 9_000));
    assert_eq!(sent[1..], steps);
    // The last was lost at 45 s.
    assert_eq!(probe(&mut path, 100..700, 1_400)[0], (645, 9_000));
}

#[test]
fn after_a_report_the_first_probe_waits_and_steps_keep_a_minute_apart() {
    // req: R1191-5, R8201-4
    let mut path = PathMtu::default();
    path.lower(at(0), 1_400, &bounds(1_500), true);
    assert_eq!(path.take_news(), Some(PathNews::Lowered(1_400)), "for others");
    assert_eq!(path.take_news(), None, "once");
    let sent = probe(&mut path, 0..1_000, 1_460);
    let expected = [
        (600, 1_500),
        (615, 1_500),
        (630, 1_500),
        (645, 1_420),
        (705, 1_440),
        (765, 1_460),
        (825, 1_480),
        (840, 1_480),
        (855, 1_480),
    ];
    assert_eq!(sent, expected);
    assert_eq!(path.take_news(), Some(PathNews::Raised(1_460)));
}

#[test]
fn where_no_step_lies_below_the_link_the_search_begins_again_all_the_same() {
    // req: R8899-5
    let mut path = PathMtu::default();
    path.lower(at(0), 1_492, &bounds(1_500), false);
    assert_eq!(path.take_news(), None, "others said it");
    assert_eq!(probe(&mut path, 0..1_200, 1_492), [(600, 1_500), (615, 1_500), (630, 1_500)]);
    assert_eq!(probe(&mut path, 1_200..1_300, 1_500), [(1_230, 1_500)]);
}

#[test]
fn a_router_that_refuses_a_probe_bounds_this_search_and_not_the_next() {
    // req: R8899-2, R8201-4
    let mut path = PathMtu::default();
    path.lower(at(0), 1_400, &bounds(1_500), false);
    let state = DeliveryRate::default().on_send(at(600), 0, 1_500);
    path.on_probe_sent(SeqNum(1), SeqNum(1_461), 1_500, state);
    path.on_probe_refused(at(600), 1_430);
    assert_eq!(probe(&mut path, 600..1_250, 1_430), [(600, 1_420), (660, 1_430)]);
    assert_eq!(probe(&mut path, 1_250..1_270, 1_500), [(1_260, 1_500)]);
}

#[test]
fn what_gets_through_for_others_raises_the_estimate_as_far_as_the_link_goes() {
    // req: R8201-6
    let mut path = PathMtu::default();
    path.raise(at(0), 9_000);
    assert_eq!(path.mtu(), None, "nothing is known to be less");
    path.lower(at(0), 1_300, &bounds(1_500), false);
    for (told, estimate) in [(1_400, 1_400), (1_350, 1_400), (9_000, 1_500)] {
        path.raise(at(1), told);
        assert_eq!(path.mtu(), Some(estimate), "{told}");
    }
}
