//! Benchmarks of whole stacks, by one command line:
//!
//! ```sh
//! cargo run --release -p netstack-bench -- peers    # side by side with the kernel and other stacks
//! cargo run --release -p netstack-bench -- ceiling  # beside what the device path allows
//! cargo run --release -p netstack-bench -- crowd    # cost per segment with very many connections
//! cargo run --release -p netstack-bench -- idle     # memory of idle connections
//! cargo run --release -p netstack-bench -- lossy    # CUBIC and BBR beside the kernel's, one packet in a hundred lost
//! cargo run --release -p netstack-bench -- recovery # loss recovery and congestion control, simulated
//! ```

#[cfg(target_os = "linux")]
mod crowd;
#[cfg(target_os = "linux")]
mod idle;
#[cfg(target_os = "linux")]
mod side;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "netstack-bench", about = "Benchmarks of tokio-netstack")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(target_os = "linux")]
    /// Cost per segment with few and with very many connections.
    Crowd(crowd::CrowdArgs),
    #[cfg(target_os = "linux")]
    /// Resident memory per idle connection.
    Idle(idle::IdleArgs),
    /// What loss recovery and congestion control reach over simulated links.
    Recovery(netstack_bench_recovery::RecoveryArgs),
    #[cfg(target_os = "linux")]
    #[command(flatten)]
    Side(side::Command),
}

fn main() -> ExitCode {
    let done: Result<(), Box<dyn Error>> = match Cli::parse().command {
        #[cfg(target_os = "linux")]
        Command::Crowd(args) => crowd::run(&args),
        #[cfg(target_os = "linux")]
        Command::Idle(args) => idle::run(&args),
        Command::Recovery(args) => netstack_bench_recovery::run(&args),
        #[cfg(target_os = "linux")]
        Command::Side(command) => side::run(command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("netstack-bench: {e}");
            ExitCode::FAILURE
        }
    }
}
