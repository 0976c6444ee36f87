//! `docs/limits.md` against the code.

use std::fs;
use std::path::{Path, PathBuf};

use tokio_netstack::StackCounters;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// One row of a table of limits.
struct Row<'a> {
    what: &'a str,
    default: &'a str,
    /// `Type::method`, where it can be set.
    set_by: Vec<&'a str>,
    counters: Vec<&'a str>,
    /// A source file, and what it says.
    path: &'a str,
    code: &'a str,
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn rows(text: &str) -> Vec<Row<'_>> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = cells.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    rows.filter(|cells| cells[0] != "what")
        .map(|cells| {
            let [what, default, set_by, counters, place] = cells[..] else { panic!("{cells:?}: five cells") };
            let [path, code] = quoted(place)[..] else { panic!("{what}: a file and what it says") };
            Row { what, default, set_by: quoted(set_by), counters: quoted(counters), path, code }
        })
        .collect()
}

/// A number as the documentation writes it: `1,024`, `64 KiB`, `60 s`.
fn documented(text: &str) -> u64 {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let number: u64 = number.replace(',', "").parse().unwrap_or_else(|_| panic!("{text:?} is a number"));
    let factor = match unit {
        "" | "s" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => panic!("{unit:?} is no unit"),
    };
    number * factor
}

/// The same as the code writes it: `1024`, `64 << 10`, `Duration::from_secs(60)`; of a pair of equal numbers the one.
fn coded(code: &str) -> u64 {
    let value = code.split_once(" = ").or_else(|| code.split_once(": ")).map_or(code, |(_, value)| value);
    let digits = |text: &str| -> u64 {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap_or_else(|_| panic!("{code:?} has a number"))
    };
    if let Some((number, shift)) = value.split_once(" << ") {
        return digits(number) << digits(shift);
    }
    if let Some((a, b)) = value.split_once(" * ") {
        return digits(a) * digits(b);
    }
    if let Some((a, b)) = value.split_once(", ") {
        assert_eq!(digits(a), digits(b), "{code}");
        return digits(a);
    }
    digits(value)
}

/// All sources of the crates that users depend on.
fn sources(root: &Path) -> String {
    let mut all = String::new();
    let mut open: Vec<PathBuf> =
        ["tcp", "stack"].map(|name| root.join("crates").join(name).join("src")).into();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                all.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    all
}

#[test]
fn every_limit_is_what_the_table_says() {
    let root = workspace();
    let text = fs::read_to_string(root.join("docs/limits.md")).unwrap();
    let sources = sources(&root);
    let counters: Vec<_> = StackCounters::default().iter().map(|(name, _)| name).collect();
    let rows = rows(&text);
    assert!(rows.len() >= 35, "{} rows", rows.len());
    for row in &rows {
        let source = fs::read_to_string(root.join(row.path)).unwrap_or_else(|e| panic!("{}: {e}", row.path));
        let what = row.what;
        assert!(source.contains(row.code), "{what}: {} does not say {:?}", row.path, row.code);
        assert_eq!(documented(row.default), coded(row.code), "{what}");
        for setter in &row.set_by {
            let (_, method) = setter.split_once("::").unwrap();
            assert!(sources.contains(&format!("pub fn {method}(")), "{what}: there is no {setter}");
        }
        for counter in &row.counters {
            assert!(counters.contains(counter), "{what}: there is no counter {counter}");
        }
    }
    // What says by its name that a limit was met stands in a row.
    for counter in counters {
        let of_a_limit = ["full", "limited", "evicted", "budget", "no_room", "recycled", "expired"];
        let named = rows.iter().any(|row| row.counters.contains(&counter));
        assert!(named || !of_a_limit.iter().any(|part| counter.contains(part)), "{counter} is in no row");
    }
}

#[test]
fn numbers_are_read_as_they_are_meant() {
    for (text, number) in [("1,024", 1024), ("64 KiB", 65_536), ("60 s", 60), ("1 GiB", 1 << 30)] {
        assert_eq!(documented(text), number);
    }
    for (code, number) in [
        ("backlog: 1024", 1024),
        ("MAX_RECORDS: usize = 65_536", 65_536),
        ("total: 4 << 20", 4 << 20),
        ("SLACK: usize = 64 * 1024", 65_536),
        ("TIMEOUT: Duration = Duration::from_secs(60)", 60),
        ("user_timeout: Some(Duration::from_secs(300))", 300),
        ("fin_wait2_timeout: Duration::from_secs(60)", 60),
        ("ERRORS: (u32, u32) = (10, 10)", 10),
        ("MAX_CONTROL: u16 = 256", 256),
    ] {
        assert_eq!(coded(code), number, "{code}");
    }
}
