//! Windows, pacing and ProbeRTT, from chosen values of the model.

use core::time::Duration;

use super::signals::sample;
use super::{Bbr, M, Phase, SECOND, UNBOUNDED};
use crate::congestion::{Ack, Congestion, Controller, Signal};
use crate::time::Instant;

const NOW: Instant = Instant::from_nanos(60_000_000_000);
const NANO: Duration = Duration::from_nanos(1);

/// A full pipe of 10,000,000 octets per second and 100 ms, hence of a million octets.
fn full(phase: Phase) -> Bbr {
    let mut bbr = Bbr::new(M, 7);
    bbr.rtt.min = Some(SECOND / 10);
    bbr.bw.bw = 10_000_000;
    bbr.full_pipe.reached = true;
    (bbr.phase, bbr.cwnd) = (phase, 1_000_000);
    bbr
}

#[test]
fn the_window_takes_what_the_gain_of_the_state_says() {
    // req: RBBR-5, RBBR-7
    for (phase, cwnd) in [
        (Phase::Drain, 2_000_000),
        (Phase::Down, 2_000_000),
        (Phase::Cruise, 2_000_000),
        (Phase::Refill, 2_000_000),
        // The room for the two segments that a delayed ACK may hold back.
        (Phase::Up, 2_250_000 + 2 * M),
        (Phase::ProbeRtt, 500_000),
    ] {
        let mut bbr = full(phase);
        bbr.set_cwnd(10_000_000);
        assert_eq!(bbr.cwnd(), cwnd, "{phase:?}");
    }
}

/// Until the pipe is full the window only grows: up to twice the product, or without a measure until a first window is delivered.
#[test]
fn startup_grows_the_window_to_twice_the_product_or_by_a_first_window() {
    // req: RBBR-3
    let grown_from = |cwnd: u32, delivered: u64| {
        let mut bbr = full(Phase::Startup);
        bbr.full_pipe.reached = false;
        (bbr.cwnd, bbr.bw.delivered) = (cwnd, delivered);
        bbr.set_cwnd(M);
        bbr.cwnd() - cwnd
    };
    let first = u64::from(full(Phase::Startup).initial_cwnd);
    assert_eq!(grown_from(1_999_999, first), M);
    assert_eq!(grown_from(2_000_000, first), 0);
    assert_eq!(grown_from(2_000_000, first - 1), M);
}

#[test]
fn a_product_beyond_all_windows_is_the_largest_window() {
    let mut bbr = full(Phase::Cruise);
    bbr.bw.bw = u64::MAX;
    assert_eq!(bbr.bdp(100), u32::MAX);
    assert_eq!(bbr.inflight(u64::MAX, 225), u32::MAX);
}

#[test]
fn the_rate_is_never_nothing() {
    let mut bbr = full(Phase::Drain);
    bbr.set_pacing_rate();
    assert_eq!(bbr.pacing_rate(), Some(4_950_000));
    for bw in [1, 0] {
        bbr.bw.bw = bw;
        bbr.set_pacing_rate();
        assert_eq!(bbr.pacing_rate(), Some(4_950_000), "at nothing per second nothing would ever leave");
    }
    // From 1.2 Mbit/s on two segments leave together.
    for (rate, quantum) in [(149_999, M), (150_000, 2 * M)] {
        bbr.pacing_rate = rate;
        assert_eq!(bbr.send_quantum(), quantum);
    }
}

#[test]
fn no_threshold_ends_the_growth() {
    assert_eq!(full(Phase::Cruise).ssthresh(), u32::MAX);
}

