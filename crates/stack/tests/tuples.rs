//! The names of connections: a 4-tuple in use, in TIME-WAIT, free again; the ports and numbers that a stack chooses.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use crate::common::*;
use netstack_wire::SeqNum;
use netstack_wire::tcp::{TcpFlags, TcpHeader, Timestamps};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_netstack::{ListenConfig, Stack, TcpConfig, TcpListener, TcpStream};

const TICK: Duration = Duration::from_millis(2);

/// A segment of the raw peer, with a timestamp if `val` says so.
fn stamped(raw: &Raw, flags: TcpFlags, val: Option<u32>, ecr: u32) -> TcpHeader {
    let mut header = raw.header(flags);
    header.options.timestamps = val.map(|val| Timestamps { val, ecr });
    header
}

/// Opens and closes a connection, our end first, with timestamps from `val` on or without; up to our TIME-WAIT.
/// Tells our highest sequence number, while the peer's is `raw.seq`, and its last timestamp `val` itself.
async fn to_time_wait(listener: &TcpListener, raw: &mut Raw, val: Option<u32>) -> SeqNum {
    let send = |raw: &mut Raw, flags, ecr| {
        let header = stamped(raw, flags, val, ecr);
        raw.send_header(&header, b"");
        raw.seq += header.seg_len(0);
    };
    let echo = |seen: &Seen| seen.header.options.timestamps.map_or(0, |ts| ts.val);
    send(raw, TcpFlags::SYN, 0);
    let seen = raw.recv().await;
    assert_eq!(seen.header.options.timestamps.is_some(), val.is_some());
    raw.ack = seen.header.seq + 1;
    send(raw, TcpFlags::ACK, echo(&seen));
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.shutdown().await.unwrap();
    let fin = raw.recv().await;
    raw.ack = fin.header.seq + 1;
    send(raw, TcpFlags::ACK | TcpFlags::FIN, echo(&fin));
    assert_eq!(raw.recv().await.header.ack, raw.seq);
    sleep(TICK).await;
    raw.ack
}

/// A tuple with a connection, whatever its state, cannot be opened again: an error, and nothing on the wire.
// req: S-OPEN-2
#[tokio::test(start_paused = true)]
async fn a_tuple_in_use_is_not_opened_again() {
    let (stack, mut raw) = raw_pair();
    let (here, there) = (addr(SERVER, 5000), addr(CLIENT, 80));
    let dial = || TcpStream::connect_from(&stack, here, there);
    let first = tokio::spawn({
        let stack = stack.clone();
        async move { TcpStream::connect_from(&stack, here, there).await }
    });
    let syn = raw.recv().await;
    // SYN-SENT; the first retransmission comes after a second.
    assert_eq!(dial().await.unwrap_err().kind(), ErrorKind::AddrInUse);
    raw.silence(Duration::from_millis(900)).await;
    (raw.local, raw.remote) = (there, here);
    raw.ack = syn.header.seq + 1;
    raw.send(TcpFlags::SYN | TcpFlags::ACK, b"");
    raw.recv().await;
    let mut stream = first.await.unwrap().unwrap();
    // ESTABLISHED
    assert_eq!(dial().await.unwrap_err().kind(), ErrorKind::AddrInUse);
    raw.silence(Duration::from_secs(2)).await;
    stream.shutdown().await.unwrap();
    raw.ack = raw.recv().await.header.seq + 1;
    raw.send(TcpFlags::ACK | TcpFlags::FIN, b"");
    raw.recv().await;
    sleep(TICK).await;
    assert_eq!(stack.time_wait_count(), 1);
    assert_eq!(dial().await.unwrap_err().kind(), ErrorKind::AddrInUse);
    raw.silence(TICK).await;
    // The same local port towards another remote one is another tuple.
    let other = TcpStream::connect_from(&stack, here, addr(CLIENT, 81));
    assert!(timeout(TICK, other).await.is_err(), "waits for its answer");
    assert_eq!(raw.recv().await.header.dst_port, 81);
}

/// The tuple of an accepted connection is in use as well, when its listener is gone.
// req: S-OPEN-2
#[tokio::test(start_paused = true)]
async fn the_tuple_of_an_accepted_connection_is_in_use() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
    raw.open().await;
    let (mut stream, peer) = listener.accept().await.unwrap();
    drop(listener);
    let error = TcpStream::connect_from(&stack, raw.remote, peer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    raw.silence(TICK).await;
    raw.send(TcpFlags::ACK | TcpFlags::PSH, b"alive");
    stream.read_exact(&mut [0; 5]).await.unwrap();
}

