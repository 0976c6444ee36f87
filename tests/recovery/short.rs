//! The end of a response, where no later data tells that something is missing.

use std::sync::Arc;
use std::time::Duration;

use netstack_sim::heap::{EndId, Pick, Side, Victim};
use netstack_sim::scenario::{FlowPlan, Load, Outcome, PAYLOAD, Scenario};
use netstack_tcp::congestion::CongestionControl;

use crate::path::{CONTROLLERS, MS, SECOND, tcp};

const SENDER: EndId = EndId { flow: 0, side: Side::A };
const SEGMENTS: u64 = 20;

/// Two responses of 20 segments each over 50 ms, with one packet lost.
fn responses(control: &CongestionControl, victim: Option<Victim>) -> Outcome {
    let mut scenario = Scenario::new(100_000_000, 50 * MS, 1.0);
    let response = (SEGMENTS * PAYLOAD) as usize;
    let load = Load::Exchange { count: 2, request: 100, response, pause: SECOND };
    scenario.flows.push(FlowPlan { load, ..FlowPlan::bulk(&Arc::new(tcp(control))) });
    scenario.victims.extend(victim);
    scenario.run(1)
}

#[test]
fn a_lost_last_segment_is_found_by_a_probe_and_lowers_the_threshold_once() {
    for control in &CONTROLLERS {
        let clean = responses(control, None);
        let outcome = responses(control, Some(Victim::new(SENDER, Pick::Data(2 * SEGMENTS))));
        let flow = &outcome.flows[0];
        assert_eq!(flow.lost, PAYLOAD, "{control}");
        let longer = flow.latencies[1] - clean.flows[0].latencies[1];
        // Four round trips and the receiver's longest delay of an ACK.
        assert!(longer <= Duration::from_millis(240), "{control}: {longer:?} longer");
        assert_eq!(flow.stats.timeouts, 0, "{control}");
        // BBR has no threshold.
        let lowered = usize::from(!matches!(control, CongestionControl::Bbr));
        assert_eq!(flow.lowered.len(), lowered, "{control}");
    }
}

#[test]
fn a_lost_last_ack_lowers_nothing() {
    for control in &CONTROLLERS {
        let all = (2 * SEGMENTS * PAYLOAD) as u32;
        let outcome = responses(control, Some(Victim::new(SENDER.other(), Pick::Ack(all))));
        let flow = &outcome.flows[0];
        assert_eq!(flow.lost, 0, "{control}");
        assert_eq!(flow.resent, PAYLOAD, "{control}: the probe, and nothing else");
        assert_eq!(flow.stats.timeouts, 0, "{control}");
        assert_eq!(flow.lowered.len(), 0, "{control}");
    }
}
