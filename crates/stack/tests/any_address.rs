//! Any-address mode and listeners for every port; listeners that share a port; streams of connections.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use crate::common::*;
use futures_core::Stream;
use netstack_wire::tcp::TcpFlags;
use tokio::time::{sleep, timeout};
use tokio_netstack::{ListenConfig, TcpListener, TcpStream};

const TICK: Duration = Duration::from_millis(2);

const DESTINATIONS: [(&str, u16); 5] = [
    (SERVER, 1),
    ("198.51.100.77", 443),
    ("203.0.113.200", 65_535),
    ("2001:db8:5::1", 80),
    ("2001:db8::1", 22),
];

/// In any-address mode one listener takes every destination, and says which it was.
#[tokio::test(start_paused = true)]
async fn every_destination_is_accepted() {
    let (stack, mut raw) = raw_pair_with(|builder| builder.any_address(true));
    let listener = TcpListener::bind_all(&stack).await.unwrap();
    assert_eq!(listener.local_addr().unwrap(), addr("::", 0));
    let mut open = Vec::new();
    for (ip, port) in DESTINATIONS {
        raw.remote = addr(ip, port);
        raw.local = addr(if raw.remote.is_ipv4() { CLIENT } else { "2001:db8::2" }, 40_000);
        raw.open().await;
        let (stream, peer) = timeout(TICK, listener.accept()).await.unwrap().unwrap();
        assert_eq!((stream.local_addr().unwrap(), peer), (raw.remote, raw.local));
        open.push(stream);
    }
    assert_eq!(stack.counters().connections_accepted, 5);
}

/// So do SYNs that the application decides on.
#[tokio::test(start_paused = true)]
async fn every_destination_is_handed_out() {
    let (stack, mut raw) = raw_pair_with(|builder| builder.any_address(true));
    let incoming = stack.tcp_incoming().unwrap();
    for (ip, port) in DESTINATIONS {
        raw.remote = addr(ip, port);
        raw.local = addr(if raw.remote.is_ipv4() { CLIENT } else { "2001:db8::2" }, 40_000);
        raw.send(TcpFlags::SYN, b"");
        let syn = timeout(TICK, incoming.next()).await.unwrap().unwrap();
        assert_eq!((syn.local_addr(), syn.peer_addr()), (raw.remote, raw.local));
        syn.reject();
        let seen = raw.recv_within(TICK).await.unwrap();
        assert_eq!((seen.src, seen.header.src_port), (raw.remote.ip(), port));
    }
}

/// Without the mode, a listener for every port takes the stack's own addresses and no others.
// req: R1122-3
#[tokio::test(start_paused = true)]
async fn foreign_destinations_need_the_mode() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind_all(&stack).await.unwrap();
    raw.remote = addr("198.51.100.77", 443);
    raw.send(TcpFlags::SYN, b"");
    raw.silence(TICK).await;
    assert_eq!(stack.counters().drop_foreign, 1);
    raw.remote = addr(SERVER, 443);
    raw.open().await;
    listener.accept().await.unwrap();
}

/// The exact address wins over the port, and the port over every port.
#[tokio::test(start_paused = true)]
async fn the_closest_listener_takes_the_connection() {
    let (stack, mut raw) = raw_pair_with(|builder| builder.any_address(true));
    let all = TcpListener::bind_all(&stack).await.unwrap();
    let port = TcpListener::bind(&stack, addr("0.0.0.0", 80)).await.unwrap();
    let exact = TcpListener::bind(&stack, addr("198.51.100.1", 443)).await.unwrap();
    let cases = [
        ("198.51.100.1", 443, &exact),
        ("198.51.100.2", 443, &all),
        ("198.51.100.1", 80, &port),
        ("203.0.113.1", 80, &port),
        ("203.0.113.1", 81, &all),
    ];
    let mut open = Vec::new();
    for (ip, number, listener) in cases {
        raw.remote = addr(ip, number);
        raw.open().await;
        let (stream, _) = timeout(TICK, listener.accept()).await.expect("the closest one").unwrap();
        assert_eq!(stream.local_addr().unwrap(), raw.remote);
        open.push(stream);
    }
    // Handshakes of the others live on when one closes.
    raw.remote = addr("203.0.113.9", 82);
    raw.send(TcpFlags::SYN, b"");
    raw.recv().await;
    raw.remote = addr("203.0.113.9", 80);
    raw.send(TcpFlags::SYN, b"");
    let half_open = raw.recv().await;
    drop(all);
    let reset = raw.recv_within(TICK).await.unwrap();
    assert!(reset.has(TcpFlags::RST) && reset.header.src_port == 82);
    raw.ack = half_open.header.seq + 1;
    raw.send(TcpFlags::ACK, b"");
    let _open = timeout(TICK, port.accept()).await.unwrap().unwrap();
    raw.remote = addr("203.0.113.9", 81);
    raw.send(TcpFlags::SYN, b"");
    assert!(raw.recv_within(TICK).await.unwrap().has(TcpFlags::RST), "nobody listens there any more");
}

