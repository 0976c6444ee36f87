//! Which addresses a connection uses and which packets it hears: local addresses, destinations that are many, the device's
//! MTU, and ICMP of unknown types.

use std::net::IpAddr;
use std::time::Duration;

use crate::common::*;
use netstack_wire::icmp::IcmpMessage;
use netstack_wire::ip::{self, IpHeader};
use netstack_wire::tcp::TcpFlags;
use netstack_wire::{Protocol, SeqNum};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::device::Capabilities;
use tokio_netstack::{TcpConfig, TcpListener, TcpStream};

const TICK: Duration = Duration::from_millis(2);

/// A second address of the stack, in a subnet of its own.
const SECOND: &str = "198.51.100.1";

/// A stack with two IPv4 addresses, and the raw peer.
fn two_addresses() -> (tokio_netstack::Stack, Raw) {
    raw_pair_with(|builder| builder.address(format!("{SECOND}/24").parse().unwrap()))
}

/// A bound local address is the source of the SYN, whatever the route would choose.
// req: MUST-43
#[tokio::test(start_paused = true)]
async fn a_connect_leaves_from_the_address_it_was_given() {
    let (stack, mut raw) = two_addresses();
    let connect = tokio::spawn({
        let stack = stack.clone();
        async move { TcpStream::connect_from(&stack, addr(SECOND, 5000), addr(CLIENT, 80)).await }
    });
    let syn = raw.recv().await;
    assert!(syn.has(TcpFlags::SYN));
    assert_eq!((syn.src, syn.header.src_port), (addr(SECOND, 0).ip(), 5000));
    connect.abort();
}

/// Without one, an address of the destination's subnet is chosen before the first SYN.
// req: MUST-44
#[tokio::test(start_paused = true)]
async fn a_connect_chooses_an_address_of_the_destinations_subnet() {
    let (stack, mut raw) = two_addresses();
    for (remote, local) in
        [(CLIENT, SERVER), ("198.51.100.9", SECOND), ("2001:db8::9", "2001:db8::1"), (CLIENT, SERVER)]
    {
        let connect = tokio::spawn({
            let (stack, remote) = (stack.clone(), addr(remote, 80));
            async move { TcpStream::connect(&stack, remote).await }
        });
        let syn = raw.recv().await;
        assert_eq!(syn.src, local.parse::<IpAddr>().unwrap(), "to {remote}");
        connect.abort();
        let _ = connect.await;
    }
}

/// A connection keeps the address that its peer used, over data, retransmission and close.
// req: MUST-45
#[tokio::test(start_paused = true)]
async fn a_connection_keeps_the_address_the_peer_used() {
    let (stack, mut raw) = two_addresses();
    let listener = TcpListener::bind(&stack, addr("0.0.0.0", PORT)).await.unwrap();
    raw.remote = addr(SECOND, PORT);
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    assert_eq!(stream.local_addr().unwrap(), addr(SECOND, PORT));
    stream.write_all(b"data").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut seen = 0;
    // What left, and its retransmissions.
    while let Some(segment) = raw.recv_within(Duration::from_secs(3)).await {
        assert_eq!(segment.src, addr(SECOND, 0).ip());
        seen += 1;
        if seen == 4 {
            break;
        }
    }
    assert_eq!(seen, 4);
}

/// A SYN to an address of many hosts earns nothing, not even a reset, and nor does any other segment.
// req: MUST-57
#[tokio::test(start_paused = true)]
async fn segments_to_many_hosts_are_dropped() {
    let (stack, mut raw) = raw_pair();
    let _v4 = TcpListener::bind(&stack, addr("0.0.0.0", PORT)).await.unwrap();
    let _v6 = TcpListener::bind(&stack, addr("::", PORT)).await.unwrap();
    for (src, dst) in [
        (CLIENT, "224.0.0.1"),
        (CLIENT, "192.0.2.255"),
        (CLIENT, "192.0.2.0"),
        (CLIENT, "255.255.255.255"),
        ("2001:db8::2", "ff02::1"),
    ] {
        for (flags, port) in [
            (TcpFlags::SYN, PORT),
            (TcpFlags::SYN, PORT + 1),
            (TcpFlags::ACK, PORT),
            (TcpFlags::SYN | TcpFlags::ACK, PORT),
            (TcpFlags::FIN, PORT),
        ] {
            raw.remote.set_port(port);
            let header = raw.header(flags);
            raw.send_packet(&segment(src.parse().unwrap(), dst.parse().unwrap(), &header, b""));
            raw.silence(TICK).await;
        }
    }
    assert_eq!(stack.connection_count(), 0);
}

