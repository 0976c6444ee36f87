//! Opening connections: pitfalls B13 to B18 of other stacks, each as a test, and what `connect` and `bind` refuse.

use std::io::ErrorKind;
use std::time::Duration;

use crate::common::*;
use netstack_wire::SeqNum;
use netstack_wire::tcp::TcpFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_netstack::{ListenConfig, SynPolicy, TcpConfig, TcpListener, TcpStream};

const TICK: Duration = Duration::from_millis(2);

/// Pitfall B13: a repeated SYN makes no second connection.
#[tokio::test(start_paused = true)]
async fn b13_the_same_syn_three_times_is_one_connection() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let syn = raw.header(TcpFlags::SYN);
    let mut answers = Vec::new();
    for _ in 0..3 {
        raw.send_header(&syn, b"");
        let seen = raw.recv_within(TICK).await.expect("each SYN is answered");
        answers.push((seen.header.seq, seen.header.ack, seen.header.flags));
    }
    assert_eq!(answers[0].2, TcpFlags::SYN | TcpFlags::ACK);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    raw.seq += 1;
    raw.ack = answers[0].0 + 1;
    raw.send(TcpFlags::ACK, b"");
    listener.accept().await.unwrap();
    assert!(timeout(Duration::from_millis(100), listener.accept()).await.is_err(), "one accept, no more");
}

/// Pitfall B14: a lost SYN-ACK is sent again.
#[tokio::test(start_paused = true)]
async fn b14_a_lost_syn_ack_is_resent() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.send(TcpFlags::SYN, b"");
    let start = tokio::time::Instant::now();
    let mut at = Vec::new();
    for _ in 0..3 {
        let seen = raw.recv().await;
        assert!(seen.has(TcpFlags::SYN | TcpFlags::ACK));
        raw.ack = seen.header.seq + 1;
        at.push(start.elapsed().as_secs());
    }
    assert_eq!(at, [0, 1, 3]);
    raw.send(TcpFlags::ACK, b"");
    timeout(TICK, listener.accept()).await.expect("opens at the third try").unwrap();
}

/// Pitfall B15: a flood of SYNs costs bounded memory, and when it is over the listener lives.
#[tokio::test(start_paused = true)]
async fn b15_a_flood_of_syns_is_bounded() {
    let mut config = ListenConfig::new();
    config.max_half_open(50).syn_policy(SynPolicy::DropNew);
    let (stack, mut raw) = raw_pair_with(|builder| builder.listen_config(config));
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    for host in 0..5000u32 {
        raw.local = addr(&format!("198.51.{}.{}", 100 + host / 250, 1 + host % 250), 1024);
        raw.send(TcpFlags::SYN, b"");
        if host % 50 == 0 {
            sleep(Duration::from_millis(1)).await;
            while raw.packet_within(Duration::ZERO).await.is_some() {}
        }
    }
    assert_eq!(stack.connection_count(), 50);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(stack.counters().drop_half_open_full, 5000 - 50);
    // SYN-RECEIVED ends by its own limit, a minute; then the next client is welcome.
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    while tokio::time::Instant::now() < end {
        let _ = raw.packet_within(Duration::from_secs(10)).await;
    }
    assert_eq!(stack.connection_count(), 0);
    raw.local = addr(CLIENT, 5000);
    raw.seq = SeqNum(77);
    raw.open().await;
    listener.accept().await.unwrap();
}

/// Pitfall B15: after short connections nothing is left but TIME-WAIT, and after that nothing.
#[tokio::test(start_paused = true)]
async fn b15_short_connections_leave_nothing_behind() {
    let (server, client) = stacks();
    let listener = TcpListener::bind(&server, addr(SERVER, PORT)).await.unwrap();
    for _ in 0..2000 {
        let mut stream = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        stream.write_all(b"short").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut text = String::new();
        accepted.read_to_string(&mut text).await.unwrap();
        drop(accepted);
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    }
    sleep(TICK).await;
    assert_eq!((server.connection_count(), client.connection_count()), (0, 0));
    assert_eq!(client.time_wait_count(), 2000);
    sleep(Duration::from_secs(61)).await;
    assert_eq!((server.time_wait_count(), client.time_wait_count()), (0, 0));
    let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(alive <= 4, "{alive} tasks: the two ingress loops of each stack are all there should be");
}

