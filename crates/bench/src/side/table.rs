//! The results as Markdown tables.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::candidate::Candidate;
use super::job::{Figure, Job};
use super::results::Results;
use super::run::Bench;

/// Medians with their spread: a row for each figure, a column for each candidate.
pub(super) fn figures(results: &Results, bench: &Bench) -> String {
    let columns = &bench.candidates;
    let mut text = head("", columns.iter().map(|candidate| candidate.name()));
    for figure in rows(results, bench) {
        let cells = columns.iter().map(|&candidate| cell(results, figure, candidate));
        push_row(&mut text, &figure.title(), cells);
    }
    text.push('\n');
    text
}

/// A median with its spread, and how many runs failed.
fn cell(results: &Results, figure: Figure, candidate: Candidate) -> String {
    let failed = results.failures(figure, candidate).len();
    let Some(spread) = results.spread(figure, candidate) else {
        return if failed > 0 { "failed" } else { "" }.to_owned();
    };
    let digits = figure.digits();
    let mut text = format!("**{:.digits$}**", spread.median);
    if spread.least < spread.greatest {
        let _infallible = write!(text, " ({:.digits$} to {:.digits$})", spread.least, spread.greatest);
    }
    if failed > 0 {
        let _infallible = write!(text, ", {failed} failed");
    }
    text
}

/// How this stack stands to each of the others.
pub(super) fn ratios(results: &Results, bench: &Bench) -> String {
    let own = [Candidate::Offload, Candidate::Plain];
    let others: Vec<_> =
        bench.candidates.iter().copied().filter(|candidate| !own.contains(candidate)).collect();
    if others.is_empty() || own.iter().all(|candidate| !bench.candidates.contains(candidate)) {
        return String::new();
    }
    let mut text =
        String::from("This stack's median as a multiple of the others', with offload / plain:\n\n");
    text += &head("", others.iter().map(|candidate| candidate.name()));
    for figure in rows(results, bench) {
        let cells: Vec<_> = others
            .iter()
            .map(|&other| {
                let ratios =
                    own.map(|candidate| results.ratio(figure, candidate, other).filter(|r| r.is_finite()));
                match ratios {
                    [None, None] => String::new(),
                    ratios => ratios.map(|ratio| ratio.map_or_else(|| "-".to_owned(), multiple)).join(" / "),
                }
            })
            .collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            push_row(&mut text, &figure.title(), cells.into_iter());
        }
    }
    text.push('\n');
    text
}

/// Two digits behind the point, fewer where there are many before it.
fn multiple(ratio: f64) -> String {
    let digits = if ratio < 10.0 { 2 } else { usize::from(ratio < 100.0) };
    format!("{ratio:.digits$}")
}

/// What failed, and why.
pub(super) fn failures(results: &Results, bench: &Bench) -> String {
    let mut text = String::new();
    for &job in &bench.jobs {
        let Some(&figure) = job.figures().first() else { continue };
        for &candidate in &bench.candidates {
            let failures = results.failures(figure, candidate);
            let mut reasons = BTreeMap::<&str, usize>::new();
            for why in failures {
                *reasons.entry(why).or_default() += 1;
            }
            for (why, times) in reasons {
                let _infallible =
                    writeln!(text, "- {}, {}: {why} ({times} x)", candidate.name(), figure.title());
            }
        }
    }
    if text.is_empty() { text } else { format!("Failed:\n\n{text}\n") }
}

/// The figures that there are.
fn rows(results: &Results, bench: &Bench) -> Vec<Figure> {
    let figures = bench.jobs.iter().copied().flat_map(Job::figures);
    figures.filter(|&figure| results.has(figure)).collect()
}

/// The first two lines of a table: the first column to the left, all others to the right.
pub(super) fn head(first: &str, others: impl Iterator<Item = &'static str>) -> String {
    let (mut names, mut rule) = (format!("| {first} |"), String::from("|---|"));
    for name in others {
        let _infallible = write!(names, " {name} |");
        rule += "---:|";
    }
    format!("{names}\n{rule}\n")
}

/// A line of a table.
pub(super) fn push_row(text: &mut String, first: &str, others: impl Iterator<Item = String>) {
    *text += &format!("| {first} |");
    for cell in others {
        let _infallible = write!(text, " {cell} |");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests;