/// After 2 MSL a tuple is free, for a connection from here and for one from there.
// req: S-TMO-3
#[tokio::test(start_paused = true)]
async fn a_tuple_is_free_after_time_wait() {
    let (stack, mut raw) = raw_pair();
    for from_here in [true, false] {
        let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
        to_time_wait(&listener, &mut raw, None).await;
        let (here, there) = (raw.remote, raw.local);
        if from_here {
            // An open port is no place to connect from.
            drop(listener);
            sleep(Duration::from_secs(59)).await;
            let early = TcpStream::connect_from(&stack, here, there).await.unwrap_err();
            assert_eq!(early.kind(), ErrorKind::AddrInUse);
            sleep(Duration::from_secs(2)).await;
            let connect = tokio::spawn({
                let stack = stack.clone();
                async move { TcpStream::connect_from(&stack, here, there).await }
            });
            raw.accept().await;
            connect.await.unwrap().unwrap().set_linger(Some(Duration::ZERO)).unwrap();
            assert!(raw.recv().await.has(TcpFlags::RST));
        } else {
            sleep(Duration::from_secs(61)).await;
            // Below the old numbers: TIME-WAIT would refuse it.
            raw.seq = SeqNum(5);
            raw.open().await;
            listener.accept().await.unwrap();
        }
        assert_eq!(stack.time_wait_count(), 0);
    }
}

/// A SYN into TIME-WAIT, told by its timestamp and its sequence number.
struct Reopening {
    name: &'static str,
    /// The old connection's last timestamp.
    old: Option<u32>,
    /// The SYN's.
    new: Option<u32>,
    /// The SYN's sequence number, from RCV.NXT of the old connection.
    above: i32,
    opens: bool,
}

#[rustfmt::skip]
const REOPENINGS: [Reopening; 11] = [
    Reopening { name: "a later timestamp, a lower number", old: Some(100), new: Some(101), above: -900, opens: true },
    Reopening { name: "a later timestamp, past the wrap", old: Some(u32::MAX), new: Some(0), above: -900, opens: true },
    Reopening { name: "the same timestamp, a higher number", old: Some(100), new: Some(100), above: 1, opens: true },
    Reopening { name: "the same timestamp, a lower number", old: Some(100), new: Some(100), above: -1, opens: false },
    Reopening { name: "an earlier timestamp, a higher number", old: Some(100), new: Some(99), above: 5000, opens: false },
    Reopening { name: "no timestamp any more, a higher number", old: Some(100), new: None, above: 1, opens: true },
    Reopening { name: "no timestamp any more, a lower number", old: Some(100), new: None, above: -1, opens: false },
    Reopening { name: "a timestamp for the first time", old: None, new: Some(1), above: -900, opens: true },
    Reopening { name: "no timestamps, a higher number", old: None, new: None, above: 1, opens: true },
    Reopening { name: "no timestamps, the old number", old: None, new: None, above: 0, opens: false },
    Reopening { name: "no timestamps, an old duplicate", old: None, new: None, above: -2, opens: false },
];

/// A SYN that must be new opens the tuple at once; one that may be old leaves TIME-WAIT as it was.
// req: S-SYN-3, MAY-2, R6191-1, R6191-2, R6191-3, R6191-4
#[tokio::test(start_paused = true)]
async fn time_wait_opens_to_a_new_syn_only() {
    for Reopening { name, old, new, above, opens } in REOPENINGS {
        let (stack, mut raw) = raw_pair();
        let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
        let old_end = to_time_wait(&listener, &mut raw, old).await;
        assert_eq!(stack.time_wait_count(), 1);
        raw.seq = SeqNum(raw.seq.0.wrapping_add_signed(above));
        raw.ack = SeqNum(0);
        let syn = stamped(&raw, TcpFlags::SYN, new, 0);
        raw.send_header(&syn, b"");
        let answer = raw.recv_within(TICK).await.unwrap_or_else(|| panic!("{name}: no answer"));
        if opens {
            assert_eq!(answer.header.flags, TcpFlags::SYN | TcpFlags::ACK, "{name}");
            assert!(answer.header.seq.after(old_end), "{name}: {} is not above {old_end}", answer.header.seq);
            raw.seq += 1;
            raw.ack = answer.header.seq + 1;
            let echo = answer.header.options.timestamps.map_or(0, |ts| ts.val);
            let ack = stamped(&raw, TcpFlags::ACK, new, echo);
            raw.send_header(&ack, b"");
            timeout(TICK, listener.accept()).await.expect(name).unwrap();
            assert_eq!(stack.time_wait_count(), 0, "{name}");
        } else {
            assert_eq!((answer.header.flags, answer.header.seq), (TcpFlags::ACK, old_end), "{name}");
            raw.silence(TICK).await;
            assert_eq!((stack.time_wait_count(), stack.connection_count()), (1, 0), "{name}");
        }
    }
}

