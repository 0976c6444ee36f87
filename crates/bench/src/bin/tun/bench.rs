//! What is measured, in which order, and the table of it.

use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use netstack_bench::spread::Spread;
use netstack_device::netns;
use netstack_device::tun::{OffloadMode, TunConfig};
use tokio::runtime::{Builder, Runtime};
use tokio_netstack::{IpPrefix, Stack};

use crate::client::{self, FIGURES};
use crate::{server, veth};

pub(crate) const RUNS: u16 = 5;

const WORKERS: usize = 2;

const MTU: usize = 1500;

/// A server under test.
struct System {
    name: &'static str,
    address: IpAddr,
    /// A list of runs for each of [`FIGURES`].
    runs: [Vec<f64>; FIGURES.len()],
}

impl System {
    fn new(name: &'static str, address: IpAddr) -> Self {
        Self { name, address, runs: Default::default() }
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let workers = match std::env::args().nth(1) {
        Some(text) => text
            .parse()
            .ok()
            .filter(|&workers| workers > 0)
            .ok_or_else(|| format!("{text}: expected a number of worker threads"))?,
        None => WORKERS,
    };
    // Before any thread: a process with threads cannot enter a user namespace.
    netns::enter_private()?;
    if veth::is_child() {
        return Ok(veth::serve(&runtime(workers)?)?);
    }
    let servers = runtime(workers)?;
    let clients = Builder::new_current_thread().enable_all().build()?;
    let kernel = servers.block_on(veth::Kernel::start(workers))?;
    let offload = servers.block_on(stack("bench0", OffloadMode::Require, [192, 0, 2]))?;
    let plain = servers.block_on(stack("bench1", OffloadMode::Off, [198, 51, 100]))?;
    let mut systems = [System::new("kernel, veth", kernel.address()), offload, plain];
    for run in 0..RUNS {
        for system in &mut systems {
            let figures = clients.block_on(client::measure(system.address, run));
            let figures = figures.map_err(|e| format!("{}: {e}", system.name))?;
            for (runs, figure) in system.runs.iter_mut().zip(figures) {
                runs.push(figure);
            }
        }
    }
    kernel.stop()?;
    print(workers, &systems)
}

fn runtime(workers: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(workers).thread_name("server").enable_all().build()
}

/// A stack behind a TUN device of its own, with all services at work: the kernel has address 1 of `network`, the stack 2.
async fn stack(name: &'static str, offload: OffloadMode, network: [u8; 3]) -> Result<System, Box<dyn Error>> {
    let [a, b, c] = network;
    let address = |host| IpAddr::V4(Ipv4Addr::new(a, b, c, host));
    let config = TunConfig::new(name).mtu(MTU).offload(offload).host_address(address(1), 24);
    let device = config.open().await?;
    let stack = Stack::builder().device(device).address(IpPrefix::new(address(2), 24)?).build()?;
    server::over_stack(&stack, address(2)).await?;
    let name = if offload == OffloadMode::Off { "this stack, plain" } else { "this stack, offload" };
    Ok(System::new(name, address(2)))
}

fn print(workers: usize, systems: &[System]) -> Result<(), Box<dyn Error>> {
    println!(
        "MTU {MTU}, {RUNS} interleaved runs; servers: multi-threaded runtime with {workers} workers; client: the kernel \
         on cubic, one thread.\nMedian (least to greatest), ratio to the kernel.\n"
    );
    let names: Vec<_> = systems.iter().map(|system| system.name).collect();
    println!("| | {} |\n|---|{}", names.join(" | "), "---:|".repeat(names.len()));
    for (index, (figure, digits)) in FIGURES.into_iter().enumerate() {
        let mut row = format!("| {figure} |");
        let mut kernel = None;
        for system in systems {
            let spread = Spread::of(&system.runs[index]).ok_or("no runs")?;
            row += &format!(" {spread:.digits$}");
            match kernel {
                None => kernel = Some(spread.median),
                Some(kernel) => row += &format!(", {:.2} x", spread.median / kernel),
            }
            row += " |";
        }
        println!("{row}");
    }
    Ok(())
}
