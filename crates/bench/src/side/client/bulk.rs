//! Bytes as fast as they go, over one or more flows.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use netstack_bench::cpu::{machine_time, process_time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::super::net::drops;
use super::super::server::Server;
use super::connect;

const CHUNK: usize = 256 << 10;

/// Which way bulk data goes, as the client sees it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Direction {
    Download,
    Upload,
}

/// What was seen while counting lasted.
#[derive(Clone, Debug)]
pub(in super::super) struct Moved {
    /// Bytes of each flow.
    flows: Vec<u64>,
    took: Duration,
    /// Processor time of the whole machine, and of the server's process.
    machine: Duration,
    process: Duration,
    /// Packets dropped at the server's device, also before counting started.
    pub(in super::super) drops: u64,
}

impl Moved {
    fn bytes(&self) -> f64 {
        self.flows.iter().sum::<u64>() as f64
    }

    pub(in super::super) fn gigabits_per_second(&self) -> f64 {
        self.bytes() * 8e-9 / self.took.as_secs_f64()
    }

    /// The slowest flow's share of the fair share.
    pub(in super::super) fn fairness(&self) -> f64 {
        let least = self.flows.iter().copied().min().unwrap_or(0) as f64;
        least * self.flows.len() as f64 / self.bytes()
    }

    /// Processor seconds per GB: of the whole machine, and of the server.
    pub(in super::super) fn seconds_per_gigabyte(&self) -> (f64, f64) {
        let gigabytes = self.bytes() * 1e-9;
        (self.machine.as_secs_f64() / gigabytes, self.process.as_secs_f64() / gigabytes)
    }
}

/// Moves bytes over `flows` connections; counts for `count` after `warm_up`.
pub(in super::super) async fn measure(
    server: &Server,
    direction: Direction,
    flows: usize,
    warm_up: Duration,
    count: Duration,
) -> io::Result<Moved> {
    let dropped = drops(server.device())?;
    let mut tasks = JoinSet::new();
    let mut counters = Vec::new();
    for _ in 0..flows {
        let moved = Arc::new(AtomicU64::new(0));
        let stream = connect(server.service()).await?;
        tasks.spawn(match direction {
            Direction::Download => download(stream, Arc::clone(&moved)),
            Direction::Upload => upload(stream, Arc::clone(&moved)),
        });
        counters.push(moved);
    }
    let read = || -> Vec<u64> { counters.iter().map(|moved| moved.load(Relaxed)).collect() };
    tokio::time::sleep(warm_up).await;
    let (machine, process) = (machine_time()?, process_time(server.process())?);
    let (before, start) = (read(), Instant::now());
    tokio::time::sleep(count).await;
    let (after, took) = (read(), start.elapsed());
    let moved = Moved {
        flows: after.iter().zip(&before).map(|(after, before)| after - before).collect(),
        took,
        machine: machine_time()?.saturating_sub(machine),
        process: process_time(server.process())?.saturating_sub(process),
        drops: drops(server.device())?.saturating_sub(dropped),
    };
    if let Some(ended) = tasks.try_join_next() {
        ended??;
    }
    tasks.shutdown().await;
    if moved.flows.iter().all(|&bytes| bytes == 0) {
        return Err(io::Error::other(format!("not a byte in {count:?}")));
    }
    Ok(moved)
}

type Flow = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

fn download(mut stream: TcpStream, moved: Arc<AtomicU64>) -> Flow {
    Box::pin(async move {
        let mut buffer = vec![0; CHUNK];
        loop {
            match stream.read(&mut buffer).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => moved.fetch_add(n as u64, Relaxed),
            };
        }
    })
}

fn upload(mut stream: TcpStream, moved: Arc<AtomicU64>) -> Flow {
    Box::pin(async move {
        let buffer = vec![0x5a; CHUNK];
        loop {
            let n = stream.write(&buffer).await?;
            moved.fetch_add(n as u64, Relaxed);
        }
    })
}
