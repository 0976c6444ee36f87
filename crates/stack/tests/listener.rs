//! A listener under attack and under load: what ends one handshake leaves it in place, what floods it stays bounded, and
//! what it has served leaves nothing behind.

use std::io::ErrorKind;
use std::time::Duration;

use crate::common::*;
use netstack_wire::SeqNum;
use netstack_wire::tcp::TcpFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_netstack::{ListenConfig, Stack, StackBuilder, SynPolicy, TcpConfig, TcpListener, TcpStream};

const TICK: Duration = Duration::from_millis(2);

const FIN: TcpFlags = TcpFlags::FIN;
const SYN: TcpFlags = TcpFlags::SYN;
const RST: TcpFlags = TcpFlags::RST;
const PSH: TcpFlags = TcpFlags::PSH;
const ACK: TcpFlags = TcpFlags::ACK;

/// One handshake at a time and one connection in the queue: whoever does not give back a place shuts the listener.
fn tight(builder: StackBuilder) -> StackBuilder {
    let mut config = ListenConfig::new();
    config.backlog(1).max_half_open(1).syn_policy(SynPolicy::DropNew);
    builder.listen_config(config)
}

/// Nothing was handed to `accept`, and nothing is open.
async fn nobody_came(stack: &Stack, listener: &TcpListener) {
    assert!(timeout(TICK, listener.accept()).await.is_err());
    assert_eq!(stack.connection_count(), 0);
}

/// The raw peer opens a connection and talks over it.
async fn opens(listener: &TcpListener, raw: &mut Raw) -> TcpStream {
    raw.open().await;
    let (mut stream, peer) = timeout(TICK, listener.accept()).await.unwrap().unwrap();
    assert_eq!(peer, raw.local);
    raw.send(ACK | PSH, b"alive");
    timeout(TICK, stream.read_exact(&mut [0; 5])).await.unwrap().unwrap();
    stream
}

/// A reset ends a handshake that a listener took, without a word to anyone; the listener takes the next SYN, of the same
/// peer port too.
// req: S-RST-1, MUST-11
#[tokio::test(start_paused = true)]
async fn a_reset_handshake_leaves_the_listener() {
    let (stack, mut raw) = raw_pair_with(tight);
    let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
    for n in 0..10 {
        raw.send(SYN, b"");
        raw.ack = raw.recv().await.header.seq + 1;
        raw.send(if n % 2 == 0 { RST } else { RST | ACK }, b"");
        raw.silence(TICK).await;
        nobody_came(&stack, &listener).await;
        raw.seq += 1000;
    }
    opens(&listener, &mut raw).await;
}

/// A handshake that began with our own SYN tells its owner of the reset, and a listener beside it hears nothing.
// req: MUST-11, S-RST-2
#[tokio::test(start_paused = true)]
async fn a_reset_simultaneous_open_is_refused() {
    let (stack, mut raw) = raw_pair_with(tight);
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let connect = tokio::spawn({
        let stack = stack.clone();
        async move { TcpStream::connect(&stack, addr(CLIENT, 40000)).await }
    });
    let syn = raw.recv().await;
    raw.remote.set_port(syn.header.src_port);
    raw.send(SYN, b"");
    assert!(raw.recv().await.has(SYN | ACK));
    raw.send(RST, b"");
    let error = timeout(TICK, connect).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    raw.silence(TICK).await;
    nobody_came(&stack, &listener).await;
    raw.remote.set_port(PORT);
    opens(&listener, &mut raw).await;
}

/// Another SYN into a handshake earns a challenge ACK. A peer that has started anew answers with a reset, and its next SYN
/// opens; one that sent no such SYN goes on with its handshake.
// req: S-SYN-1, MUST-11
#[tokio::test(start_paused = true)]
async fn another_syn_in_a_handshake_is_challenged() {
    let (stack, mut raw) = raw_pair_with(tight);
    let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
    for restarted in [true, false] {
        raw.send(SYN, b"");
        let syn_ack = raw.recv().await.header;
        let (seq, ack) = (raw.seq, syn_ack.seq + 1);
        raw.seq += 5;
        raw.send(SYN, b"");
        let challenge = raw.recv_within(TICK).await.unwrap().header;
        assert_eq!((challenge.flags, challenge.seq, challenge.ack), (ACK, ack, seq));
        (raw.seq, raw.ack) = (seq, ack);
        if restarted {
            raw.seq = challenge.ack;
            raw.send(RST, b"");
            raw.silence(TICK).await;
            nobody_came(&stack, &listener).await;
            raw.seq += 5;
            opens(&listener, &mut raw).await.set_linger(Some(Duration::ZERO)).unwrap();
            while !raw.recv().await.has(RST) {}
            raw.local.set_port(2);
        } else {
            raw.send(ACK, b"");
            timeout(TICK, listener.accept()).await.unwrap().unwrap();
        }
    }
}

