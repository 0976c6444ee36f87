//! What a turn may take: of the device by ingress, of the others' time by a connection.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::common::*;
use bytes::Bytes;
use netstack_wire::tcp::TcpFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::device::memory::pair_with_depth;
use tokio_netstack::device::{
    Capabilities, Device, DeviceCounters, Halves, Meta, Offloads, RxBatch, RxFrame, RxQueue, SendError, Turn,
    TxFrame, TxQueue,
};
use tokio_netstack::{Stack, TcpListener};

/// Lets every task that is ready have a turn. Tokio's `yield_now` waits for timers and devices to be looked at too, which is
/// many turns.
async fn others_first() {
    let mut woken = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut woken, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A queue that always has more of the same frame.
struct Endless {
    frame: Bytes,
    read: Arc<AtomicUsize>,
}

impl RxQueue for Endless {
    fn poll_recv(&mut self, _: &mut Context<'_>, batch: &mut RxBatch) -> Poll<io::Result<()>> {
        while !batch.is_full() {
            let (data, meta, at) = (self.frame.clone(), Meta::default(), tokio::time::Instant::now());
            batch.push(RxFrame { data, meta, at });
            self.read.fetch_add(1, Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

/// A device that is busy from the start.
struct Busy(Endless);

impl Device for Busy {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        let (device, _) = pair_with_depth(Capabilities::ip(1500), Capabilities::ip(1500), 1);
        let (_, tx) = Box::new(device).split()?;
        Ok((vec![Box::new(self.0)], tx))
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_device_leaves_turns_to_tasks_and_timers() {
    // Frames of a turn: the batch that crosses the bound, of 64 frames or a megabyte, is the last.
    for (len, most) in [(60, 1024), (1500, 512), (40_000, 81)] {
        let read = Arc::new(AtomicUsize::new(0));
        let device = Busy(Endless { frame: Bytes::from(vec![0; len]), read: Arc::clone(&read) });
        let stack = builder(device, 1).build().unwrap();
        // In a task, as only those have turns in the same order as ingress.
        let watching = tokio::spawn(async move {
            let (mut before, mut largest) = (read.load(Relaxed), 0);
            for _ in 0..100 {
                others_first().await;
                let now = read.load(Relaxed);
                largest = largest.max(now - before);
                before = now;
            }
            (before, largest)
        });
        let (all, largest) = watching.await.unwrap();
        assert_eq!(largest, most, "frames of {len} bytes in a turn");
        assert!(all >= 90 * most, "ingress goes on: {all}");
        let timer = tokio::spawn(tokio::time::sleep(Duration::from_secs(1)));
        others_first().await;
        tokio::time::advance(Duration::from_secs(1)).await;
        timer.await.unwrap();
        drop(stack);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_woken_once_for_a_batch() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    // Where two connections stand: port, next sequence number, what is acknowledged.
    let mut places = Vec::new();
    let mut streams = Vec::new();
    for port in [40_000, 40_001] {
        raw.local.set_port(port);
        raw.open().await;
        streams.push(listener.accept().await.unwrap().0);
        places.push((port, raw.seq, raw.ack));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = stack.counters().actor_turns;
    // Fewer than a batch holds, of both in turn.
    for _ in 0..30 {
        for (port, seq, ack) in &mut places {
            raw.local.set_port(*port);
            (raw.seq, raw.ack) = (*seq, *ack);
            raw.send(TcpFlags::ACK, &[7; 100]);
            *seq = raw.seq;
        }
    }
    for _ in 0..2 {
        let seen = raw.recv().await;
        let place = places.iter().find(|place| place.0 == seen.header.dst_port).unwrap();
        assert_eq!(seen.header.ack, place.1, "one ACK for all of the batch");
    }
    assert_eq!(stack.counters().actor_turns - before, 2, "a turn for each of the two");
    for mut stream in streams {
        stream.read_exact(&mut [0; 3000]).await.unwrap();
    }
}

/// What a device was offered.
#[derive(Debug, Default)]
struct Offered {
    /// Packets of the wire that it took.
    packets: AtomicUsize,
    /// Super-segments that it refused, and whether it refuses them now.
    refused: AtomicUsize,
    refuses: AtomicBool,
}

/// Counts what is sent, and once told so refuses super-segments.
#[derive(Debug)]
struct Watched {
    inner: Arc<dyn TxQueue>,
    offered: Arc<Offered>,
}

impl TxQueue for Watched {
    fn capabilities(&self) -> Capabilities {
        let caps = self.inner.capabilities();
        if self.offered.refuses.load(Relaxed) {
            return caps.with_tx(Offloads { checksum: true, ..Offloads::NONE });
        }
        caps
    }

    fn try_send(&self, frame: TxFrame<'_>, turn: &mut Turn) -> Result<(), SendError> {
        if frame.meta.gso.is_some() && self.offered.refuses.load(Relaxed) {
            self.offered.refused.fetch_add(1, Relaxed);
            return Err(SendError::Offload);
        }
        let super_segment = frame.meta.gso.is_some();
        let sent = self.inner.try_send(frame, turn);
        if sent.is_ok() && !super_segment {
            self.offered.packets.fetch_add(1, Relaxed);
        }
        sent
    }

    fn poll_ready(&self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<()> {
        self.inner.poll_ready(cx, turn)
    }

    fn leave(&self, turn: &mut Turn) {
        self.inner.leave(turn);
    }

    fn counters(&self) -> DeviceCounters {
        self.inner.counters()
    }
}

struct Watch<D>(D, Arc<Offered>);

impl<D: Device> Device for Watch<D> {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        let Self(device, offered) = *self;
        let (queues, inner) = Box::new(device).split()?;
        Ok((queues, Arc::new(Watched { inner, offered })))
    }
}

/// A client whose device is watched, and the server that it sends to.
fn watched(offloads: Offloads) -> (Stack, Stack, Arc<Offered>) {
    let caps = Capabilities::ip(1500).with_tx(offloads).with_rx(offloads);
    let (a, b) = pair_with_depth(caps.clone(), caps, 512);
    let offered = Arc::new(Offered::default());
    let client = builder(Watch(b, Arc::clone(&offered)), 2).build().unwrap();
    (builder(a, 1).build().unwrap(), client, offered)
}

/// Sends `len` bytes, and gives the most packets that left between two turns of another task.
async fn largest_burst(offloads: Offloads, len: usize) -> (usize, Arc<Offered>) {
    let (server, client, offered) = watched(offloads);
    let (_listener, mut reader, mut writer) = connected(&server, &client).await;
    // The window opens, with super-segments where they go.
    let data = pattern(len);
    let mut read = vec![0; len];
    tokio::try_join!(writer.write_all(&data), reader.read_exact(&mut read)).unwrap();
    offered.refuses.store(true, Relaxed);
    let (first, rest) = data.split_at(10_000);
    writer.write_all(first).await.unwrap();
    reader.read_exact(&mut read[..10_000]).await.unwrap();
    let reading = tokio::spawn(async move {
        reader.read_exact(&mut read[10_000..]).await.unwrap();
        read
    });
    let sent = rest.to_vec();
    let writing = tokio::spawn(async move { writer.write_all(&sent).await.map(|()| writer) });
    let watched = Arc::clone(&offered);
    let watching = tokio::spawn(async move {
        let (mut before, mut largest) = (watched.packets.load(Relaxed), 0);
        loop {
            others_first().await;
            let now = watched.packets.load(Relaxed);
            largest = largest.max(now - before);
            before = now;
            if reading.is_finished() {
                return (largest, reading.await.unwrap());
            }
        }
    });
    let (largest, read) = watching.await.unwrap();
    assert_eq!(read, data);
    writing.await.unwrap().unwrap();
    (largest, offered)
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_32_packets() {
    let (largest, offered) = largest_burst(Offloads::NONE, 2_000_000).await;
    assert_eq!(largest, 32);
    assert_eq!(offered.refused.load(Relaxed), 0);
}

/// A device that offered to cut super-segments and no longer does: it is believed at the first refusal, and what is cut
/// for it counts as packets.
#[tokio::test(start_paused = true)]
async fn after_a_refusal_no_super_segment_is_offered_and_bursts_stay_bounded() {
    let (largest, offered) = largest_burst(Offloads::ALL, 2_000_000).await;
    assert_eq!(offered.refused.load(Relaxed), 1);
    assert_eq!(largest, 32);
}
