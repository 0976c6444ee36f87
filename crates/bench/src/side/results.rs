//! What was measured so far.

use std::collections::BTreeMap;

use netstack_bench::spread::Spread;

use super::candidate::Candidate;
use super::job::Figure;

/// Every run of every figure, and what went wrong.
#[derive(Clone, Debug, Default)]
pub(super) struct Results {
    values: BTreeMap<(Figure, Candidate), Vec<f64>>,
    failures: BTreeMap<(Figure, Candidate), Vec<String>>,
}

impl Results {
    pub(super) fn add(&mut self, figure: Figure, candidate: Candidate, value: f64) {
        self.values.entry((figure, candidate)).or_default().push(value);
    }

    pub(super) fn fail(&mut self, figure: Figure, candidate: Candidate, why: String) {
        self.failures.entry((figure, candidate)).or_default().push(why);
    }

    /// The runs that succeeded.
    pub(super) fn spread(&self, figure: Figure, candidate: Candidate) -> Option<Spread> {
        Spread::of(self.values.get(&(figure, candidate))?)
    }

    pub(super) fn median(&self, figure: Figure, candidate: Candidate) -> Option<f64> {
        self.spread(figure, candidate).map(|spread| spread.median)
    }

    /// Why runs failed.
    pub(super) fn failures(&self, figure: Figure, candidate: Candidate) -> &[String] {
        self.failures.get(&(figure, candidate)).map_or(&[], Vec::as_slice)
    }

    /// How a candidate's median stands to another's.
    pub(super) fn ratio(&self, figure: Figure, candidate: Candidate, other: Candidate) -> Option<f64> {
        Some(self.median(figure, candidate)? / self.median(figure, other)?)
    }

    /// The greatest median of `candidates`.
    pub(super) fn best(&self, figure: Figure, candidates: &[Candidate]) -> Option<f64> {
        candidates.iter().filter_map(|&candidate| self.median(figure, candidate)).max_by(f64::total_cmp)
    }

    /// Whether a figure was asked of anyone.
    pub(super) fn has(&self, figure: Figure) -> bool {
        let of = |key: &(Figure, Candidate)| key.0 == figure;
        self.values.keys().any(of) || self.failures.keys().any(of)
    }
}