/// Pitfall B16: the backlog counts connections that wait for `accept`, and no others.
#[tokio::test(start_paused = true)]
async fn b16_accepted_connections_do_not_fill_the_backlog() {
    let mut config = ListenConfig::new();
    config.backlog(4).max_half_open(64);
    let (_server, client, listener) = listening_pair(config).await;
    let mut held = Vec::new();
    for _ in 0..100 {
        let stream = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap();
        held.push((stream, listener.accept().await.unwrap()));
    }
    assert_eq!(held.len(), 100);
}

/// Pitfall B16: abandoned handshakes do not count for ever.
#[tokio::test(start_paused = true)]
async fn b16_abandoned_handshakes_make_room() {
    let mut tcp = TcpConfig::new();
    tcp.syn_ack_timeout(Duration::from_secs(2));
    let mut config = ListenConfig::new();
    config.backlog(4).max_half_open(4).tcp(tcp);
    let (stack, mut raw) = raw_pair_with(|builder| builder.listen_config(config));
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    for round in 0..250u16 {
        for n in 0..4 {
            raw.local.set_port(10_000 + round * 4 + n);
            raw.send(TcpFlags::SYN, b"");
        }
        while raw.packet_within(Duration::from_secs(10)).await.is_some() {}
        assert_eq!(stack.connection_count(), 0, "round {round}");
    }
    assert_eq!(stack.counters().drop_half_open_full, 0);
    raw.local.set_port(9_999);
    raw.open().await;
    listener.accept().await.unwrap();
}

/// The last ACK of a handshake waits for a place in the accept queue; the SYN-ACK is resent meanwhile.
// req: R4987-6
#[tokio::test(start_paused = true)]
async fn a_full_accept_queue_holds_the_handshake_back() {
    let mut config = ListenConfig::new();
    config.backlog(1);
    let (stack, mut raw) = raw_pair_with(|builder| builder.listen_config(config));
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let mut half_open = Vec::new();
    for port in [1, 2] {
        raw.local.set_port(port);
        raw.send(TcpFlags::SYN, b"");
        let seen = raw.recv().await;
        raw.seq = SeqNum(1000);
        half_open.push((port, seen.header.seq + 1));
    }
    let complete = |raw: &mut Raw, (port, ack)| {
        raw.local.set_port(port);
        (raw.seq, raw.ack) = (SeqNum(1001), ack);
        raw.send(TcpFlags::ACK, b"");
    };
    complete(&mut raw, half_open[0]);
    complete(&mut raw, half_open[1]);
    sleep(TICK).await;
    assert_eq!(stack.counters().accept_queue_full, 1);
    let (_first, peer) = listener.accept().await.unwrap();
    assert_eq!(peer.port(), 1);
    let again = raw.recv().await;
    assert!(again.has(TcpFlags::SYN | TcpFlags::ACK) && again.header.dst_port == 2, "{again:?}");
    complete(&mut raw, half_open[1]);
    let (_second, peer) = timeout(TICK, listener.accept()).await.unwrap().unwrap();
    assert_eq!(peer.port(), 2);
}

/// Pitfall B17: a RST goes to the connection that it names, and to no other.
// req: S-LISTEN-1
#[tokio::test(start_paused = true)]
async fn b17_a_reset_takes_only_its_own_connection() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let mut acks = Vec::new();
    for port in [1, 2] {
        raw.local.set_port(port);
        raw.seq = SeqNum(1000);
        raw.send(TcpFlags::SYN, b"");
        acks.push(raw.recv().await.header.seq + 1);
    }
    assert_eq!(stack.connection_count(), 2);
    raw.send(TcpFlags::RST, b"");
    sleep(TICK).await;
    assert_eq!(stack.connection_count(), 1);
    // To the listener itself a RST means nothing.
    raw.local.set_port(3);
    raw.send(TcpFlags::RST, b"");
    raw.silence(TICK).await;
    raw.local.set_port(1);
    (raw.seq, raw.ack) = (SeqNum(1001), acks[0]);
    raw.send(TcpFlags::ACK, b"");
    let (_stream, peer) = timeout(TICK, listener.accept()).await.unwrap().unwrap();
    assert_eq!(peer.port(), 1);
}

