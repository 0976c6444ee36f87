//! Clocks of microseconds, of a millisecond, and of 15.6 ms as some systems have it.

use std::sync::Arc;
use std::time::Duration;

use netstack_sim::scenario::{FlowPlan, PAYLOAD, Scenario};
use netstack_tcp::congestion::CongestionControl;

use crate::path::{CONTROLLERS, MS, SECOND, ZERO, bulk, tcp};

const CLOCKS: [Duration; 3] = [Duration::from_micros(1), MS, Duration::from_micros(15_600)];

#[test]
fn a_link_that_reorders_and_loses_nothing_costs_next_to_nothing_at_any_clock() {
    for control in &CONTROLLERS {
        for tick in CLOCKS {
            let mut scenario = bulk(control, 20, 100.0, 6 * SECOND);
            // Within a quarter of the round trip, the least reordering window there is (RFC 8985 6.2).
            scenario.bottleneck.late(0.02, 2 * MS, 8 * MS);
            scenario.tick = tick;
            let outcome = scenario.run(1);
            let flow = &outcome.flows[0];
            assert_eq!(outcome.lost(), 0);
            // Before reordering was seen three SACKed segments stand for a loss (RFC 8985 6.2 step 4).
            assert!(flow.resent <= 4 * PAYLOAD, "{control} at {tick:?}: {} resent", flow.resent);
            assert_eq!(flow.stats.timeouts, 0, "{control} at {tick:?}");
            assert_eq!(flow.stats.undos, flow.stats.fast_retransmits, "{control} at {tick:?}");
        }
    }
}

#[test]
fn a_round_trip_below_the_step_of_the_clock_works() {
    for control in &CONTROLLERS {
        for tick in CLOCKS {
            let mut scenario = Scenario::new(50_000_000, Duration::from_micros(300), 20.0);
            scenario.flows.push(FlowPlan::bulk(&Arc::new(tcp(control))));
            scenario.duration = 3 * SECOND;
            scenario.bottleneck.loss(0.001);
            scenario.tick = tick;
            let outcome = scenario.run(1);
            let flow = &outcome.flows[0];
            let share = outcome.share(0, ZERO, scenario.duration);
            // The pacer makes good 4 ms of a timer that comes late, not 15.
            let paced = matches!(control, CongestionControl::Bbr) && tick > MS;
            assert!(share > if paced { 0.1 } else { 0.5 }, "{control} at {tick:?}: {share}");
            assert!(flow.resent <= flow.lost + flow.delivered / 100, "{control} at {tick:?}");
            assert!(flow.intact, "{control} at {tick:?}");
        }
    }
}