#[test]
fn what_leaves_after_a_pause_leaves_at_the_rate_of_the_model() {
    // req: RBBR-5
    let paced = |phase, flight, app_limited| {
        let mut bbr = full(phase);
        bbr.pacing_rate = 1;
        bbr.on_sent(NOW, flight, M, app_limited);
        (bbr.pacing_rate, bbr.idle_restart)
    };
    for phase in [Phase::Down, Phase::Cruise, Phase::Refill, Phase::Up] {
        assert_eq!(paced(phase, 0, true), (9_900_000, true), "{phase:?}");
        assert_eq!(paced(phase, M, true), (1, false), "{phase:?}: something is in flight");
        assert_eq!(paced(phase, 0, false), (1, false), "{phase:?}: the window was what made it wait");
    }
    for phase in [Phase::Startup, Phase::Drain, Phase::ProbeRtt] {
        assert_eq!(paced(phase, 0, true), (1, true), "{phase:?} has a gain of its own");
    }
}

#[test]
fn a_window_is_restored_to_what_it_was_before_the_first_of_many_losses() {
    // req: RBBR-9
    let mut bbr = full(Phase::Cruise);
    bbr.on_timeout(NOW, 0, true);
    // Something else is lost while that is repaired.
    bbr.on_timeout(NOW, 0, true);
    bbr.on_recovered(NOW, 0);
    assert_eq!(bbr.cwnd(), 1_000_000);

    // ProbeRTT makes the window small; a loss in it does not make that last.
    let mut bbr = full(Phase::Cruise);
    bbr.save_cwnd();
    (bbr.phase, bbr.cwnd) = (Phase::ProbeRtt, 500_000);
    bbr.on_congestion(&Congestion::new(NOW, 0, Signal::Loss));
    bbr.phase = Phase::Cruise;
    bbr.on_recovered(NOW, 0);
    assert_eq!(bbr.cwnd(), 1_000_000);
}

#[test]
fn a_mark_begins_no_recovery() {
    // req: RBBR-9
    for (signal, after) in [(Signal::Loss, 1_000_000), (Signal::Ecn, 600_000)] {
        let mut bbr = full(Phase::Cruise);
        bbr.on_congestion(&Congestion::new(NOW, 0, signal));
        bbr.cwnd = 600_000;
        bbr.on_recovered(NOW, 0);
        assert_eq!(bbr.cwnd(), after, "{signal:?}");
    }
}

#[test]
fn a_timeout_bounds_what_is_in_flight_by_the_window_unless_it_came_of_probing() {
    // req: RBBR-9
    for (phase, before, after) in [
        (Phase::Cruise, UNBOUNDED, 1_000_000),
        (Phase::Cruise, 700_000, 700_000),
        (Phase::Up, UNBOUNDED, UNBOUNDED),
        (Phase::Refill, UNBOUNDED, UNBOUNDED),
        (Phase::Startup, UNBOUNDED, UNBOUNDED),
        (Phase::Up, 700_000, 700_000),
    ] {
        let mut bbr = full(phase);
        bbr.inflight_lo = before;
        bbr.on_timeout(NOW, 0, true);
        assert_eq!(bbr.inflight_lo, after, "{phase:?}, {before}");
    }
}

#[test]
fn a_mistaken_loss_does_not_end_a_probe_of_the_round_trip() {
    // req: RBBR-7, RBBR-9
    for lost_in in [Phase::Up, Phase::Startup] {
        let mut bbr = full(lost_in);
        bbr.on_congestion(&Congestion::new(NOW, 0, Signal::Loss));
        bbr.phase = Phase::ProbeRtt;
        bbr.on_spurious(NOW);
        assert_eq!(bbr.phase, Phase::ProbeRtt);
    }
}

/// An ACK that carries a round trip of so many milliseconds and leaves `flight` in flight.
fn trip(now: Instant, millis: u64, flight: u32) -> Ack {
    Ack { flight, rtt: Some(Duration::from_millis(millis)), ..Ack::new(now, M) }
}

