//! The manners of the sockets: pitfalls A1 to A6 of other stacks, each as a test; `facade_ends.rs` goes on.

use std::future::Future;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use crate::common::*;
use netstack_wire::tcp::TcpFlags;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::{sleep, timeout};
use tokio_netstack::{State, TcpConfig, TcpListener, TcpStream};

const TICK: Duration = Duration::from_millis(2);

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Pitfall A1: the FIN that waits behind unacknowledged data is not forgotten.
// req: S-CLOSE-1
#[tokio::test(start_paused = true)]
async fn a1_shutdown_right_after_a_write_sends_the_fin() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(b"x").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut data = Vec::new();
    let mut fin = false;
    while !fin {
        let seen = raw.recv_within(TICK).await.expect("data, then a FIN, without waiting for the ACK");
        data.extend_from_slice(&seen.payload);
        fin = seen.has(TcpFlags::FIN);
        raw.ack = seen.header.seq + seen.header.seg_len(seen.payload.len());
    }
    assert_eq!(data, b"x");
    sleep(Duration::from_millis(50)).await;
    raw.send(TcpFlags::ACK, b"");
    raw.send(TcpFlags::ACK | TcpFlags::FIN, b"");
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
}

/// Pitfall A1: a proxy's `copy_bidirectional` comes to its end.
#[tokio::test(start_paused = true)]
async fn a1_copy_bidirectional_finishes() {
    let (server, client) = stacks();
    let (_listener, mut accepted, mut stream) = connected(&server, &client).await;
    let (mut near, mut far) = tokio::io::duplex(100);
    let copy = tokio::spawn(async move { tokio::io::copy_bidirectional(&mut accepted, &mut far).await });
    stream.write_all(b"question").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut question = Vec::new();
    near.read_to_end(&mut question).await.unwrap();
    near.write_all(b"answer").await.unwrap();
    near.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!((&question[..], &answer[..]), (&b"question"[..], &b"answer"[..]));
    let copied = timeout(Duration::from_secs(1), copy).await.unwrap().unwrap().unwrap();
    assert_eq!(copied, (8, 6));
}

/// Pitfall A2: shutdown does not wait for the peer's close.
#[tokio::test(start_paused = true)]
async fn a2_shutdown_resolves_while_the_peer_still_sends() {
    let (server, client) = stacks();
    let (_listener, mut accepted, mut stream) = connected(&server, &client).await;
    let data = pattern(10 << 20);
    let sent = data.clone();
    tokio::spawn(async move {
        accepted.write_all(&sent).await.unwrap();
        // Dropped with everything read: an orderly close.
    });
    sleep(Duration::from_millis(5)).await;
    timeout(TICK, stream.shutdown()).await.expect("resolves once the FIN is queued").unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.unwrap();
    assert!(got == data);
}

/// Pitfall A3: the peer's FIN does not cut off our reply.
// req: S-RECV-1, S-SEND-2
#[tokio::test(start_paused = true)]
async fn a3_half_close_leaves_the_other_direction_open() {
    let (server, client) = stacks();
    let (_listener, mut accepted, mut stream) = connected(&server, &client).await;
    let reply = pattern(1 << 20);
    let sent = reply.clone();
    tokio::spawn(async move {
        let mut request = Vec::new();
        accepted.read_to_end(&mut request).await.unwrap();
        assert_eq!(request, b"request");
        sleep(Duration::from_secs(1)).await;
        accepted.write_all(&sent).await.unwrap();
        accepted.shutdown().await.unwrap();
    });
    stream.write_all(b"request").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.unwrap();
    assert!(got == reply);
}

/// Pitfall A4: a later poll replaces the waker of an earlier one.
#[tokio::test(start_paused = true)]
async fn a4_the_newest_waker_is_woken() {
    let (server, client) = stacks();
    let (_listener, mut accepted, mut stream) = connected(&server, &client).await;
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    for count in [&first, &second] {
        let waker = Waker::from(Arc::clone(count));
        let mut buf = [0; 8];
        let poll = std::pin::Pin::new(&mut stream)
            .poll_read(&mut Context::from_waker(&waker), &mut ReadBuf::new(&mut buf));
        assert!(poll.is_pending());
    }
    accepted.write_all(b"wake").await.unwrap();
    sleep(TICK).await;
    assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst)), (0, 1));
}

