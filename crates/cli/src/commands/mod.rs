//! What the commands do.

mod demo;
mod man;
mod plot;
mod sim;
#[cfg(unix)]
mod ss;

use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use netstack_cli::flow::Flow;
use netstack_sim::record::Log;

use crate::args::{Args, Command, Source};

/// Why a command failed, for the person who gave it.
pub(crate) type Failure = Box<dyn Error>;

/// Does what was asked.
pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Sim(sim) => return sim::run(&sim),
        Command::Demo(demo) => demo::run(&demo)?,
        Command::Ladder(ladder) => plot::ladder(&ladder)?,
        Command::Plot(plot) => plot::run(&plot)?,
        #[cfg(unix)]
        Command::Ss(ss) => ss::run(&ss)?,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "netstack", &mut io::stdout());
        }
        Command::Man { folder } => man::write(&folder)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether nobody reads the output any more, as when it goes through `head`.
pub(crate) fn is_closed_pipe(error: &Failure) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A failure with a file.
fn with_file(what: &str, path: &Path, error: impl std::fmt::Display) -> Failure {
    format!("cannot {what} {}: {error}", path.display()).into()
}

/// Reads a trace or a capture, told by its first octet.
fn read(path: &Path) -> Result<Log, Failure> {
    let failed = |error: &dyn std::fmt::Display| with_file("read", path, error);
    let file = File::open(path).map_err(|error| failed(&error))?;
    let mut reader = BufReader::new(file);
    let mut first = [0];
    let len = reader.read(&mut first).map_err(|error| failed(&error))?;
    let whole = first[..len].chain(reader);
    let log = if first == *b"{" { Log::read_json(whole) } else { Log::read_capture(whole) };
    log.map_err(|error| failed(&error))
}

/// The log and the one of its connections that is asked for.
fn connection(source: &Source) -> Result<(Log, Flow), Failure> {
    let log = read(&source.file)?;
    let mut flows = Flow::all(&log);
    let place = source.connection as usize - 1;
    if place >= flows.len() {
        let all: Vec<_> = flows
            .iter()
            .enumerate()
            .map(|(place, flow)| format!("{}: {}", place + 1, flow.title()))
            .collect();
        let there = match all.len() {
            0 => "it has no TCP segment".to_owned(),
            _ => format!("it has these:\n  {}", all.join("\n  ")),
        };
        let file = source.file.display();
        return Err(format!("{file} has no TCP connection number {}; {there}", source.connection).into());
    }
    Ok((log, flows.swap_remove(place)))
}
