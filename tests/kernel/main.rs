//! The stack against the Linux kernel's TCP, over a TUN device.
//!
//! Run it with `cargo test -p netstack-tests --test kernel`; arguments after `--` are those of libtest
//! (a filter, `--list`, `--exact`, `--skip`, `--nocapture`). It needs neither root nor a set-up where
//! user namespaces and `/dev/net/tun` are open to users; where they are not, each case is reported as
//! skipped, with the reason. `RUST_LOG=tokio_netstack=trace` with `--nocapture` shows what the stack does
//! in a case. The kernel's end uses the congestion control that the machine is set to.

mod bytes;
mod cases;
mod change;
mod close;
mod connect;
mod cookies;
mod counters;
mod deferred;
mod ecn;
mod fastopen;
mod forge;
mod gate;
mod harness;
mod hostile;
mod icmp;
mod inject;
#[path = "../../examples/echo/kernel_state.rs"]
mod kernel_state;
// Needs nothing but the kernel's netlink.
#[path = "../../crates/bench/src/side/loss.rs"]
mod loss;
mod lossy;
mod many;
mod marks;
mod narrow;
mod options;
#[path = "../../examples/echo/pattern.rs"]
mod pattern;
mod postgres;
mod reset;
mod soak;
mod transfer;
mod udp;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Ok(target) = std::env::var(reset::VICTIM_VARIABLE) {
        return reset::run_victim(&target);
    }
    match std::env::var(harness::CASE_VARIABLE) {
        Ok(name) => world::run_case(&name),
        Err(_) => harness::run_all(),
    }
}
