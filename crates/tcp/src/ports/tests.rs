//! Every free port is found, whatever the range and the past.

use std::collections::HashSet;
use std::net::IpAddr;

use proptest::prelude::*;

use super::PortAllocator;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_walk_asks_for_each_port_once(
        key in any::<[u8; 16]>(),
        first in 1_u16..,
        size in 0..3_000_u16,
        past in 0..70_000_u32,
    ) {
        // req: R6056-2, R6056-3
        let range = first..=first.saturating_add(size);
        let local: IpAddr = [192, 0, 2, 1].into();
        let remote = ([198, 51, 100, 1], 80).into();
        let mut ports = PortAllocator::new(key, range.clone());
        for _ in 0..past {
            prop_assert!(ports.pick(local, remote, |_| false).is_some_and(|port| range.contains(&port)));
        }
        let mut asked = Vec::new();
        let none = ports.pick(local, remote, |port| {
            asked.push(port);
            true
        });
        prop_assert_eq!(none, None, "all are in use");
        prop_assert_eq!(asked.len(), range.len());
        prop_assert_eq!(asked.into_iter().collect::<HashSet<_>>(), range.collect::<HashSet<_>>());
    }
}

#[test]
fn walks_at_the_same_time_each_meet_every_port() {
    // req: R6056-3
    let mut ports = PortAllocator::new([5; 16], 7_000..=7_009);
    let walk = |ports: &PortAllocator| ports.walk([192, 0, 2, 1].into(), ([198, 51, 100, 1], 80).into());
    let (mut one, mut other) = (walk(&ports), walk(&ports));
    let met: HashSet<_> = one.by_ref().take(4).collect();
    ports.stop(&one);
    assert_eq!(other.by_ref().collect::<HashSet<_>>().len(), 10);
    ports.stop(&other);
    assert_eq!(met.into_iter().chain(one).collect::<HashSet<_>>().len(), 10);
    assert!(
        walk(&ports).zip(walk(&ports)).all(|(a, b)| a == b),
        "the next goes on where the last has stopped"
    );
}

#[test]
fn a_port_is_not_chosen_again_soon() {
    // req: R6056-1
    let mut ports = PortAllocator::new([5; 16], PortAllocator::DYNAMIC);
    let picked: HashSet<_> = (0..16_384)
        .map(|_| ports.pick([192, 0, 2, 1].into(), ([198, 51, 100, 1], 80).into(), |_| false))
        .collect();
    assert_eq!(picked.len(), 16_384, "the whole range comes before a repetition");
}

/// The walk goes on where the last one has stopped, however often it has been around: none comes again before all others have.
#[test]
fn any_range_comes_whole_before_a_repetition() {
    // req: R6056-1
    for count in [10_u16, 1_000] {
        let mut ports = PortAllocator::new([5; 16], 7_000..=6_999 + count);
        let picked: Vec<_> = (0..70_000)
            .map(|_| ports.pick([192, 0, 2, 1].into(), ([198, 51, 100, 1], 80).into(), |_| false))
            .collect();
        let (first, others) = picked.split_at(usize::from(count));
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), first.len());
        assert!(others.iter().zip(&picked).all(|(port, before)| port == before), "{count} ports");
    }
}
