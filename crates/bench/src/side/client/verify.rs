//! Much data there and back at once, checked by SHA-256 at both ends, and a half-close at the end.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use netstack_bench_services::DIGEST;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connect;

/// The length of what is sent again and again: a prime, so that no buffer's size divides it and a piece at a wrong
/// place is seen.
const PATTERN: usize = 1_048_573;

const CHUNK: usize = 256 << 10;

/// Without a byte for as long as this the connection is wedged.
const STALL: Duration = Duration::from_secs(10);

/// However steadily it goes, it may not take longer.
const LIMIT: Duration = Duration::from_secs(60);

/// Sends `bytes` to a server of `Service::Verify`, closes that half, and reads the echo and the digest. Gbit/s each
/// way; an error says what went wrong and where.
pub(in super::super) async fn echo(server: SocketAddr, bytes: u64) -> io::Result<f64> {
    let start = Instant::now();
    let mut stream = connect(server).await?;
    let (mut read, mut write) = stream.split();
    let (sent, back) = (AtomicU64::new(0), AtomicU64::new(0));
    let send = async {
        let pattern: Vec<u8> =
            (0_u32..PATTERN as u32).map(|i| (i.wrapping_mul(0x9e37_79b1) >> 24) as u8).collect();
        let mut hash = Sha256::new();
        let mut left = bytes;
        while left > 0 {
            let at = ((bytes - left) % PATTERN as u64) as usize;
            let end = PATTERN.min(at + CHUNK).min(at + usize::try_from(left).unwrap_or(usize::MAX));
            let n = write.write(&pattern[at..end]).await?;
            hash.update(&pattern[at..at + n]);
            left -= n as u64;
            sent.store(bytes - left, Relaxed);
        }
        write.shutdown().await?;
        io::Result::Ok(hash.finalize())
    };
    let receive = async {
        let mut buffer = vec![0; CHUNK];
        let mut hash = Sha256::new();
        let mut left = bytes;
        while left > 0 {
            let most = CHUNK.min(usize::try_from(left).unwrap_or(CHUNK));
            match read.read(&mut buffer[..most]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => {
                    hash.update(&buffer[..n]);
                    left -= n as u64;
                    back.store(bytes - left, Relaxed);
                }
            }
        }
        let mut digest = [0; DIGEST];
        read.read_exact(&mut digest).await?;
        match read.read(&mut [0]).await? {
            0 => Ok((hash.finalize(), digest)),
            _ => Err(io::Error::other("more came than was sent")),
        }
    };
    let place = || {
        let megabytes = |counter: &AtomicU64| counter.load(Relaxed) / 1_000_000;
        format!("{} MB sent, {} MB back", megabytes(&sent), megabytes(&back))
    };
    let echo = async { tokio::try_join!(send, receive) };
    let done = tokio::select! {
        done = echo => done.map_err(|e| io::Error::new(e.kind(), format!("{e}: {}", place())))?,
        why = watch(&sent, &back) => return Err(io::Error::other(format!("{why}: {}", place()))),
    };
    let (sent, (received, digest)) = done;
    if received[..] != sent[..] {
        return Err(io::Error::other("mismatch: the echo is not what was sent"));
    }
    if digest[..] != sent[..] {
        return Err(io::Error::other("mismatch: the server received what was not sent"));
    }
    Ok(bytes as f64 * 8e-9 / start.elapsed().as_secs_f64())
}

/// Ends when nothing moves any longer, or when time is up.
async fn watch(sent: &AtomicU64, back: &AtomicU64) -> &'static str {
    let start = Instant::now();
    let mut last = (0, 0);
    loop {
        tokio::time::sleep(STALL).await;
        let now = (sent.load(Relaxed), back.load(Relaxed));
        if now == last {
            return "wedged";
        }
        if start.elapsed() >= LIMIT {
            return "too slow";
        }
        last = now;
    }
}
