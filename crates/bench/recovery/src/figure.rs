//! What a run is judged by.

use std::fmt;

use netstack_sim::scenario::{Outcome, percentile};

/// How a figure is written.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A share, shown in per cent.
    Percent,
    /// Milliseconds.
    Millis,
    /// A multiple.
    Times,
    /// A plain number, such as a count or an index.
    Number,
}

/// What a figure has to be.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Bound {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
    /// Neither below the first nor above the second.
    Within(f64, f64),
}

impl Bound {
    /// Whether `value` keeps to it.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::Within(least, most) => (least..=most).contains(&value),
        }
    }
}

/// One figure of one run.
#[derive(Copy, Clone, Debug)]
pub struct Figure {
    /// What it is.
    pub name: &'static str,
    /// How it is written.
    pub unit: Unit,
    /// What the run gave.
    pub value: f64,
    /// What it has to be.
    pub bound: Bound,
    /// What Linux 6.18 gave over such a link, where that is known.
    pub linux: &'static str,
}

impl Figure {
    /// A share of what the link carries, with its floor.
    pub fn share(name: &'static str, value: f64, floor: f64, linux: &'static str) -> Self {
        Self { name, unit: Unit::Percent, value, bound: Bound::AtLeast(floor), linux }
    }

    /// A count that has to be exactly `expected`.
    pub fn count(name: &'static str, value: u64, expected: u64) -> Self {
        let expected = expected as f64;
        let bound = Bound::Within(expected, expected);
        Self { name, unit: Unit::Number, value: value as f64, bound, linux: "" }
    }

    /// A time in milliseconds, with its ceiling.
    pub fn millis(name: &'static str, value: f64, ceiling: f64, linux: &'static str) -> Self {
        Self { name, unit: Unit::Millis, value, bound: Bound::AtMost(ceiling), linux }
    }

    /// Something that is seen or not.
    pub fn seen(name: &'static str, value: bool) -> Self {
        Self::count(name, u64::from(value), 1)
    }
}

impl Unit {
    /// `value` as it is shown.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Percent => format!("{:.1} %", value * 100.0),
            Self::Millis => format!("{value:.0} ms"),
            Self::Times => format!("{value:.2} x"),
            Self::Number if value.fract() == 0.0 => format!("{value}"),
            Self::Number => format!("{value:.3}"),
        }
    }
}

/// A bound as the table shows it.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Shown(pub(crate) Bound, pub(crate) Unit);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bound, unit) = self;
        match *bound {
            Bound::AtLeast(least) => write!(f, "at least {}", unit.show(least)),
            Bound::AtMost(most) => write!(f, "at most {}", unit.show(most)),
            Bound::Within(least, most) if least == most => f.write_str(&unit.show(least)),
            Bound::Within(least, most) => write!(f, "{} to {}", unit.show(least), unit.show(most)),
        }
    }
}

/// What one run gave: its figures, and what belongs beside each.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    /// The figures; every run of a row has the same ones in the same order.
    pub figures: Vec<Figure>,
    /// Payload bytes resent.
    pub resent: f64,
    /// Payload bytes lost.
    pub lost: f64,
    /// The median of the bottleneck's queue, milliseconds of its line.
    pub queue: f64,
}

/// A run may resend what was lost and this share of what it delivered.
const NEEDLESS: f64 = 0.01;

impl Sheet {
    /// A sheet of what a run over a line of `rate` bits per second gave, with the figure that every row has: resent bytes are
    /// at most the lost bytes and 1 % of the delivered ones.
    pub(crate) fn new(outcome: &Outcome, rate: u64) -> Self {
        let mut sheet = Self::plain(outcome, rate);
        let delivered: u64 = outcome.flows.iter().map(|flow| flow.delivered).sum();
        let excess = (sheet.resent - sheet.lost).max(0.0) / (delivered as f64).max(1.0);
        sheet.figures.push(Figure {
            name: "resent beyond lost",
            unit: Unit::Percent,
            value: excess,
            bound: Bound::AtMost(NEEDLESS),
            linux: "",
        });
        sheet
    }

    /// The same, for a row that has its own figure for what is resent.
    pub(crate) fn plain(outcome: &Outcome, rate: u64) -> Self {
        let queue = outcome.median_queue() as f64 * 8.0 / rate as f64 * 1e3;
        Self { figures: Vec::new(), resent: outcome.resent() as f64, lost: outcome.lost() as f64, queue }
    }

    /// Adds a figure in front of those that every row has.
    pub(crate) fn with(mut self, figure: Figure) -> Self {
        let place = self.figures.iter().position(|f| f.name == "resent beyond lost");
        self.figures.insert(place.unwrap_or(self.figures.len()), figure);
        self
    }
}

/// The median, with the least and the greatest.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Spread {
    /// The figure in the middle.
    pub(crate) median: f64,
    /// The least.
    pub(crate) least: f64,
    /// The greatest.
    pub(crate) greatest: f64,
}

impl Spread {
    /// The spread of at least one figure.
    pub(crate) fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut ordered: Vec<_> = figures.map(Ordered).collect();
        let mut rank = |percent| percentile(&mut ordered, percent).map_or(f64::NAN, |value| value.0);
        Self { median: rank(50.0), least: rank(0.0), greatest: rank(100.0) }
    }
}

/// A float by its total order.
#[derive(Copy, Clone)]
struct Ordered(f64);

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}
