//! The end of connections and of stacks: TIME-WAIT records, shutdown, abort, order of dropping.

use std::io::ErrorKind;
use std::time::Duration;

use crate::common::*;
use netstack_wire::SeqNum;
use netstack_wire::tcp::TcpFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_netstack::{ListenConfig, Stack, TcpConfig, TcpListener, TcpStream};

const TICK: Duration = Duration::from_millis(2);

/// Our end closes first, in order: the raw peer's view, up to our TIME-WAIT.
async fn to_time_wait(stack: &Stack, raw: &mut Raw) -> TcpStream {
    to_time_wait_with(stack, raw, ListenConfig::new()).await
}

async fn to_time_wait_with(stack: &Stack, raw: &mut Raw, config: ListenConfig) -> TcpStream {
    let listener = TcpListener::bind_with(stack, addr(SERVER, PORT), config).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.shutdown().await.unwrap();
    let fin = raw.recv().await;
    assert!(fin.has(TcpFlags::FIN));
    raw.ack = fin.header.seq + 1;
    raw.send(TcpFlags::ACK | TcpFlags::FIN, b"");
    let ack = raw.recv().await;
    assert_eq!((ack.header.ack, ack.header.flags), (raw.seq, TcpFlags::ACK));
    sleep(TICK).await;
    stream
}

/// In TIME-WAIT a record stands for the connection: no task, and the answers are those of the protocol.
// req: S-ACK-11, R1337-1, S-TMO-3
#[tokio::test(start_paused = true)]
async fn time_wait_is_a_record_that_answers() {
    let (stack, mut raw) = raw_pair();
    let mut stream = to_time_wait(&stack, &mut raw).await;
    assert_eq!((stack.connection_count(), stack.time_wait_count()), (0, 1));
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    // A repeated FIN is acknowledged and restarts the 2 MSL.
    sleep(Duration::from_secs(40)).await;
    let fin = raw.header(TcpFlags::ACK | TcpFlags::FIN);
    raw.send_header(&netstack_wire::tcp::TcpHeader { seq: raw.seq - 1, ..fin }, b"");
    assert_eq!(raw.recv_within(TICK).await.unwrap().header.ack, raw.seq);
    // A RST is ignored.
    raw.send(TcpFlags::RST, b"");
    raw.silence(TICK).await;
    sleep(Duration::from_secs(59)).await;
    assert_eq!(stack.time_wait_count(), 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(stack.time_wait_count(), 0);
}

/// A shorter TIME-WAIT ends on time among longer ones.
// req: S-TMO-3
#[tokio::test(start_paused = true)]
async fn each_time_wait_record_ends_on_its_own_time() {
    let (stack, mut raw) = raw_pair();
    for port in 1..=200 {
        raw.local.set_port(port);
        drop(to_time_wait(&stack, &mut raw).await);
    }
    let mut tcp = TcpConfig::new();
    tcp.time_wait(Duration::from_secs(5));
    let mut config = ListenConfig::new();
    config.tcp(tcp);
    for port in 201..=220 {
        raw.local.set_port(port);
        drop(to_time_wait_with(&stack, &mut raw, config.clone()).await);
    }
    assert_eq!(stack.time_wait_count(), 220);
    sleep(Duration::from_secs(6)).await;
    assert_eq!(stack.time_wait_count(), 200);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(stack.time_wait_count(), 0);
}

/// A new SYN above the old sequence numbers opens the tuple anew, with a sequence number above the old one.
// req: MAY-2
#[tokio::test(start_paused = true)]
async fn time_wait_is_reopened_by_a_newer_syn_only() {
    let (stack, mut raw) = raw_pair();
    drop(to_time_wait(&stack, &mut raw).await);
    let old_end = raw.ack;
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let current = raw.seq;
    raw.seq = SeqNum(500);
    raw.send(TcpFlags::SYN, b"");
    assert_eq!(
        raw.recv_within(TICK).await.unwrap().header.flags,
        TcpFlags::ACK,
        "an old duplicate is only acknowledged"
    );
    raw.seq = current + 10_000;
    raw.ack = SeqNum(0);
    raw.send(TcpFlags::SYN, b"");
    let answer = raw.recv_within(TICK).await.unwrap();
    assert_eq!(answer.header.flags, TcpFlags::SYN | TcpFlags::ACK);
    assert!(answer.header.seq.after(old_end));
    raw.ack = answer.header.seq + 1;
    raw.send(TcpFlags::ACK, b"");
    timeout(TICK, listener.accept()).await.unwrap().unwrap();
    assert_eq!(stack.time_wait_count(), 0);
}

/// Past the limit the oldest record goes, and is counted.
#[tokio::test(start_paused = true)]
async fn the_oldest_time_wait_record_is_evicted() {
    let (stack, mut raw) = raw_pair_with(|builder| builder.max_time_wait(3));
    for port in 1..=5 {
        raw.local.set_port(port);
        drop(to_time_wait(&stack, &mut raw).await);
    }
    assert_eq!(stack.time_wait_count(), 3);
    assert_eq!(stack.counters().time_wait_evicted, 2);
    for (port, known) in [(1, false), (2, false), (3, true), (4, true), (5, true)] {
        raw.local.set_port(port);
        raw.send(TcpFlags::ACK | TcpFlags::PSH, b"late");
        let answer = raw.recv_within(TICK).await.unwrap();
        assert_eq!(answer.has(TcpFlags::RST), !known, "port {port}");
    }
}

/// A graceful shutdown delivers what was written, refuses what is new, and ends.
#[tokio::test(start_paused = true)]
async fn shutdown_delivers_and_ends() {
    let (server, client) = stacks();
    let (listener, mut accepted, mut stream) = connected(&server, &client).await;
    let data = pattern(300_000);
    stream.write_all(&data).await.unwrap();
    let closing = client.clone();
    let shutdown = tokio::spawn(async move { closing.shutdown().await });
    let mut got = Vec::new();
    accepted.read_to_end(&mut got).await.unwrap();
    assert!(got == data);
    assert!(!shutdown.is_finished(), "the peer has not closed yet");
    drop(accepted);
    timeout(Duration::from_secs(5), shutdown).await.unwrap().unwrap();
    assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    let error = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkDown);
    server.shutdown().await;
    assert_eq!(listener.accept().await.unwrap_err().kind(), ErrorKind::NetworkDown);
}

