use proptest::prelude::*;

use super::*;

#[test]
fn order_goes_through_the_wrap() {
    let last = SeqNum(u32::MAX);
    let zero = SeqNum(0);
    assert!(last.before(zero) && zero.after(last));
    assert!(!last.after(zero) && !zero.before(last));
    assert_eq!(last + 1, zero);
    assert_eq!(zero - 1, last);
    assert_eq!(zero.distance_from(last), 1);
    assert_eq!(last.max(zero), zero);
    assert_eq!(last.min(zero), last);
}

#[test]
fn a_number_is_neither_before_nor_after_itself() {
    let seq = SeqNum(9);
    assert!(!seq.before(seq) && !seq.after(seq));
    assert!(seq.before_eq(seq) && seq.after_eq(seq));
}

#[test]
fn a_window_is_half_open_and_may_span_the_wrap() {
    let left = SeqNum(u32::MAX - 1);
    assert!(left.in_window(left, 4));
    assert!((left + 3).in_window(left, 4));
    assert!(!(left + 4).in_window(left, 4));
    assert!(!(left - 1).in_window(left, 4));
    assert!(!left.in_window(left, 0), "an empty window holds nothing");
}

#[test]
fn a_later_number_is_not_before_and_counting_goes_through_the_wrap() {
    let mut seq = SeqNum(u32::MAX);
    assert!(!(seq + 1).before_eq(seq) && !(seq - 1).after_eq(seq));
    seq += 3;
    assert_eq!(seq, SeqNum(2));
}

proptest! {
    #[test]
    fn order_holds_below_half_the_circle(start: u32, ahead in 1u32..0x8000_0000) {
        let start = SeqNum(start);
        let later = start + ahead;
        prop_assert!(start.before(later) && later.after(start));
        prop_assert!(start.before_eq(later) && !start.after_eq(later));
        prop_assert_eq!(later.distance_from(start), ahead);
        prop_assert_eq!(start.max(later), later);
        prop_assert_eq!(later.min(start), start);
        prop_assert_eq!(later - ahead, start);
    }
}
