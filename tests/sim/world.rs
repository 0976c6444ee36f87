//! Two stacks with a simulated link between them.

use std::net::{Ipv4Addr, SocketAddr};

use netstack_sim::LinkConfig;
use netstack_sim::device::{Wire, pair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::{Stack, TcpConfig, TcpListener, TcpStream};

/// The address that servers listen on.
pub(crate) const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 7);

pub(crate) struct World {
    pub(crate) client: Stack,
    pub(crate) server: Stack,
    pub(crate) wire: Wire,
}

impl World {
    /// Both directions of the link are as `path` says; every random decision comes from `seed`.
    pub(crate) fn new(seed: u64, path: &LinkConfig, tcp: &TcpConfig) -> Self {
        let (a, b, wire) = pair(seed, 1500, path, path);
        let client = Stack::builder().device(a).address("192.0.2.1/24".parse().unwrap());
        let server = Stack::builder().device(b).address("192.0.2.2/24".parse().unwrap());
        Self {
            client: client.tcp_config(tcp.clone()).seed_for_test(seed).build().unwrap(),
            server: server.tcp_config(tcp.clone()).seed_for_test(seed + 1).build().unwrap(),
            wire,
        }
    }

    /// Starts the echo service (RFC 862) on [`SERVER`].
    pub(crate) async fn serve_echo(&self) {
        let listener = TcpListener::bind(&self.server, SERVER).await.unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(stream));
            }
        });
    }
}

/// Sends back what comes, until the peer has shut its half down.
async fn echo(mut stream: TcpStream) {
    let mut buf = vec![0; 16 * 1024];
    loop {
        match stream.read(&mut buf).await {
            Ok(0) => break,
            Ok(n) if stream.write_all(&buf[..n]).await.is_ok() => {}
            _ => return,
        }
    }
    // A peer that is gone needs no farewell.
    let _ = stream.shutdown().await;
}
