use std::time::Duration;

use crate::heap::{Pair, PairConfig, Requester, Responder};

#[test]
fn each_request_is_answered_and_the_connection_closes_after_the_last() {
    let mut config = PairConfig::new(1);
    config.a_to_b.delay(Duration::from_millis(5));
    config.b_to_a.delay(Duration::from_millis(5));
    let requester = Requester::new(5, 300, 100_000, Duration::from_millis(1));
    let mut pair = Pair::new(config, requester, Responder::new(300, 100_000), ());
    pair.run();
    assert_eq!(pair.app_a().received(), 500_000);
    let latencies = pair.app_a().latencies();
    assert_eq!(latencies.len(), 5);
    assert!(latencies.iter().all(|latency| *latency >= Duration::from_millis(10)));
    // The window has grown: the last response takes fewer round trips than the first.
    assert!(latencies[4] < latencies[0], "{latencies:?}");
}
