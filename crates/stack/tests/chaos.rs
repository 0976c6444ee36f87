//! Many connections at once on several threads, each closed another way: nothing hangs, nothing is left.

use std::time::Duration;

use crate::common::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_netstack::device::{Capabilities, Offloads};
use tokio_netstack::{Stack, TcpConfig, TcpListener, TcpStream};

/// A small generator, seeded per connection.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Reads, writes and closes as the dice say; errors are part of the game, hanging is not.
async fn play(stream: TcpStream, seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    if dice.roll(4) == 0 {
        stream.set_linger(Some(Duration::ZERO)).unwrap();
    }
    let data = pattern(dice.roll(200_000) as usize);
    let reads = dice.roll(3) > 0;
    let shuts = dice.roll(3) > 0;
    let (mut reader, mut writer) = stream.into_split();
    let write = async move {
        let sent = writer.write_all(&data).await;
        if shuts {
            let _ = writer.shutdown().await;
        }
        (sent, writer)
    };
    let read = async move {
        let mut sink = Vec::new();
        if reads {
            let _ = reader.read_to_end(&mut sink).await;
        }
        reader
    };
    // A side that does not read gives up writing after a while, as a program with a deadline does.
    let _ = timeout(Duration::from_secs(1), async { tokio::join!(write, read) }).await;
}

async fn storm(server: &Stack, client: &Stack, connections: u64) {
    let listener = TcpListener::bind(server, addr(SERVER, PORT)).await.unwrap();
    let accepting = tokio::spawn(async move {
        let mut tasks = Vec::new();
        // A client that aborts before its handshake's last ACK has left is never accepted.
        while let Ok(Ok((stream, _))) = timeout(Duration::from_secs(2), listener.accept()).await {
            tasks.push(tokio::spawn(play(stream, tasks.len() as u64 + 1_000_000)));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
    let connecting: Vec<_> = (0..connections)
        .map(|seed| {
            let client = client.clone();
            tokio::spawn(async move {
                let stream = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap();
                play(stream, seed + 1).await;
            })
        })
        .collect();
    for task in connecting {
        timeout(Duration::from_secs(60), task).await.expect("no hang").unwrap();
    }
    timeout(Duration::from_secs(60), accepting).await.expect("no hang").unwrap();
}

async fn storm_and_calm(config: TcpConfig, caps: Capabilities, depth: usize) {
    let (server, client) = stacks_with(&config, caps, depth);
    storm(&server, &client, 400).await;
    for stack in [&server, &client] {
        timeout(Duration::from_secs(60), stack.shutdown()).await.expect("every connection ends");
        assert_eq!(stack.connection_count(), 0);
        assert_eq!(stack.counters().drop_mailbox_full, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn storm_over_a_narrow_device() {
    let mut config = TcpConfig::new();
    config.recv_buffer(16 << 10).send_buffer(16 << 10);
    storm_and_calm(config, Capabilities::ip(1500), 16).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn storm_in_super_segments() {
    let caps = Capabilities::ip(1500).with_tx(Offloads::ALL).with_rx(Offloads::ALL);
    storm_and_calm(TcpConfig::new(), caps, 512).await;
}

#[tokio::test(start_paused = true)]
async fn storm_in_virtual_time() {
    storm_and_calm(TcpConfig::new(), Capabilities::ip(1280), 64).await;
}