/// Pitfall B18: data and FIN may ride on the handshake's last ACK.
#[tokio::test(start_paused = true)]
async fn b18_data_and_fin_on_the_last_ack() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    for (port, flags) in [(1, TcpFlags::ACK), (2, TcpFlags::ACK | TcpFlags::FIN)] {
        raw.local.set_port(port);
        raw.seq = SeqNum(1000);
        raw.send(TcpFlags::SYN, b"");
        raw.ack = loop {
            let seen = raw.recv().await;
            if seen.has(TcpFlags::SYN) {
                break seen.header.seq + 1;
            }
        };
        raw.send(flags, b"early");
        let (mut stream, _) = timeout(TICK, listener.accept()).await.unwrap().unwrap();
        let mut buf = [0; 5];
        timeout(TICK, stream.read_exact(&mut buf)).await.unwrap().unwrap();
        assert_eq!(&buf, b"early");
        if flags.contains(TcpFlags::FIN) {
            assert_eq!(timeout(TICK, stream.read(&mut buf)).await.unwrap().unwrap(), 0);
        }
    }
}

/// Pitfall B18: data that overtakes the handshake's last ACK is not lost for good.
#[tokio::test(start_paused = true)]
async fn b18_data_before_the_last_ack() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.send(TcpFlags::SYN, b"");
    raw.ack = raw.recv().await.header.seq + 1;
    let ack = raw.header(TcpFlags::ACK);
    // The data segment carries the same ACK: it completes the handshake itself.
    raw.send(TcpFlags::ACK | TcpFlags::PSH, b"first");
    raw.send_header(&ack, b"");
    let (mut stream, _) = timeout(TICK, listener.accept()).await.unwrap().unwrap();
    let mut buf = [0; 5];
    timeout(TICK, stream.read_exact(&mut buf)).await.unwrap().unwrap();
    assert_eq!(&buf, b"first");
}

/// A closed port answers a SYN with RST, never a RST with RST.
// req: S-CLOSED-1, S-CLOSED-2, S-CLOSED-3
#[tokio::test(start_paused = true)]
async fn b18_a_closed_port_resets() {
    let (stack, mut raw) = raw_pair();
    raw.send(TcpFlags::SYN, b"hello");
    let reset = raw.recv().await.header;
    assert_eq!((reset.flags, reset.seq, reset.ack), (TcpFlags::RST | TcpFlags::ACK, SeqNum(0), SeqNum(1006)));
    raw.ack = SeqNum(4711);
    raw.send(TcpFlags::ACK, b"");
    let reset = raw.recv().await.header;
    assert_eq!((reset.flags, reset.seq), (TcpFlags::RST, SeqNum(4711)));
    raw.send(TcpFlags::RST, b"");
    raw.send(TcpFlags::RST | TcpFlags::ACK, b"");
    raw.silence(Duration::from_secs(1)).await;
    assert_eq!(stack.counters().tx_resets, 2);
}

/// Dropping the future of `connect` ends the attempt without a FIN; a late SYN-ACK earns a RST.
// req: S-CLOSE-2
#[tokio::test(start_paused = true)]
async fn a_dropped_connect_leaves_nothing() {
    let (stack, mut raw) = raw_pair();
    let connect = TcpStream::connect(&stack, addr(CLIENT, 80));
    assert!(timeout(Duration::from_millis(10), connect).await.is_err());
    let syn = raw.recv().await;
    sleep(TICK).await;
    assert_eq!(stack.connection_count(), 0);
    raw.remote.set_port(syn.header.src_port);
    raw.local.set_port(80);
    raw.ack = syn.header.seq + 1;
    raw.send(TcpFlags::SYN | TcpFlags::ACK, b"");
    let reset = raw.recv().await;
    assert_eq!((reset.header.flags, reset.header.seq), (TcpFlags::RST, raw.ack));
}

