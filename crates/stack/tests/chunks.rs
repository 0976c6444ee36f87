//! `read_chunk` and `write_bytes`: exact bytes, and no copy of them.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::common::*;
use bytes::Bytes;
use netstack_wire::tcp::TcpFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_netstack::device::memory::{self, MemoryDevice};
use tokio_netstack::device::{
    Capabilities, Device, DeviceCounters, Halves, Offloads, RxBatch, RxQueue, SendError, Turn, TxFrame,
    TxQueue,
};
use tokio_netstack::{Stack, TcpConfig, TcpListener, TcpStream};

/// The memory of the frames that passed a device, kept alive so that no address is used twice.
#[derive(Debug, Default)]
struct Passed {
    received: Mutex<Vec<Bytes>>,
    sent: Mutex<Vec<Bytes>>,
}

fn range(bytes: &[u8]) -> Range<usize> {
    let start = bytes.as_ptr() as usize;
    start..start + bytes.len()
}

/// Whether all of `inner` lies in one of `outer`.
fn lies_in(inner: &[u8], outer: &[Bytes]) -> bool {
    let inner = range(inner);
    outer.iter().map(|bytes| range(bytes)).any(|outer| outer.start <= inner.start && inner.end <= outer.end)
}

/// A device that remembers what passes.
struct Watched(MemoryDevice, Arc<Passed>);

struct WatchedRx(Box<dyn RxQueue>, Arc<Passed>);

#[derive(Debug)]
struct WatchedTx(Arc<dyn TxQueue>, Arc<Passed>);

impl Device for Watched {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        let Self(device, passed) = *self;
        let (rx, tx) = Box::new(device).split()?;
        let watched = |rx| Box::new(WatchedRx(rx, Arc::clone(&passed))) as Box<dyn RxQueue>;
        Ok((rx.into_iter().map(watched).collect(), Arc::new(WatchedTx(tx, Arc::clone(&passed)))))
    }
}

impl RxQueue for WatchedRx {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RxBatch) -> Poll<io::Result<()>> {
        let before = batch.len();
        let polled = self.0.poll_recv(cx, batch);
        self.1
            .received
            .lock()
            .unwrap()
            .extend(batch.frames()[before..].iter().map(|frame| frame.data.clone()));
        polled
    }
}

impl TxQueue for WatchedTx {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn try_send(&self, frame: TxFrame<'_>, turn: &mut Turn) -> Result<(), SendError> {
        self.1.sent.lock().unwrap().extend(frame.payload.iter().cloned());
        self.0.try_send(frame, turn)
    }

    fn poll_ready(&self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<()> {
        self.0.poll_ready(cx, turn)
    }

    fn leave(&self, turn: &mut Turn) {
        self.0.leave(turn);
    }

    fn counters(&self) -> DeviceCounters {
        self.0.counters()
    }
}

fn offload() -> Capabilities {
    Capabilities::ip(1500).with_tx(Offloads::ALL).with_rx(Offloads::ALL)
}

/// Server and client, and what passed the device of each.
fn watched(caps: Capabilities) -> ([Stack; 2], [Arc<Passed>; 2]) {
    let (a, b) = memory::pair(caps.clone(), caps);
    let passed: [Arc<Passed>; 2] = Default::default();
    let server = builder(Watched(a, Arc::clone(&passed[0])), 1).build().unwrap();
    let client = builder(Watched(b, Arc::clone(&passed[1])), 2).build().unwrap();
    ([server, client], passed)
}

async fn write_all_bytes(stream: &TcpStream, mut data: Bytes) {
    while !data.is_empty() {
        assert!(stream.write_bytes(&mut data).await.unwrap() > 0);
    }
}

async fn read_all_chunks(stream: &TcpStream) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    loop {
        let chunk = stream.read_chunk(usize::MAX).await.unwrap();
        if chunk.is_empty() {
            return chunks;
        }
        chunks.push(chunk);
    }
}

