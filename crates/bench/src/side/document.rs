//! Where results are written: a section of a document, between two markers, and a chart beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
const DOCUMENT: &str = "performance.md";

/// The chart's file.
pub(super) const CHART: &str = "peers.svg";

const BEGIN: &str =
    "<!-- peers: begin; `cargo run --release -p netstack-bench -- peers` writes this section -->\n";
const END: &str = "<!-- peers: end -->\n";

/// The files that are written.
pub(super) fn names() -> String {
    format!("{DOCUMENT}, {CHART}")
}

/// Where they go: into the documentation after a whole run, else beside the program.
///
/// # Errors
/// The folder cannot be made.
pub(super) fn folder(whole: bool) -> io::Result<PathBuf> {
    if whole {
        return Path::new(DOCS).canonicalize();
    }
    let own = std::env::current_exe()?;
    let folder = own.parent().unwrap_or_else(|| Path::new(".")).join("partial-results");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Writes the section into the document of a folder, in place of the one before.
///
/// # Errors
/// No access, or a document that has no markers.
pub(super) fn write(text: &str, folder: &Path) -> io::Result<()> {
    let path = folder.join(DOCUMENT);
    let document = if path.exists() { fs::read_to_string(&path)? } else { format!("{BEGIN}{END}") };
    let Some(document) = replaced(&document, text) else {
        return Err(io::Error::other(format!(
            "{}: put these two lines where the results go, then run this again:\n{BEGIN}{END}",
            path.display()
        )));
    };
    fs::write(path, document)
}

/// The document with another section.
fn replaced(document: &str, section: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n![Side by side]({CHART})\n\n{}\n\n{END}{after}", section.trim_end()))
}

#[cfg(test)]
mod tests;