/// A connection that sent faster than the clock of initial sequence numbers runs: the next one of its tuple starts above
/// it all the same.
// req: MAY-2, S-SYN-3
#[tokio::test(start_paused = true)]
async fn a_reopened_tuple_starts_above_a_fast_connection() {
    const LEN: usize = 1 << 20;
    // All of it is written before the peer acknowledges any.
    let mut config = TcpConfig::new();
    config.send_buffer(2 * LEN);
    let (stack, mut raw) = raw_pair_with(|builder| builder.tcp_config(config));
    let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
    raw.open().await;
    let iss = raw.ack;
    let (mut stream, _) = listener.accept().await.unwrap();
    // Beside the reader: the send buffer follows what the path takes.
    let writer = tokio::spawn(async move {
        stream.write_all(&pattern(LEN)).await.unwrap();
        stream.shutdown().await.unwrap();
        stream
    });
    let mut fin = false;
    while !fin {
        let seen = raw.recv().await;
        assert_eq!(seen.header.seq, raw.ack, "nothing is lost on this wire");
        fin = seen.has(TcpFlags::FIN);
        raw.ack += seen.header.seg_len(seen.payload.len());
        raw.send(TcpFlags::ACK, b"");
    }
    let _stream = writer.await.unwrap();
    raw.send(TcpFlags::ACK | TcpFlags::FIN, b"");
    raw.recv().await;
    sleep(TICK).await;
    let old_end = raw.ack;
    assert_eq!(old_end, iss + LEN as u32 + 1);
    raw.seq += 10;
    raw.send(TcpFlags::SYN, b"");
    let answer = raw.recv_within(TICK).await.unwrap();
    assert_eq!(answer.header.flags, TcpFlags::SYN | TcpFlags::ACK);
    assert!(answer.header.seq.after(old_end), "{} is not above {old_end}", answer.header.seq);
}

/// A SYN that could reopen the tuple but finds nobody who takes it does not end TIME-WAIT before its time.
// req: MAY-2, R6191-4
#[tokio::test(start_paused = true)]
async fn a_syn_that_nobody_takes_leaves_time_wait_alone() {
    let mut config = ListenConfig::new();
    config.max_half_open(1);
    let (stack, mut raw) = raw_pair_with(|builder| builder.listen_config(config));
    let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
    let old_end = to_time_wait(&listener, &mut raw, None).await;
    let (seq, port) = (raw.seq, raw.local.port());
    // A listener with no room.
    raw.local.set_port(1);
    raw.send(TcpFlags::SYN, b"");
    let other = raw.recv().await;
    raw.local.set_port(port);
    raw.seq = seq + 10;
    let syn = raw.header(TcpFlags::SYN);
    raw.send_header(&syn, b"");
    raw.silence(TICK).await;
    assert_eq!(stack.time_wait_count(), 1);
    // With room again, the repeated SYN opens.
    raw.local.set_port(1);
    (raw.seq, raw.ack) = (other.header.ack, other.header.seq + 1);
    raw.send(TcpFlags::ACK, b"");
    listener.accept().await.unwrap().0.set_linger(Some(Duration::ZERO)).unwrap();
    assert!(raw.recv().await.has(TcpFlags::RST));
    // No listener: refused like any other, and the old FIN is still acknowledged.
    drop(listener);
    raw.local.set_port(port);
    raw.seq = seq;
    raw.send_header(&syn, b"");
    assert_eq!(raw.recv_within(TICK).await.unwrap().header.flags, TcpFlags::RST | TcpFlags::ACK);
    assert_eq!(stack.time_wait_count(), 1);
    (raw.seq, raw.ack) = (seq - 1, old_end);
    raw.send(TcpFlags::ACK | TcpFlags::FIN, b"");
    let answer = raw.recv_within(TICK).await.unwrap();
    assert_eq!((answer.header.flags, answer.header.ack), (TcpFlags::ACK, seq));
    let _listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
    raw.send_header(&syn, b"");
    let answer = raw.recv_within(TICK).await.unwrap();
    assert_eq!(answer.header.flags, TcpFlags::SYN | TcpFlags::ACK);
    assert!(answer.header.seq.after(old_end));
    assert_eq!(stack.time_wait_count(), 0);
}

