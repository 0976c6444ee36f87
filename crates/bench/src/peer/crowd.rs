//! A stack with any number of connections to the peer.

use std::error::Error;
use std::net::SocketAddr;

use tokio_netstack::{Stack, TcpConfig, TcpListener, TcpStream, device};

use super::Peer;

/// Steps through any number of connections that it does not divide, so that neighbours in memory do not follow each other.
const STRIDE: usize = 15_485_863;

/// A stack with its peer and open connections between them.
#[derive(Debug)]
pub struct Crowd {
    /// The stack that is measured.
    pub stack: Stack,
    /// What is at the other end of its device.
    pub peer: Peer,
    /// The stack's ends of the connections, by the index that the peer knows them by.
    pub streams: Vec<TcpStream>,
    at: usize,
}

impl Crowd {
    /// `count` connections, all accepted, with these settings.
    ///
    /// # Errors
    /// As [`Peer::connect`].
    pub async fn new(tcp: TcpConfig, count: usize) -> Result<Self, Box<dyn Error>> {
        let caps = device::Capabilities::ip(1500);
        let (ours, theirs) = device::memory::pair(caps.clone(), caps);
        let stack = Stack::builder().device(ours).address("192.0.2.1/24".parse()?).tcp_config(tcp).build()?;
        let server = SocketAddr::from(([192, 0, 2, 1], 7));
        let listener = TcpListener::bind(&stack, server).await?;
        let mut peer = Peer::new(theirs, server)?;
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            let (connected, accepted) = tokio::join!(peer.connect(), listener.accept());
            connected?;
            streams.push(accepted?.0);
        }
        Ok(Self { stack, peer, streams, at: 0 })
    }

    /// The connection whose turn it is, by its index: all come to theirs.
    pub fn turn(&mut self) -> usize {
        self.at = (self.at + STRIDE) % self.streams.len();
        self.at
    }
}
