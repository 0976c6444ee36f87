//! The log as JSON lines: a header line, then a line for each record.

use std::io::{self, BufRead, Write};
use std::{error, fmt};

use serde::{Deserialize, Serialize};

use super::{Header, Log, Record};

/// Name and version of the schema, in the first line. The version changes when a field is renamed, removed or changes its
/// meaning; readers ignore fields that they do not know.
pub const SCHEMA: &str = "netstack-trace 1";

#[derive(Serialize, Deserialize)]
struct FirstLine<H> {
    schema: String,
    #[serde(flatten)]
    header: H,
}

/// Why a log cannot be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be read.
    Io(io::Error),
    /// A line is not of the schema.
    Line {
        /// Its number, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A capture is damaged, or of a kind that is not known.
    Capture(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Line { line, problem } => write!(f, "line {line}: {problem}"),
            Self::Capture(problem) => f.write_str(problem),
        }
    }
}

impl error::Error for ReadError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Line { .. } | Self::Capture(_) => None,
        }
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Log {
    /// Writes the log as JSON lines. The same log gives the same octets.
    ///
    /// # Errors
    ///
    /// What `writer` reports.
    pub fn write_json(&self, mut writer: impl Write) -> io::Result<()> {
        let first = FirstLine { schema: SCHEMA.to_owned(), header: &self.header };
        serde_json::to_writer(&mut writer, &first)?;
        writer.write_all(b"\n")?;
        for record in &self.records {
            serde_json::to_writer(&mut writer, record)?;
            writer.write_all(b"\n")?;
        }
        writer.flush()
    }

    /// Reads JSON lines as [`write_json`](Self::write_json) writes them.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: what `reader` reports, or the first line that is not of the schema.
    pub fn read_json(reader: impl BufRead) -> Result<Self, ReadError> {
        let mut lines = reader.lines().enumerate();
        let bad = |line: usize, problem: String| ReadError::Line { line: line + 1, problem };
        let Some((_, first)) = lines.next() else {
            return Err(bad(0, format!("the file is empty; a trace begins with the schema {SCHEMA:?}")));
        };
        let first: FirstLine<Header> = serde_json::from_str(&first?)
            .map_err(|error| bad(0, format!("this is no trace of schema {SCHEMA:?}: {error}")))?;
        if first.schema != SCHEMA {
            return Err(bad(0, format!("the schema is {:?}; this version reads {SCHEMA:?}", first.schema)));
        }
        let mut records = Vec::new();
        for (number, line) in lines {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let record: Record =
                serde_json::from_str(&line).map_err(|error| bad(number, error.to_string()))?;
            let known = match &record {
                Record::Packet(packet) => packet.link < first.header.links.len(),
                Record::Queue(depth) => depth.link < first.header.links.len(),
                Record::State(change) => change.end < first.header.ends.len(),
                Record::Timer(change) => change.end < first.header.ends.len(),
                Record::Figures(figures) => figures.end < first.header.ends.len(),
            };
            if !known {
                return Err(bad(
                    number,
                    "it names a link or an end that the first line does not have".to_owned(),
                ));
            }
            records.push(record);
        }
        Ok(Self { header: first.header, records })
    }
}
