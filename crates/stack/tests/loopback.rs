//! The stack reaches itself: by its own addresses, by 127.0.0.0/8 and ::1, and by no device.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use crate::common::*;
use netstack_wire::tcp::TcpFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_netstack::{Stack, TcpListener, TcpStream, UdpSocket};

const TICK: Duration = Duration::from_millis(2);

/// Connects within the stack, and sends `data` there and back.
async fn echo(stack: &Stack, listen: &str, remote: &str, data: &[u8]) -> SocketAddr {
    let listener = TcpListener::bind(stack, addr(listen, PORT)).await.unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, peer) = listener.accept().await.unwrap();
        let (mut reader, mut writer) = stream.split();
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
        peer
    });
    let mut stream = TcpStream::connect(stack, addr(remote, PORT)).await.unwrap();
    let local = stream.local_addr().unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut got = Vec::new();
    let write = async {
        writer.write_all(data).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let (read, ()) = tokio::join!(reader.read_to_end(&mut got), write);
    read.unwrap();
    assert!(got == data, "{} of {} octets came back", got.len(), data.len());
    assert_eq!(server.await.unwrap(), local);
    local
}

/// A connection to an address of the stack comes from that address (RFC 6724 rule 1) and touches no device.
#[tokio::test(start_paused = true)]
async fn a_connection_to_an_own_address_stays_inside() {
    let (stack, mut raw) = raw_pair();
    for (listen, remote, local) in [
        (SERVER, SERVER, SERVER),
        ("0.0.0.0", SERVER, SERVER),
        ("2001:db8::1", "2001:db8::1", "2001:db8::1"),
        ("0.0.0.0", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.7", "127.0.0.7", "127.0.0.1"),
        ("::1", "::1", "::1"),
        ("127.0.0.1", "::ffff:127.0.0.1", "127.0.0.1"),
    ] {
        let from = echo(&stack, listen, remote, b"to myself").await;
        assert_eq!(from.ip(), addr(local, 0).ip(), "to {remote}");
    }
    raw.silence(TICK).await;
    let counters = stack.counters();
    assert_eq!((counters.tx_lost, counters.drop_foreign, counters.drop_bad_source), (0, 0, 0));
}

/// Much data passes a queue of few packets, in segments as long as IP allows.
#[tokio::test(start_paused = true)]
async fn bulk_passes_the_bounded_queue() {
    let (stack, mut raw) = raw_pair();
    let data = pattern(40_000_000);
    let before = stack.counters();
    echo(&stack, SERVER, SERVER, &data).await;
    let counters = stack.counters();
    assert_eq!((counters.tx_lost, counters.drop_mailbox_full), (0, 0));
    let segments = counters.tx_segments - before.tx_segments;
    assert!(segments < 12_000, "{segments} segments for {} octets", 2 * data.len());
    raw.silence(TICK).await;
    timeout(Duration::from_secs(10), async {
        while stack.buffered() > 0 {
            tokio::time::sleep(TICK).await;
        }
    })
    .await
    .expect("nothing is held any more");
}

/// Many connections share the queue, and none starves.
#[tokio::test(start_paused = true)]
async fn many_connections_share_the_queue() {
    let (stack, _raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                tokio::io::copy(&mut reader, &mut writer).await.unwrap();
            });
        }
    });
    let clients: Vec<_> = (0..200)
        .map(|seed| {
            let stack = stack.clone();
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(&stack, addr(SERVER, PORT)).await.unwrap();
                let data = pattern(200_000 + seed);
                let (mut reader, mut writer) = stream.split();
                let mut got = vec![0; data.len()];
                let (read, wrote) = tokio::join!(reader.read_exact(&mut got), writer.write_all(&data));
                read.unwrap();
                wrote.unwrap();
                assert!(got == data);
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

/// A socket connected to itself: the SYN is its own simultaneous open (RFC 9293 3.5), and what it writes it reads.
// req: MUST-10
#[tokio::test(start_paused = true)]
async fn a_socket_can_be_its_own_peer() {
    let (stack, mut raw) = raw_pair();
    for ip in [SERVER, "::1"] {
        let myself = addr(ip, 9000);
        let connect = TcpStream::connect_from(&stack, myself, myself);
        let mut stream = timeout(Duration::from_secs(5), connect).await.expect("it opens").unwrap();
        assert_eq!((stream.local_addr().unwrap(), stream.peer_addr().unwrap()), (myself, myself));
        let data = pattern(300_000);
        let (mut reader, mut writer) = stream.split();
        let mut got = vec![0; data.len()];
        let (read, wrote) = tokio::join!(reader.read_exact(&mut got), writer.write_all(&data));
        read.unwrap();
        wrote.unwrap();
        assert!(got == data);
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.expect("it closes").unwrap();
        assert!(rest.is_empty());
    }
    raw.silence(TICK).await;
}

/// Nobody connects to itself by accident: with one ephemeral port, and that the destination's, there is none.
#[tokio::test(start_paused = true)]
async fn an_ephemeral_port_never_meets_itself() {
    let (stack, _raw) = raw_pair_with(|builder| builder.ephemeral_ports(50_000..=50_000));
    let error = TcpStream::connect(&stack, addr(SERVER, 50_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable, "{error}");
}

/// Where nobody listens the connection is refused at once.
#[tokio::test(start_paused = true)]
async fn a_closed_port_refuses() {
    let (stack, _raw) = raw_pair();
    for remote in [SERVER, "127.0.0.1", "::1"] {
        let connect = TcpStream::connect(&stack, addr(remote, 81));
        let error = timeout(TICK, connect).await.expect("at once").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{remote}");
    }
}

/// Datagrams within the stack: small and as large as they can be, to itself too, and refused where nobody listens.
#[tokio::test(start_paused = true)]
async fn datagrams_stay_inside() {
    let (stack, mut raw) = raw_pair();
    for ip in [SERVER, "127.0.0.1", "2001:db8::1", "::1"] {
        let server = UdpSocket::bind(&stack, addr(ip, PORT)).await.unwrap();
        let client = UdpSocket::bind(&stack, addr(ip, 0)).await.unwrap();
        let from = client.local_addr().unwrap();
        let mut got = vec![0; 65_535];
        for len in [1, 1400, 65_487] {
            let data = pattern(len);
            client.send_to(&data, addr(ip, PORT)).await.unwrap();
            let (len, peer) = timeout(TICK, server.recv_from(&mut got)).await.unwrap().unwrap();
            assert!((&got[..len], peer) == (&data[..], from), "{} octets to {ip}", data.len());
        }
        client.send_to(b"to myself", from).await.unwrap();
        let (len, peer) = timeout(TICK, client.recv_from(&mut got)).await.unwrap().unwrap();
        assert_eq!((&got[..len], peer), (&b"to myself"[..], from));
        drop(server);
        client.connect(addr(ip, PORT)).await.unwrap();
        client.send(b"nobody").await.unwrap();
        let error = timeout(TICK, client.recv(&mut got)).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{ip}");
    }
    // A loopback address leaves in no datagram.
    let inside = UdpSocket::bind(&stack, addr("127.0.0.1", 0)).await.unwrap();
    let error = inside.send_to(b"out", addr(CLIENT, 80)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable, "{error}");
    raw.silence(TICK).await;
}

/// A loopback address reaches nobody else.
#[tokio::test(start_paused = true)]
async fn loopback_addresses_never_leave() {
    let (stack, mut raw) = raw_pair();
    let error = TcpStream::connect_from(&stack, addr("127.0.0.1", 0), addr(CLIENT, 80)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable, "{error}");
    // An own address may talk to a loopback one.
    let _listener = TcpListener::bind(&stack, addr("127.0.0.1", PORT)).await.unwrap();
    TcpStream::connect_from(&stack, addr(SERVER, 0), addr("127.0.0.1", PORT)).await.unwrap();
    raw.silence(TICK).await;
}

/// The stack's own addresses and loopback ones are believed from the loopback queue alone: from a device they are forged.
// req: R1122-4
#[tokio::test(start_paused = true)]
async fn a_device_cannot_speak_for_the_stack() {
    for any_address in [false, true] {
        let (stack, mut raw) = raw_pair_with(|builder| builder.any_address(any_address));
        let mut listeners = Vec::new();
        for ip in ["0.0.0.0", "::"] {
            listeners.push(TcpListener::bind(&stack, addr(ip, PORT)).await.unwrap());
        }
        let header = raw.header(TcpFlags::SYN);
        for (src, dst) in [
            (SERVER, SERVER),
            ("127.0.0.1", SERVER),
            ("127.0.0.1", "127.0.0.1"),
            (CLIENT, "127.0.0.1"),
            (SERVER, "127.0.0.1"),
            ("::1", "2001:db8::1"),
            ("2001:db8::2", "::1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            raw.send_packet(&segment(src.parse().unwrap(), dst.parse().unwrap(), &header, b""));
            raw.silence(TICK).await;
        }
        assert_eq!(stack.connection_count(), 0);
        let counters = stack.counters();
        assert_eq!(counters.drop_land + counters.drop_bad_source + counters.drop_foreign, 8);
        assert_eq!(counters.tx_resets, 0);
    }
}

/// A stack that shuts down closes both ends of what is inside, and nobody waits for the other.
#[tokio::test(start_paused = true)]
async fn shutdown_ends_what_is_inside() {
    let (stack, _raw) = raw_pair();
    let (_listener, mut accepted, mut stream) = connected(&stack, &stack).await;
    stream.write_all(b"last words").await.unwrap();
    let mut got = [0; 10];
    accepted.read_exact(&mut got).await.unwrap();
    timeout(Duration::from_secs(5), stack.shutdown()).await.expect("it ends");
    assert_eq!((stack.connection_count(), stack.buffered()), (0, 0));
    for stream in [&mut accepted, &mut stream] {
        assert!(matches!(stream.read(&mut got).await, Ok(0) | Err(_)));
    }
}
