//! What the model learns of delivery rates and losses, sample by sample.

use super::{Bbr, M, Phase, SECOND, UNBOUNDED};
use crate::congestion::bbr::model::Aggregation;
use crate::congestion::{Ack, Controller, Lost, RateSample};
use crate::time::Instant;

const NOW: Instant = Instant::from_nanos(60_000_000_000);

/// The path delivered from `prior_delivered` to `delivered` at `rate`, and lost nothing.
pub(super) fn sample(rate: u64, delivered: u64, prior_delivered: u64) -> RateSample {
    RateSample {
        rate,
        delivered,
        prior_delivered,
        interval: SECOND,
        app_limited: false,
        tx_in_flight: M,
        lost: 0,
    }
}

#[test]
fn the_largest_sample_of_two_cycles_counts() {
    // req: RBBR-2
    let mut bbr = Bbr::new(M, 7);
    for (rate, max) in [(10, 10), (30, 30), (20, 30), (5, 20), (7, 7)] {
        bbr.update_congestion_signals(&sample(rate * 1_000_000, 1, 0));
        assert_eq!(bbr.bw.max(), max * 1_000_000);
        bbr.bw.advance_filter();
    }
    bbr.bw.advance_filter();
    assert_eq!(bbr.bw.max(), 7_000_000, "a cycle without samples takes nothing away");
}

#[test]
fn a_cycle_of_the_filter_ends_a_round_after_its_probe() {
    // req: RBBR-2, RBBR-5
    let after = |phase, app_limited| {
        let mut bbr = Bbr::new(M, 7);
        bbr.full_pipe.reached = true;
        bbr.update_congestion_signals(&sample(10_000_000, 1, 0));
        bbr.bw.advance_filter();
        bbr.update_congestion_signals(&sample(1_000_000, 1, 0));
        bbr.start_probe_bw_down(NOW);
        bbr.phase = phase;
        let ack = Ack::new(NOW, M);
        let end = RateSample { app_limited, ..sample(1_000_000, 1, 0) };
        bbr.bw.round_start = false;
        bbr.update_probe_bw_cycle_phase(&ack, &end);
        assert_eq!(bbr.bw.max(), 10_000_000, "the round is not over");
        bbr.bw.round_start = true;
        bbr.update_probe_bw_cycle_phase(&ack, &end);
        bbr.bw.max()
    };
    assert_eq!([after(Phase::Down, false), after(Phase::Cruise, false)], [1_000_000; 2]);
    assert_eq!(after(Phase::Down, true), 10_000_000, "the application held it back");
    assert_eq!(after(Phase::ProbeRtt, false), 10_000_000, "nothing was probed");
    assert_eq!(after(Phase::ProbeRtt, true), 10_000_000);
}

/// A round of CRUISE that loses something and delivers `delivered` octets at `rate`.
fn lossy_round(bbr: &mut Bbr, rate: u64, delivered: u64, lost: u64) {
    let before = bbr.bw.delivered;
    bbr.note_loss(before);
    let rs = RateSample { lost, ..sample(rate, before + delivered, before) };
    bbr.update_latest_delivery_signals(&rs);
    bbr.update_congestion_signals(&rs);
    bbr.advance_latest_delivery_signals(&rs);
}

fn cruising() -> Bbr {
    let mut bbr = Bbr::new(M, 7);
    bbr.full_pipe.reached = true;
    (bbr.phase, bbr.cwnd) = (Phase::Cruise, 1_000_000);
    bbr.update_congestion_signals(&sample(10_000_000, 0, 0));
    bbr
}

#[test]
fn each_round_with_a_loss_takes_three_tenths_of_the_short_term_bounds() {
    // req: RBBR-6
    let mut bbr = cruising();
    for (bw_lo, inflight_lo) in [(7_000_000, 700_000), (4_900_000, 490_000), (3_430_000, 343_000)] {
        lossy_round(&mut bbr, 1_000, 1_000, 0);
        assert_eq!((bbr.bw.lo, bbr.inflight_lo), (bw_lo, inflight_lo));
    }
}

