//! Requests and their answers: on connections that stay, and on a connection each.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connect;

/// How long an answer may take before the server counts as wedged.
const ANSWER: Duration = Duration::from_secs(5);

/// What ping-pong gave.
#[derive(Copy, Clone, Debug)]
pub(in super::super) struct Turns {
    pub(in super::super) per_second: f64,
    /// Median and 99th percentile of the time to an answer, in microseconds.
    pub(in super::super) p50: f64,
    pub(in super::super) p99: f64,
}

/// Sends `size` bytes and awaits them back, again and again for `length`, on each of `connections` at a time. The first
/// tenth of the time is not counted.
pub(in super::super) async fn ping_pong(
    server: SocketAddr,
    connections: usize,
    size: usize,
    length: Duration,
) -> io::Result<Turns> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        streams.push(connect(server).await?);
    }
    let counted = Instant::now() + length / 10;
    let end = counted + length;
    let mut tasks = JoinSet::new();
    for mut stream in streams {
        tasks.spawn(async move {
            let mut buffer = vec![0x5a; size];
            let mut micros = Vec::new();
            loop {
                let sent = Instant::now();
                if sent >= end {
                    return io::Result::Ok(micros);
                }
                turn(&mut stream, &mut buffer).await?;
                if sent >= counted {
                    micros.push(sent.elapsed().as_secs_f64() * 1e6);
                }
            }
        });
    }
    let mut micros = Vec::new();
    while let Some(task) = tasks.join_next().await {
        micros.extend(task??);
    }
    micros.sort_by(f64::total_cmp);
    let at = |percent: usize| micros.get(micros.len() * percent / 100).copied();
    let (Some(p50), Some(p99)) = (at(50), at(99)) else { return Err(io::Error::other("no answer at all")) };
    Ok(Turns { per_second: micros.len() as f64 / length.as_secs_f64(), p50, p99 })
}

/// Connections opened, used for one byte each way and closed, per second.
pub(in super::super) async fn connections(
    server: SocketAddr,
    in_flight: usize,
    length: Duration,
) -> io::Result<f64> {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        tasks.spawn(async move {
            let mut done = 0_u64;
            while start.elapsed() < length {
                turn(&mut connect(server).await?, &mut [0x5a]).await?;
                done += 1;
            }
            io::Result::Ok(done)
        });
    }
    let mut done = 0;
    while let Some(task) = tasks.join_next().await {
        done += task??;
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}

/// There and back.
pub(super) async fn turn(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    let answered = timeout(ANSWER, async {
        stream.write_all(buffer).await?;
        stream.read_exact(buffer).await.map(|_| ())
    });
    answered.await.map_err(|_| io::Error::other(format!("no answer within {ANSWER:?}")))?
}
