//! Resident memory per idle connection: many connections between two stacks in memory, each of which has echoed 64 KiB,
//! and each of whose ends is a bare `TcpStream` in a list.
//!
//! ```sh
//! cargo run --release -p netstack-bench -- idle [connections ...]
//! ```
//!
//! The counts are 10,000 and 100,000 unless given; each figure is over all connections opened so far.

use std::error::Error;
use std::time::Duration;

use netstack_bench::memory::resident;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::{Stack, TcpListener, TcpStream, device};

/// What each connection echoes before it idles.
const ECHO: usize = 64 << 10;

/// The promise: bytes per idle connection, at one end.
const LIMIT: u64 = 2048;

/// Connections that warm allocator and stacks up before counting starts: what they echo is in the sender's hands until the
/// delayed ACK comes, and only after some hundreds of them does as much fall free as is taken.
const WARM_UP: usize = 2_500;

/// The command line.
#[derive(Debug, clap::Args)]
pub(crate) struct IdleArgs {
    /// Numbers of connections to keep idle.
    #[arg(default_values_t = [10_000, 100_000], value_parser = clap::value_parser!(u32).range(1..))]
    connections: Vec<u32>,
}

/// Measures, prints, and fails where the promise is not kept.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: &IdleArgs) -> Result<(), Box<dyn Error>> {
    let mut counts: Vec<_> = args.connections.iter().map(|&count| count as usize).collect();
    counts.sort_unstable();
    let caps = device::Capabilities::ip(1500);
    let (left, right) = device::memory::pair(caps.clone(), caps);
    let server = Stack::builder().device(left).address("192.0.2.1/24".parse()?).build()?;
    let client = Stack::builder()
        .device(right)
        .address("192.0.2.2/24".parse()?)
        .ephemeral_ports(1024..=u16::MAX)
        .build()?;

    let most = counts.last().copied().unwrap_or_default();
    let mut listeners = Vec::new();
    for number in 0..=(most + WARM_UP) / PER_PORT {
        listeners.push(TcpListener::bind(&server, ([192, 0, 2, 1], 7 + number as u16)).await?);
    }
    let mut ends = Vec::with_capacity(2 * (most + WARM_UP));
    for _ in 0..WARM_UP {
        ends.extend(echo_once(&client, &listeners[0]).await?);
    }
    let before = resident()?;
    println!("both ends in this process, each echoed {ECHO} bytes first");
    let mut missed = None;
    for count in counts {
        while ends.len() < 2 * (count + WARM_UP) {
            let listener = &listeners[ends.len() / 2 / PER_PORT];
            ends.extend(echo_once(&client, listener).await?);
        }
        // Delayed ACKs and window updates are over after this.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let grown = resident()?.saturating_sub(before);
        let per_end = grown / (2 * count as u64);
        println!(
            "{count} connections: {} KiB more resident, {per_end} bytes per TcpStream (at most {LIMIT})",
            grown >> 10
        );
        missed = missed.or_else(|| (per_end > LIMIT).then_some(per_end));
    }
    match missed {
        Some(per_end) => Err(format!("{per_end} bytes per idle connection, {LIMIT} promised").into()),
        None => Ok(()),
    }
}

/// Connections to one port of the server: fewer than the client has ports.
const PER_PORT: usize = 60_000;

/// Opens a connection, sends [`ECHO`] bytes there and back, and gives both ends.
async fn echo_once(client: &Stack, listener: &TcpListener) -> Result<[TcpStream; 2], Box<dyn Error>> {
    let server = listener.local_addr()?;
    let (mut connected, (mut accepted, _)) =
        tokio::try_join!(TcpStream::connect(client, server), listener.accept())?;
    let sent = vec![0x5a; ECHO];
    let mut echoed = vec![0; ECHO];
    let mut buffer = vec![0; ECHO];
    {
        let (mut read, mut write) = connected.split();
        let echo = async {
            accepted.read_exact(&mut buffer).await?;
            accepted.write_all(&buffer).await
        };
        let (wrote, read, echo) = tokio::join!(write.write_all(&sent), read.read_exact(&mut echoed), echo);
        wrote?;
        read?;
        echo?;
    }
    if echoed != sent {
        return Err("the echo differs from what was sent".into());
    }
    Ok([connected, accepted])
}