/// A peer that crashed and comes back with the same port: its SYN is challenged, its reset ends what was, and its next SYN
/// opens a connection of the same listener.
// req: S-TMO-5
#[tokio::test(start_paused = true)]
async fn a_rebooted_peer_opens_anew() {
    let (stack, mut raw) = raw_pair_with(tight);
    let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
    let mut old = opens(&listener, &mut raw).await;
    sleep(Duration::from_secs(1)).await;
    while raw.packet_within(Duration::ZERO).await.is_some() {}
    for isn in [SeqNum(0x8000_0000), SeqNum(7), raw.seq + 3] {
        let expected = (ACK, raw.ack, raw.seq);
        let old_seq = std::mem::replace(&mut raw.seq, isn);
        let syn = raw.header(SYN);
        raw.send_header(&syn, b"");
        let challenge = raw.recv_within(TICK).await.unwrap().header;
        assert_eq!((challenge.flags, challenge.seq, challenge.ack), expected);
        assert_eq!(stack.connection_count(), 1);
        assert_eq!(challenge.ack, old_seq);
        raw.seq = challenge.ack;
        raw.send(RST, b"");
        let error = timeout(TICK, old.read(&mut [0; 1])).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        raw.silence(TICK).await;
        assert_eq!(stack.connection_count(), 0);
        raw.seq = isn;
        old = opens(&listener, &mut raw).await;
        sleep(Duration::from_secs(10)).await;
        while raw.packet_within(Duration::ZERO).await.is_some() {}
    }
}

/// 100,000 SYNs from random sources: the entries stay bounded, a connection that was there is served all the while, the
/// handshakes end within their limit, and the next client is welcome.
// req: R4987-1, R4987-6
#[tokio::test(start_paused = true)]
async fn b15_a_hundred_thousand_syns() {
    const LIMIT: usize = 1024;
    let mut tcp = TcpConfig::new();
    tcp.syn_ack_timeout(Duration::from_secs(10));
    let (stack, mut raw) = raw_pair_with(|builder| builder.tcp_config(tcp));
    let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
    let mut honest = opens(&listener, &mut raw).await;
    let (local, mut seq, mut ack) = (raw.local, raw.seq, raw.ack);
    let mut random = 88_172_645_463_325_252_u64;
    for n in 1..=100_000_u32 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let host = random >> 40 & 0xff;
        raw.local = addr(&format!("198.51.100.{}", host.clamp(1, 254)), 1024 + (random >> 8) as u16 % 60_000);
        raw.seq = SeqNum(random as u32);
        raw.send(SYN, b"");
        if n % 250 != 0 {
            continue;
        }
        // Who is connected notices nothing.
        (raw.local, raw.seq, raw.ack) = (local, seq, ack);
        raw.send(ACK | PSH, b"ping");
        timeout(TICK, honest.read_exact(&mut [0; 4])).await.unwrap().unwrap();
        honest.write_all(b"pong").await.unwrap();
        let mut answered = false;
        while let Some(seen) = raw.recv_within(TICK).await {
            assert!(!seen.has(RST), "{seen:?}");
            if seen.payload == b"pong"[..] {
                raw.ack += 4;
                raw.send(ACK, b"");
                answered = true;
            }
        }
        assert!(answered, "after {n} SYNs");
        (seq, ack) = (raw.seq, raw.ack);
        assert!(stack.connection_count() <= LIMIT + 1, "{} after {n} SYNs", stack.connection_count());
    }
    assert_eq!(stack.connection_count(), LIMIT + 1);
    let counters = stack.counters();
    assert!(counters.syn_cookies_sent >= 90_000, "{counters:?}");
    let (start, mut repeated) = (tokio::time::Instant::now(), 0);
    while let Some(seen) = raw.recv_within(Duration::from_secs(30)).await {
        assert!(seen.has(SYN | ACK), "{seen:?}");
        repeated += 1;
    }
    assert!(start.elapsed() < Duration::from_secs(41), "the last SYN-ACK within the limit of ten seconds");
    assert_eq!(stack.connection_count(), 1, "half-open connections have ended");
    assert!((LIMIT..=4 * LIMIT).contains(&repeated), "{repeated} SYN-ACKs");
    raw.local.set_port(40_001);
    let _next = opens(&listener, &mut raw).await;
    (raw.local, raw.seq, raw.ack) = (local, seq, ack);
    raw.send(ACK | PSH, b"ping");
    timeout(TICK, honest.read_exact(&mut [0; 4])).await.unwrap().unwrap();
}

/// A SYN-ACK that nobody answers is repeated for as long as configured.
// req: R4987-6
#[tokio::test(start_paused = true)]
async fn syn_acks_end_as_configured() {
    for (limit, repeated) in [(2, 1), (4, 2), (10, 3), (20, 4), (40, 5), (180, 7)] {
        let mut tcp = TcpConfig::new();
        tcp.syn_ack_timeout(Duration::from_secs(limit));
        let (stack, mut raw) = raw_pair_with(|builder| tight(builder).tcp_config(tcp));
        let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
        raw.send(SYN, b"");
        let mut seen = 0;
        while let Some(segment) = raw.recv_within(Duration::from_secs(400)).await {
            assert_eq!(segment.header.flags, SYN | ACK);
            seen += 1;
        }
        assert_eq!(seen, 1 + repeated, "with a limit of {limit} s");
        nobody_came(&stack, &listener).await;
    }
}

