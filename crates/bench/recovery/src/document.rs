//! The section of the document that the table is written to.

use std::fs;
use std::io;
use std::path::Path;

pub(crate) const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/recovery.md");

const BEGIN: &str =
    "<!-- table: begin; `cargo run --release -p netstack-bench -- recovery` writes this section -->\n";
const END: &str = "<!-- table: end -->\n";

/// Puts `table` between the markers of the document.
///
/// # Errors
///
/// No access, or no markers.
pub(crate) fn write(path: &Path, table: &str) -> io::Result<()> {
    let document = fs::read_to_string(path)?;
    let Some(document) = replaced(&document, table) else {
        let text = format!("{}: put these two lines where the table goes:\n{BEGIN}{END}", path.display());
        return Err(io::Error::other(text));
    };
    fs::write(path, document)
}

fn replaced(document: &str, table: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}\n\n{END}{after}", table.trim_end()))
}
