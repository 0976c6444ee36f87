//! BBR over the model link, row by row.

mod bounds;
mod signals;

use core::time::Duration;

use super::{Bbr, Phase, UNBOUNDED};
use crate::congestion::tests::path::{M, Path};
use crate::congestion::{Ack, Congestion, Controller, Lost, RateSample, Signal};
use crate::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn path(mbit: u64, rtt_ms: u64, queue_percent: u64) -> Path<Bbr> {
    Path::new(Bbr::new(M, 7), mbit, rtt_ms, queue_percent)
}

/// Runs until `phase` begins, within a minute.
fn run_to(path: &mut Path<Bbr>, phase: Phase) {
    let limit = path.now + 60 * SECOND;
    path.run_until(|path| path.controller.phase == phase, limit);
    assert_eq!(path.controller.phase, phase, "within a minute");
}

#[test]
fn startup_doubles_until_three_rounds_bring_nothing() {
    // req: RBBR-3
    let mut path = path(100, 50, 300);
    assert_eq!(path.controller.phase.pacing_gain(), 277);
    assert_eq!(path.controller.phase.cwnd_gain(), 200);
    let limit = path.now + 60 * SECOND;
    let start = path.now;
    path.run_until(|path| path.controller.bw.max() > path.rate * 95 / 100, limit);
    let plateau = path.now;
    assert!(plateau - start < 9 * path.rtt, "doubling each round: {:?}", plateau - start);
    run_to(&mut path, Phase::Drain);
    let rounds = (path.now - plateau).as_secs_f64() / path.last_rtt.as_secs_f64();
    assert!((1.5..=4.5).contains(&rounds), "{rounds} rounds on the plateau");
    assert!(path.controller.full_pipe.reached);
    assert_eq!(path.lost, 0);
}

#[test]
fn startup_ends_on_losses_too() {
    // req: RBBR-3
    let mut path = path(100, 50, 10);
    run_to(&mut path, Phase::Drain);
    assert!(path.lost > 0);
    let hi = u64::from(path.controller.inflight_hi);
    assert!(hi >= path.bdp() * 80 / 100 && hi <= path.bdp() * 130 / 100, "{hi} of {}", path.bdp());
}

#[test]
fn drain_empties_the_queue() {
    // req: RBBR-4
    let mut path = path(100, 50, 300);
    run_to(&mut path, Phase::Drain);
    assert_eq!(path.controller.phase.pacing_gain(), 50);
    assert!(u64::from(path.flight) > path.bdp() * 3 / 2, "a queue was built");
    // DOWN and CRUISE follow at once.
    run_to(&mut path, Phase::Cruise);
    let quantum = path.controller.send_quantum();
    let target = path.controller.inflight(path.controller.bw.bw, 100);
    assert!(path.flight <= target + 2 * quantum, "{} of {target}", path.flight);
}

#[test]
fn the_cycle_of_probing() {
    // req: RBBR-5
    let mut path = path(100, 50, 100);
    path.run(30 * SECOND);
    let order: Vec<&str> = path.phases.iter().map(|(_, phase)| *phase).collect();
    assert_eq!(order[..2], ["startup", "drain"]);
    for pair in order[2..].windows(2) {
        let allowed: &[&str] = match pair[0] {
            "probe down" => &["cruise", "refill", "probe rtt"],
            "cruise" => &["refill", "probe rtt"],
            "refill" => &["probe up", "probe rtt"],
            "probe up" => &["probe down", "probe rtt"],
            "probe rtt" => &["cruise"],
            other => panic!("{other} in ProbeBW"),
        };
        assert!(allowed.contains(&pair[1]), "{pair:?}");
    }
    let ups: Vec<Instant> =
        path.phases.iter().filter(|(_, phase)| *phase == "probe up").map(|(at, _)| *at).collect();
    assert!(ups.len() >= 6, "{} probes in 30 s", ups.len());
    let gains = [Phase::Down, Phase::Cruise, Phase::Refill, Phase::Up].map(Phase::pacing_gain);
    assert_eq!(gains, [90, 100, 100, 125]);
    for pair in ups.windows(2) {
        let gap = (pair[1] - pair[0]).as_secs_f64();
        // Two to three seconds and the rounds of UP and of REFILL; a ProbeRTT in between starts the wait anew.
        assert!((2.0..=7.0).contains(&gap), "{gap} s between probes");
    }
}

