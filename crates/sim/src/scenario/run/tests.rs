use std::sync::Arc;
use std::time::Duration;

use netstack_tcp::TcpConfig;

use crate::LinkConfig;
use crate::heap::{EndId, Pick, Side, Victim};
use crate::scenario::{FlowPlan, Load, PAYLOAD, Scenario};

const MS: Duration = Duration::from_millis(1);
const SENDER: EndId = EndId { flow: 0, side: Side::A };

fn scenario(flows: usize) -> Scenario {
    let mut scenario = Scenario::new(10_000_000, 40 * MS, 4.0);
    scenario.flows = vec![FlowPlan::bulk(&Arc::new(TcpConfig::new())); flows];
    scenario.duration = Duration::from_secs(4);
    scenario
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let mut scenario = scenario(3);
    scenario.bottleneck.loss(0.01);
    assert_eq!(scenario.run(1).trace, scenario.run(1).trace);
    assert_ne!(scenario.run(1).trace, scenario.run(2).trace);
}

#[test]
fn flows_share_one_bottleneck_and_together_carry_no_more_than_it() {
    let scenario = scenario(3);
    let outcome = scenario.run(1);
    let shares: Vec<_> = (0..3).map(|flow| outcome.share(flow, MS, scenario.duration)).collect();
    assert!(shares.iter().all(|share| *share > 0.05), "{shares:?}");
    let sum = shares.iter().sum::<f64>();
    assert!((0.8..=1.0).contains(&sum), "{shares:?}");
    assert!(outcome.flows.iter().all(|flow| flow.intact));
}

#[test]
fn the_ledger_holds_exactly_what_the_link_lost() {
    let mut scenario = scenario(1);
    scenario.flows[0].load = Load::Bytes(2_000_000);
    scenario.duration = Duration::from_secs(60);
    scenario.bottleneck.loss(0.02);
    let outcome = scenario.run(1);
    let (flow, link) = (&outcome.flows[0], outcome.bottleneck);
    assert!(link.lost > 10);
    assert_eq!(flow.delivered, 2_000_000);
    // All packets but the last of the stream are full.
    let packets = link.lost + link.queue_full;
    assert!(((packets - 1) * PAYLOAD..=packets * PAYLOAD).contains(&flow.lost), "{} of {packets}", flow.lost);
    assert_eq!(flow.sent, flow.resent + 2_000_000);
    assert!(flow.resent >= flow.lost);
}

#[test]
fn a_round_trip_over_an_idle_path_is_measured_to_the_nanosecond() {
    let mut scenario = scenario(1);
    scenario.flows[0].load = Load::Bytes(PAYLOAD);
    let outcome = scenario.run(1);
    // 1,500 bytes at 10 Mbit/s take 1.2 ms; the ACK takes no time.
    assert_eq!(outcome.flows[0].rtts.iter().map(|rtt| rtt.1).collect::<Vec<_>>(), [40 * MS + 12 * MS / 10]);
}

#[test]
fn exchanges_follow_each_other_and_each_takes_its_round_trip() {
    let mut scenario = scenario(1);
    scenario.flows[0].load = Load::Exchange { count: 3, request: 100, response: 1_000, pause: 10 * MS };
    let outcome = scenario.run(1);
    assert_eq!(outcome.flows[0].latencies.len(), 3);
    for latency in &outcome.flows[0].latencies {
        assert!((40 * MS..42 * MS).contains(latency), "{latency:?}");
    }
}

#[test]
fn a_picked_segment_is_lost_once_and_a_picked_ack_too() {
    let mut scenario = scenario(1);
    scenario.flows[0].load = Load::Exchange { count: 1, request: 1, response: 20 * 1448, pause: 1000 * MS };
    let clean = scenario.run(1);
    assert_eq!((clean.lost(), clean.resent()), (0, 0));

    scenario.victims = vec![Victim::new(SENDER, Pick::Data(20))];
    let tail = scenario.run(1);
    assert_eq!((tail.lost(), tail.resent()), (PAYLOAD, PAYLOAD));
    assert!(tail.flows[0].latencies[0] > clean.flows[0].latencies[0]);

    // The ACK of the last segment: the response is there in time, and is resent all the same.
    scenario.victims = vec![Victim::new(SENDER.other(), Pick::Ack(20 * 1448))];
    let ack = scenario.run(1);
    assert_eq!(ack.lost(), 0);
    assert_eq!(ack.resent(), PAYLOAD);
    assert_eq!(ack.flows[0].latencies, clean.flows[0].latencies);
}

#[test]
fn an_access_link_adds_its_delay_to_its_own_flow_only() {
    let mut scenario = scenario(2);
    let mut access = LinkConfig::new();
    access.delay(30 * MS);
    scenario.flows[1].access = Some(access);
    for flow in &mut scenario.flows {
        flow.load = Load::Bytes(PAYLOAD);
    }
    let outcome = scenario.run(1);
    let rtt = |flow: usize| outcome.flows[flow].rtts[0].1;
    assert!((40 * MS..43 * MS).contains(&rtt(0)), "{:?}", rtt(0));
    assert!((70 * MS..73 * MS).contains(&rtt(1)), "{:?}", rtt(1));
}

#[test]
fn a_connection_with_a_coarse_clock_sees_steps_and_still_delivers() {
    for tick in [Duration::from_micros(1), MS, Duration::from_micros(15_600)] {
        let mut scenario = scenario(1);
        scenario.flows[0].load = Load::Bytes(500_000);
        scenario.tick = tick;
        let outcome = scenario.run(1);
        assert_eq!(outcome.flows[0].delivered, 500_000, "{tick:?}");
        let srtt = outcome.flows[0].samples.iter().find_map(|sample| sample.srtt).unwrap();
        assert!(srtt.as_nanos().is_multiple_of(tick.as_nanos()), "a first sample of {srtt:?} at {tick:?}");
    }
}
