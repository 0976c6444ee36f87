//! Random early detection (Floyd and Jacobson 1993), with the gentle slope.

use crate::rng::SimRng;

/// Weight of the present length in the average.
const WEIGHT: f64 = 0.002;

#[derive(Clone, Debug)]
pub(super) struct Red {
    min: f64,
    max: f64,
    probability: f64,
    ecn: bool,
    /// How long a packet takes to leave, nanoseconds; while the queue is idle so many are taken to have found it empty.
    slot: u64,
    average: f64,
    /// Packets let pass since the last that was dropped or marked, while the average is above `min`.
    count: u32,
    idle_since: Option<u64>,
    rng: SimRng,
}

/// What becomes of a packet that comes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Pass,
    Mark,
    Drop,
}

impl Red {
    pub(super) fn new(
        (min, max): (usize, usize),
        probability: f64,
        ecn: bool,
        slot: u64,
        rng: SimRng,
    ) -> Self {
        Self {
            min: min as f64,
            max: max as f64,
            probability,
            ecn,
            slot: slot.max(1),
            average: 0.0,
            count: 0,
            idle_since: Some(0),
            rng,
        }
    }

    /// Judges a packet that finds `waiting` bytes.
    pub(super) fn judge(&mut self, now: u64, waiting: usize, busy: bool, can_mark: bool) -> Judgement {
        if let Some(since) = self.idle_since.take() {
            let missed = (now.saturating_sub(since) / self.slot).min(1 << 20);
            self.average *= (1.0 - WEIGHT).powi(missed as i32);
        }
        self.average += WEIGHT * (waiting as f64 - self.average);
        if !busy {
            self.idle_since = Some(now);
        }
        let share = self.share();
        if share <= 0.0 {
            self.count = 0;
            return Judgement::Pass;
        }
        // Spread evenly: the gaps between two are uniform, not geometric.
        let spread = share / (1.0 - f64::from(self.count) * share).max(share);
        if !self.rng.chance(spread) {
            self.count += 1;
            return Judgement::Pass;
        }
        self.count = 0;
        if self.ecn && can_mark && self.average <= self.max { Judgement::Mark } else { Judgement::Drop }
    }

    /// The share of the packets that are hit at the present average.
    fn share(&self) -> f64 {
        if self.average <= self.min {
            0.0
        } else if self.average <= self.max {
            self.probability * (self.average - self.min) / (self.max - self.min)
        } else {
            (self.probability + (1.0 - self.probability) * (self.average - self.max) / self.max).min(1.0)
        }
    }
}