#[test]
fn small_windows_probe_as_often_as_reno_would() {
    // req: RBBR-5
    let mut path = path(100, 50, 100);
    run_to(&mut path, Phase::Cruise);
    let now = path.now;
    let bbr = &mut path.controller;
    for (target, rounds) in [(10, 10), (40, 40), (400, 63)] {
        bbr.cwnd = target * M;
        bbr.cycle.rounds_since_probe = rounds - 1;
        assert!(!bbr.is_time_to_probe_bw(now), "{target} segments, {rounds} rounds");
        bbr.cycle.rounds_since_probe = rounds;
        assert!(bbr.is_time_to_probe_bw(now), "{target} segments, {rounds} rounds");
    }
}

#[test]
fn a_probe_comes_after_two_to_three_seconds() {
    // req: RBBR-5
    for seed in 0..50 {
        let mut bbr = Bbr::new(M, seed);
        bbr.cwnd = 400 * M;
        bbr.initial_cwnd = 400 * M;
        let now = Instant::from_nanos(7);
        bbr.start_probe_bw_down(now);
        assert!(!bbr.is_time_to_probe_bw(now + 2 * SECOND), "seed {seed}");
        assert!(bbr.is_time_to_probe_bw(now + 3 * SECOND), "seed {seed}");
    }
}

#[test]
fn the_seed_alone_decides_the_times_of_probing() {
    let trace = |seed| {
        let mut path = Path::new(Bbr::new(M, seed), 50, 40, 100);
        path.run(15 * SECOND);
        path.phases
    };
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
}

#[test]
fn a_shallow_buffer_is_learned() {
    // req: RBBR-6
    let mut path = path(100, 50, 10);
    path.run(10 * SECOND);
    let (then, lost) = ((path.now, path.delivered), path.lost);
    path.run(30 * SECOND);
    let lost = (path.lost - lost) * 1_000 / (path.delivered - then.1);
    assert!(lost <= 25, "{lost} of 1000 octets lost");
    assert!(path.share_since(then) >= 88, "{} percent", path.share_since(then));
    assert_ne!(path.controller.inflight_hi, UNBOUNDED);
}

#[test]
fn cruising_leaves_headroom_and_a_loss_lowers_the_short_term_bounds() {
    // req: RBBR-6
    let mut bbr = Bbr::new(M, 7);
    bbr.inflight_hi = 100 * M;
    assert_eq!(bbr.inflight_with_headroom(), 85 * M);
    let mut path = path(100, 50, 100);
    run_to(&mut path, Phase::Cruise);
    let (bw, cwnd) = (path.controller.bw.max(), path.controller.cwnd);
    path.loss = 10_000;
    path.run(SECOND);
    let bbr = &path.controller;
    assert!(bbr.bw.lo < u64::MAX && bbr.bw.lo >= bw * 34 / 100, "{} of {bw}", bbr.bw.lo);
    assert!(bbr.inflight_lo < cwnd);
}

#[test]
fn random_loss_of_one_percent_costs_little() {
    let mut path = path(100, 50, 100);
    path.loss = 10_000;
    path.run(40 * SECOND);
    let share = path.share_since((Instant::from_nanos(1_000_000_000), 0));
    assert!(share >= 87, "{share} percent");
}

#[test]
fn a_probe_that_loses_too_much_sets_the_long_term_bound_and_ends() {
    // req: RBBR-6
    let probing = || {
        let mut path = path(100, 50, 100);
        run_to(&mut path, Phase::Up);
        path.controller.inflight_hi = UNBOUNDED;
        (path.now, path.controller)
    };
    let (now, mut bbr) = probing();
    let (flight, lost) = (1_000_000, 100_000);
    assert!(bbr.target_inflight() * 7 / 10 < flight / 2);
    bbr.on_lost(&Lost::new(now, M, flight));
    assert_eq!((bbr.phase, bbr.inflight_hi), (Phase::Up, UNBOUNDED), "one segment is no loss rate");
    bbr.on_lost(&Lost::new(now, lost, flight));
    // What left in front of the run was well, and of the run as much as makes two percent of all: 900,000 x 50 / 49.
    assert_eq!((bbr.phase, bbr.inflight_hi), (Phase::Down, 918_367));
    // Once per probe.
    bbr.on_lost(&Lost::new(now, lost, flight / 2));
    assert_eq!(bbr.inflight_hi, 918_367);

    let (now, mut bbr) = probing();
    bbr.on_lost(&Lost::new(now, 3 * M, 4 * M));
    assert_eq!(
        bbr.inflight_hi,
        (u64::from(bbr.target_inflight()) * 70 / 100) as u32,
        "never below beta of the target"
    );

    let (now, mut bbr) = probing();
    bbr.on_lost(&Lost { app_limited: true, ..Lost::new(now, lost, flight) });
    assert_eq!((bbr.phase, bbr.inflight_hi), (Phase::Down, UNBOUNDED), "too little was sent to tell a bound");
}

