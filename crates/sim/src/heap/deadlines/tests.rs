use netstack_tcp::Instant;

use super::Deadlines;
use crate::SimRng;

fn at(nanos: u64) -> Option<Instant> {
    Some(Instant::from_nanos(nanos))
}

#[test]
fn the_first_of_several_is_known_and_ties_go_to_the_lowest_end() {
    let mut deadlines = Deadlines::new(3);
    assert_eq!(deadlines.first(), None);
    deadlines.set(2, at(7));
    assert_eq!((deadlines.first(), deadlines.first_end()), (at(7), 2));
    deadlines.set(1, at(7));
    assert_eq!((deadlines.first(), deadlines.first_end()), (at(7), 1));
    deadlines.set(1, None);
    deadlines.set(2, at(9));
    assert_eq!((deadlines.first(), deadlines.first_end()), (at(9), 2));
    deadlines.set(2, None);
    assert_eq!(deadlines.first(), None);
}

#[test]
fn any_order_of_changes_gives_what_a_scan_gives() {
    let mut rng = SimRng::new(1, 0);
    for ends in [1, 2, 5, 20] {
        let mut deadlines = Deadlines::new(ends);
        let mut plain = vec![None; ends];
        for _ in 0..10_000 {
            let end = rng.below(ends as u64) as usize;
            plain[end] = if rng.one_in(4) { None } else { at(rng.below(50)) };
            deadlines.set(end, plain[end]);
            let first = plain.iter().flatten().min().copied();
            assert_eq!(deadlines.first(), first);
            if first.is_some() {
                assert_eq!(plain.iter().position(|at| *at == first), Some(deadlines.first_end()));
            }
        }
    }
}