/// A listener may come while connections of its port are half open, and does not disturb them.
// req: MUST-42, MUST-41
#[tokio::test(start_paused = true)]
async fn a_listener_comes_beside_half_open_connections() {
    let (stack, mut raw) = raw_pair();
    // Both from the port of the listener to come.
    let dial = |port: u16| {
        let stack = stack.clone();
        tokio::spawn(async move {
            TcpStream::connect_from(&stack, addr(SERVER, PORT + 1), addr(CLIENT, port)).await
        })
    };
    // SYN-RECEIVED: the SYNs cross.
    let _crossing = dial(81);
    let syn = raw.recv().await;
    let mut peer = syn.header;
    (peer.src_port, peer.dst_port, peer.seq, peer.flags) = (81, PORT + 1, SeqNum(9), TcpFlags::SYN);
    raw.send_header(&peer, b"");
    assert!(raw.recv().await.has(TcpFlags::SYN | TcpFlags::ACK));
    // SYN-SENT
    let connect = dial(80);
    let syn = raw.recv().await;
    assert_eq!(syn.header.src_port, PORT + 1);
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT + 1)).await.expect("neither is an obstacle");
    // The connect goes on.
    peer.src_port = 80;
    (peer.seq, peer.ack, peer.flags) = (SeqNum(9), syn.header.seq + 1, TcpFlags::SYN | TcpFlags::ACK);
    raw.send_header(&peer, b"");
    assert!(raw.recv().await.has(TcpFlags::ACK));
    let mut opened = connect.await.unwrap().expect("it opens");
    // And so does a handshake with the listener.
    raw.remote.set_port(PORT + 1);
    raw.open().await;
    listener.accept().await.unwrap();
    peer.flags = TcpFlags::ACK;
    peer.seq += 1;
    raw.send_header(&peer, b"still here");
    let mut text = [0; 10];
    opened.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"still here");
}

/// The MSS that is announced is that of the device's MTU, the least that the device has.
// req: SHLD-6, R8200-9
#[tokio::test(start_paused = true)]
async fn the_mss_follows_the_mtu_of_the_device() {
    for mtu in [1280, 1460, 1500, 9000] {
        let caps = Capabilities::ip(mtu);
        let (server, client) = stacks_with(&TcpConfig::new(), caps, 512);
        for (listen, headers) in [(SERVER, 40), ("2001:db8::1", 60)] {
            let listener = TcpListener::bind(&server, addr(listen, PORT)).await.unwrap();
            let stream = TcpStream::connect(&client, addr(listen, PORT)).await.unwrap();
            let (accepted, _) = listener.accept().await.unwrap();
            // 12 octets of timestamps beside the fixed headers.
            for stream in [&stream, &accepted] {
                assert_eq!(
                    stream.info().await.unwrap().mss as usize,
                    mtu - headers - 12,
                    "MTU {mtu}, {listen}"
                );
            }
        }
    }
}

/// Flushing is ready at once: it waits for no acknowledgment, and changes nothing in what is sent.
// req: MAY-14
#[tokio::test(start_paused = true)]
async fn flushing_waits_for_nothing() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(b"a").await.unwrap();
    raw.recv().await;
    stream.write_all(b"b").await.unwrap();
    tokio::time::timeout(Duration::ZERO, stream.flush()).await.expect("ready").unwrap();
    // The Nagle algorithm holds the second octet back as it would have done.
    raw.silence(Duration::from_millis(20)).await;
}

/// An ICMPv6 error of an unknown type about a connection does not end it; other unknown types are dropped.
// req: R4443-2
#[tokio::test(start_paused = true)]
async fn unknown_icmp_types_do_no_harm() {
    let (local, peer) = ("2001:db8::1", "2001:db8::2");
    let (stack, mut raw) = raw_pair();
    raw.local = addr(peer, 40000);
    raw.remote = addr(local, PORT);
    let listener = TcpListener::bind(&stack, addr(local, PORT)).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(b"data").await.unwrap();
    let quoted = raw.packet().await;
    for (kind, body) in [(100, &quoted[..]), (127, &quoted[..]), (200, b"".as_slice()), (255, &quoted[..])] {
        let message = IcmpMessage::Other { kind, code: 0, rest: [0; 4], body };
        let (src, dst) = (peer.parse().unwrap(), local.parse().unwrap());
        let mut payload = vec![0; message.wire_len()];
        message.emit_v6(src, dst, &mut payload);
        let header = IpHeader::new(src.into(), dst.into(), Protocol::ICMPV6, payload.len());
        let mut packet = vec![0; header.header_len()];
        header.emit(&mut packet);
        packet.extend_from_slice(&payload);
        assert!(ip::parse(&packet).is_ok());
        raw.send_packet(&packet);
        raw.silence(TICK).await;
    }
    raw.ack += 4;
    raw.send(TcpFlags::ACK, b"alive");
    let mut text = [0; 5];
    stream.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"alive");
}
