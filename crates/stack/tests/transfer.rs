//! Whole transfers between two stacks.

use std::time::Duration;

use crate::common::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::device::{Capabilities, Offloads};
use tokio_netstack::{Stack, TcpConfig};

/// Sends `len` bytes through an echo server and compares.
async fn echo(server: &Stack, client: &Stack, len: usize) {
    let (_listener, accepted, stream) = connected(server, client).await;
    let serve = tokio::spawn(async move {
        let (mut reader, mut writer) = accepted.into_split();
        let copied = tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
        copied
    });
    let data = pattern(len);
    let (mut reader, mut writer) = stream.into_split();
    let sent = data.clone();
    let send = tokio::spawn(async move {
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut back = Vec::new();
    reader.read_to_end(&mut back).await.unwrap();
    assert!(back == data, "{} bytes back of {len}", back.len());
    assert_eq!(serve.await.unwrap(), len as u64);
    send.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn echo_of_8_mb_in_plain_frames() {
    let (server, client) = stacks();
    echo(&server, &client, 8 << 20).await;
}

#[tokio::test(start_paused = true)]
async fn echo_in_super_segments() {
    let caps = Capabilities::ip(1500).with_tx(Offloads::ALL).with_rx(Offloads::ALL);
    let (server, client) = stacks_with(&TcpConfig::new(), caps, 512);
    echo(&server, &client, 8 << 20).await;
    assert!(client.counters().tx_super_segments > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echo_on_several_threads() {
    let (server, client) = stacks();
    tokio::time::timeout(Duration::from_secs(60), echo(&server, &client, 8 << 20)).await.unwrap();
}

/// Pitfall 41: both windows close, and still every byte arrives.
#[tokio::test(start_paused = true)]
async fn echo_through_buffers_of_4_kib() {
    let mut config = TcpConfig::new();
    config.recv_buffer(4096).send_buffer(4096);
    let (server, client) = stacks_with(&config, Capabilities::ip(1500), 512);
    echo(&server, &client, 1 << 20).await;
}

/// Pitfall 6: a device of four slots makes senders wait, and loses nothing.
#[tokio::test(start_paused = true)]
async fn nothing_is_lost_on_a_device_of_four_slots() {
    let (server, client) = stacks_with(&TcpConfig::new(), Capabilities::ip(1500), 4);
    echo(&server, &client, 2 << 20).await;
    assert_eq!(client.counters().tx_lost, 0);
    assert!(client.device_counters(0).unwrap().tx_full > 0, "the device was full at times");
}

#[tokio::test(start_paused = true)]
async fn connections_over_ipv6() {
    let (server, client) = stacks();
    let at = addr("2001:db8::1", PORT);
    let listener = tokio_netstack::TcpListener::bind(&server, addr("::", PORT)).await.unwrap();
    let mut stream = tokio_netstack::TcpStream::connect(&client, at).await.unwrap();
    let (mut accepted, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, stream.local_addr().unwrap());
    assert_eq!(stream.peer_addr().unwrap(), at);
    stream.write_all(b"over six").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    accepted.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "over six");
}

/// The same seed gives the same packets at the same instants.
#[test]
fn two_runs_with_one_seed_are_the_same() {
    let run = || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (server, client) = stacks();
            let start = tokio::time::Instant::now();
            echo(&server, &client, 256 << 10).await;
            (start.elapsed(), server.counters(), client.counters())
        })
    };
    assert_eq!(run(), run());
}
