//! Holds `docs/tokio-parity.md` against the sources: what it says is there is there, what it says is missing is missing, and
//! where the source of the Tokio in `Cargo.lock` lies in Cargo's registry, each public method of its sockets has a row.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The types of the page, with Tokio's file of each.
const TYPES: [(&str, &str); 4] = [
    ("TcpStream", "tcp/stream.rs"),
    ("TcpListener", "tcp/listener.rs"),
    ("TcpSocket", "tcp/socket.rs"),
    ("UdpSocket", "udp.rs"),
];

struct Row {
    item: String,
    here: bool,
    note: String,
}

impl Row {
    /// Traits begin with a capital, or with their module.
    fn is_method(&self) -> bool {
        self.item.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_')
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The rows of the page, by type.
fn page() -> BTreeMap<String, Vec<Row>> {
    let text = fs::read_to_string(root().join("docs/tokio-parity.md")).unwrap();
    let mut types = BTreeMap::<String, Vec<Row>>::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("## `").and_then(|rest| rest.strip_suffix('`')) {
            current = Some(types.entry(name.to_owned()).or_default());
        } else if let Some(cells) = line.strip_prefix("| `").and_then(|rest| rest.strip_suffix(" |")) {
            let cells: Vec<_> = cells.split(" | ").map(str::trim).collect();
            let [item, here, ..] = cells[..] else { panic!("{line}: a row has three cells") };
            let here = match here.trim_end_matches(" |") {
                "yes" => true,
                "no" => false,
                other => panic!("{line}: {other:?} is neither yes nor no"),
            };
            let item = item.trim_end_matches('`').to_owned();
            let note = cells.get(2).copied().unwrap_or_default().to_owned();
            current.as_deref_mut().expect("rows stand below a type").push(Row { item, here, note });
        }
    }
    types
}

/// The public methods in the inherent implementations of each type.
type Methods = BTreeMap<String, BTreeSet<String>>;

/// The traits implemented for a type, each behind the type's name.
type Traits = BTreeSet<(String, String)>;

/// What the stack's sources have.
fn sources() -> (Methods, Traits) {
    let (mut methods, mut traits) = (Methods::new(), Traits::new());
    let mut folders = vec![root().join("crates/stack/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                read_source(&fs::read_to_string(path).unwrap(), &mut methods, &mut traits);
            }
        }
    }
    (methods, traits)
}

fn read_source(text: &str, methods: &mut Methods, traits: &mut Traits) {
    let mut inside = None;
    for line in text.lines() {
        if let Some(header) = line.strip_prefix("impl ").and_then(|rest| rest.strip_suffix(" {")) {
            match header.split_once(" for ") {
                Some((name, of)) => {
                    traits.insert((of.to_owned(), name.to_owned()));
                    inside = None;
                }
                None => inside = Some(header.to_owned()),
            }
        } else if line == "}" {
            inside = None;
        } else if let (Some(of), Some(name)) =
            (&inside, public_method(line.strip_prefix("    ").unwrap_or("")))
        {
            methods.entry(of.clone()).or_default().insert(name);
        }
    }
}

fn public_method(line: &str) -> Option<String> {
    let rest = line.strip_prefix("pub ")?;
    let rest = rest.strip_prefix("const ").unwrap_or(rest);
    let rest = rest.strip_prefix("async ").unwrap_or(rest).strip_prefix("fn ")?;
    rest.split(['(', '<']).next().map(str::to_owned)
}

#[test]
fn the_page_says_what_there_is() {
    let (methods, traits) = sources();
    let page = page();
    let mut wrong = Vec::new();
    for (name, _) in TYPES {
        let ours = methods.get(name).unwrap_or_else(|| panic!("no type {name}"));
        for row in page.get(name).unwrap_or_else(|| panic!("no section on {name}")) {
            let found = if row.is_method() {
                ours.contains(&row.item)
            } else {
                traits.contains(&(name.to_owned(), row.item.clone()))
            };
            if found != row.here {
                wrong.push(format!("{name}: {} is {}there", row.item, if found { "" } else { "not " }));
            }
            if !row.here && row.note.is_empty() {
                wrong.push(format!("{name}: {} is missing, and the page does not say why", row.item));
            }
        }
    }
    assert!(wrong.is_empty(), "docs/tokio-parity.md:\n{}", wrong.join("\n"));
}

/// The source folder of the Tokio in `Cargo.lock`, if Cargo keeps it unpacked here.
fn tokio() -> Option<(String, PathBuf)> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let rest = lock.split_once("name = \"tokio\"\nversion = \"").expect("Tokio is locked").1;
    let version = rest.split('"').next()?.to_owned();
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))?;
    let registries = fs::read_dir(home.join("registry/src")).ok()?;
    let folders =
        registries.flatten().map(|registry| registry.path().join(format!("tokio-{version}/src/net")));
    folders.into_iter().find(|folder| folder.is_dir()).map(|folder| (version, folder))
}

#[test]
fn the_page_has_all_that_tokio_has() {
    let Some((version, folder)) = tokio() else {
        println!("skipped: the source of Tokio is not at hand");
        return;
    };
    let page = page();
    for (name, file) in TYPES {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let theirs: BTreeSet<_> = text.lines().filter_map(|line| public_method(line.trim_start())).collect();
        assert!(theirs.len() > 5, "{file} of Tokio {version} reads differently now");
        let rows: BTreeSet<_> =
            page[name].iter().filter(|row| row.is_method()).map(|row| row.item.clone()).collect();
        let missing: Vec<_> = theirs.difference(&rows).collect();
        assert!(missing.is_empty(), "{name} of Tokio {version} has {missing:?}; add rows");
        let gone: Vec<_> = rows.difference(&theirs).collect();
        assert!(gone.is_empty(), "{name} of Tokio {version} has no {gone:?}; remove the rows");
    }
}
