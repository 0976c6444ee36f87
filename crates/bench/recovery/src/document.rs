//! The sections of the document that results are written to.

use std::fs;
use std::io;
use std::path::Path;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/recovery.md");

/// Puts `text` into `docs/recovery.md`, into the section that the command `netstack-bench <command>` writes.
///
/// # Errors
///
/// No access, or no markers of that section.
pub fn write_section(command: &str, text: &str) -> io::Result<()> {
    let path = Path::new(PATH);
    let document = fs::read_to_string(path)?;
    let Some(document) = replaced(&document, command, text) else {
        let [begin, end] = markers(command);
        let text = format!("{}: put these two lines where the results go:\n{begin}{end}", path.display());
        return Err(io::Error::other(text));
    };
    fs::write(path, document)
}

fn markers(command: &str) -> [String; 2] {
    [
        format!(
            "<!-- {command}: begin; `cargo run --release -p netstack-bench -- {command}` writes this section -->\n"
        ),
        format!("<!-- {command}: end -->\n"),
    ]
}

fn replaced(document: &str, command: &str, text: &str) -> Option<String> {
    let [begin, end] = markers(command);
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{}\n\n{end}{after}", text.trim_end()))
}

#[cfg(test)]
mod tests;
