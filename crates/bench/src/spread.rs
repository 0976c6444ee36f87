//! Several runs of one measurement.

use std::fmt;

/// The median of several figures, with the least and the greatest.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Spread {
    /// The figure in the middle; of an even number of figures the upper one.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
}

impl Spread {
    /// The spread of `figures`; `None` if there are none.
    pub fn of(figures: &[f64]) -> Option<Self> {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&least, &greatest) = (sorted.first()?, sorted.last()?);
        Some(Self { median: sorted[sorted.len() / 2], least, greatest })
    }
}

/// `median (least to greatest)`, with the precision asked for, three digits behind the point by default.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(3);
        let Self { median, least, greatest } = self;
        write!(f, "{median:.digits$} ({least:.digits$} to {greatest:.digits$})")
    }
}

#[cfg(test)]
mod tests;
