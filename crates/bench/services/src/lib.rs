//! What every server of the side-by-side benchmark does, whatever stack it runs on: its arguments, its services, and how it
//! tells its parent that it is at work.
//!
//! A server is a process with one service on port [`PORT`]. It prints `ready` when its device and its listener are there,
//! and ends when its standard input does, so that none outlives the benchmark.

use std::io::{self, Read, Write};
use std::net::Ipv4Addr;

use clap::{Args, ValueEnum};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

/// The port that a server listens on.
pub const PORT: u16 = 7;

/// What a server prints when it is at work.
pub const READY: &str = "ready";

/// The MTU of every device.
pub const MTU: u16 = 1500;

/// Bytes read or written at once in bulk.
const CHUNK: usize = 256 << 10;

/// Bytes that an echo server reads at once: it has a buffer like this for each connection.
const ECHO: usize = 1 << 10;

/// The length of the digest that ends a connection of [`Service::Verify`].
pub const DIGEST: usize = 32;

/// What a server does with a connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// Sends as fast as it can.
    Source,
    /// Reads until the end.
    Discard,
    /// Gives back what comes, through a buffer of 1 KiB.
    Echo,
    /// Gives back what comes, through a large buffer; at the end follows the SHA-256 of what came.
    Verify,
}

/// The command line of a server.
#[derive(Clone, Debug, Args)]
pub struct ServerArgs {
    /// Name of the TUN device to make, or of the device to find.
    #[arg(long)]
    pub device: String,
    /// Where the server listens; the other end of the device has the address before it.
    #[arg(long)]
    pub address: Ipv4Addr,
    /// What it does with a connection.
    #[arg(long)]
    pub service: Service,
    /// Connections at a time at most, for stacks that must be told.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Worker threads, for servers on a multi-threaded runtime.
    #[arg(long, default_value_t = 2)]
    pub workers: usize,
    /// Bytes of a connection's receive buffer and of its send buffer, for stacks that must be told.
    #[arg(long, default_value_t = 1 << 20)]
    pub buffer: usize,
}

impl ServerArgs {
    /// The address of the other end of the device: the first of the /30 in which the server's is the second.
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits().wrapping_sub(1))
    }

    /// The multi-threaded runtime that servers run on.
    ///
    /// # Errors
    /// No threads or no descriptors left.
    pub fn runtime(&self) -> io::Result<Runtime> {
        Builder::new_multi_thread().worker_threads(self.workers).thread_name("server").enable_all().build()
    }
}

/// Tells the parent that the server is at work.
///
/// # Errors
/// The parent does not listen.
pub fn ready() -> io::Result<()> {
    say(READY)
}

/// Prints a line for the parent at once.
///
/// # Errors
/// The parent does not listen.
pub fn say(line: &str) -> io::Result<()> {
    let mut output = io::stdout();
    writeln!(output, "{line}")?;
    output.flush()
}

/// Blocks until standard input ends.
///
/// # Errors
/// What reading it gives.
pub fn until_the_parent_ends() -> io::Result<()> {
    io::stdin().read_to_end(&mut Vec::new()).map(|_| ())
}

/// Serves one connection until the client leaves, which ends as an error where it leaves in the middle.
///
/// # Errors
/// What the stream reports.
pub async fn serve(service: Service, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    match service {
        Service::Source => {
            let data = vec![0x5a; CHUNK];
            loop {
                stream.write_all(&data).await?;
            }
        }
        Service::Discard => {
            let mut buffer = vec![0; CHUNK];
            while stream.read(&mut buffer).await? > 0 {}
        }
        Service::Echo => {
            let mut buffer = [0; ECHO];
            loop {
                match stream.read(&mut buffer).await? {
                    0 => break,
                    n => stream.write_all(&buffer[..n]).await?,
                }
            }
        }
        Service::Verify => {
            let mut buffer = vec![0; CHUNK];
            let mut hash = Sha256::new();
            loop {
                match stream.read(&mut buffer).await? {
                    0 => break,
                    n => {
                        hash.update(&buffer[..n]);
                        stream.write_all(&buffer[..n]).await?;
                    }
                }
            }
            stream.write_all(&hash.finalize()).await?;
        }
    }
    stream.shutdown().await
}

#[cfg(test)]
mod tests;