/// With twenty segments in flight a lost one is five percent of them, and no loss rate.
#[test]
fn one_lost_segment_is_not_too_much() {
    // req: RBBR-6
    let bbr = path(12, 20, 100).controller;
    let too_high = |lost: u32, of: u32| bbr.is_inflight_too_high((lost * M).into(), of * M);
    assert!(!too_high(1, 20));
    assert!(too_high(2, 20) && too_high(2, 99));
    assert!(!too_high(2, 100) && too_high(3, 100));
}

#[test]
fn the_round_trip_is_probed_each_five_seconds() {
    // req: RBBR-7
    let mut path = path(50, 40, 200);
    path.run(32 * SECOND);
    let begins: Vec<usize> = (0..path.phases.len()).filter(|&at| path.phases[at].1 == "probe rtt").collect();
    assert!((3..=6).contains(&begins.len()), "{} times in 32 s", begins.len());
    for pair in begins.windows(2) {
        assert!(path.phases[pair[1]].0 - path.phases[pair[0]].0 >= 5 * SECOND);
    }
    for &at in &begins {
        if let Some(end) = path.phases.get(at + 1) {
            let length = end.0 - path.phases[at].0;
            assert!(length >= Duration::from_millis(200), "{length:?}");
            assert!(length <= Duration::from_millis(400), "{length:?}");
        }
    }
    run_to(&mut path, Phase::ProbeRtt);
    path.run(Duration::from_millis(100));
    assert!(u64::from(path.flight) <= path.bdp() * 55 / 100, "{} of {}", path.flight, path.bdp());
}

#[test]
fn the_least_round_trip_follows_the_route() {
    // req: RBBR-7
    let mut path = path(50, 40, 200);
    path.run(8 * SECOND);
    path.rtt = Duration::from_millis(70);
    path.run(16 * SECOND);
    let min = path.controller.rtt.min.unwrap();
    assert!(min >= Duration::from_millis(70) && min < Duration::from_millis(76), "{min:?}");
    path.rtt = Duration::from_millis(30);
    path.run(SECOND);
    assert!(path.controller.rtt.min.unwrap() < Duration::from_millis(70), "a shorter one counts at once");
}

#[test]
fn pacing_at_a_hundredth_below_the_gain() {
    // req: RBBR-8
    let mut path = path(100, 50, 100);
    run_to(&mut path, Phase::Cruise);
    let bbr = &mut path.controller;
    assert_eq!(bbr.pacing_rate, bbr.bw.bw * 99 / 100);
    for (rate, quantum) in [(100_000, M), (1_000_000, 2 * M), (12_500_000, 12_500), (1_250_000_000, 65_536)] {
        bbr.pacing_rate = rate;
        assert_eq!(bbr.send_quantum(), quantum, "{rate} octets/s");
    }
}

#[test]
fn samples_that_the_application_limits_do_not_lower_the_estimate() {
    // req: RBBR-2
    let mut path = path(100, 50, 100);
    run_to(&mut path, Phase::Cruise);
    let before = path.controller.bw.max();
    // A segment now and then.
    for _ in 0..200 {
        path.busy = false;
        path.run(Duration::from_millis(60));
        path.busy = true;
        path.run(Duration::from_micros(100));
    }
    let after = path.controller.bw.max();
    assert!(after >= before * 9 / 10, "{after} of {before}");
}

#[test]
fn limited_samples_below_the_estimate_do_not_enter_the_filter() {
    // req: RBBR-2
    let sample = |rate, app_limited| RateSample {
        rate,
        delivered: 1,
        prior_delivered: 0,
        interval: SECOND,
        app_limited,
        tx_in_flight: M,
        lost: 0,
    };
    let mut bbr = Bbr::new(M, 7);
    bbr.update_congestion_signals(&sample(10_000_000, false));
    for _ in 0..3 {
        bbr.bw.advance_filter();
        bbr.update_congestion_signals(&sample(1_000_000, true));
    }
    assert_eq!(bbr.bw.max(), 10_000_000);
    bbr.update_congestion_signals(&sample(12_000_000, true));
    assert_eq!(bbr.bw.max(), 12_000_000, "that much the path has at least");
}

