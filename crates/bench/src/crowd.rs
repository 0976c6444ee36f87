//! Cost per segment with few and with many established connections: a stack over a device in memory, and at the device's
//! other end a peer that is hardly more than headers. Of all connections, one after the other exchanges a small request
//! for a small answer.
//!
//! ```sh
//! cargo run --release -p netstack-bench -- crowd [connections ...]
//! ```
//!
//! The counts are 1, 1,000, 10,000 and 100,000 unless given; ratios are to the first. A million connections need about
//! 2 GB. Runs at the counts are interleaved. An exchange is three segments (request, answer, ACK): the ACKs at once
//! with which a young connection helps slow start are turned off. Its processor time has all in it: ingress, the
//! connection's task, the application's `read` and `write`, the peer.

use std::error::Error;
use std::io;

use bytes::Bytes;
use netstack_bench::cpu::thread_time;
use netstack_bench::memory::resident;
use netstack_bench::peer::Crowd;
use netstack_bench::spread::Spread;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::TcpConfig;

const COUNTS: [u32; 4] = [1, 1_000, 10_000, 100_000];

const RUNS: usize = 5;

/// Exchanges in a run.
const EXCHANGES: usize = 100_000;

const REQUEST: usize = 64;

/// The connections of one count, and what their runs took.
struct Measured {
    crowd: Crowd,
    nanos: Vec<f64>,
}

impl Measured {
    async fn new(count: usize) -> Result<Self, Box<dyn Error>> {
        let mut tcp = TcpConfig::new();
        tcp.quick_acks(0).nodelay(true);
        Ok(Self { crowd: Crowd::new(tcp, count).await?, nanos: Vec::new() })
    }

    /// One run: nanoseconds of processor time per segment. Where the last run stopped this one goes on.
    async fn run(&mut self) -> io::Result<f64> {
        let request = Bytes::from(vec![0x5a; REQUEST]);
        let mut buffer = [0; REQUEST];
        let before = self.segments();
        let start = thread_time()?;
        for _ in 0..EXCHANGES {
            let index = self.crowd.turn();
            self.crowd.peer.request(index, request.clone())?;
            let stream = &mut self.crowd.streams[index];
            stream.read_exact(&mut buffer).await?;
            stream.write_all(&buffer).await?;
            self.crowd.peer.answer(index, REQUEST).await?;
        }
        let nanos = (thread_time()? - start).as_nanos() as f64;
        Ok(nanos / (self.segments() - before) as f64)
    }

    fn segments(&self) -> u64 {
        let counters = self.crowd.stack.counters();
        counters.rx_segments + counters.tx_segments
    }
}

/// The command line.
#[derive(Debug, clap::Args)]
pub(crate) struct CrowdArgs {
    /// How many connections to measure with, one after the other.
    #[arg(default_values_t = COUNTS, value_parser = clap::value_parser!(u32).range(1..))]
    connections: Vec<u32>,
}

/// Measures and prints.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: &CrowdArgs) -> Result<(), Box<dyn Error>> {
    let mut all = Vec::new();
    for &count in &args.connections {
        all.push(Measured::new(count as usize).await?);
    }
    for measured in &mut all {
        measured.run().await?;
    }
    for _ in 0..RUNS {
        for measured in &mut all {
            let nanos = measured.run().await?;
            measured.nanos.push(nanos);
        }
    }
    println!("One thread, {RUNS} interleaved runs of {EXCHANGES} exchanges of {REQUEST} bytes each;");
    println!("{} MB resident in all.\n", resident()? / 1_000_000);
    println!("| connections | CPU ns per segment, median (least to greatest) | ratio |");
    println!("|---:|---:|---:|");
    let mut first = None;
    for measured in &all {
        let spread = Spread::of(&measured.nanos).ok_or("no runs")?;
        let ratio = spread.median / *first.get_or_insert(spread.median);
        println!("| {} | {spread:.0} | {ratio:.2} |", measured.crowd.streams.len());
    }
    Ok(())
}
