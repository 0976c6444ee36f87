//! Devices with several receiving queues: each has an ingress of its own, and a flow may come through any of them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::common::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio_netstack::device::memory::{Steering, pair_with_steering};
use tokio_netstack::device::{Capabilities, Device, Halves, Offloads, RxBatch, RxQueue};
use tokio_netstack::{Stack, TcpListener, TcpStream};

/// A device that counts the frames of each receiving queue.
struct Counted<D> {
    device: D,
    frames: Arc<Vec<AtomicUsize>>,
}

impl<D: Device> Device for Counted<D> {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        let Self { device, frames } = *self;
        let (receivers, sender) = Box::new(device).split()?;
        assert_eq!(receivers.len(), frames.len());
        let counted = receivers.into_iter().enumerate().map(|(queue, inner)| {
            Box::new(CountedQueue { inner, queue, frames: Arc::clone(&frames) }) as Box<dyn RxQueue>
        });
        Ok((counted.collect(), sender))
    }
}

struct CountedQueue {
    inner: Box<dyn RxQueue>,
    queue: usize,
    frames: Arc<Vec<AtomicUsize>>,
}

impl RxQueue for CountedQueue {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RxBatch) -> Poll<io::Result<()>> {
        let before = batch.len();
        let read = ready!(self.inner.poll_recv(cx, batch));
        self.frames[self.queue].fetch_add(batch.len() - before, Relaxed);
        Poll::Ready(read)
    }
}

struct World {
    server: Stack,
    client: Stack,
    /// Frames per queue of the server, and of the client.
    frames: [Arc<Vec<AtomicUsize>>; 2],
}

impl World {
    fn new(queues: usize, steering: Steering, offloads: Offloads) -> Self {
        let caps = Capabilities::ip(1500).with_tx(offloads).with_rx(offloads).with_queues(queues);
        let (a, b) = pair_with_steering(caps.clone(), caps, 512, steering);
        let counters = || Arc::new((0..queues).map(|_| AtomicUsize::new(0)).collect::<Vec<_>>());
        let frames = [counters(), counters()];
        let server = Counted { device: a, frames: Arc::clone(&frames[0]) };
        let client = Counted { device: b, frames: Arc::clone(&frames[1]) };
        Self {
            server: builder(server, 1).build().unwrap(),
            client: builder(client, 2).build().unwrap(),
            frames,
        }
    }

    /// Asserts that no queue had less than `share` of a fair share of the frames, once what was left unread when the last
    /// byte came is read too.
    async fn assert_spread(&self, share: f64) {
        let counts = || self.frames.each_ref().map(|frames| frames.iter().map(|n| n.load(Relaxed)).collect());
        let is_fair = |counts: &Vec<usize>| {
            let least = counts.iter().sum::<usize>() as f64 / counts.len() as f64 * share;
            counts.iter().all(|&count| count as f64 >= least)
        };
        for _ in 0..1000 {
            if counts().iter().all(is_fair) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("frames per queue: {:?}", counts());
    }
}

/// Each of `flows` connections sends its own `len` bytes through an echo server, and compares what comes back.
/// Tells how many segments reached the clients out of order.
async fn echo(world: &World, flows: usize, len: usize) -> u32 {
    let listener = TcpListener::bind(&world.server, addr(SERVER, PORT)).await.unwrap();
    let serve = tokio::spawn(async move {
        let mut echoes = JoinSet::new();
        for _ in 0..flows {
            let (accepted, _) = listener.accept().await.unwrap();
            echoes.spawn(async move {
                let (mut reader, mut writer) = accepted.into_split();
                tokio::io::copy(&mut reader, &mut writer).await.unwrap();
                writer.shutdown().await.unwrap();
            });
        }
        echoes.join_all().await;
    });
    let data = Arc::new(pattern(len + flows));
    let mut clients = JoinSet::new();
    for flow in 0..flows {
        let (client, data) = (world.client.clone(), Arc::clone(&data));
        clients.spawn(async move {
            let data = &data[flow..flow + len];
            let stream = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap();
            let (mut reader, mut writer) = stream.into_split();
            let send = async {
                writer.write_all(data).await.unwrap();
                writer.shutdown().await.unwrap();
            };
            let mut back = vec![0; len];
            let (_, read) = tokio::join!(send, reader.read_exact(&mut back));
            read.unwrap();
            assert!(back == data, "flow {flow}: other bytes came back");
            let info = reader.as_ref().info().await.unwrap();
            assert_eq!(reader.read(&mut [0]).await.unwrap(), 0, "flow {flow}: the end follows the last byte");
            info.stats.out_of_order
        });
    }
    let out_of_order = clients.join_all().await.iter().sum();
    serve.await.unwrap();
    // What the window promised room for is never dropped, whichever ingress brings it.
    assert_eq!(world.server.counters().drop_mailbox_full, 0);
    assert_eq!(world.client.counters().drop_mailbox_full, 0);
    out_of_order
}

/// With a deadline: in real time here, and in paused time it shows a flow that nothing wakes any more.
async fn echo_soon(world: &World, flows: usize, len: usize) -> u32 {
    tokio::time::timeout(Duration::from_secs(100), echo(world, flows, len)).await.expect("nothing hangs")
}

/// Segments of one connection alternate between two ingresses.
// req: SHLD-31, S-TEXT-1, S-ACK-4
#[tokio::test(start_paused = true)]
async fn one_flow_through_two_ingresses() {
    let world = World::new(2, Steering::RoundRobin, Offloads::NONE);
    let out_of_order = echo_soon(&world, 1, 4 << 20).await;
    assert!(out_of_order > 100, "{out_of_order} segments came out of order");
    world.assert_spread(0.99).await;
}

// req: SHLD-31, S-TEXT-1, S-ACK-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_flow_through_two_ingresses_on_several_threads() {
    let world = World::new(2, Steering::RoundRobin, Offloads::NONE);
    let out_of_order = echo_soon(&world, 1, 4 << 20).await;
    assert!(out_of_order > 0, "no segment came out of order");
    world.assert_spread(0.99).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn super_segments_of_one_flow_through_two_ingresses() {
    let world = World::new(2, Steering::RoundRobin, Offloads::ALL);
    echo_soon(&world, 1, 16 << 20).await;
    world.assert_spread(0.99).await;
}

#[tokio::test(start_paused = true)]
async fn many_connections_over_four_queues() {
    for steering in [Steering::Flow, Steering::RoundRobin] {
        let world = World::new(4, steering, Offloads::NONE);
        let out_of_order = echo_soon(&world, 64, 50_000).await;
        assert_eq!(out_of_order > 0, steering == Steering::RoundRobin, "{out_of_order} came out of order");
        world.assert_spread(0.1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_over_four_queues_on_several_threads() {
    for steering in [Steering::Flow, Steering::RoundRobin] {
        let world = World::new(4, steering, Offloads::NONE);
        let out_of_order = echo_soon(&world, 64, 50_000).await;
        assert_eq!(out_of_order > 0, steering == Steering::RoundRobin, "{out_of_order} came out of order");
        world.assert_spread(0.1).await;
    }
}
