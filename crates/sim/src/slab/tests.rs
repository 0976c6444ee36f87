use super::Slab;

#[test]
fn slots_are_used_again() {
    let mut slab = Slab::new();
    for round in 0..1_000 {
        let (first, second) = (slab.insert(round), slab.insert(round + 1));
        assert_eq!((slab.take(second), slab.take(first)), (Some(round + 1), Some(round)));
    }
    assert_eq!(slab.slots.len(), 2);
    assert_eq!((slab.take(0), slab.take(7)), (None, None));
}
