//! How much of a link is used.

use netstack_sim::scenario::Scenario;
use netstack_tcp::congestion::CongestionControl;

use crate::path::{CONTROLLERS, MS, SECOND, ZERO, bulk};

/// The share of the link that the last three quarters of a run used.
fn settled(scenario: &Scenario, seed: u64) -> f64 {
    scenario.run(seed).share(0, scenario.duration / 4, scenario.duration)
}

#[test]
fn a_link_with_a_queue_of_one_round_trip_is_full() {
    for control in &CONTROLLERS {
        let scenario = bulk(control, 20, 1.0, 12 * SECOND);
        let share = settled(&scenario, 1);
        assert!(share > 0.94, "{control}: {share}");
    }
}

#[test]
fn packets_that_come_late_are_not_taken_for_lost() {
    for control in &CONTROLLERS {
        let mut scenario = bulk(control, 20, 1.0, 12 * SECOND);
        let clean = settled(&scenario, 1);
        scenario.bottleneck.late(0.02, 10 * MS, 10 * MS);
        let outcome = scenario.run(1);
        let late = outcome.share(0, scenario.duration / 4, scenario.duration);
        assert!(late > 0.9 * clean, "{control}: {late} of {clean}");
        let needless = outcome.resent().saturating_sub(outcome.lost()) as f64 / outcome.sent() as f64;
        assert!(needless < 0.005, "{control}: {needless} resent without need");
    }
}

#[test]
fn what_is_lost_is_resent_and_next_to_nothing_else() {
    for control in &CONTROLLERS {
        let mut scenario = bulk(control, 20, 1.0, 12 * SECOND);
        scenario.bottleneck.loss(0.01);
        let outcome = scenario.run(1);
        let (resent, lost) = (outcome.resent(), outcome.lost());
        assert!(lost > 20_000, "{control}: {lost}");
        assert!(resent <= lost + outcome.flows[0].delivered / 100, "{control}: {resent} for {lost}");
        assert!(outcome.flows[0].intact, "{control}");
    }
}

#[test]
fn losses_in_bursts_are_repaired() {
    for control in &CONTROLLERS {
        let mut scenario = bulk(control, 10, 1.0, 15 * SECOND);
        scenario.bottleneck.loss_bursts(0.02, 5.0);
        let outcome = scenario.run(1);
        let (resent, lost) = (outcome.resent(), outcome.lost());
        assert!(resent <= lost + outcome.flows[0].delivered / 100, "{control}: {resent} for {lost}");
        assert!(outcome.share(0, ZERO, scenario.duration) > 0.3, "{control}");
        // A burst as long as a small window is left to timeouts, which double (RFC 6298 5.5).
        if matches!(control, CongestionControl::Bbr) {
            let gap = outcome.flows[0].longest_gap;
            assert!(gap <= SECOND, "{control}: {gap:?}");
        }
        assert!(outcome.flows[0].intact, "{control}");
    }
}
