use std::time::Duration;

use netstack_tcp::Instant;

use super::{FlowConfig, Network, NetworkConfig};
use crate::heap::{EndId, PairConfig, Receiver, Sender, Side};
use crate::{Discipline, LinkConfig, QueueLimit};

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

/// Bytes that two bulk flows get through a shared line of 10 Mbit/s in 20 s, the second over a path ten times as long.
fn shares(discipline: Discipline) -> [u64; 2] {
    let ends = PairConfig::new(1);
    let [mut back, mut line, mut detour] = [(); 3].map(|()| LinkConfig::new());
    back.delay(Duration::from_millis(10));
    line.rate(10_000_000).queue(QueueLimit::Packets(60)).discipline(discipline);
    detour.delay(Duration::from_millis(90));
    let flow = |a_to_b| FlowConfig { a: ends.a.clone(), b: ends.b.clone(), a_to_b, b_to_a: vec![0] };
    let config = NetworkConfig {
        seed: 1,
        links: vec![back, line, detour],
        flows: vec![flow(vec![1]), flow(vec![2, 1])],
        victims: Vec::new(),
    };
    let apps = (0..2).map(|_| (Sender::endless(), Receiver::checking())).collect();
    let mut network = Network::new(config, apps, ());
    network.run_until(Instant::from_duration(Duration::from_secs(20)));
    assert!((0..2).all(|flow| network.app_b(flow).is_intact()));
    [0, 1].map(|flow| network.app_b(flow).received())
}

#[test]
fn a_fair_queue_gives_a_long_path_as_much_as_a_short_one_where_drop_tail_does_not() {
    let ratio = |[short, long]: [u64; 2]| long as f64 / short as f64;
    let (fair, drop_tail) = (shares(Discipline::FAIR), shares(Discipline::DropTail));
    assert!((0.75..1.1).contains(&ratio(fair)), "{fair:?}");
    assert!(ratio(drop_tail) < ratio(fair), "{drop_tail:?}");
    // And the line is used: 25 MB would be all of it.
    assert!(fair[0] + fair[1] > 22_000_000, "{fair:?}");
}
