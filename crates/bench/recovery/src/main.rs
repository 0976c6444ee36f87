//! The recovery table as a program of its own.

use std::process::ExitCode;

use clap::Parser;
use netstack_bench_recovery::{RecoveryArgs, run};

#[derive(Debug, Parser)]
#[command(
    name = "netstack-bench-recovery",
    about = "Loss recovery and congestion control over simulated links"
)]
struct Cli {
    #[command(flatten)]
    args: RecoveryArgs,
}

fn main() -> ExitCode {
    match run(&Cli::parse().args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("netstack-bench-recovery: {error}");
            ExitCode::FAILURE
        }
    }
}
