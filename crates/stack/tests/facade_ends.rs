//! The manners of the sockets towards the end of connections, runtimes and devices: pitfalls A7 to A12 of other
//! stacks, each as a test; `facade.rs` has those before.

use std::io::ErrorKind;
use std::time::Duration;

use crate::common::*;
use netstack_wire::tcp::TcpFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_netstack::{State, TcpConfig, TcpListener, TcpStream};

const TICK: Duration = Duration::from_millis(2);

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
