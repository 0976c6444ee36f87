//! `docs/conformance.md`: each row of `docs/requirements.md`, and where it is shown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::{Place, cells, is_id};

const HEAD: &str = "\
# Conformance

What the stack says to each row of [requirements.md](requirements.md), and where that is shown: a row is *claimed* with a
test that cites it, *declined* with the reason and a test that pins what is done instead, or *open* with what is missing.

This page is made from that table and from the citations in the tests, by
`NETSTACK_WRITE=1 cargo test -p netstack-tests --test requirements`; without the variable the same command fails where the
page is out of date.
";

/// Files of tests that a row names at most.
const MOST: usize = 2;

type Cited = BTreeMap<String, Vec<Place>>;

/// What the page says to a row.
fn verdict(id: &str, status: &str, cited: &Cited) -> String {
    let shown = || files(id, cited).take(MOST).map(|file| format!("`{file}`")).collect::<Vec<_>>().join(", ");
    match status.split_once(": ") {
        Some(("declined", reason)) => format!("declined: {reason}; pinned in {}", shown()),
        Some((_, part)) => format!("open: {part}"),
        None => format!("claimed: {}", shown()),
    }
}

/// The files that cite a row, each once, the one with the most citations first.
fn files<'a>(id: &str, cited: &'a Cited) -> impl Iterator<Item = &'a str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for place in cited.get(id).into_iter().flatten() {
        *counts.entry(file_of(place)).or_default() += 1;
    }
    let mut files: Vec<_> = counts.into_iter().collect();
    files.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    files.into_iter().map(|(file, _)| file)
}

/// The file of a place, without its line.
fn file_of(place: &str) -> &str {
    place.rsplit_once(':').map_or(place, |(file, _)| file)
}

fn row(line: &str) -> Option<(&str, &str, &str)> {
    match cells(line)?.as_slice() {
        [id, text, verdict] if is_id(id) => Some((id, text, verdict)),
        _ => None,
    }
}

/// The whole page.
pub(crate) fn page(requirements: &str, cited: &Cited) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut open, mut tables) = (String::new(), String::new());
    for line in requirements.lines() {
        if let Some((id, text, status)) = row(line) {
            let verdict = verdict(id, status, cited);
            let kind = match status.split_once(": ") {
                Some(("declined", _)) => "declined",
                Some(_) => "open",
                None => "claimed",
            };
            *counts.entry(kind).or_default() += 1;
            if kind == "open" {
                let _ = writeln!(open, "| {id} | {text} | {verdict} |");
            }
            let _ = writeln!(tables, "| {id} | {text} | {verdict} |");
        } else if let Some(title) = line.strip_prefix("## ") {
            let _ = write!(tables, "\n## {title}\n\n| ID | Requirement | What is so |\n|---|---|---|\n");
        }
    }
    let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let open = if open.is_empty() {
        "None.\n".to_owned()
    } else {
        format!("| ID | Requirement | What is missing |\n|---|---|---|\n{open}")
    };
    format!("{HEAD}\n{}.\n\n## Open\n\n{open}{tables}", counts.join(", "))
}

/// Rows of which `page` says what is not so: another verdict, or a file that does not cite it. Which of several files are
/// named does not matter.
pub(crate) fn stale(page: &str, requirements: &str, cited: &Cited) -> Vec<String> {
    let said: BTreeMap<&str, (&str, &str)> =
        page.lines().filter_map(row).map(|(id, text, verdict)| (id, (text, verdict))).collect();
    let rows = requirements.lines().filter_map(row);
    let mut stale: Vec<String> = rows
        .clone()
        .filter(|(id, text, status)| {
            let Some((said_text, said)) = said.get(id) else { return true };
            let bare = |verdict: &str| verdict.split('`').next().map(str::to_owned);
            let named = || said.split('`').skip(1).step_by(2).filter(|part| part.ends_with(".rs"));
            said_text != text
                || bare(said) != bare(&verdict(id, status, cited))
                || !named().all(|file| files(id, cited).any(|known| known == file))
        })
        .map(|(id, ..)| id.to_owned())
        .collect();
    stale.extend(
        said.keys().filter(|id| rows.clone().all(|(known, ..)| known != **id)).map(|id| (*id).to_owned()),
    );
    stale
}