/// With the accept queue full a handshake waits, however long that takes within its limit, and what its client has written
/// meanwhile arrives.
// req: R4987-6
#[tokio::test(start_paused = true)]
async fn a_full_accept_queue_loses_no_handshake() {
    let mut config = ListenConfig::new();
    config.backlog(2).max_half_open(64);
    let (server, client, listener) = listening_pair(config).await;
    // All at once, so that their SYNs come before the queue is full.
    let clients: Vec<_> = (0..10_u8)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap();
                stream.write_all(&[n; 100]).await.unwrap();
                stream.shutdown().await.unwrap();
                assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
            })
        })
        .collect();
    sleep(Duration::from_secs(5)).await;
    assert!(server.counters().accept_queue_full > 0, "{:?}", server.counters());
    let mut came = [false; 10];
    for _ in 0..10 {
        let (mut stream, _) = timeout(Duration::from_secs(60), listener.accept()).await.unwrap().unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).await.unwrap();
        assert_eq!(text, [text[0]; 100]);
        assert!(!std::mem::replace(&mut came[usize::from(text[0])], true));
        sleep(Duration::from_secs(1)).await;
    }
    for client in clients {
        client.await.unwrap();
    }
}

/// How the raw peer ends a short connection.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The peer closes first, the stack after it: nothing is left.
    PeerFirst,
    /// The stack closes first: TIME-WAIT.
    StackFirst,
    PeerResets,
    StackResets,
    /// A handshake without its last ACK, given up by a reset.
    Abandoned,
}

const ENDS: [End; 5] = [End::PeerFirst, End::StackFirst, End::PeerResets, End::StackResets, End::Abandoned];

async fn short_connection(listener: &TcpListener, raw: &mut Raw, end: End) {
    raw.seq = SeqNum(1000);
    if let End::Abandoned = end {
        raw.send(SYN, b"");
        raw.recv().await;
        raw.send(RST, b"");
        return raw.silence(TICK).await;
    }
    raw.open().await;
    raw.send(ACK | PSH, b"short");
    let (mut stream, _) = timeout(TICK, listener.accept()).await.unwrap().unwrap();
    stream.read_exact(&mut [0; 5]).await.unwrap();
    match end {
        End::PeerFirst => {
            raw.send(ACK | FIN, b"");
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
            drop(stream);
        }
        End::StackFirst => drop(stream),
        End::PeerResets => raw.send(RST, b""),
        End::StackResets => {
            stream.set_linger(Some(Duration::ZERO)).unwrap();
            drop(stream);
        }
        End::Abandoned => {}
    }
    loop {
        let Some(seen) = raw.recv_within(TICK).await else { return };
        if seen.has(FIN) {
            raw.ack = seen.header.seq + 1;
            raw.send(if let End::StackFirst = end { ACK | FIN } else { ACK }, b"");
        }
    }
}

/// Pitfall B15: 10,000 short connections, ended in every way, leave no task, no entry and no place taken.
#[tokio::test(start_paused = true)]
async fn b15_ten_thousand_short_connections_leave_nothing() {
    const COUNT: u16 = 10_000;
    let (stack, mut raw) = raw_pair_with(tight);
    let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
    let metrics = tokio::runtime::Handle::current().metrics();
    sleep(TICK).await;
    let tasks = metrics.num_alive_tasks();
    for n in 0..COUNT {
        raw.local.set_port(10_000 + n);
        short_connection(&listener, &mut raw, ENDS[usize::from(n) % ENDS.len()]).await;
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(stack.connection_count(), 0);
    let counters = stack.counters();
    assert_eq!(counters.time_wait_entered, u64::from(COUNT) / 5);
    assert_eq!(counters.connections_accepted, u64::from(COUNT) / 5 * 4);
    sleep(Duration::from_secs(60)).await;
    assert_eq!((stack.connection_count(), stack.time_wait_count()), (0, 0));
    assert_eq!(metrics.num_alive_tasks(), tasks);
    while raw.packet_within(Duration::ZERO).await.is_some() {}
    // The table has forgotten them all: each is a stranger.
    let before = stack.counters();
    for n in 0..COUNT {
        raw.local.set_port(10_000 + n);
        raw.send(ACK, b"");
        assert!(raw.recv_within(TICK).await.unwrap().has(RST), "connection {n}");
    }
    // A listener's port: its listener answers for segments that are no SYN.
    assert_eq!(stack.counters().drop_not_a_syn, before.drop_not_a_syn + u64::from(COUNT));
    raw.local.set_port(9_999);
    opens(&listener, &mut raw).await;
}
