use std::time::Duration;

use netstack_tcp::Instant;

use super::{FlowConfig, Network, NetworkConfig};
use crate::LinkConfig;
use crate::heap::{EndId, PairConfig, Receiver, Sender, Side};

/// `flows` flows over the links of `routes`, whose delays are in milliseconds.
fn network(delays: &[u64], a_to_b: &[usize], flows: usize) -> Network<Sender, Receiver, ()> {
    let ends = PairConfig::new(1);
    let link = |&delay: &u64| {
        let mut link = LinkConfig::new();
        link.delay(Duration::from_millis(delay));
        link
    };
    let flow = FlowConfig { a: ends.a, b: ends.b, a_to_b: a_to_b.to_vec(), b_to_a: vec![0] };
    let config = NetworkConfig {
        seed: 1,
        links: delays.iter().map(link).collect(),
        flows: vec![flow; flows],
        victims: Vec::new(),
    };
    Network::new(config, (0..flows).map(|_| (Sender::new(10_000), Receiver::new())).collect(), ())
}

#[test]
fn a_packet_crosses_every_link_of_its_route_in_order() {
    let mut network = network(&[5, 7, 11], &[2, 1], 1);
    // The SYN-ACK leaves when the SYN has crossed both links.
    while network.endpoint(EndId { flow: 0, side: Side::B }).state().is_none() {
        network.step();
    }
    assert_eq!(network.now(), Instant::from_nanos(18_000_000));
    network.run();
    assert_eq!(network.app_b(0).received(), 10_000);
    assert_eq!(network.link_stats(1).delivered, network.link_stats(2).delivered);
}

#[test]
fn flows_do_not_mix() {
    let mut network = network(&[5, 7], &[1], 4);
    network.run();
    for flow in 0..4 {
        assert_eq!(network.app_b(flow).received(), 10_000);
    }
    assert_eq!(network.in_flight(), 0);
}

#[test]
#[should_panic(expected = "flow 0 has a route over [3] of 2 links")]
fn a_route_over_a_link_that_there_is_not_is_refused() {
    network(&[1, 1], &[3], 1);
}
