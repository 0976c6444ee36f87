//! Limits of the timeout.

use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn limits_longer_than_any_clock_are_no_limits() {
    // req: R6298-9
    let mut config = TcpConfig::new();
    config.initial_rto(Duration::MAX).max_rto(Duration::MAX);
    let mut rtt = RttEstimator::new(&config);
    let year = Duration::from_secs(365 * 24 * 3_600);
    assert!(rtt.rto(&config) > year);
    rtt.sample(ms(100), &config);
    assert_eq!(rtt.rto(&config), ms(300), "SRTT and four times RTTVAR");
    for _ in 0..40 {
        rtt.back_off();
    }
    assert!(rtt.rto(&config) > year);
}

#[test]
fn of_limits_that_contradict_each_other_the_largest_timeout_counts() {
    // req: R6298-5
    let mut config = TcpConfig::new();
    config.min_rto(Duration::from_secs(300)).max_rto(Duration::from_secs(60));
    let mut rtt = RttEstimator::new(&config);
    rtt.sample(ms(100), &config);
    assert_eq!(rtt.rto(&config), Duration::from_secs(60));
}
