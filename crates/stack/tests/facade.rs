//! The manners of the sockets: pitfalls A1 to A12 of other stacks, each as a test.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::future::Future;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use common::*;
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

/// Pitfall A7: a reader that does not read closes the window, and memory stays bounded.
#[tokio::test(start_paused = true)]
async fn a7_an_idle_reader_stops_the_writer() {
    let mut config = TcpConfig::new();
    config.recv_buffer(64 << 10).send_buffer(64 << 10);
    let (server, client) = stacks_with(&config, tokio_netstack::device::Capabilities::ip(1500), 512);
    let (_listener, accepted, mut stream) = connected(&server, &client).await;
    let chunk = pattern(16 << 10);
    let mut written = 0;
    while let Ok(n) = timeout(Duration::from_secs(30), stream.write(&chunk)).await {
        written += n.unwrap();
        assert!(written <= 128 << 10, "{written} bytes went somewhere");
    }
    assert!(written >= 96 << 10, "both buffers were used: {written}");
    assert_eq!(stream.info().await.unwrap().snd_wnd, 0);
    drop(accepted);
}

/// Pitfall A8: a reset wakes a pending read and a pending write with an error.
#[tokio::test(start_paused = true)]
async fn a8_a_reset_is_reported_to_pending_reads_and_writes() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.window = 100;
    raw.open().await;
    let (stream, _) = listener.accept().await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let read = tokio::spawn(async move { reader.read(&mut [0; 8]).await });
    let write = tokio::spawn(async move {
        loop {
            if let Err(error) = writer.write_all(&[0; 65536]).await {
                return error;
            }
        }
    });
    sleep(Duration::from_millis(20)).await;
    assert!(!read.is_finished() && !write.is_finished());
    raw.send(TcpFlags::RST, b"");
    sleep(TICK).await;
    assert!(read.is_finished() && write.is_finished(), "within one tick");
    assert_eq!(read.await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(write.await.unwrap().kind(), ErrorKind::ConnectionReset);
}

/// Pitfall A8: as documented, data that came before the reset is read first; a reset never looks like the end.
#[tokio::test(start_paused = true)]
async fn a8_data_before_a_reset_is_read_first() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    raw.send(TcpFlags::ACK | TcpFlags::PSH, b"last words");
    raw.send(TcpFlags::RST, b"");
    sleep(TICK).await;
    let mut buf = [0; 32];
    assert_eq!(stream.read(&mut buf).await.unwrap(), 10);
    for _ in 0..2 {
        assert_eq!(stream.read(&mut buf).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(stream.shutdown().await.unwrap_err().kind(), ErrorKind::NotConnected);
    assert_eq!(stream.info().await.unwrap().state, State::Closed);
}

/// Pitfall A9: connect learns of every end that is not ESTABLISHED.
// req: S-SYNSENT-2, MUST-23
#[tokio::test(start_paused = true)]
async fn a9_connect_is_refused_or_times_out() {
    let (_server, client) = stacks();
    let refused = TcpStream::connect(&client, addr(SERVER, 9)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let start = tokio::time::Instant::now();
    let timed_out = TcpStream::connect(&client, addr("192.0.2.99", 9)).await.unwrap_err();
    assert_eq!(timed_out.kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= Duration::from_secs(180), "MUST-23: three minutes, not {:?}", start.elapsed());
    assert_eq!(client.connection_count(), 0);
}

/// Pitfall A9: a client that has closed before the first poll of `accept` is accepted, and so is the next.
#[tokio::test(start_paused = true)]
async fn a9_a_connection_closed_before_accept_is_accepted() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    for port in [40_000, 40_001] {
        raw.local.set_port(port);
        raw.open().await;
        raw.send(TcpFlags::ACK | TcpFlags::FIN, b"bye");
        sleep(TICK).await;
        let (mut stream, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.port(), port);
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "bye");
        stream.shutdown().await.unwrap();
        while !raw.recv().await.has(TcpFlags::FIN) {}
        raw.ack += 1;
        raw.send(TcpFlags::ACK, b"");
        raw.ack = netstack_wire::SeqNum(0);
    }
}

/// Pitfall A10: dropping a stream delivers what was written, then closes.
#[tokio::test(start_paused = true)]
async fn a10_drop_delivers_what_was_written() {
    let (server, client) = stacks();
    let (_listener, mut accepted, mut stream) = connected(&server, &client).await;
    let data = pattern(100_000);
    stream.write_all(&data).await.unwrap();
    drop(stream);
    let mut got = Vec::new();
    accepted.read_to_end(&mut got).await.unwrap();
    assert!(got == data);
    drop(accepted);
    sleep(Duration::from_secs(1)).await;
    assert_eq!((server.connection_count(), client.connection_count()), (0, 0));
}