/// Both ways of reading and of writing in turn, over both kinds of halves.
async fn mixed(server: &Stack, client: &Stack) {
    let (_listener, mut accepted, stream) = connected(server, client).await;
    let sizes = [1, 511, 512, 5000, 70_000, 300, 2048];
    let data = Bytes::from(pattern(3 << 20));
    let sent = data.clone();
    let write = tokio::spawn(async move {
        let (_reader, mut writer) = stream.into_split();
        let (mut rest, mut turn) = (sent, 0);
        while !rest.is_empty() {
            let mut part = rest.split_to(sizes[turn % sizes.len()].min(rest.len()));
            match turn % 3 {
                0 => writer.write_all(&part).await.unwrap(),
                _ => {
                    while !part.is_empty() {
                        writer.write_bytes(&mut part).await.unwrap();
                    }
                }
            }
            turn += 1;
        }
        writer.shutdown().await.unwrap();
    });
    let (mut reader, _writer) = accepted.split();
    let mut got = Vec::new();
    let mut buf = [0; 3000];
    for turn in 0.. {
        let len = if turn % 2 == 0 {
            let len = reader.read(&mut buf).await.unwrap();
            got.extend_from_slice(&buf[..len]);
            len
        } else {
            let chunk = reader.read_chunk([1000, 1, usize::MAX][turn % 3]).await.unwrap();
            got.extend_from_slice(&chunk);
            chunk.len()
        };
        if len == 0 {
            break;
        }
    }
    assert!(got == data, "{} bytes of {}", got.len(), data.len());
    assert!(reader.read_chunk(1).await.unwrap().is_empty(), "the end stays the end");
    write.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn mixed_with_ordinary_calls_in_plain_frames() {
    let (server, client) = stacks();
    mixed(&server, &client).await;
}

#[tokio::test(start_paused = true)]
async fn mixed_with_ordinary_calls_in_super_segments() {
    let (server, client) = stacks_with(&TcpConfig::new(), offload(), 512);
    mixed(&server, &client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixed_with_ordinary_calls_on_several_threads() {
    let (server, client) = stacks();
    timeout(Duration::from_secs(60), mixed(&server, &client)).await.unwrap();
}

async fn transfer_without_copy(caps: Capabilities) -> (Vec<Bytes>, [Arc<Passed>; 2]) {
    let ([server, client], passed) = watched(caps);
    let (_listener, accepted, mut stream) = connected(&server, &client).await;
    let data = Bytes::from(pattern(2 << 20));
    let sent = data.clone();
    let write = tokio::spawn(async move {
        write_all_bytes(&stream, sent).await;
        stream.shutdown().await.unwrap();
    });
    let chunks = read_all_chunks(&accepted).await;
    write.await.unwrap();
    assert!(chunks.concat() == data);
    for slice in passed[1].sent.lock().unwrap().iter().filter(|slice| slice.len() >= 512) {
        assert!(
            lies_in(slice, std::slice::from_ref(&data)),
            "{} bytes on the wire from elsewhere",
            slice.len()
        );
    }
    (chunks, passed)
}

#[tokio::test(start_paused = true)]
async fn super_segments_pass_without_a_copy_at_either_end() {
    let (chunks, passed) = transfer_without_copy(offload()).await;
    let large: Vec<&Bytes> = chunks.iter().filter(|chunk| chunk.len() >= 2048).collect();
    assert!(large.len() > 10, "super-segments: {}", large.len());
    let received = passed[0].received.lock().unwrap();
    for chunk in large {
        assert!(lies_in(chunk, &received), "a chunk of {} bytes is a copy", chunk.len());
    }
}

#[tokio::test(start_paused = true)]
async fn plain_frames_leave_from_the_memory_of_the_application() {
    let (_, passed) = transfer_without_copy(Capabilities::ip(1500)).await;
    let full = passed[1].sent.lock().unwrap().iter().filter(|slice| slice.len() >= 1400).count();
    assert!(full > 1000, "full segments: {full}");
}

#[tokio::test(start_paused = true)]
async fn write_bytes_takes_what_fits_and_waits_for_room() {
    let mut config = TcpConfig::new();
    config.recv_buffer(4096).send_buffer(8192);
    let (server, client) = stacks_with(&config, Capabilities::ip(1500), 512);
    let (_listener, accepted, stream) = connected(&server, &client).await;
    let all = Bytes::from(pattern(40_000));
    let mut data = all.clone();
    assert_eq!(stream.try_write_bytes(&mut data).unwrap(), 8192);
    assert_eq!(data, all[8192..]);
    assert_eq!(stream.try_write_bytes(&mut data).unwrap_err().kind(), ErrorKind::WouldBlock);
    // The peer's buffer fills, then ours; a future given up then has taken nothing.
    let day = Duration::from_secs(86_400);
    while timeout(day, stream.write_bytes(&mut data)).await.is_ok() {}
    let left = data.len();
    assert_eq!(data, all[all.len() - left..]);
    let mut got = Vec::new();
    let write = tokio::spawn(async move {
        write_all_bytes(&stream, data).await;
        stream
    });
    while got.len() < all.len() {
        got.extend_from_slice(&accepted.read_chunk(777).await.unwrap());
    }
    assert!(got == all);
    let stream = write.await.unwrap();
    assert_eq!(stream.write_bytes(&mut Bytes::new()).await.unwrap(), 0);
    assert_eq!(accepted.try_read_chunk(1).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(accepted.try_read_chunk(0).unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_given_up_takes_nothing() {
    let (server, client) = stacks();
    let (_listener, accepted, mut stream) = connected(&server, &client).await;
    timeout(Duration::from_secs(1), accepted.read_chunk(10)).await.unwrap_err();
    stream.write_all(b"whole").await.unwrap();
    assert_eq!(accepted.read_chunk(10).await.unwrap(), &b"whole"[..]);
    stream.write_all(b"again").await.unwrap();
    let polled = std::future::poll_fn(|cx| accepted.poll_read_chunk(cx, 2)).await.unwrap();
    assert_eq!(polled, &b"ag"[..]);
}

#[tokio::test(start_paused = true)]
async fn errors_come_behind_the_data_and_leave_what_was_not_taken() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    raw.send(TcpFlags::ACK | TcpFlags::PSH, b"data");
    stream.readable().await.unwrap();
    stream.shutdown().await.unwrap();
    let mut data = Bytes::from(pattern(2000));
    assert_eq!(stream.write_bytes(&mut data).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    raw.send(TcpFlags::RST, b"");
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(stream.read_chunk(100).await.unwrap(), &b"data"[..]);
    for _ in 0..2 {
        assert_eq!(stream.read_chunk(100).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    let polled = std::future::poll_fn(|cx| stream.poll_write_bytes(cx, &mut data)).await;
    assert_eq!(polled.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(data, pattern(2000));
}
