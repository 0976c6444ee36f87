//! `netstack sim`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use indicatif::{ProgressBar, ProgressStyle};
use netstack_cli::draw::{self, LadderOptions, Theme};
use netstack_cli::experiment::{Experiment, FlowResult, Outcome};
use netstack_tcp::congestion::{CongestionControl, Pacing};

use super::plot::SLOTS;
use super::{Failure, with_file};
use crate::args::{Congestion, Sim};

pub(super) fn run(args: &Sim) -> Result<ExitCode, Failure> {
    let experiment = experiment(args);
    if let Some(folder) = &args.plot {
        // Before the work, which would be in vain.
        fs::create_dir_all(folder).map_err(|error| with_file("make the folder", folder, error))?;
    }
    let total = args.bytes.saturating_mul(u64::from(args.flows));
    let bar = if args.quiet { ProgressBar::hidden() } else { progress_bar(total) };
    let outcome = experiment.run(|delivered| bar.set_position(delivered));
    bar.finish_and_clear();
    report(&outcome)?;
    if let Some(folder) = &args.plot {
        write(&outcome, folder, args.style.theme)?;
    }
    if outcome.results.iter().all(|result| result.complete)
        && outcome.results.len() == usize::from(args.flows)
    {
        return Ok(ExitCode::SUCCESS);
    }
    Err(format!(
        "not everything arrived within {:?} of virtual time; give it more with --limit, or a better link",
        args.limit
    )
    .into())
}

fn experiment(args: &Sim) -> Experiment {
    Experiment {
        rate: args.rate.0,
        delay: args.delay,
        jitter: args.jitter,
        distribution: args.distribution.into(),
        jitter_reorders: args.jitter_reorders,
        // Runs of losses need something between them.
        loss: if args.burst > 1.0 { args.loss.min(0.99) } else { args.loss },
        burst: args.burst,
        loss_back: args.loss_back,
        duplicate: args.duplicate,
        reorder: args.reorder,
        queue: args.queue,
        mark_above: args.mark_above,
        mtu: args.mtu,
        ipv6: args.ipv6,
        flows: usize::from(args.flows),
        bytes: args.bytes,
        congestion: match args.cc {
            Congestion::Cubic => CongestionControl::Cubic,
            Congestion::Newreno => CongestionControl::NewReno,
            Congestion::Bbr => CongestionControl::Bbr,
        },
        pacing: if args.pacing { Pacing::On } else { Pacing::Auto },
        seed: args.seed,
        limit: args.limit,
        keep_payload: args.plot.is_some(),
    }
}

fn progress_bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style)
}

fn report(outcome: &Outcome) -> io::Result<()> {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header([
        "connection",
        "delivered",
        "time",
        "goodput",
        "segments",
        "resent",
        "lost",
        "RTT 50%",
        "95%",
        "99%",
        "max",
    ]);
    for (flow, result) in outcome.flows.iter().zip(&outcome.results) {
        let mut row = vec![
            flow.ends[0].addr.to_string(),
            indicatif::HumanBytes(result.delivered).to_string(),
            format!("{:.3} s", result.took.as_secs_f64()),
            goodput(result),
            result.segments.to_string(),
            format!("{} ({:.2} %)", result.resent, percent(result.resent, result.segments)),
            result.lost.to_string(),
        ];
        row.extend(round_trips(result));
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut states = Table::new();
    states.load_preset(UTF8_HORIZONTAL_ONLY);
    let names: Vec<_> = outcome
        .results
        .first()
        .map_or(Vec::new(), |result| result.states.iter().map(|(name, _)| name.clone()).collect());
    states.set_header([vec!["sender's time in".to_owned()], names.clone()].concat());
    for (flow, result) in outcome.flows.iter().zip(&outcome.results) {
        let of = |name: &String| result.states.iter().find(|(known, _)| known == name);
        let times = names.iter().map(|name| of(name).map_or_else(String::new, |(_, time)| millis(*time)));
        let first = flow.ends[0].addr.to_string();
        states.add_row(std::iter::once(first).chain(times));
    }
    for column in states.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    writeln!(io::stdout(), "{table}\n\n{states}")
}

/// Of a transfer that took no time there is none.
fn goodput(result: &FlowResult) -> String {
    match result.took.is_zero() {
        true => "-".to_owned(),
        false => format!("{:.2} Mbit/s", result.goodput() * 8.0 / 1e6),
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

fn round_trips(result: &FlowResult) -> [String; 4] {
    match result.round_trips {
        Some(trips) => trips.map(millis),
        None => ["-"; 4].map(str::to_owned),
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn write(outcome: &Outcome, folder: &Path, theme: Theme) -> Result<(), Failure> {
    let log = &outcome.log;
    let create = |name: &str| -> Result<(BufWriter<File>, std::path::PathBuf), Failure> {
        let path = folder.join(name);
        let file = File::create(&path).map_err(|error| with_file("write", &path, error))?;
        Ok((BufWriter::new(file), path))
    };
    let (file, path) = create("trace.jsonl")?;
    log.write_json(file).map_err(|error| with_file("write", &path, error))?;
    let (file, path) = create("trace.pcapng")?;
    log.write_pcapng(file).map_err(|error| with_file("write", &path, error))?;
    let mut pictures = vec![
        ("throughput.svg", draw::throughput(log, &outcome.flows, SLOTS)),
        ("queue.svg", draw::queue(log)),
    ];
    if let Some(flow) = outcome.flows.first() {
        pictures.push(("ladder.svg", draw::ladder(flow, &LadderOptions::default())));
        pictures.push(("time-sequence.svg", draw::time_sequence(flow)));
        pictures.push(("windows.svg", draw::windows(flow)));
        pictures.push(("states-client.svg", draw::state_diagram(flow, 0)));
        pictures.push(("states-server.svg", draw::state_diagram(flow, 1)));
    }
    for (name, picture) in pictures {
        let path = folder.join(name);
        picture.save(&path, theme).map_err(|error| with_file("write", &path, error))?;
    }
    writeln!(io::stdout(), "\nWrote trace, capture and pictures into {}.", folder.display())?;
    Ok(())
}