/// Destinations that are no single host are refused before anything is sent.
// req: MUST-46
#[tokio::test(start_paused = true)]
async fn connect_refuses_what_no_connection_can_reach() {
    let (stack, mut raw) = raw_pair();
    for remote in [
        addr("224.0.0.1", 80),
        addr("ff02::1", 80),
        addr("255.255.255.255", 80),
        addr("192.0.2.255", 80),
        addr("0.0.0.0", 80),
        addr("::", 80),
        addr(CLIENT, 0),
    ] {
        let error = TcpStream::connect(&stack, remote).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{remote}: {error}");
    }
    raw.silence(Duration::from_secs(1)).await;
}

// req: S-OPEN-2
#[tokio::test(start_paused = true)]
async fn connect_from_checks_its_local_address() {
    let (server, client) = stacks();
    let _listener = TcpListener::bind(&server, addr(SERVER, PORT)).await.unwrap();
    let from = addr(CLIENT, 5555);
    let stream = TcpStream::connect_from(&client, from, addr(SERVER, PORT)).await.unwrap();
    assert_eq!(stream.local_addr().unwrap(), from);
    let twice = TcpStream::connect_from(&client, from, addr(SERVER, PORT)).await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::AddrInUse);
    let foreign = TcpStream::connect_from(&client, addr("192.0.2.77", 0), addr(SERVER, PORT)).await;
    assert_eq!(foreign.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    let mixed = TcpStream::connect_from(&client, addr("2001:db8::2", 0), addr(SERVER, PORT)).await;
    assert_eq!(mixed.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test(start_paused = true)]
async fn bind_checks_address_and_port() {
    let (server, _client) = stacks();
    let first = TcpListener::bind(&server, addr(SERVER, 0)).await.unwrap();
    let local = first.local_addr().unwrap();
    assert!(local.port() >= 49152);
    for taken in [local, addr("0.0.0.0", local.port())] {
        let error = TcpListener::bind(&server, taken).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{taken}");
    }
    TcpListener::bind(&server, addr("::", local.port())).await.expect("the other family is free");
    let foreign = TcpListener::bind(&server, addr("192.0.2.77", 1)).await.unwrap_err();
    assert_eq!(foreign.kind(), ErrorKind::AddrNotAvailable);
    drop(first);
    TcpListener::bind(&server, local).await.expect("free again");
}

/// Connections not yet accepted are reset when the listener goes; accepted ones live on.
#[tokio::test(start_paused = true)]
async fn a_dropped_listener_resets_whom_it_did_not_accept() {
    let (server, client) = stacks();
    let (listener, mut accepted, mut stream) = connected(&server, &client).await;
    let mut waiting = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap();
    sleep(TICK).await;
    drop(listener);
    let error = timeout(TICK, waiting.read(&mut [0; 1])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    accepted.write_all(b"alive").await.unwrap();
    stream.read_exact(&mut [0; 5]).await.unwrap();
    let refused = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

/// Pitfall A10: binding and connecting at once, each in search of a free port, cannot block each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a10_bind_and_connect_do_not_deadlock() {
    let (server, client) = stacks();
    let _listener = TcpListener::bind(&server, addr(SERVER, PORT)).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move {
                for _ in 0..200 {
                    if n % 2 == 0 {
                        TcpListener::bind(&client, addr(CLIENT, 0)).await.unwrap();
                    } else {
                        let stream = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap();
                        stream.set_linger(Some(Duration::ZERO)).unwrap();
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        timeout(Duration::from_secs(60), task).await.expect("no deadlock").unwrap();
    }
}
