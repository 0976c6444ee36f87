//! The client: sockets of the kernel, on one thread.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::server::{DISCARD, ECHO, SOURCE};

/// What [`measure`] measures, in its order, each with the digits to show behind the point.
pub(crate) const FIGURES: [(&str, usize); 8] = [
    ("download, 1 flow, Gbit/s", 2),
    ("download, 16 flows, Gbit/s", 2),
    ("upload, 1 flow, Gbit/s", 2),
    ("upload, 16 flows, Gbit/s", 2),
    ("1-byte ping-pong, p50, µs", 1),
    ("1-byte ping-pong, p99, µs", 1),
    ("connect + 1-byte echo + close per second, 1 in flight", 0),
    ("the same, 64 in flight", 0),
];

/// How long bulk flows run before counting starts, and then while it lasts.
const WARM_UP: Duration = Duration::from_millis(200);
const BULK: Duration = Duration::from_millis(800);

const SHORT: Duration = Duration::from_millis(500);

/// Between measurements: what the last one left is over.
const PAUSE: Duration = Duration::from_millis(50);

const CHUNK: usize = 256 << 10;

/// Measures everything once; see [`FIGURES`].
pub(crate) async fn measure(server: IpAddr, run: u16) -> io::Result<[f64; FIGURES.len()]> {
    let discard = SocketAddr::new(server, DISCARD);
    let source = SocketAddr::new(server, SOURCE);
    // Ports of their own for each run: the client's TIME-WAITs of the last one hold its ports.
    let [one, many] = [0, 1].map(|kind| SocketAddr::new(server, ECHO + 2 * run + kind));
    let mut figures = [0.0; FIGURES.len()];
    figures[0] = bulk(source, 1, download).await?;
    figures[1] = bulk(source, 16, download).await?;
    figures[2] = bulk(discard, 1, upload).await?;
    figures[3] = bulk(discard, 16, upload).await?;
    (figures[4], figures[5]) = ping_pong(one).await?;
    figures[6] = transactions(one, 1).await?;
    figures[7] = transactions(many, 64).await?;
    Ok(figures)
}

type Flow = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Gbit/s of payload over `flows` connections.
async fn bulk(
    server: SocketAddr,
    flows: usize,
    flow: fn(TcpStream, Arc<AtomicU64>) -> Flow,
) -> io::Result<f64> {
    let moved = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..flows {
        tasks.spawn(flow(connect(server).await?, Arc::clone(&moved)));
    }
    tokio::time::sleep(WARM_UP).await;
    let (before, start) = (moved.load(Relaxed), Instant::now());
    tokio::time::sleep(BULK).await;
    let (bytes, took) = (moved.load(Relaxed) - before, start.elapsed());
    if let Some(ended) = tasks.try_join_next() {
        ended??;
    }
    tasks.shutdown().await;
    tokio::time::sleep(PAUSE).await;
    Ok(bytes as f64 * 8e-9 / took.as_secs_f64())
}

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

/// Median and 99th percentile of a byte's way there and back, in microseconds.
async fn ping_pong(server: SocketAddr) -> io::Result<(f64, f64)> {
    let mut stream = connect(server).await?;
    stream.set_nodelay(true)?;
    let mut micros = Vec::new();
    let start = Instant::now();
    while start.elapsed() < SHORT {
        let sent = Instant::now();
        echo_byte(&mut stream).await?;
        micros.push(sent.elapsed().as_secs_f64() * 1e6);
    }
    micros.sort_by(f64::total_cmp);
    drop(stream);
    tokio::time::sleep(PAUSE).await;
    Ok((micros[micros.len() / 2], micros[micros.len() * 99 / 100]))
}

/// Connections opened, used for one byte each way and closed, per second.
async fn transactions(server: SocketAddr, in_flight: usize) -> io::Result<f64> {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        tasks.spawn(async move {
            let mut done = 0_u64;
            while start.elapsed() < SHORT {
                echo_byte(&mut connect(server).await?).await?;
                done += 1;
            }
            io::Result::Ok(done)
        });
    }
    let mut done = 0;
    while let Some(task) = tasks.join_next().await {
        done += task??;
    }
    let took = start.elapsed();
    tokio::time::sleep(PAUSE).await;
    Ok(done as f64 / took.as_secs_f64())
}

async fn echo_byte(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"x").await?;
    stream.read_exact(&mut [0]).await?;
    Ok(())
}

/// A connection whose sending the kernel does by cubic. A namespace cannot make it its default everywhere, so each socket is
/// told, and asked.
async fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    use_cubic(SockRef::from(&socket))?;
    socket.connect(server).await
}

/// Sets the congestion control of a socket of the kernel to cubic, and checks.
pub(crate) fn use_cubic(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_congestion(b"cubic")?;
    let name = socket.tcp_congestion()?;
    if !name.starts_with(b"cubic") {
        let name = String::from_utf8_lossy(&name).into_owned();
        return Err(io::Error::other(format!("congestion control is {name}, not cubic")));
    }
    Ok(())
}