#[test]
fn a_timeout_costs_the_window_until_it_is_repaired() {
    // req: RBBR-9
    let mut path = path(100, 50, 100);
    run_to(&mut path, Phase::Cruise);
    let (now, before) = (path.now, path.controller.cwnd());
    let bbr = &mut path.controller;
    bbr.on_timeout(now, before, true);
    assert_eq!(bbr.cwnd(), M);
    bbr.on_timeout(now, M, false);
    assert_eq!(bbr.cwnd(), M);
    bbr.on_recovered(now, 0);
    assert_eq!(bbr.cwnd(), before);
}

#[test]
fn a_mistaken_loss_leaves_no_trace() {
    // req: RBBR-9
    let mut path = path(100, 50, 100);
    run_to(&mut path, Phase::Up);
    let now = path.now;
    let bbr = &mut path.controller;
    let values = |bbr: &Bbr| (bbr.cwnd, bbr.phase, bbr.bw.lo, bbr.inflight_lo, bbr.inflight_hi);
    let before = values(bbr);
    bbr.on_timeout(now, before.0, true);
    bbr.inflight_hi = 20 * M;
    bbr.inflight_lo = 20 * M;
    bbr.bw.lo = 1;
    bbr.start_probe_bw_down(now);
    bbr.on_spurious(now);
    assert_eq!(values(bbr), before);

    // Startup goes on where a mistake ended it.
    let mut bbr = Bbr::new(M, 7);
    bbr.on_congestion(&Congestion::new(now, 10 * M, Signal::Loss));
    bbr.full_pipe.reached = true;
    bbr.phase = Phase::Drain;
    bbr.on_spurious(now);
    assert_eq!((bbr.phase, bbr.full_pipe.reached), (Phase::Startup, false));
}

#[test]
fn a_deep_buffer_stays_nearly_empty() {
    let mut path = path(100, 50, 1_000);
    path.run(5 * SECOND);
    let (then, mut rtts) = ((path.now, path.delivered), Vec::new());
    for _ in 0..2_000 {
        path.run(Duration::from_millis(10));
        rtts.push(path.last_rtt);
    }
    rtts.sort_unstable();
    assert!(rtts[1_000] <= path.rtt * 14 / 10, "median {:?}", rtts[1_000]);
    assert!(rtts[1_900] <= 2 * path.rtt, "95th percentile {:?}", rtts[1_900]);
    assert!(path.share_since(then) >= 90);
}

/// One segment in the first round of probing upward, two in the second, four in the third, as long as the window is full and
/// the bound is what holds it.
#[test]
fn the_long_term_bound_grows_faster_in_each_round_of_probing() {
    // req: RBBR-5
    let now = Instant::from_nanos(1);
    let mut bbr = Bbr::new(M, 7);
    (bbr.cwnd, bbr.inflight_hi, bbr.full_pipe.reached) = (100 * M, 100 * M, true);
    bbr.start_probe_bw_up(now, 1_000_000);
    let sample = RateSample {
        rate: 1_000_000,
        delivered: 0,
        prior_delivered: 0,
        interval: SECOND,
        app_limited: false,
        tx_in_flight: M,
        lost: 0,
    };
    let mut ack = Ack::new(now, 10 * M);
    for grown in [1, 2, 4] {
        let before = bbr.inflight_hi;
        // Ten ACKs of a tenth of the window each; the window follows the bound.
        for count in 1..=10 {
            (bbr.cwnd, ack.prior_flight) = (bbr.inflight_hi, bbr.inflight_hi - 2 * M);
            bbr.bw.round_start = count == 10;
            bbr.update_probe_bw_cycle_phase(&ack, &sample);
        }
        assert_eq!((bbr.inflight_hi - before, bbr.phase), (grown * M, Phase::Up));
    }
    let before = bbr.inflight_hi;
    bbr.cwnd = before;
    bbr.bw.round_start = false;
    ack.prior_flight = before - 2 * M - 1;
    bbr.update_probe_bw_cycle_phase(&ack, &sample);
    assert_eq!(bbr.inflight_hi, before, "the window is not full");
    (ack.prior_flight, ack.cwnd_limited) = (before, false);
    bbr.update_probe_bw_cycle_phase(&ack, &sample);
    assert_eq!(bbr.inflight_hi, before, "the application limits");
    (ack.cwnd_limited, bbr.cwnd) = (true, before - 1);
    bbr.update_probe_bw_cycle_phase(&ack, &sample);
    assert_eq!(bbr.inflight_hi, before, "something else bounds the window");
}
