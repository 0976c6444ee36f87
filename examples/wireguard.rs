//! HTTP between two WireGuard peers, both in this process and with a TCP/IP stack each: no TUN device, no privileges.
//!
//! `cargo run --release --example wireguard` shows it; `--help` has the rest. `wireguard/tunnel.rs` is all that joins a
//! stack to boringtun, a WireGuard in user space.

#[path = "http/app.rs"]
mod app;
#[path = "shared/hex.rs"]
mod hex;
#[path = "shared/number.rs"]
mod number;
#[path = "echo/pattern.rs"]
mod pattern;
#[path = "shared/say.rs"]
mod say;
#[path = "wireguard/tunnel.rs"]
mod tunnel;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use boringtun::x25519::{PublicKey, StaticSecret};
use clap::Parser;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use netstack_device::{Capabilities, memory, netns};
use sha2::{Digest, Sha256};
use tokio::net::UdpSocket;
use tokio::runtime::Builder;
use tokio_netstack::ext::Connector;
use tokio_netstack::{IpPrefix, Stack, TcpListener};

use crate::hex::hex;
use crate::number::grouped;
use crate::pattern::Pattern;
use crate::say::say;
use crate::tunnel::{Traffic, Tunnel};

/// HTTP between two WireGuard peers, both in this process with a TCP/IP stack each.
///
/// There is no TUN device and nothing that needs privileges: the packets of each
/// stack go through boringtun, a WireGuard in user space, and as UDP datagrams
/// over the loopback interface to the other. One peer serves HTTP, the other
/// fetches. The exit status is 0 if all that arrived was right.
#[derive(Debug, Parser)]
#[command(name = "wireguard", version, verbatim_doc_comment)]
struct Args {
    /// Bytes of the download
    #[arg(long, value_name = "N", default_value_t = 100_000_000)]
    bytes: u64,
}

/// A packet of 1500 bytes less what WireGuard, UDP and IPv6 put around it.
const MTU: usize = 1420;

fn main() -> ExitCode {
    let args = Args::parse();
    // Loopback is all that is needed; a namespace of its own keeps even that apart, where one can be had.
    if let Err(error) = netns::enter_private() {
        eprintln!("note: the datagrams go over the loopback interface of this machine: {error}");
    }
    let runtime = Builder::new_multi_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(show(args.bytes))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wireguard: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One end: a stack behind a tunnel.
struct Peer {
    stack: Stack,
    addresses: [IpAddr; 2],
    traffic: Arc<Traffic>,
}

async fn show(bytes: u64) -> io::Result<()> {
    let sockets = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
    let keys = (secret()?, secret()?);
    let (server_at, client_at) = (sockets.0.local_addr()?, sockets.1.local_addr()?);
    let public = (PublicKey::from(&keys.0), PublicKey::from(&keys.1));
    let server = peer(1, sockets.0, client_at, keys.0, public.1).await?;
    let client = peer(2, sockets.1, server_at, keys.1, public.0).await?;
    say!(
        "Two stacks in this process, {} with a server and {} with a client. All packets between them are\n\
         encrypted by WireGuard, and go as UDP datagrams from {server_at} to {client_at} and back.\n",
        server.addresses[0],
        client.addresses[0]
    );
    for ip in server.addresses {
        tokio::spawn(app::serve(TcpListener::bind(&server.stack, (ip, 80)).await?));
    }
    for ip in server.addresses {
        fetch(&client.stack, SocketAddr::new(ip, 80), bytes).await?;
    }
    let (sent, received) = (server.traffic.sent(), client.traffic.received());
    say!(
        "\n{} datagrams left the server's tunnel, {} came to the client's",
        grouped(sent),
        grouped(received)
    );
    client.stack.shutdown().await;
    server.stack.shutdown().await;
    Ok(())
}

fn secret() -> io::Result<StaticSecret> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(StaticSecret::from(bytes))
}

/// A stack at host `number` of the networks, whose packets go to the other peer's socket.
async fn peer(
    number: u8,
    socket: UdpSocket,
    remote: SocketAddr,
    secret: StaticSecret,
    other: PublicKey,
) -> io::Result<Peer> {
    let at = |number: u8| -> [IpAddr; 2] {
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into());
        [Ipv4Addr::new(192, 0, 2, number).into(), v6.into()]
    };
    socket.connect(remote).await?;
    let (device, inside) = memory::pair(Capabilities::ip(MTU), Capabilities::ip(MTU));
    // What the other peer may send from: its own addresses.
    let tunnel = Tunnel::new(inside, socket, secret, other, at(3 - number).to_vec())?;
    let traffic = tunnel.traffic();
    tokio::spawn(tunnel.run());

    let [v4, v6] = at(number);
    let prefix = |ip, len| IpPrefix::new(ip, len).map_err(io::Error::other);
    let stack = Stack::builder().device(device).address(prefix(v4, 24)?).address(prefix(v6, 64)?).build()?;
    Ok(Peer { stack, addresses: [v4, v6], traffic })
}

async fn fetch(stack: &Stack, server: SocketAddr, bytes: u64) -> io::Result<()> {
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build(Connector::new(stack));
    let hello = client.get(uri(&format!("http://{server}/"))?).await.map_err(io::Error::other)?;
    let text = hello.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    say!("{server}: {}", String::from_utf8_lossy(&text).trim_end());

    let started = Instant::now();
    let url = uri(&format!("http://{server}/bytes/{bytes}"))?;
    let mut body = client.get(url).await.map_err(io::Error::other)?.into_body();
    let (mut pattern, mut sum, mut expected) = (Pattern::new(app::SEED), Sha256::new(), Sha256::new());
    let (mut buf, mut count) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame.map_err(io::Error::other)?.data_ref() {
            sum.update(data);
            buf.resize(data.len(), 0);
            pattern.fill(&mut buf);
            expected.update(&buf);
            count += data.len() as u64;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let (sum, expected) = (hex(&sum.finalize()), hex(&expected.finalize()));
    say!(
        "    {} bytes, {:.2} s, {:.2} Gbit/s, SHA-256 {sum}",
        grouped(count),
        seconds,
        count as f64 * 8.0 / 1e9 / seconds
    );
    if count != bytes || sum != expected {
        let text = format!("{bytes} bytes with the SHA-256 {expected} were sent");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(())
}

fn uri(text: &str) -> io::Result<http::Uri> {
    text.parse().map_err(io::Error::other)
}
