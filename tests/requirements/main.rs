//! Holds the tests against `docs/requirements.md`: each row that is claimed or declined has a test that cites it, and each
//! citation names such a row. A citation is a comment line of the form `// req: MUST-16, S-SEQ-1` in a file of tests.

mod conformance;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What the stack says to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Claimed,
    Declined,
    Later,
}

/// A place in a source file, as an editor understands it.
type Place = String;

fn workspace() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("the tests package lies in the workspace").to_owned()
}

/// The rows of the table lines of `text`, in order; an error for each line that looks like a row and is none.
fn rows(text: &str) -> Result<Vec<(String, Status)>, String> {
    let mut rows: Vec<(String, Status)> = Vec::new();
    let mut errors = String::new();
    for (number, line) in text.lines().enumerate() {
        let Some(cells) = cells(line) else { continue };
        let [id, _, status] = cells.as_slice() else { continue };
        if !is_id(id) {
            continue;
        }
        let status = match status.split_once(": ") {
            None if *status == "claimed" => Status::Claimed,
            Some(("declined", reason)) if !reason.is_empty() => Status::Declined,
            Some(("later", part)) if !part.is_empty() => Status::Later,
            _ => {
                let _ = writeln!(errors, "line {}: {id}: no status: {status:?}", number + 1);
                continue;
            }
        };
        if rows.iter().any(|(known, _)| known == id) {
            let _ = writeln!(errors, "line {}: {id} stands there twice", number + 1);
        }
        rows.push(((*id).to_owned(), status));
    }
    if errors.is_empty() { Ok(rows) } else { Err(errors) }
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
    Some(inner.split(" | ").collect())
}

/// Whether `text` has the form of a row's ID: a prefix in capitals, and a number behind the last dash.
fn is_id(text: &str) -> bool {
    text.rsplit_once('-').is_some_and(|(prefix, number)| {
        !number.is_empty()
            && number.bytes().all(|octet| octet.is_ascii_digit())
            && prefix
                .bytes()
                .all(|octet| octet.is_ascii_uppercase() || octet.is_ascii_digit() || octet == b'-')
            && prefix.starts_with(|first: char| first.is_ascii_uppercase())
    })
}

/// The rows that `source` cites, with the line of each.
fn citations(source: &str) -> impl Iterator<Item = (usize, &str)> {
    source.lines().enumerate().flat_map(|(index, line)| {
        let cited = line.trim_start().strip_prefix("// req:").unwrap_or("");
        cited.split(',').map(str::trim).filter(|id| !id.is_empty()).map(move |id| (index + 1, id))
    })
}