/// Pitfall A4: a read cancelled by `select!` leaves nothing behind that stops a shutdown.
#[tokio::test(start_paused = true)]
async fn a4_shutdown_after_a_cancelled_read() {
    let (server, client) = stacks();
    let (_listener, mut accepted, mut stream) = connected(&server, &client).await;
    assert!(timeout(Duration::from_secs(1), stream.read(&mut [0; 8])).await.is_err());
    timeout(TICK, stream.shutdown()).await.unwrap().unwrap();
    assert_eq!(timeout(TICK, accepted.read(&mut [0; 8])).await.unwrap().unwrap(), 0);
}

/// Pitfall A5: every future that is pending has its waker registered, for each thing that one can wait for.
#[tokio::test(start_paused = true)]
async fn a5_every_pending_operation_is_woken() {
    let mut config = TcpConfig::new();
    config.send_buffer(4096).recv_buffer(4096);
    let (server, client) = stacks_with(&config, tokio_netstack::device::Capabilities::ip(1500), 512);
    let (listener, mut accepted, mut stream) = connected(&server, &client).await;

    // readable, peek
    let (mut readable, mut buf) = (tokio_test_future(stream.readable()), [0; 4]);
    assert!(readable.poll_once().await.is_none());
    drop(readable);
    {
        let mut peek = tokio_test_future(stream.peek(&mut buf));
        assert!(peek.poll_once().await.is_none());
        accepted.write_all(b"data").await.unwrap();
        assert_eq!(peek.woken().await.unwrap(), 4);
    }
    assert_eq!(&buf, b"data");
    stream.read_exact(&mut buf).await.unwrap();

    // writable, write
    while stream.try_write(&[7; 4096]).is_ok() {
        sleep(TICK).await;
    }
    {
        let mut writable = tokio_test_future(stream.writable());
        assert!(writable.poll_once().await.is_none());
        let mut sink = vec![0; 8192];
        accepted.read_exact(&mut sink).await.unwrap();
        writable.woken().await.unwrap();
    }

    // accept
    let mut accept = tokio_test_future(listener.accept());
    assert!(accept.poll_once().await.is_none());
    let _second = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap();
    accept.woken().await.unwrap();
}

/// A future polled by hand with a counting waker.
struct Polled<F> {
    future: std::pin::Pin<Box<F>>,
    count: Arc<Count>,
}

fn tokio_test_future<F: Future>(future: F) -> Polled<F> {
    Polled { future: Box::pin(future), count: Arc::default() }
}

impl<F: Future> Polled<F> {
    async fn poll_once(&mut self) -> Option<F::Output> {
        let waker = Waker::from(Arc::clone(&self.count));
        match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }

    /// Waits until the waker was called, then expects the future to be ready.
    async fn woken(mut self) -> F::Output {
        for _ in 0..1000 {
            if self.count.0.swap(0, SeqCst) > 0
                && let Some(output) = self.poll_once().await
            {
                return output;
            }
            sleep(Duration::from_millis(1)).await;
        }
        panic!("never woken");
    }
}

/// Pitfall A5: a stress of wake-ups between threads; a lost one would stall until the deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a5_ping_pong_on_threads_loses_no_wake_up() {
    let (server, client) = stacks();
    let (_listener, mut accepted, mut stream) = connected(&server, &client).await;
    stream.set_nodelay(true).unwrap();
    accepted.set_nodelay(true).unwrap();
    let rounds = 3000;
    let serve = tokio::spawn(async move {
        let mut byte = [0; 1];
        while accepted.read(&mut byte).await.unwrap() == 1 {
            accepted.write_all(&byte).await.unwrap();
        }
    });
    let play = async {
        for round in 0..rounds {
            let byte = [round as u8];
            stream.write_all(&byte).await.unwrap();
            let mut back = [0; 1];
            stream.read_exact(&mut back).await.unwrap();
            assert_eq!(back, byte);
        }
    };
    timeout(Duration::from_secs(60), play).await.expect("no wake-up is lost");
    drop(stream);
    serve.await.unwrap();
}

