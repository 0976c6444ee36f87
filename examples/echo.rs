//! The small services of old - echo, discard, daytime, chargen - served by a TCP/IP stack in this process.
//!
//! `cargo run --release --example echo` shows a connection with the Linux kernel step by step and measures
//! one of 1 GiB; it needs no set-up. `--tun NAME --addr 192.0.2.2/24` serves on a TUN device, and `--help`
//! has the rest. `RUST_LOG=tokio_netstack=debug` shows what the stack reports.

#[path = "echo/capture.rs"]
mod capture;
#[path = "echo/cli.rs"]
mod cli;
#[path = "echo/client.rs"]
mod client;
#[path = "echo/demo.rs"]
mod demo;
#[path = "shared/farewell.rs"]
mod farewell;
#[path = "shared/hex.rs"]
mod hex;
#[path = "echo/kernel_state.rs"]
mod kernel_state;
#[path = "echo/ladder.rs"]
mod ladder;
#[path = "shared/link.rs"]
mod link;
#[path = "shared/number.rs"]
mod number;
#[path = "echo/pattern.rs"]
mod pattern;
#[path = "shared/say.rs"]
mod say;
#[path = "echo/serve.rs"]
mod serve;
#[path = "echo/services.rs"]
mod services;
#[path = "echo/stage.rs"]
mod stage;
#[path = "echo/states.rs"]
mod states;
#[path = "echo/text.rs"]
mod text;
#[path = "echo/timeline.rs"]
mod timeline;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args = cli::Args::read();
    match args.link.tun.clone() {
        Some(device) => serve::run(&device, args),
        None => demo::run(),
    }
}