/// A listener for every port leaves ports to others: to listeners, and to connections that start from here.
#[tokio::test(start_paused = true)]
async fn every_port_is_not_any_one_port() {
    let (server, client) = stacks();
    let _all = TcpListener::bind_all(&client).await.unwrap();
    assert_eq!(TcpListener::bind_all(&client).await.unwrap_err().kind(), ErrorKind::AddrInUse);
    let listener = TcpListener::bind(&server, addr(SERVER, PORT)).await.unwrap();
    TcpStream::connect_from(&client, addr(CLIENT, 50_000), addr(SERVER, PORT)).await.unwrap();
    listener.accept().await.unwrap();
    // Any free port is not every port.
    for ip in [CLIENT, "0.0.0.0", "::"] {
        let some = TcpListener::bind(&client, addr(ip, 0)).await.unwrap();
        let local = some.local_addr().unwrap();
        assert!(local.ip() == addr(ip, 0).ip() && local.port() >= 49_152, "{local}");
    }
}

fn sharing() -> ListenConfig {
    let mut config = ListenConfig::new();
    config.reuse_port(true);
    config
}

/// Listeners that all ask for it share an address and port, and each gets its part of the connections.
#[tokio::test(start_paused = true)]
async fn listeners_may_share_a_port() {
    let (stack, mut raw) = raw_pair();
    let local = addr(SERVER, PORT);
    let alone = TcpListener::bind(&stack, local).await.unwrap();
    assert_eq!(
        TcpListener::bind_with(&stack, local, sharing()).await.unwrap_err().kind(),
        ErrorKind::AddrInUse
    );
    drop(alone);
    let mut listeners = Vec::new();
    for _ in 0..4 {
        listeners.push(TcpListener::bind_with(&stack, local, sharing()).await.unwrap());
    }
    assert_eq!(TcpListener::bind(&stack, local).await.unwrap_err().kind(), ErrorKind::AddrInUse);
    let any = addr("0.0.0.0", PORT);
    assert_eq!(
        TcpListener::bind_with(&stack, any, sharing()).await.unwrap_err().kind(),
        ErrorKind::AddrInUse
    );
    for port in 10_000..10_400 {
        raw.local.set_port(port);
        raw.open().await;
    }
    sleep(TICK).await;
    let (mut all, mut open) = (BTreeSet::new(), Vec::new());
    for listener in &listeners {
        let mut own = 0;
        while let Ok(accepted) = timeout(Duration::ZERO, listener.accept()).await {
            let (stream, peer) = accepted.unwrap();
            all.insert(peer);
            open.push(stream);
            own += 1;
        }
        assert!((60..=140).contains(&own), "{own} of 400 for one of four");
    }
    assert_eq!(all.len(), 400, "each connection is somebody's, and nobody else's");
    // With one gone, the rest share.
    listeners.pop();
    for port in 9_000..9_100 {
        raw.local.set_port(port);
        raw.open().await;
    }
}

/// A listener that shares its port does not take the handshakes of the others with it.
#[tokio::test(start_paused = true)]
async fn a_sharer_goes_alone() {
    let (stack, mut raw) = raw_pair();
    let first = TcpListener::bind_with(&stack, raw.remote, sharing()).await.unwrap();
    raw.send(TcpFlags::SYN, b"");
    let answer = raw.recv().await;
    let second = TcpListener::bind_with(&stack, raw.remote, sharing()).await.unwrap();
    drop(second);
    raw.silence(TICK).await;
    raw.ack = answer.header.seq + 1;
    raw.send(TcpFlags::ACK, b"");
    timeout(TICK, first.accept()).await.unwrap().unwrap();
}

/// A listener is a stream of its connections, which ends after the error of a stopped stack.
#[tokio::test(start_paused = true)]
async fn a_listener_is_a_stream() {
    let (server, client) = stacks();
    let listener = TcpListener::bind(&server, addr(SERVER, PORT)).await.unwrap();
    let mut streams = pin!(listener.into_stream());
    for _ in 0..3 {
        let connect = TcpStream::connect(&client, addr(SERVER, PORT));
        let (connected, next) = tokio::join!(connect, poll_fn(|cx| streams.as_mut().poll_next(cx)));
        let accepted = next.unwrap().unwrap();
        assert_eq!(accepted.peer_addr().unwrap(), connected.unwrap().local_addr().unwrap());
    }
    assert_eq!(streams.as_ref().get_ref().as_ref().local_addr().unwrap(), addr(SERVER, PORT));
    server.abort().await;
    let failed = poll_fn(|cx| streams.as_mut().poll_next(cx)).await.unwrap();
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::NetworkDown);
    assert!(poll_fn(|cx| streams.as_mut().poll_next(cx)).await.is_none());
}

/// A stream of SYNs ends with the stack.
#[tokio::test(start_paused = true)]
async fn syns_are_a_stream() {
    let (stack, mut raw) = raw_pair();
    let mut incoming = pin!(stack.tcp_incoming().unwrap());
    raw.send(TcpFlags::SYN, b"");
    let syn = poll_fn(|cx| incoming.as_mut().poll_next(cx)).await.unwrap();
    assert_eq!(syn.peer_addr(), raw.local);
    drop(syn);
    stack.abort().await;
    assert!(poll_fn(|cx| incoming.as_mut().poll_next(cx)).await.is_none());
}