/// A handshake that its peer does not complete: the SYN-ACK is out.
async fn half_open(raw: &mut Raw) {
    raw.send(TcpFlags::SYN, b"");
    let answer = raw.recv_within(TICK).await.unwrap();
    assert_eq!(answer.header.flags, TcpFlags::SYN | TcpFlags::ACK);
}

/// A shutdown does not wait for peers that may never answer: nobody will accept them.
#[tokio::test(start_paused = true)]
async fn shutdown_resets_handshakes_under_way() {
    let (stack, mut raw) = raw_pair();
    let _listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    half_open(&mut raw).await;
    timeout(TICK, stack.shutdown()).await.expect("does not wait for the handshake");
    assert!(raw.recv_within(TICK).await.unwrap().has(TcpFlags::RST));
}

/// A listener takes its handshakes with it, and nothing else.
#[tokio::test(start_paused = true)]
async fn a_dropped_listener_resets_its_handshakes() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let other = TcpListener::bind(&stack, addr(SERVER, PORT + 1)).await.unwrap();
    raw.open().await;
    let (mut accepted, _) = listener.accept().await.unwrap();
    let next = (raw.seq, raw.ack);
    raw.remote.set_port(PORT + 1);
    half_open(&mut raw).await;
    raw.remote.set_port(PORT);
    raw.local.set_port(40001);
    half_open(&mut raw).await;
    assert_eq!(stack.connection_count(), 3);
    drop(listener);
    let reset = raw.recv_within(TICK).await.unwrap();
    assert!(reset.has(TcpFlags::RST) && reset.header.dst_port == 40001, "{reset:?}");
    raw.silence(TICK).await;
    assert_eq!(stack.connection_count(), 2, "the accepted one, and the other listener's");
    raw.local.set_port(40000);
    (raw.seq, raw.ack) = next;
    raw.send(TcpFlags::ACK | TcpFlags::PSH, b"on");
    accepted.read_exact(&mut [0; 2]).await.unwrap();
    drop(other);
}

#[tokio::test(start_paused = true)]
async fn abort_resets_every_connection() {
    let (server, client) = stacks();
    let (_listener, mut accepted, mut stream) = connected(&server, &client).await;
    timeout(TICK, client.abort()).await.expect("does not wait for the peer");
    let error = timeout(TICK, accepted.read(&mut [0; 1])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let error = timeout(TICK, stream.read(&mut [0; 1])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
}

/// Handles may go in any order: a stream keeps its stack, and the last to go ends it.
#[tokio::test(start_paused = true)]
async fn a_stream_outlives_its_stack_handle() {
    let (server, client) = stacks();
    let (listener, mut accepted, mut stream) = connected(&server, &client).await;
    drop((server, client, listener));
    stream.write_all(b"still here").await.unwrap();
    accepted.read_exact(&mut [0; 10]).await.unwrap();
    drop(stream);
    assert_eq!(accepted.read(&mut [0; 1]).await.unwrap(), 0);
    drop(accepted);
    sleep(Duration::from_secs(70)).await;
    let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(alive, 0, "ingress ends with the last handle");
}

/// A bounded linger gives up after its time; the peer learns by reset.
#[tokio::test(start_paused = true)]
async fn a_bounded_linger_ends_in_a_reset() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.window = 10;
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(&[1; 1000]).await.unwrap();
    stream.set_linger(Some(Duration::from_secs(3))).unwrap();
    let start = tokio::time::Instant::now();
    drop(stream);
    while !raw.recv().await.has(TcpFlags::RST) {}
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(4), "{took:?}");
    assert_eq!(stack.connection_count(), 0);
}

/// A stack that gets no runtime, device or address says what to do.
#[test]
fn build_explains_what_is_missing() {
    let device = || {
        let caps = tokio_netstack::device::Capabilities::ip(1500);
        tokio_netstack::device::memory::pair(caps.clone(), caps).0
    };
    let no_runtime = builder(device(), 1).build().unwrap_err();
    assert!(no_runtime.to_string().contains("runtime"), "{no_runtime}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let with = |builder: tokio_netstack::StackBuilder| builder.runtime(runtime.handle().clone()).build();
    assert!(with(builder(device(), 1)).is_ok(), "a handle is enough");
    for (wrong, word) in [
        (Stack::builder(), "device"),
        (Stack::builder().device(device()), "address"),
        (builder(device(), 1).address("192.0.2.1/8".parse().unwrap()), "twice"),
    ] {
        let error = with(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(word), "{error}");
    }
    let caps = tokio_netstack::device::Capabilities::ip(576);
    let (small, _other) = tokio_netstack::device::memory::pair(caps.clone(), caps);
    let error = with(builder(small, 1)).unwrap_err();
    assert!(error.to_string().contains("1280"), "{error}");
}