/// Pitfall A6: packets that cannot be answered for want of a slot are counted.
#[tokio::test(start_paused = true)]
async fn a6_a_reply_that_finds_the_device_full_is_counted() {
    let caps = tokio_netstack::device::Capabilities::ip(1500);
    let (a, b) = tokio_netstack::device::memory::pair_with_depth(caps.clone(), caps, 32);
    let stack = builder(a, 1).build().unwrap();
    let (_rx, tx) = tokio_netstack::device::Device::split(Box::new(b)).unwrap();
    for port in 0..100 {
        let header = netstack_wire::tcp::TcpHeader {
            src_port: 1000 + port,
            dst_port: 9,
            flags: TcpFlags::SYN,
            ..Default::default()
        };
        let (src, dst) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
        let payload = [bytes::Bytes::from(segment(src, dst, &header, b""))];
        let mut head = tokio_netstack::device::HeadBuf::new();
        let frame = tokio_netstack::device::TxFrame {
            head: &mut head,
            payload: &payload,
            meta: Default::default(),
            flow: 0,
        };
        tx.try_send(frame, &mut tokio_netstack::device::Turn::new()).unwrap();
        sleep(TICK).await;
    }
    let counters = stack.counters();
    assert_eq!((counters.tx_resets, counters.tx_replies_dropped), (100, 100 - 32));
}

#[tokio::test(start_paused = true)]
async fn peek_and_vectored_operations() {
    let (server, client) = stacks();
    let (_listener, mut accepted, stream) = connected(&server, &client).await;
    let parts = [std::io::IoSlice::new(b"one "), std::io::IoSlice::new(b"two")];
    assert_eq!(stream.try_write_vectored(&parts).unwrap(), 7);
    let mut peeked = [0; 16];
    assert_eq!(accepted.peek(&mut peeked).await.unwrap(), 7);
    assert_eq!(&peeked[..7], b"one two");
    let (mut a, mut b) = ([0; 2], [0; 5]);
    let mut bufs = [std::io::IoSliceMut::new(&mut a), std::io::IoSliceMut::new(&mut b)];
    assert_eq!(accepted.try_read_vectored(&mut bufs).unwrap(), 7);
    assert_eq!((&a, &b), (b"on", b"e two"));
    assert_eq!(accepted.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    accepted.shutdown().await.unwrap();
    assert_eq!(accepted.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[tokio::test(start_paused = true)]
async fn owned_halves_reunite_and_close_apart() {
    let (server, client) = stacks();
    let (_listener, accepted, stream) = connected(&server, &client).await;
    let (reader, writer) = stream.into_split();
    let (other_reader, other_writer) = accepted.into_split();
    let error = reader.reunite(other_writer).unwrap_err();
    let (reader, other_writer) = (error.0, error.1);
    let stream = reader.reunite(writer).unwrap();
    let mut accepted = other_reader.reunite(other_writer).unwrap();
    let (mut reader, writer) = stream.into_split();
    drop(writer);
    assert_eq!(accepted.read(&mut [0; 8]).await.unwrap(), 0, "dropping the writing half sends the FIN");
    accepted.write_all(b"still open").await.unwrap();
    let mut buf = [0; 10];
    reader.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"still open");
}

#[tokio::test(start_paused = true)]
async fn info_tells_the_state() {
    let (server, client) = stacks();
    let (_listener, mut accepted, mut stream) = connected(&server, &client).await;
    assert_eq!(stream.info().await.unwrap().state, State::Established);
    stream.shutdown().await.unwrap();
    sleep(TICK).await;
    assert_eq!(stream.info().await.unwrap().state, State::FinWait2);
    assert_eq!(accepted.info().await.unwrap().state, State::CloseWait);
    accepted.shutdown().await.unwrap();
    sleep(TICK).await;
    assert_eq!(stream.info().await.unwrap().state, State::TimeWait);
    assert_eq!(accepted.info().await.unwrap().state, State::Closed);
    assert_eq!(timeout(TICK, stream.read(&mut [0; 1])).await.unwrap().unwrap(), 0);
}