/// All sources of the workspace.
fn sources(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = ["crates", "tests", "examples"].map(|folder| root.join(folder)).into();
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().unwrap_or_default();
            if path.is_dir() {
                if name != "target" {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Whether the file holds tests: under `tests/`, or a module's `tests.rs` or a folder of that name.
fn is_test_file(relative: &Path) -> bool {
    relative.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
}

/// Where each row is cited, and the citations that stand in no file of tests.
fn all_citations(root: &Path) -> (BTreeMap<String, Vec<Place>>, Vec<String>) {
    let mut cited: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    let mut misplaced = Vec::new();
    for path in sources(root) {
        let relative = path.strip_prefix(root).expect("it was found there");
        let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for (line, id) in citations(&source) {
            let place = format!("{}:{line}", relative.display());
            if is_test_file(relative) {
                cited.entry(id.to_owned()).or_default().push(place);
            } else {
                misplaced.push(format!("{id} at {place}"));
            }
        }
    }
    (cited, misplaced)
}

fn list(title: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!("{title} ({}):\n  {}\n", lines.len(), lines.join("\n  "))
}

#[test]
fn each_claim_has_a_test_and_each_citation_a_row() {
    let root = workspace();
    let text = fs::read_to_string(root.join("docs/requirements.md")).expect("docs/requirements.md is there");
    let rows = rows(&text).unwrap_or_else(|errors| panic!("docs/requirements.md:\n{errors}"));
    let (cited, misplaced) = all_citations(&root);

    let known: BTreeSet<&str> = rows.iter().map(|(id, _)| id.as_str()).collect();
    let without = |wanted: Status| -> Vec<String> {
        let missing = rows.iter().filter(|(id, status)| *status == wanted && !cited.contains_key(id));
        missing.map(|(id, _)| id.clone()).collect()
    };
    let unknown: Vec<String> = cited
        .iter()
        .filter(|(id, _)| !known.contains(id.as_str()))
        .map(|(id, places)| format!("{id} at {}", places.join(", ")))
        .collect();
    let early: Vec<String> = rows
        .iter()
        .filter(|(_, status)| *status == Status::Later)
        .filter_map(|(id, _)| Some(format!("{id} at {}", cited.get(id)?.join(", "))))
        .collect();
    let report = [
        list("claimed, and no test cites them", &without(Status::Claimed)),
        list("declined, and no test pins what is done instead", &without(Status::Declined)),
        list("cited, and no row of docs/requirements.md", &unknown),
        list("cited, and still to come", &early),
        list("cited outside of tests", &misplaced),
    ]
    .concat();

    let count = |wanted| rows.iter().filter(|(_, status)| *status == wanted).count();
    println!(
        "{} rows: {} claimed, {} declined, {} later; {} citations",
        rows.len(),
        count(Status::Claimed),
        count(Status::Declined),
        count(Status::Later),
        cited.values().map(Vec::len).sum::<usize>()
    );
    assert!(report.is_empty(), "docs/requirements.md and the tests disagree\n{report}");
}

/// `docs/conformance.md` is made by `NETSTACK_WRITE=1 cargo test -p netstack-tests --test requirements`.
#[test]
fn the_page_of_conformance_says_what_is_so() {
    let root = workspace();
    let text = fs::read_to_string(root.join("docs/requirements.md")).expect("docs/requirements.md is there");
    let (cited, _) = all_citations(&root);
    let page = root.join("docs/conformance.md");
    if std::env::var_os("NETSTACK_WRITE").is_some() {
        fs::write(&page, conformance::page(&text, &cited)).expect("docs/conformance.md can be written");
    }
    let page = fs::read_to_string(page).expect("docs/conformance.md is there");
    let stale = conformance::stale(&page, &text, &cited);
    assert!(
        stale.is_empty(),
        "docs/conformance.md is out of date; make it again by\n  NETSTACK_WRITE=1 cargo test -p netstack-tests --test \
         requirements\n{}",
        list("rows", &stale)
    );
}

#[test]
fn the_checker_reads_tables_and_citations() {
    let table = "\
| ID | Requirement | Status |
|---|---|---|
| MUST-1 | a | claimed |
| S-SEQ-12 | b \\| c | declined: we do d |
| R793-3 | e | later: that part |
";
    let parsed = rows(table).expect("a good table");
    let ids: Vec<&str> = parsed.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["MUST-1", "S-SEQ-12", "R793-3"]);
    let statuses: Vec<Status> = parsed.iter().map(|(_, status)| *status).collect();
    assert_eq!(statuses, [Status::Claimed, Status::Declined, Status::Later]);
    for bad in ["| MUST-1 | a | maybe |", "| MUST-1 | a | declined: |"] {
        assert!(rows(bad).is_err(), "{bad}");
    }
    assert!(rows("| MUST-1 | a | claimed |\n| MUST-1 | b | claimed |").is_err(), "twice");

    // The marks are put together here, so that this file cites nothing.
    let source = format!("fn f() {{\n    // {0} MUST-1, S-SEQ-2\n}}\n/// {0} MUST-3\n", "req:");
    assert_eq!(citations(&source).collect::<Vec<_>>(), [(2, "MUST-1"), (2, "S-SEQ-2")]);
    assert!(is_id("S-SYNSENT-1") && is_id("RBBR-2") && !is_id("ID") && !is_id("must-1") && !is_id("MUST-"));
    assert!(is_test_file(Path::new("crates/wire/src/tcp/tests.rs")));
    assert!(is_test_file(Path::new("crates/tcp/src/tests/labels/isn.rs")));
    assert!(!is_test_file(Path::new("crates/tcp/src/recv/mod.rs")));
}
