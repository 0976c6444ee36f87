//! Resident memory per idle connection: 10,000 connections between two stacks in memory, each of which has echoed 64 KiB,
//! and each of whose ends is a bare `TcpStream` in a list.
//!
//! ```sh
//! cargo run --release -p netstack-bench -- idle [connections]
//! ```

use std::error::Error;
use std::time::Duration;

use netstack_bench::memory::resident;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::{Stack, TcpListener, TcpStream, device};

/// What each connection echoes before it idles.
const ECHO: usize = 64 << 10;

/// The promise: bytes per idle connection, at one end.
const LIMIT: u64 = 2048;

/// Connections that warm allocator and stacks up before counting starts.
const WARM_UP: usize = 256;

/// The command line.
#[derive(Debug, clap::Args)]
pub(crate) struct IdleArgs {
    /// Connections to keep idle.
    #[arg(default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
}

/// Measures, prints, and fails where the promise is not kept.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: &IdleArgs) -> Result<(), Box<dyn Error>> {
    let count = args.connections as usize;
    let caps = device::Capabilities::ip(1500);
    let (left, right) = device::memory::pair(caps.clone(), caps);
    let server = Stack::builder().device(left).address("192.0.2.1/24".parse()?).build()?;
    let client = Stack::builder().device(right).address("192.0.2.2/24".parse()?).build()?;
    let listener = TcpListener::bind(&server, ([192, 0, 2, 1], 7)).await?;

    let mut ends = Vec::with_capacity(2 * (count + WARM_UP));
    for _ in 0..WARM_UP {
        ends.extend(echo_once(&client, &listener).await?);
    }
    let before = resident()?;
    for _ in 0..count {
        ends.extend(echo_once(&client, &listener).await?);
    }
    // Delayed ACKs and window updates are over after this.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = resident()?.saturating_sub(before);
    let per_end = grown / (2 * count as u64);
    println!("{count} connections, both ends in this process, each echoed {ECHO} bytes first");
    println!("resident: {} KiB more, {per_end} bytes per TcpStream (at most {LIMIT})", grown >> 10);
    if per_end > LIMIT {
        return Err(format!("{per_end} bytes per idle connection, {LIMIT} promised").into());
    }
    Ok(())
}

/// Opens a connection, sends [`ECHO`] bytes there and back, and gives both ends.
async fn echo_once(client: &Stack, listener: &TcpListener) -> Result<[TcpStream; 2], Box<dyn Error>> {
    let server = listener.local_addr()?;
    let (connected, accepted) = tokio::join!(TcpStream::connect(client, server), listener.accept());
    let (mut connected, (mut accepted, _)) = (connected?, accepted?);
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
