//! Side by side: this stack, other stacks and the kernel as servers, with the Linux kernel as the client of all.
//!
//! The client is one process with one thread in a network namespace of its own. Each measurement starts a server, a
//! process with a device of its own, and ends it; so each begins afresh, one that wedges harms no other, and what
//! processor time and memory it took is its process's. TUN devices are made in the client's namespace, which is where
//! their kernel's end has to be; the kernel as a server has a namespace of its own behind a veth pair.

mod candidate;
mod ceiling;
mod chart;
mod client;
mod document;
mod job;
mod loss;
mod net;
mod peers;
mod results;
mod router;
mod run;
mod serve;
mod server;
mod table;
mod targets;

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use clap::{Args, Subcommand, ValueEnum};
use netstack_bench_services::MTU;
use netstack_device::netns;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::runtime::Builder;

use self::candidate::Candidate;
use self::job::{Job, Measure, Scale};
use self::results::Results;
use self::run::Bench;

/// The commands, and the roles that processes have whom they start.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// This stack beside the kernel, other stacks and the ceiling of the device path.
    Peers(PeersArgs),
    /// Through a router that loses one packet in a hundred, CUBIC and BBR beside the kernel's.
    Lossy(ScaleArgs),
    /// This stack's bulk transfer beside the kernel and the ceiling of the device path alone.
    Ceiling(ScaleArgs),
    #[command(hide = true)]
    ServeKernel(serve::OwnArgs),
    #[command(hide = true)]
    ServeStack(serve::OwnArgs),
    #[command(hide = true)]
    ServeCeiling(serve::OwnArgs),
    #[command(hide = true)]
    Route(router::RouterArgs),
}

/// The command line of `peers`.
#[derive(Debug, Args)]
pub(crate) struct PeersArgs {
    #[command(flatten)]
    scale: ScaleArgs,
    /// Only these, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Candidate::ALL)]
    only: Vec<Candidate>,
    /// Only these measurements, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Measure::value_variants().to_vec())]
    measure: Vec<Measure>,
}

/// How often and how long to measure.
#[derive(Debug, Args)]
pub(crate) struct ScaleArgs {
    /// Interleaved runs.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Worker threads of each server's multi-threaded runtime.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    workers: u16,
    /// One short run of everything, to see that it works.
    #[arg(long)]
    quick: bool,
}

/// Runs over a path that loses packets: from one to the next they differ by a factor of two.
const LOSSY_RUNS: u16 = 9;

/// Runs a command.
pub(crate) fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Peers(args) => {
            let whole = args.only.len() == Candidate::ALL.len()
                && args.measure.len() == Measure::value_variants().len()
                && !args.scale.quick;
            let candidates =
                Candidate::ALL.into_iter().filter(|candidate| args.only.contains(candidate)).collect();
            let (text, results) = measure(&args.scale, candidates, |scale| Job::all(&args.measure, scale))?;
            println!("{text}");
            let folder = document::folder(whole)?;
            chart::draw(&results, &folder.join(document::CHART))?;
            document::write(&text, &folder)?;
            eprintln!("written: {} in {}", document::names(), Path::display(&folder));
            Ok(())
        }
        Command::Lossy(mut scale) => {
            scale.runs = scale.runs.max(LOSSY_RUNS);
            let candidates =
                vec![Candidate::KernelPlain, Candidate::Plain, Candidate::KernelBbr, Candidate::PlainBbr];
            let (text, _) = measure(&scale, candidates, |_| Job::lossy())?;
            println!("{text}");
            if !scale.quick {
                netstack_bench_recovery::write_section("lossy", &text)?;
            }
            Ok(())
        }
        Command::Ceiling(scale) => {
            let candidates = vec![
                Candidate::Kernel,
                Candidate::KernelPlain,
                Candidate::Offload,
                Candidate::Plain,
                Candidate::CeilingOffload,
                Candidate::CeilingPlain,
            ];
            let (text, _) = measure(&scale, candidates, |scale| Job::all(&[Measure::Bulk], scale))?;
            println!("{text}");
            Ok(())
        }
        Command::ServeKernel(args) => serve::kernel(&args),
        Command::ServeStack(args) => serve::stack(&args),
        Command::ServeCeiling(args) => ceiling::serve(&args),
        Command::Route(args) => router::run(&args),
    }
}

/// Measures, and tells it as Markdown.
fn measure(
    args: &ScaleArgs,
    candidates: Vec<Candidate>,
    jobs: impl FnOnce(Scale) -> Vec<Job>,
) -> Result<(String, Results), Box<dyn Error>> {
    let scale = Scale { runs: if args.quick { 1 } else { usize::from(args.runs) }, quick: args.quick };
    let (own, programs) = peers::build(&candidates)?;
    // Before any thread: a process with threads cannot enter a user namespace.
    netns::enter_private()?;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let bench =
        Bench { own, programs, candidates, jobs: jobs(scale), scale, workers: usize::from(args.workers) };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let results = runtime.block_on(bench.run())?;
    let mut text = about(&bench);
    text += &table::figures(&results, &bench);
    text += &table::ratios(&results, &bench);
    text += &table::failures(&results, &bench);
    text += &targets::table(&results);
    Ok((text, results))
}

/// What was measured on what and how.
fn about(bench: &Bench) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut text = format!(
        "{cores} cores, Linux {}, MTU {MTU}. Median of {} interleaved runs (least to greatest); of nine for the \
         1-byte exchanges of one connection.\n",
        kernel.trim(),
        bench.scale.runs
    );
    let workers = bench.workers;
    let _infallible = writeln!(
        text,
        "Client: sockets of the kernel on cubic, set per socket and read back, in one thread with a current-thread\n\
         runtime. Servers: a process each, on a multi-threaded Tokio runtime with {workers} workers, but for smoltcp (one\n\
         thread that polls) and the ceilings (one thread with a current-thread runtime).\n"
    );
    text
}
