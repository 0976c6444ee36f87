use super::percentile;

#[test]
fn percentiles_are_of_nearest_rank() {
    let mut values: Vec<u32> = (1..=1000).rev().collect();
    assert_eq!(percentile(&mut values, 50.0), Some(500));
    assert_eq!(percentile(&mut values, 99.0), Some(990));
    assert_eq!(percentile(&mut values, 99.9), Some(999));
    assert_eq!(percentile(&mut values, 0.0), Some(1));
    assert_eq!(percentile(&mut [7, 3], 50.0), Some(3));
    assert_eq!(percentile::<u32>(&mut [], 50.0), None);
}
