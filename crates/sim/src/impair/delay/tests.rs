use std::time::Duration;

use proptest::prelude::*;

use super::{Delay, Jitter, JitterDistribution};
use crate::rng::SimRng;

const PACKETS: u64 = 20_000;
const ALL: [JitterDistribution; 3] =
    [JitterDistribution::Uniform, JitterDistribution::Normal, JitterDistribution::Pareto];

/// What each packet's delay is beside a propagation delay that leaves room below it, in units of the jitter.
fn spread(distribution: JitterDistribution, seed: u64, jitter: Duration) -> Vec<f64> {
    let (jitter, propagation) = (crate::nanos(jitter), 20 * crate::nanos(jitter));
    let reordering = Jitter::Reordering(Duration::from_nanos(jitter));
    let mut delay = Delay::new(propagation, reordering, distribution, SimRng::new(seed, 3));
    let draws = (0..PACKETS).map(|packet| delay.arrival(packet * 7) - packet * 7);
    draws.map(|took| (took as f64 - propagation as f64) / jitter as f64).collect()
}

/// The shares that lie below each of `bounds` are these, within five standard deviations of a count.
fn assert_shares(drawn: &[f64], bounds: &[(f64, f64)]) -> Result<(), TestCaseError> {
    for &(bound, expected) in bounds {
        let share = drawn.iter().filter(|&&value| value < bound).count() as f64 / drawn.len() as f64;
        let slack = 5.0 * (expected * (1.0 - expected) / drawn.len() as f64).sqrt();
        prop_assert!((share - expected).abs() <= slack, "{share} below {bound}, expected {expected}");
    }
    Ok(())
}

fn mean(drawn: &[f64]) -> f64 {
    drawn.iter().sum::<f64>() / drawn.len() as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn each_distribution_has_its_mean_and_its_spread(
        seed: u64,
        jitter in (10_000_u64..100_000_000).prop_map(Duration::from_nanos),
    ) {
        let uniform = spread(JitterDistribution::Uniform, seed, jitter);
        assert_shares(&uniform, &[(0.1, 0.1), (0.5, 0.5), (0.9, 0.9)])?;
        prop_assert!(uniform.iter().all(|by| (0.0..=1.0).contains(by)));

        let normal = spread(JitterDistribution::Normal, seed, jitter);
        assert_shares(&normal, &[(-2.0, 0.02275), (-1.0, 0.15866), (0.0, 0.5), (1.0, 0.84134), (2.0, 0.97725)])?;
        prop_assert!(mean(&normal).abs() < 5.0 / (PACKETS as f64).sqrt(), "{}", mean(&normal));

        let pareto = spread(JitterDistribution::Pareto, seed, jitter);
        // From (x - 3/2) / (√3/2) with P(X > x) = x⁻³.
        assert_shares(&pareto, &[(-0.5, 0.17676), (-0.2772, 0.5), (1.0, 0.92451), (3.0, 0.98547)])?;
        let least = pareto.iter().copied().fold(f64::INFINITY, f64::min);
        prop_assert!((-0.578..-0.56).contains(&least), "{least}");
        // Its tail makes the mean of a sample wander more than that of a normal one.
        prop_assert!(mean(&pareto).abs() < 0.08, "{}", mean(&pareto));
    }

    #[test]
    fn ordered_jitter_never_reorders_and_no_delay_is_negative(
        seed: u64,
        propagation in 0_u64..50_000_000,
        jitter in (1_000_u64..200_000_000).prop_map(Duration::from_nanos),
        gap in 0_u64..5_000_000,
    ) {
        for distribution in ALL {
            let rng = SimRng::new(seed, 3);
            let mut ordered = Delay::new(propagation, Jitter::Ordered(jitter), distribution, rng.clone());
            let mut free = Delay::new(propagation, Jitter::Reordering(jitter), distribution, rng);
            let mut latest = 0;
            for departure in (0..500).map(|packet| packet * gap) {
                let (held, drawn) = (ordered.arrival(departure), free.arrival(departure));
                prop_assert!(drawn >= departure);
                latest = latest.max(drawn);
                prop_assert_eq!(held, latest, "as late as was drawn, or as the one before");
            }
        }
    }
}

#[test]
fn distributions_reorder_where_jitter_may() {
    for distribution in ALL {
        let mut delay =
            Delay::new(20, Jitter::Reordering(Duration::from_micros(10)), distribution, SimRng::new(1, 3));
        let arrivals: Vec<_> = (0..100).map(|packet| delay.arrival(packet * 100)).collect();
        assert!(!arrivals.is_sorted(), "{distribution:?}");
    }
}

#[test]
fn without_jitter_nothing_is_drawn() {
    for distribution in ALL {
        let mut delay = Delay::new(20, Jitter::default(), distribution, SimRng::new(1, 3));
        assert_eq!([0, 5, 6].map(|departure| delay.arrival(departure)), [20, 25, 26]);
    }
}