/// A drop with unread data is a reset (RFC 1122 4.2.2.13), and so is one with a linger of zero.
#[tokio::test(start_paused = true)]
async fn a10_drop_with_unread_data_or_linger_zero_resets() {
    let (server, client) = stacks();
    for unread in [true, false] {
        let (_listener, accepted, mut stream) = connected(&server, &client).await;
        if unread {
            stream.write_all(b"nobody reads this").await.unwrap();
            sleep(TICK).await;
        } else {
            accepted.set_linger(Some(Duration::ZERO)).unwrap();
            assert_eq!(accepted.linger().unwrap(), Some(Duration::ZERO));
        }
        drop(accepted);
        let error = timeout(TICK, stream.read(&mut [0; 8])).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

/// Pitfall A10: dropping streams while the runtime shuts down neither hangs nor panics, and sockets outside learn of it.
#[test]
fn a10_the_runtime_goes_first() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (server, client, mut accepted, stream) = runtime.block_on(async {
        let (server, client) = stacks();
        let (_listener, accepted, mut stream) = connected(&server, &client).await;
        stream.write_all(&pattern(100_000)).await.unwrap();
        tokio::spawn(async move {
            let _held = stream;
            std::future::pending::<()>().await;
        });
        let second = TcpListener::bind(&server, addr(SERVER, 99)).await.unwrap();
        let stream = TcpStream::connect(&client, addr(SERVER, 99)).await.unwrap();
        drop(second);
        (server, client, accepted, stream)
    });
    runtime.shutdown_timeout(Duration::from_secs(10));
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    other.block_on(async {
        let mut sink = Vec::new();
        let error =
            timeout(Duration::from_secs(10), accepted.read_to_end(&mut sink)).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    });
    drop((server, client, stream));
}

/// Pitfall A10: many connects at once, with traffic, on several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a10_a_thousand_concurrent_connects() {
    let (server, client) = stacks();
    let listener = TcpListener::bind(&server, addr(SERVER, PORT)).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                tokio::io::copy(&mut reader, &mut writer).await
            });
        }
    });
    let clients: Vec<_> = (0..1000u32)
        .map(|i| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap();
                stream.write_all(&i.to_be_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                let mut back = Vec::new();
                stream.read_to_end(&mut back).await.unwrap();
                assert_eq!(back, i.to_be_bytes());
            })
        })
        .collect();
    for client in clients {
        timeout(Duration::from_secs(60), client).await.expect("no deadlock").unwrap();
    }
}

/// Pitfall A11: idle connections do not wake.
#[tokio::test(start_paused = true)]
async fn a11_idle_connections_sleep() {
    let (server, client) = stacks();
    let listener = TcpListener::bind(&server, addr(SERVER, PORT)).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        stream.write_all(b"once").await.unwrap();
        accepted.read_exact(&mut [0; 4]).await.unwrap();
        held.push((stream, accepted));
    }
    sleep(Duration::from_secs(65)).await;
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.worker_park_count(0);
    sleep(Duration::from_secs(600)).await;
    let parks = metrics.worker_park_count(0) - before;
    // Tokio's timer wheel turns a few times of itself.
    assert!(parks <= 8, "the runtime went to sleep {parks} times in ten idle minutes");
}

/// Pitfall A12: a device that ends is an error for everyone who waits, not a hang.
#[tokio::test(start_paused = true)]
async fn a12_a_device_that_ends_ends_every_wait() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let connecting = stack.clone();
    let connect = tokio::spawn(async move { TcpStream::connect(&connecting, addr(CLIENT, 9)).await });
    let read = tokio::spawn(async move { stream.read(&mut [0; 8]).await });
    let accept = tokio::spawn(async move { listener.accept().await });
    sleep(TICK).await;
    drop(raw);
    let down = ErrorKind::NetworkDown;
    assert_eq!(timeout(TICK, connect).await.unwrap().unwrap().unwrap_err().kind(), down);
    assert_eq!(timeout(TICK, read).await.unwrap().unwrap().unwrap_err().kind(), down);
    assert_eq!(timeout(TICK, accept).await.unwrap().unwrap().unwrap_err().kind(), down);
    assert_eq!(TcpStream::connect(&stack, addr(CLIENT, 9)).await.unwrap_err().kind(), down);
    assert_eq!(TcpListener::bind(&stack, addr(SERVER, 8)).await.unwrap_err().kind(), down);
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

/// A FIN that has not left yet cannot stand for the reset: the peer would wait for ever.
#[tokio::test(start_paused = true)]
async fn a_reset_in_last_ack_with_data_unsent_reaches_the_peer() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.window = 10;
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    raw.send(TcpFlags::ACK | TcpFlags::FIN, b"");
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    stream.write_all(&[1; 1000]).await.unwrap();
    stream.shutdown().await.unwrap();
    sleep(TICK).await;
    assert_eq!(stream.info().await.unwrap().state, State::LastAck);
    stream.set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    while !raw.recv_within(TICK).await.expect("a reset").has(TcpFlags::RST) {}
    assert_eq!(stack.connection_count(), 0);
}
