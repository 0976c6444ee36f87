//! Propagation delay and jitter.

use std::time::Duration;

use rand_distr::{Normal, Pareto};

use crate::rng::SimRng;

#[cfg(test)]
mod tests;

/// Random delay on top of the propagation delay, or around it: [`JitterDistribution`] says how it is spread.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// A packet never overtakes an earlier one: it arrives no sooner than its predecessor.
    Ordered(Duration),
    /// Packets overtake each other as their delays fall.
    Reordering(Duration),
}

impl Default for Jitter {
    fn default() -> Self {
        Self::Ordered(Duration::ZERO)
    }
}

/// How random delays are spread, by the names that `tc netem` has for them.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum JitterDistribution {
    /// On top of the propagation delay, anything between nothing and the jitter is as likely.
    #[default]
    Uniform,
    /// A normal distribution around the propagation delay with the jitter as its standard deviation; what would come out below
    /// zero is zero.
    Normal,
    /// A Pareto distribution of shape 3, a long tail: its mean is the propagation delay and its standard deviation the jitter.
    /// Nothing comes sooner than the propagation delay less 0.58 of the jitter (1/√3), or than zero; one packet in a thousand is
    /// more than 9.8 of the jitter late.
    Pareto,
}

/// Adds propagation delay and jitter to a departure time.
#[derive(Clone, Debug)]
pub(crate) struct Delay {
    propagation: u64,
    /// Nanoseconds.
    jitter: u64,
    spread: Spread,
    ordered: bool,
    /// Latest arrival given out so far; floor of the next when ordered.
    latest: u64,
    rng: SimRng,
}

/// What a delay is drawn from.
#[derive(Copy, Clone, Debug)]
enum Spread {
    OnTop,
    Normal(Normal<f64>),
    Pareto(Pareto<f64>),
}

/// Shape of the Pareto distribution, as of netem's.
const SHAPE: f64 = 3.0;
/// Its mean where it begins at 1, and its standard deviation: a/(a-1), and √(a/(a-2))/(a-1).
const MEAN: f64 = SHAPE / (SHAPE - 1.0);
const DEVIATION: f64 = 0.866_025_403_784_438_6;

impl Spread {
    fn new(distribution: JitterDistribution) -> Self {
        let known = "the parameters of the distribution are constants within its bounds";
        match distribution {
            JitterDistribution::Uniform => Self::OnTop,
            JitterDistribution::Normal => Self::Normal(Normal::new(0.0, 1.0).expect(known)),
            JitterDistribution::Pareto => Self::Pareto(Pareto::new(1.0, SHAPE).expect(known)),
        }
    }

    /// A propagation delay with its jitter, both in nanoseconds.
    fn draw(self, propagation: u64, jitter: u64, rng: &mut SimRng) -> u64 {
        let by = match self {
            Self::OnTop => return propagation.saturating_add(rng.below(jitter.saturating_add(1))),
            Self::Normal(normal) => rng.draw(normal),
            Self::Pareto(pareto) => (rng.draw(pareto) - MEAN) / DEVIATION,
        };
        // A cast stops at the bounds of its type: less than nothing is nothing.
        (propagation as f64 + by * jitter as f64).round() as u64
    }
}

impl Delay {
    pub(crate) fn new(
        propagation: u64,
        jitter: Jitter,
        distribution: JitterDistribution,
        rng: SimRng,
    ) -> Self {
        let (jitter, ordered) = match jitter {
            Jitter::Ordered(span) => (span, true),
            Jitter::Reordering(span) => (span, false),
        };
        let (jitter, spread) = (crate::nanos(jitter), Spread::new(distribution));
        Self { propagation, jitter, spread, ordered, latest: 0, rng }
    }

    /// Nothing overtakes what `old` has let go, if that kept the order.
    pub(crate) fn go_on_from(&mut self, old: &Self) {
        self.latest = old.latest;
    }

    /// When a packet that has left at `departure` arrives.
    pub(crate) fn arrival(&mut self, departure: u64) -> u64 {
        let delay = match self.jitter {
            0 => self.propagation,
            jitter => self.spread.draw(self.propagation, jitter, &mut self.rng),
        };
        let mut arrival = departure.saturating_add(delay);
        if self.ordered {
            arrival = arrival.max(self.latest);
            self.latest = arrival;
        }
        arrival
    }
}