/// Ports in use, by a connection or by TIME-WAIT, are passed over; when none is left, `connect` says so.
// req: R6056-3
#[tokio::test(start_paused = true)]
async fn a_used_up_port_range_is_an_error() {
    const RANGE: usize = 65_536 - 49_152;
    let mut config = TcpConfig::new();
    config.time_wait(Duration::from_secs(3600));
    let (server, client) = stacks_with(&config, tokio_netstack::device::Capabilities::ip(1500), 512);
    let listener = TcpListener::bind(&server, addr(SERVER, PORT)).await.unwrap();
    let mut seen = vec![false; RANGE];
    let mut held = Vec::new();
    for n in 0..RANGE {
        let mut stream = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let port = stream.local_addr().unwrap().port();
        assert!(!std::mem::replace(&mut seen[usize::from(port) - 49_152], true), "{port} is in use");
        if n % 64 == 0 {
            held.push((stream, accepted));
        } else {
            stream.shutdown().await.unwrap();
            drop(accepted);
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
        }
    }
    sleep(TICK).await;
    assert_eq!((client.connection_count(), client.time_wait_count()), (held.len(), RANGE - held.len()));
    let sent = client.counters().tx_segments;
    for _ in 0..3 {
        let error =
            timeout(TICK, TcpStream::connect(&client, addr(SERVER, PORT))).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable, "{error}");
    }
    assert_eq!(client.counters().tx_segments, sent, "nothing was sent");
    // Another destination has the whole range.
    let _other = TcpListener::bind(&server, addr(SERVER, PORT + 1)).await.unwrap();
    TcpStream::connect(&client, addr(SERVER, PORT + 1)).await.unwrap();
    // One port comes free: the search finds it.
    let (stream, accepted) = held.swap_remove(100);
    let free = stream.local_addr().unwrap();
    accepted.set_linger(Some(Duration::ZERO)).unwrap();
    drop(accepted);
    sleep(TICK).await;
    let again = timeout(TICK, TcpStream::connect(&client, addr(SERVER, PORT))).await.unwrap().unwrap();
    assert_eq!(again.local_addr().unwrap(), free);
}

/// What a stack shows of its secrets when it opens connections: initial sequence numbers and timestamps of given tuples,
/// and the ports that it picks itself.
async fn shown(make: impl Fn(tokio_netstack::StackBuilder) -> Stack) -> (Vec<(u32, u32)>, Vec<u16>) {
    let (stack, mut raw) = raw_pair_of(|device| {
        make(Stack::builder().device(device).address(format!("{SERVER}/24").parse().unwrap()))
    });
    let (mut numbers, mut ports) = (Vec::new(), Vec::new());
    for n in 0..8 {
        for local in [addr(SERVER, 1000 + n), addr(SERVER, 0)] {
            let remote: SocketAddr = addr(CLIENT, 80 + n);
            let connect = TcpStream::connect_from(&stack, local, remote);
            assert!(timeout(TICK, connect).await.is_err());
            let syn = raw.recv().await.header;
            if local.port() == 0 {
                ports.push(syn.src_port);
            } else {
                numbers.push((syn.seq.0, syn.options.timestamps.unwrap().val));
            }
        }
    }
    (numbers, ports)
}

/// Pitfall B19: stacks that are configured alike share no secret, unless a test seeds them.
// req: R6056-4
#[tokio::test(start_paused = true)]
async fn b19_stacks_choose_numbers_of_their_own() {
    let unseeded = |builder: tokio_netstack::StackBuilder| builder.build().unwrap();
    let (a, b) = (shown(unseeded).await, shown(unseeded).await);
    for (n, (of_a, of_b)) in a.0.iter().zip(&b.0).enumerate() {
        assert_ne!(of_a.0, of_b.0, "initial sequence number of tuple {n}");
        assert_ne!(of_a.1, of_b.1, "timestamp of tuple {n}");
    }
    assert_ne!(a.1, b.1, "ports");
    let seeded =
        |seed| move |builder: tokio_netstack::StackBuilder| builder.seed_for_test(seed).build().unwrap();
    let (c, again, d) = (shown(seeded(7)).await, shown(seeded(7)).await, shown(seeded(8)).await);
    assert_eq!(c, again, "a seed repeats");
    assert_ne!(c.0, d.0);
    assert_ne!(c.1, d.1);
}
