use super::*;

#[test]
fn the_median_is_the_middle_one_of_the_sorted_figures() {
    let spread = Spread::of(&[3.0, 1.0, 2.0, 9.0, 2.5]);
    assert_eq!(spread, Some(Spread { median: 2.5, least: 1.0, greatest: 9.0 }));
    assert_eq!(Spread::of(&[]), None);
}

#[test]
fn a_spread_is_shown_with_the_precision_asked_for() {
    let spread = Spread { median: 2.54, least: 1.0, greatest: 9.0 };
    assert_eq!(format!("{spread:.1}"), "2.5 (1.0 to 9.0)");
}
