//! `TcpSocket`: what is set before a connection, and that it takes effect.

use std::io::ErrorKind;
use std::time::Duration;

use crate::common::*;
use bytes::BufMut;
use netstack_wire::ip;
use netstack_wire::tcp::TcpFlags;
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};
use tokio_netstack::{CongestionControl, KeepAlive, TcpConfig, TcpListener, TcpSocket, TcpStream};

const TICK: Duration = Duration::from_millis(2);

/// A bound socket holds its port for itself, connects from it, and lets go of it.
#[tokio::test(start_paused = true)]
async fn a_bound_socket_holds_its_port() {
    let (server, client) = stacks();
    let listener = TcpListener::bind(&server, addr(SERVER, PORT)).await.unwrap();
    let socket = TcpSocket::new_v4(&client).unwrap();
    assert_eq!(socket.local_addr().unwrap(), addr("0.0.0.0", 0));
    socket.bind(addr(CLIENT, 0)).unwrap();
    let local = socket.local_addr().unwrap();
    assert!(local.ip() == addr(CLIENT, 0).ip() && local.port() >= 49_152, "{local}");
    assert_eq!(socket.bind(addr(CLIENT, 0)).unwrap_err().kind(), ErrorKind::InvalidInput);
    // Nobody else gets it: not to bind, not to listen, not to connect from.
    let other = TcpSocket::new_v4(&client).unwrap();
    for taken in [local, addr("0.0.0.0", local.port())] {
        assert_eq!(other.bind(taken).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert_eq!(TcpListener::bind(&client, taken).await.unwrap_err().kind(), ErrorKind::AddrInUse);
    }
    let from = TcpStream::connect_from(&client, local, addr(SERVER, PORT)).await;
    assert_eq!(from.unwrap_err().kind(), ErrorKind::AddrInUse);
    let stream = socket.connect(addr(SERVER, PORT)).await.unwrap();
    assert_eq!(stream.local_addr().unwrap(), local);
    assert_eq!(listener.accept().await.unwrap().1, local);
    // The connection does not stand in the way of the next socket.
    other.bind(local).unwrap();
    assert_eq!(other.connect(addr(SERVER, PORT)).await.unwrap_err().kind(), ErrorKind::AddrInUse);
    TcpListener::bind(&client, local).await.unwrap();
}

/// A socket that holds a port and listens is no listener: SYNs to it are refused.
// req: S-CLOSED-2
#[tokio::test(start_paused = true)]
async fn a_bound_socket_does_not_listen() {
    let (stack, mut raw) = raw_pair();
    let socket = TcpSocket::new_v4(&stack).unwrap();
    socket.bind(raw.remote).unwrap();
    raw.send_header(&raw.header(TcpFlags::SYN), b"");
    assert!(raw.recv_within(TICK).await.unwrap().has(TcpFlags::RST));
    let listener = socket.listen(16).unwrap();
    assert_eq!(listener.local_addr().unwrap(), raw.remote);
    raw.open().await;
    listener.accept().await.unwrap();
}

/// Without a bind a listener has an ephemeral port of every address.
#[tokio::test(start_paused = true)]
async fn an_unbound_socket_listens_somewhere() {
    let (server, client) = stacks();
    for (socket, ip) in
        [(TcpSocket::new_v4(&server).unwrap(), SERVER), (TcpSocket::new_v6(&server).unwrap(), "2001:db8::1")]
    {
        let listener = socket.listen(1).unwrap();
        let local = listener.local_addr().unwrap();
        assert!(local.ip().is_unspecified() && local.port() >= 49_152, "{local}");
        TcpStream::connect(&client, addr(ip, local.port())).await.unwrap();
        listener.accept().await.unwrap();
    }
}

/// Sockets that both allow it share an address and port while neither listens; one of them may.
#[tokio::test(start_paused = true)]
async fn addresses_may_be_shared() {
    let (server, client) = stacks();
    let (a, b) = (addr(SERVER, 1), addr(SERVER, 2));
    let _listeners =
        (TcpListener::bind(&server, a).await.unwrap(), TcpListener::bind(&server, b).await.unwrap());
    let local = addr(CLIENT, 4000);
    let make = |reuse: bool| {
        let socket = TcpSocket::new_v4(&client).unwrap();
        socket.set_reuseaddr(reuse).unwrap();
        assert_eq!(socket.reuseaddr().unwrap(), reuse);
        socket
    };
    let (first, second, third, selfish) = (make(true), make(true), make(true), make(false));
    first.bind(local).unwrap();
    second.bind(local).unwrap();
    third.bind(local).unwrap();
    assert_eq!(selfish.bind(local).unwrap_err().kind(), ErrorKind::AddrInUse);
    let stream = first.connect(a).await.unwrap();
    let other = second.connect(b).await.unwrap();
    assert_eq!(stream.local_addr().unwrap(), other.local_addr().unwrap());
    let fourth = make(true);
    fourth.bind(local).unwrap();
    let _listener = third.listen(1).unwrap();
    assert_eq!(fourth.listen(1).unwrap_err().kind(), ErrorKind::AddrInUse);
    assert_eq!(make(true).bind(local).unwrap_err().kind(), ErrorKind::AddrInUse);
}

/// `SO_REUSEPORT` of tokio: several listeners, each made of a socket.
#[tokio::test(start_paused = true)]
async fn ports_may_be_shared() {
    let (server, _client) = stacks();
    let make = |reuse: bool| {
        let socket = TcpSocket::new_v4(&server).unwrap();
        socket.set_reuseport(reuse).unwrap();
        assert_eq!(socket.reuseport().unwrap(), reuse);
        socket.bind(addr(SERVER, PORT)).map(|()| socket)
    };
    let (first, second) = (make(true).unwrap(), make(true).unwrap());
    let _first = first.listen(1).unwrap();
    let _second = second.listen(1).unwrap();
    assert_eq!(make(false).unwrap_err().kind(), ErrorKind::AddrInUse);
}

/// What is set is what the getter says, and what does not fit is refused.
#[tokio::test(start_paused = true)]
async fn settings_read_back() {
    let (_server, client) = stacks();
    let socket = TcpSocket::new_v4(&client).unwrap();
    let times = KeepAlive { idle: Duration::from_secs(9), interval: Duration::from_secs(2), count: 3 };
    assert_eq!((socket.keepalive().unwrap(), socket.nodelay().unwrap()), (false, false));
    socket.set_keepalive(true).unwrap();
    assert_eq!(socket.keepalive_times().unwrap(), Some(KeepAlive::default()));
    socket.set_keepalive_times(Some(times)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_send_buffer_size(100_000).unwrap();
    socket.set_recv_buffer_size(200_000).unwrap();
    socket.set_user_timeout(Some(Duration::from_secs(7))).unwrap();
    socket.set_congestion(CongestionControl::NewReno).unwrap();
    socket.set_linger(Some(Duration::from_secs(3))).unwrap();
    assert!(matches!(socket.congestion().unwrap(), CongestionControl::NewReno));
    assert_eq!(socket.send_buffer_size().unwrap(), 100_000);
    assert_eq!(socket.recv_buffer_size().unwrap(), 200_000);
    assert_eq!(socket.linger().unwrap(), Some(Duration::from_secs(3)));
    assert_eq!(socket.mss().unwrap(), u16::MAX);
    let refused = [
        socket.set_ttl(0),
        socket.set_ttl(256),
        socket.set_tos_v4(256),
        socket.set_mss(87),
        socket.set_tclass_v6(0),
        socket.bind(addr("2001:db8::2", 0)),
    ];
    for refused in refused {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let v6 = TcpSocket::new_v6(&client).unwrap();
    v6.set_tclass_v6(0xb8).unwrap();
    assert_eq!(v6.tclass_v6().unwrap(), 0xb8);
    assert_eq!(v6.tos_v4().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(v6.connect(addr(SERVER, PORT)).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(socket.set_zero_linger().and_then(|()| socket.linger()).unwrap(), Some(Duration::ZERO));
    socket.set_keepalive(false).unwrap();
    assert!(!socket.keepalive().unwrap());
}

/// A connection has the settings of its socket.
// req: MUST-14, MUST-48, MUST-49
#[tokio::test(start_paused = true)]
async fn a_connection_has_them() {
    let (stack, mut raw) = raw_pair();
    let socket = TcpSocket::new_v4(&stack).unwrap();
    let times = KeepAlive { idle: Duration::from_secs(9), ..KeepAlive::default() };
    socket.set_mss(700).unwrap();
    socket.set_ttl(33).unwrap();
    socket.set_tos_v4(0x28).unwrap();
    socket.set_keepalive_times(Some(times)).unwrap();
    socket.set_user_timeout(None).unwrap();
    socket.set_congestion(CongestionControl::NewReno).unwrap();
    socket.set_zero_linger().unwrap();
    socket.bind(addr(SERVER, 4321)).unwrap();
    let connect = tokio::spawn(socket.connect(raw.local));
    let packet = raw.packet().await;
    let syn = parse(&packet);
    let ip = ip::parse(&packet).unwrap();
    assert_eq!((ip.hop_limit, ip.dscp, syn.header.src_port), (33, 10, 4321));
    assert_eq!(syn.header.options.mss, Some(700));
    raw.remote = addr(SERVER, 4321);
    raw.ack = syn.header.seq + 1;
    raw.send(TcpFlags::SYN | TcpFlags::ACK, b"");
    raw.recv().await;
    let stream = connect.await.unwrap().unwrap();
    assert_eq!((stream.ttl().unwrap(), stream.tos().unwrap()), (33, 0x28));
    assert_eq!((stream.keepalive().unwrap(), stream.user_timeout().unwrap()), (Some(times), None));
    assert_eq!(stream.congestion().await.unwrap(), "newreno");
    stream.set_keepalive(None).unwrap();
    assert_eq!(stream.keepalive().unwrap(), None);
    drop(stream);
    assert!(raw.recv_within(TICK).await.unwrap().has(TcpFlags::RST));
}

/// So have the connections that a listener accepts; its TTL may change on the way.
// req: MUST-49
#[tokio::test(start_paused = true)]
async fn accepted_connections_have_them() {
    let (stack, mut raw) = raw_pair();
    let socket = TcpSocket::new_v4(&stack).unwrap();
    socket.set_ttl(33).unwrap();
    socket.set_mss(700).unwrap();
    socket.set_zero_linger().unwrap();
    socket.bind(raw.remote).unwrap();
    let listener = socket.listen(16).unwrap();
    for hops in [33, 44] {
        listener.set_ttl(hops).unwrap();
        assert_eq!(listener.ttl().unwrap(), hops);
        raw.local.set_port(raw.local.port() + 1);
        raw.send(TcpFlags::SYN, b"");
        let packet = raw.packet().await;
        assert_eq!(u32::from(ip::parse(&packet).unwrap().hop_limit), hops);
        assert_eq!(parse(&packet).header.options.mss, Some(700));
        raw.ack = parse(&packet).header.seq + 1;
        raw.send(TcpFlags::ACK, b"");
        let (stream, _) = listener.accept().await.unwrap();
        assert_eq!((stream.ttl().unwrap(), stream.linger().unwrap()), (hops, Some(Duration::ZERO)));
        drop(stream);
        assert!(raw.recv_within(TICK).await.unwrap().has(TcpFlags::RST));
    }
    assert_eq!(listener.set_ttl(0).unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// Without delayed ACKs every segment is acknowledged at once.
// req: SHLD-18, MUST-40
#[tokio::test(start_paused = true)]
async fn quickack_switches_delays_off() {
    let mut config = TcpConfig::new();
    config.quick_acks(0);
    let (stack, mut raw) = raw_pair_with(|builder| builder.tcp_config(config));
    let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    assert!(!stream.quickack().unwrap());
    raw.send(TcpFlags::ACK, b"one");
    raw.silence(Duration::from_millis(30)).await;
    stream.set_quickack(true).unwrap();
    assert!(stream.quickack().unwrap());
    assert_eq!(raw.recv_within(TICK).await.unwrap().header.ack, raw.seq, "the one that waited");
    for _ in 0..300 {
        raw.send(TcpFlags::ACK, b"more");
        assert_eq!(raw.recv_within(TICK).await.unwrap().header.ack, raw.seq);
        stream.read_exact(&mut [0; 4]).await.unwrap();
    }
    stream.set_quickack(false).unwrap();
    sleep(TICK).await;
    raw.send(TcpFlags::ACK, b"last");
    raw.silence(Duration::from_millis(30)).await;
    assert_eq!(raw.recv_within(Duration::from_millis(20)).await.unwrap().header.ack, raw.seq);
    let mut text = Vec::with_capacity(2);
    let mut room = (&mut text).limit(5);
    assert_eq!(stream.try_read_buf(&mut room).unwrap(), 5);
    assert_eq!(stream.try_read_buf(&mut text).unwrap(), 2);
    assert_eq!(text, b"orelast");
    assert_eq!(stream.try_read_buf(&mut text).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(timeout(TICK, stream.readable()).await.is_err());
}
