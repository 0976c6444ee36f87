//! The servers of the demonstration, on the host's side: bytes on request, and an echo of datagrams.

use std::io;
use std::net::{IpAddr, SocketAddr};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::pattern::Pattern;

/// Serves bytes: takes a seed and a count, each of 8 bytes, and gives that many bytes of the pattern and their SHA-256.
pub(crate) const BYTES: u16 = 7000;
/// The echo service (RFC 862).
pub(crate) const ECHO: u16 = 7;
/// Ports that accept and do nothing: the open ones of the scan.
pub(crate) const OPEN: [u16; 3] = [22, 80, 443];

const BUFFER: usize = 256 * 1024;

/// Starts all servers at these addresses, which are of the namespace of the runtime's threads.
pub(crate) async fn start(addresses: &[IpAddr]) -> io::Result<()> {
    for &ip in addresses {
        let at = |port| SocketAddr::new(ip, port);
        let bytes = TcpListener::bind(at(BYTES)).await?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = bytes.accept().await {
                tokio::spawn(send_bytes(stream));
            }
        });
        for port in OPEN {
            let silent = TcpListener::bind(at(port)).await?;
            tokio::spawn(async move { while silent.accept().await.is_ok() {} });
        }
        tokio::spawn(echo(UdpSocket::bind(at(ECHO)).await?));
    }
    Ok(())
}

async fn send_bytes(mut stream: TcpStream) -> io::Result<()> {
    let (seed, mut left) = (stream.read_u64().await?, stream.read_u64().await?);
    let (mut pattern, mut sum) = (Pattern::new(seed), Sha256::new());
    let mut buf = vec![0; BUFFER];
    while left > 0 {
        let n = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
        pattern.fill(&mut buf[..n]);
        sum.update(&buf[..n]);
        stream.write_all(&buf[..n]).await?;
        left -= n as u64;
    }
    stream.write_all(&sum.finalize()).await?;
    stream.shutdown().await
}

async fn echo(socket: UdpSocket) -> io::Result<()> {
    let mut buf = vec![0; 65_535];
    loop {
        let (len, from) = socket.recv_from(&mut buf).await?;
        socket.send_to(&buf[..len], from).await?;
    }
}
