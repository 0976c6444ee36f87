//! The table: medians over the seeds, held against the floors.

use std::fmt;

use crate::contender::Contender;
use crate::figure::{Figure, Sheet, Shown, Spread};
use crate::rows::Row;

/// A figure over the seeds.
#[derive(Copy, Clone, Debug)]
struct Entry {
    figure: Figure,
    spread: Spread,
}

impl Entry {
    fn holds(&self) -> bool {
        self.figure.bound.holds(self.spread.median)
    }
}

/// A row over the seeds.
#[derive(Clone, Debug)]
pub struct Line {
    /// The row's name.
    pub name: &'static str,
    /// The row's link, in words.
    pub link: &'static str,
    /// The controller.
    pub contender: Contender,
    entries: Vec<Entry>,
    resent: f64,
    lost: f64,
    queue: f64,
}

impl Line {
    /// What the runs of a row gave, one for each seed.
    pub fn new(row: &Row, sheets: &[Sheet]) -> Self {
        let median = |of: fn(&Sheet) -> f64| Spread::of(sheets.iter().map(of)).median;
        let figures = sheets.first().map_or(&[][..], |sheet| &sheet.figures);
        let entries = figures.iter().enumerate().map(|(at, &figure)| Entry {
            figure,
            spread: Spread::of(sheets.iter().map(|sheet| sheet.figures[at].value)),
        });
        Self {
            name: row.name,
            link: row.link,
            contender: row.contender,
            entries: entries.collect(),
            resent: median(|sheet| sheet.resent),
            lost: median(|sheet| sheet.lost),
            queue: median(|sheet| sheet.queue),
        }
    }

    /// Whether every figure keeps to its bound.
    pub fn passes(&self) -> bool {
        self.entries.iter().all(Entry::holds)
    }
}

/// The table.
#[derive(Clone, Debug)]
pub struct Table {
    /// One for each row, in order.
    pub lines: Vec<Line>,
}

impl Table {
    /// Whether every row passes.
    pub fn passes(&self) -> bool {
        self.lines.iter().all(Line::passes)
    }

    /// How many rows pass, and the names of those that do not.
    pub fn summary(&self) -> String {
        let failed: Vec<_> = self
            .lines
            .iter()
            .filter(|line| !line.passes())
            .map(|line| format!("{} {}", line.name, line.contender.name()))
            .collect();
        let passed = self.lines.len() - failed.len();
        let names = if failed.is_empty() { String::new() } else { format!("; not: {}", failed.join(", ")) };
        format!("{passed} of {} rows reach their figures{names}", self.lines.len())
    }
}

const HEAD: &str = "\
| link | controller | figure | median (least to greatest) | has to be | | Linux 6.18 | resent | lost | median queue |
|---|---|---|---|---|---|---|---|---|---|";

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}")?;
        let mut link = "";
        for line in &self.lines {
            let shown = if line.link == link { "" } else { line.link };
            link = line.link;
            line.write(f, shown)?;
        }
        Ok(())
    }
}

impl Line {
    fn write(&self, f: &mut fmt::Formatter<'_>, link: &str) -> fmt::Result {
        let contender = self.contender.name();
        if self.entries.is_empty() {
            return writeln!(
                f,
                "| {link} | {contender} | not measured: no such controller | | | no | | | | |"
            );
        }
        for (at, entry) in self.entries.iter().enumerate() {
            let Entry { figure, spread } = entry;
            let (link, contender) = if at == 0 { (link, contender) } else { ("", "") };
            let show = |value| figure.unit.show(value);
            let beside = if at == 0 {
                format!("{:.2} MB | {:.2} MB | {:.1} ms", self.resent / 1e6, self.lost / 1e6, self.queue)
            } else {
                "| |".to_owned()
            };
            writeln!(
                f,
                "| {link} | {contender} | {} | {} ({} to {}) | {} | {} | {} | {beside} |",
                figure.name,
                show(spread.median),
                show(spread.least),
                show(spread.greatest),
                Shown(figure.bound, figure.unit),
                if entry.holds() { "yes" } else { "**no**" },
                figure.linux,
            )?;
        }
        Ok(())
    }
}