#[test]
fn the_least_round_trip_is_that_of_ten_seconds() {
    // req: RBBR-7
    let mut bbr = Bbr::new(M, 7);
    let mut after = |span: Duration, millis: u64| {
        bbr.on_ack(&trip(NOW + span, millis, 0));
        bbr.rtt.min.unwrap().as_millis()
    };
    assert_eq!(after(Duration::ZERO, 20), 20);
    assert_eq!(after(6 * SECOND, 30), 20);
    assert_eq!(after(10 * SECOND, 30), 20);
    assert_eq!(after(10 * SECOND + NANO, 40), 30, "the least of those that still count");
    assert_eq!(after(11 * SECOND, 10), 10);
    // The same again, after the five seconds that the shortest of the last probe counts for: it lasts for ten more.
    assert_eq!(after(17 * SECOND, 10), 10);
    assert_eq!(after(23 * SECOND, 40), 10);
    assert_eq!(after(27 * SECOND, 40), 10);
    assert_eq!(after(27 * SECOND + NANO, 40), 40);
}

/// ProbeRTT begins after five seconds without a shorter round trip, waits until half of the product is in flight, and lasts 200 ms
/// and a round from there.
#[test]
fn a_probe_of_the_round_trip_begins_and_ends_on_time() {
    // req: RBBR-7
    let mut bbr = full(Phase::Cruise);
    let mut delivered = 0;
    let mut step = |now: Instant, flight: u32| {
        // Each ACK is a round of its own.
        let rate = sample(10_000_000, delivered + u64::from(M), delivered);
        delivered = rate.delivered;
        bbr.on_ack(&Ack { rate: Some(rate), ..trip(now, 100, flight) });
        (bbr.phase == Phase::ProbeRtt, bbr.probe_rtt_cwnd())
    };
    assert!(!step(NOW, 1_000_000).0);
    assert!(!step(NOW + 5 * SECOND, 1_000_000).0);
    let (probes, small) = step(NOW + 5 * SECOND + NANO, 1_000_000);
    assert!(probes);
    assert!(step(NOW + 6 * SECOND, small + 1).0);
    assert!(step(NOW + 7 * SECOND, small + 1).0, "too much is in flight to see the path's own time");
    let drained = NOW + 8 * SECOND;
    assert!(step(drained, small).0);
    let end = drained + Duration::from_millis(200);
    assert!(step(end, small).0);
    assert!(!step(end + NANO, small).0);
}

#[test]
fn a_pause_ends_a_probe_of_the_round_trip_whose_time_is_over() {
    // req: RBBR-7
    let probing = || {
        let mut bbr = full(Phase::ProbeRtt);
        bbr.check_probe_rtt(&trip(NOW, 100, 0));
        bbr
    };
    let (mut bbr, end) = (probing(), NOW + Duration::from_millis(200));
    bbr.on_sent(end, 0, M, true);
    assert_eq!(bbr.phase, Phase::ProbeRtt);
    bbr.on_sent(end + NANO, 0, M, true);
    assert_eq!(bbr.phase, Phase::Cruise);

    let mut bbr = probing();
    (bbr.phase, bbr.cycle.stopping) = (Phase::Drain, false);
    bbr.on_sent(end + NANO, 0, M, true);
    assert_eq!(bbr.phase, Phase::Drain);
}

#[test]
fn what_left_in_a_probe_of_the_round_trip_is_no_measure_of_the_rate() {
    // req: RBBR-2, RBBR-7
    let after = |past: u64| {
        let mut bbr = full(Phase::ProbeRtt);
        bbr.update_congestion_signals(&sample(10_000_000, 1, 0));
        bbr.bw.advance_filter();
        bbr.bw.delivered = 100_000;
        bbr.check_probe_rtt(&trip(NOW, 100, 50_000));
        bbr.phase = Phase::Startup;
        let left_at = 100_000 + past;
        bbr.on_ack(&Ack { rate: Some(sample(1_000_000, 150_000 + past, left_at)), ..Ack::new(NOW, M) });
        bbr.bw.advance_filter();
        bbr.bw.max()
    };
    assert_eq!([after(0), after(49_999)], [10_000_000; 2], "what was in flight then is not delivered");
    assert_eq!(after(50_000), 1_000_000);
}
