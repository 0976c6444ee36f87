//! The harness: each case runs in a child process of its own, in a network namespace that the child
//! makes before it starts a thread, and the parent reports in the manner of libtest.

use std::fmt;
use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::cases::{CASES, Case};

/// Names the case to run, for a child of the harness.
pub(crate) const CASE_VARIABLE: &str = "NETSTACK_KERNEL_CASE";

/// A child that may not make a namespace or a TUN device ends with this status and says why on a line
/// that starts with [`SKIP_MARK`].
pub(crate) const SKIP_STATUS: u8 = 77;
pub(crate) const SKIP_MARK: &str = "@skipped: ";

/// What a child has beyond its case's deadline to print its diagnostics before the parent ends it.
const GRACE: Duration = Duration::from_secs(8);

/// The arguments of libtest that matter here; the others are accepted and do nothing.
#[derive(Debug, Default)]
struct Options {
    filters: Vec<String>,
    skips: Vec<String>,
    exact: bool,
    list: bool,
    ignored_only: bool,
    show_output: bool,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Self {
        let mut options = Self::default();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => options.list = true,
                "--exact" => options.exact = true,
                "--ignored" => options.ignored_only = true,
                "--nocapture" | "--no-capture" | "--show-output" => options.show_output = true,
                "--skip" => options.skips.extend(args.next()),
                "--test-threads" | "--format" | "--color" | "--logfile" | "--shuffle-seed" | "-Z" => {
                    args.next();
                }
                other => {
                    if let Some(skip) = other.strip_prefix("--skip=") {
                        options.skips.push(skip.to_owned());
                    } else if !other.starts_with('-') {
                        options.filters.push(other.to_owned());
                    }
                }
            }
        }
        options
    }

    fn selects(&self, name: &str) -> bool {
        let hit =
            |pattern: &String| if self.exact { name == pattern } else { name.contains(pattern.as_str()) };
        // No case is marked ignored beforehand; being skipped is found out by trying.
        !self.ignored_only
            && (self.filters.is_empty() || self.filters.iter().any(hit))
            && !self.skips.iter().any(hit)
    }
}

enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("ok"),
            Self::Skipped(reason) => write!(f, "ignored, skipped: {reason}"),
            Self::Failed(_) => f.write_str("FAILED"),
        }
    }
}

/// Runs the cases that the command line selects, one after another, and reports.
pub(crate) fn run_all() -> ExitCode {
    let options = Options::parse(std::env::args().skip(1));
    let selected: Vec<&Case> = CASES.iter().filter(|case| options.selects(case.name)).collect();
    if options.list {
        for case in &selected {
            println!("{}: test", case.name);
        }
        println!("\n{} tests, 0 benchmarks", selected.len());
        return ExitCode::SUCCESS;
    }

    println!("\nrunning {} tests", selected.len());
    let started = Instant::now();
    let (mut passed, mut skipped) = (0, 0);
    let mut failures = Vec::new();
    for case in &selected {
        print!("test {} ... ", case.name);
        // A line without its end stays in the buffer; the name should show while the case runs.
        let _ = io::stdout().flush();
        let began = Instant::now();
        let outcome = run_child(case, options.show_output);
        println!("{outcome} ({:.1} s)", began.elapsed().as_secs_f64());
        match outcome {
            Outcome::Passed => passed += 1,
            Outcome::Skipped(_) => skipped += 1,
            Outcome::Failed(output) => failures.push((case.name, output)),
        }
    }
    report(&failures);
    let verdict = if failures.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {passed} passed; {} failed; {skipped} ignored; 0 measured; {} filtered out; \
         finished in {:.2}s\n",
        failures.len(),
        CASES.len() - selected.len(),
        started.elapsed().as_secs_f64()
    );
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

fn report(failures: &[(&str, String)]) {
    if failures.is_empty() {
        return;
    }
    println!("\nfailures:");
    for (name, output) in failures {
        println!("\n---- {name} ----\n{}", output.trim_end());
    }
    println!("\nfailures:");
    for (name, _) in failures {
        println!("    {name}");
    }
}

fn run_child(case: &Case, show_output: bool) -> Outcome {
    let child = match spawn(case, show_output) {
        Ok(child) => child,
        Err(error) => return Outcome::Failed(format!("cannot start the case's process: {error}")),
    };
    match collect(child, case.deadline() + GRACE) {
        Ok((status, output)) => judge(status, output),
        Err(error) => Outcome::Failed(format!("cannot follow the case's process: {error}")),
    }
}

fn spawn(case: &Case, show_output: bool) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env(CASE_VARIABLE, case.name).stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(if show_output { Stdio::inherit() } else { Stdio::piped() });
    command.spawn()
}

/// Waits for the child, at most `limit`, and returns what it wrote.
fn collect(mut child: Child, limit: Duration) -> io::Result<(Option<ExitStatus>, String)> {
    let stdout = child.stdout.take().map(drain);
    let stderr = child.stderr.take().map(drain);
    let end = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let mut output = String::new();
    for reader in [stdout, stderr].into_iter().flatten() {
        output.push_str(&reader.join().unwrap_or_default());
    }
    Ok((status, output))
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What could be read before an error is still worth showing.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn judge(status: Option<ExitStatus>, output: String) -> Outcome {
    match status {
        None => Outcome::Failed(format!("{output}\nthe process did not end at its deadline and was killed")),
        Some(status) if status.success() => Outcome::Passed,
        Some(status) if status.code() == Some(i32::from(SKIP_STATUS)) => {
            let reason = output.lines().find_map(|line| line.strip_prefix(SKIP_MARK));
            Outcome::Skipped(reason.unwrap_or("no reason given").to_owned())
        }
        Some(status) => Outcome::Failed(format!("{output}\n({status})")),
    }
}
