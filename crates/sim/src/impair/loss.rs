//! Loss on the wire: each packet by itself with one probability, or in bursts.

use crate::rng::{Coin, SimRng};

/// Which packets are lost on the wire.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) enum LossModel {
    /// Each by itself, with this probability.
    Uniform(f64),
    /// In runs (Gilbert 1960): a run begins before a packet with probability `begin`, loses all while it lasts, and ends
    /// before a packet with probability `end`.
    Bursts { begin: f64, end: f64 },
}

impl Default for LossModel {
    fn default() -> Self {
        Self::Uniform(0.0)
    }
}

impl LossModel {
    /// Runs of `mean` packets on average that take `share` of all packets: the chain is in its losing state for
    /// `begin / (begin + end)` of the time, and for `1 / end` packets in a row.
    pub(crate) fn bursts(share: f64, mean: f64) -> Self {
        let end = 1.0 / mean;
        let begin = share * end / (1.0 - share);
        Self::Bursts { begin, end }
    }
}

/// Loses packets as its model says.
#[derive(Clone, Debug)]
pub(crate) enum Loss {
    Uniform(Coin),
    Bursts { begin: Coin, end: Coin, losing: bool },
}

impl Loss {
    pub(crate) fn new(model: LossModel, rng: SimRng, end_rng: SimRng) -> Self {
        match model {
            LossModel::Uniform(probability) => Self::Uniform(Coin::new(probability, rng)),
            LossModel::Bursts { begin, end } => {
                Self::Bursts { begin: Coin::new(begin, rng), end: Coin::new(end, end_rng), losing: false }
            }
        }
    }

    /// Whether the next packet is lost.
    pub(crate) fn loses(&mut self) -> bool {
        match self {
            Self::Uniform(coin) => coin.flip(),
            Self::Bursts { begin, end, losing } => {
                *losing = if *losing { !end.flip() } else { begin.flip() };
                *losing
            }
        }
    }
}
