//! Crates of the ecosystem, as they are published, over two stacks with a bad link between them. Under paused time: a
//! second of the link takes no second of the test. `docs/ecosystem.md` has a row for each crate.

#![allow(clippy::unwrap_used)]

mod axum_server;
mod codec;
mod copy;
mod h2_streams;
mod hyper_client;
mod names;
mod portable;
mod tls;
mod websocket;
#[path = "../sim/world.rs"]
mod world;

use std::time::Duration;

use netstack_sim::{LinkConfig, QueueLimit, SimRng};
use tokio_netstack::{TcpConfig, TcpListener};
use world::{SERVER, World};

/// Two stacks and a link of 100 Mbit/s and 10 ms that loses and reorders.
fn bad_link(seed: u64) -> World {
    let mut path = LinkConfig::new();
    path.rate(100_000_000).delay(Duration::from_millis(5)).queue(QueueLimit::Bytes(256 * 1024));
    path.loss(0.005).reorder(0.005, Duration::from_millis(3));
    World::new(seed, &path, &TcpConfig::new())
}

impl World {
    async fn listen(&self) -> TcpListener {
        TcpListener::bind(&self.server, SERVER).await.unwrap()
    }
}

/// Bytes that no two places have in common by chance.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut rng = SimRng::new(seed, 1);
    (0..len).map(|_| rng.next_u64() as u8).collect()
}
