//! The clients of the demonstration, on the kernel's sockets in the namespace of the TUN device.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::pattern::Pattern;
use crate::upstream::{BYTES, ECHO};

/// After this a port counts as silent, a datagram as lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ports scanned at the same time.
const SCANNERS: usize = 64;

const BUFFER: usize = 256 * 1024;

/// What a scan has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) open: Vec<u16>,
    pub(crate) refused: usize,
    pub(crate) silent: usize,
}

/// Connects to each port.
pub(crate) async fn scan(ip: IpAddr, ports: RangeInclusive<u16>) -> io::Result<Scan> {
    let permits = Arc::new(Semaphore::new(SCANNERS));
    let mut attempts = JoinSet::new();
    for port in ports {
        let permits = Arc::clone(&permits);
        attempts.spawn(async move {
            let _permit = permits.acquire().await.map_err(io::Error::other)?;
            match timeout(PATIENCE, TcpStream::connect((ip, port))).await {
                Ok(Ok(_)) => Ok(Ok(port)),
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(Err(true)),
                Ok(Err(error)) => Err(error),
                Err(_) => Ok(Err(false)),
            }
        });
    }
    let mut found = Scan::default();
    while let Some(attempt) = attempts.join_next().await {
        match attempt.map_err(io::Error::other)?? {
            Ok(port) => found.open.push(port),
            Err(true) => found.refused += 1,
            Err(false) => found.silent += 1,
        }
    }
    found.open.sort_unstable();
    Ok(found)
}

/// Downloads, each of other bytes, at the same time, by turns from these addresses.
///
/// # Errors
/// One was cut short, or what arrived differs from what was sent.
pub(crate) async fn download(ips: &[IpAddr], count: u32, bytes: u64) -> io::Result<()> {
    let mut downloads = JoinSet::new();
    for (seed, &ip) in (1..=u64::from(count)).zip(ips.iter().cycle()) {
        downloads.spawn(one_download(SocketAddr::new(ip, BYTES), seed, bytes));
    }
    while let Some(done) = downloads.join_next().await {
        done.map_err(io::Error::other)??;
    }
    Ok(())
}

async fn one_download(server: SocketAddr, seed: u64, bytes: u64) -> io::Result<()> {
    let differs = |what: &str| {
        let text = format!("download {seed} from {server}: {what} differs from what was sent");
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    let mut stream = TcpStream::connect(server).await?;
    let mut request = [0; 16];
    request[..8].copy_from_slice(&seed.to_be_bytes());
    request[8..].copy_from_slice(&bytes.to_be_bytes());
    stream.write_all(&request).await?;
    let (mut sum, mut pattern) = (Sha256::new(), Pattern::new(seed));
    let (mut buf, mut expected) = (vec![0; BUFFER], vec![0; BUFFER]);
    let mut left = bytes;
    while left > 0 {
        let room = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
        let n = stream.read(&mut buf[..room]).await?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        pattern.fill(&mut expected[..n]);
        if buf[..n] != expected[..n] {
            return Err(differs("the data"));
        }
        sum.update(&buf[..n]);
        left -= n as u64;
    }
    let mut sent = Vec::new();
    stream.read_to_end(&mut sent).await?;
    if sent != sum.finalize().as_slice() {
        return Err(differs("the SHA-256"));
    }
    Ok(())
}

/// Sends datagrams of these lengths to the echo service from a socket each, and waits for what comes back to it from the
/// address that it was sent to; how many did.
pub(crate) async fn echo_datagrams(ip: IpAddr, lengths: &[usize]) -> io::Result<usize> {
    let mut echoes = JoinSet::new();
    for (seed, &len) in lengths.iter().enumerate() {
        echoes.spawn(async move {
            let any: IpAddr = if ip.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
            let socket = UdpSocket::bind((any, 0)).await?;
            // From anywhere else a connected socket takes nothing.
            socket.connect((ip, ECHO)).await?;
            let mut data = vec![0; len];
            Pattern::new(seed as u64).fill(&mut data);
            let mut buf = vec![0; 65_535];
            // UDP promises nothing; a datagram that a full queue has dropped is sent again.
            for _ in 0..3 {
                socket.send(&data).await?;
                if let Ok(received) = timeout(PATIENCE, socket.recv(&mut buf)).await {
                    return Ok(buf[..received?] == data);
                }
            }
            Ok::<_, io::Error>(false)
        });
    }
    let mut returned = 0;
    while let Some(echo) = echoes.join_next().await {
        returned += usize::from(echo.map_err(io::Error::other)??);
    }
    Ok(returned)
}
