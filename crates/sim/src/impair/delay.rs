//! Propagation delay and jitter.

use std::time::Duration;

use crate::rng::SimRng;

/// Random delay on top of the propagation delay: uniform between nothing and a limit.
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

/// Adds propagation delay and jitter to a departure time.
#[derive(Clone, Debug)]
pub(crate) struct Delay {
    propagation: u64,
    /// Largest jitter, nanoseconds.
    jitter: u64,
    ordered: bool,
    /// Latest arrival given out so far; floor of the next when ordered.
    latest: u64,
    rng: SimRng,
}

impl Delay {
    pub(crate) fn new(propagation: u64, jitter: Jitter, rng: SimRng) -> Self {
        let (jitter, ordered) = match jitter {
            Jitter::Ordered(limit) => (limit, true),
            Jitter::Reordering(limit) => (limit, false),
        };
        Self { propagation, jitter: crate::nanos(jitter), ordered, latest: 0, rng }
    }

    /// Nothing overtakes what `old` has let go, if that kept the order.
    pub(crate) fn go_on_from(&mut self, old: &Self) {
        self.latest = old.latest;
    }

    /// When a packet that has left at `departure` arrives.
    pub(crate) fn arrival(&mut self, departure: u64) -> u64 {
        let jitter = if self.jitter == 0 { 0 } else { self.rng.below(self.jitter.saturating_add(1)) };
        let mut arrival = departure + self.propagation + jitter;
        if self.ordered {
            arrival = arrival.max(self.latest);
            self.latest = arrival;
        }
        arrival
    }
}