/// The bounds stay above what the path carried: with the hundredth by which pacing stays below the estimate, and with losses up to
/// two percent of what was delivered.
#[test]
fn what_the_path_carried_bounds_the_bounds() {
    // req: RBBR-6, RBBR-8
    for (lost, rate, flight) in
        [(0, 10_000_000, 1_000_000), (10_000, 10_100_000, 1_010_000), (90_000, 10_200_000, 1_020_000)]
    {
        let mut bbr = cruising();
        lossy_round(&mut bbr, 9_900_000, 1_000_000, lost);
        assert_eq!((bbr.bw.lo, bbr.inflight_lo), (rate, flight), "{lost} octets lost");
    }
}

#[test]
fn a_new_cycle_knows_nothing_of_the_losses_and_deliveries_of_the_last() {
    // req: RBBR-5, RBBR-6
    let mut bbr = cruising();
    bbr.phase = Phase::Up;
    bbr.update_latest_delivery_signals(&sample(9_900_000, 1_000_000, 0));
    bbr.note_loss(1_000_000);
    bbr.start_probe_bw_down(NOW);
    let next = sample(1_000, 1_001_000, 1_000_000);
    bbr.update_latest_delivery_signals(&next);
    bbr.update_congestion_signals(&next);
    assert_eq!((bbr.bw.lo, bbr.inflight_lo), (u64::MAX, UNBOUNDED), "the loss was the probe's");
    lossy_round(&mut bbr, 1_000, 1_000, 0);
    assert_eq!((bbr.bw.lo, bbr.inflight_lo), (7_000_000, 700_000), "what the probe carried holds up nothing");
}

#[test]
fn what_one_burst_of_acks_brought_counts_for_five_to_ten_rounds() {
    for (full, least, most) in [(true, 5, 10), (false, 1, 2)] {
        let mut aggregation = Aggregation::default();
        let cwnd = 100 * M;
        aggregation.update(&Ack::new(NOW, 20 * M), 1_000_000, cwnd, false, full);
        let mut rounds = 0;
        while aggregation.extra_acked() == 20 * M {
            rounds += 1;
            assert!(rounds <= most, "for ever");
            // One segment in a second is what the rate explains.
            aggregation.update(&Ack::new(NOW + rounds * SECOND, M), 1_000_000, cwnd, true, full);
        }
        assert!((least..=most).contains(&rounds), "{rounds} rounds");
        assert_eq!(aggregation.extra_acked(), M);
    }
}

#[test]
fn samples_that_the_application_limits_do_not_fill_the_pipe() {
    // req: RBBR-2, RBBR-3
    let mut bbr = Bbr::new(M, 7);
    let full = sample(1_000_000, 1, 0);
    bbr.full_pipe.check(&full, true);
    for _ in 0..10 {
        bbr.full_pipe.check(&RateSample { app_limited: true, ..full }, true);
    }
    assert!(!bbr.full_pipe.reached);
    for round in 1..=3 {
        assert!(!bbr.full_pipe.reached, "round {round}");
        bbr.full_pipe.check(&full, true);
    }
    assert!(bbr.full_pipe.reached);
}

/// Six runs of losses that are more than two percent end Startup, when the round in which they were is over.
#[test]
fn startup_ends_with_the_round_of_the_sixth_loss() {
    // req: RBBR-3
    let ends = |losses: u32| {
        let mut bbr = Bbr::new(M, 7);
        let acked = |bbr: &mut Bbr, delivered: u64, prior: u64| {
            let lost = u64::from(losses * M);
            // Bandwidth doubles: nothing but the losses fills the pipe.
            let rate =
                RateSample { lost, tx_in_flight: 10 * M, ..sample(1_000 * delivered, delivered, prior) };
            let ack = Ack { rate: Some(rate), recovery: true, ..Ack::new(NOW, M) };
            bbr.on_ack(&ack);
            bbr.full_pipe.reached
        };
        assert!(!acked(&mut bbr, 10_000, 0));
        for _ in 0..losses {
            bbr.on_lost(&Lost { delivered: 10_000, ..Lost::new(NOW, M, 10 * M) });
        }
        assert!(!acked(&mut bbr, 20_000, 9_000), "what was sent before the loss is acknowledged");
        acked(&mut bbr, 40_000, 10_000)
    };
    assert!(!ends(5));
    assert!(ends(6));
}
