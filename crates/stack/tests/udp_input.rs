//! Datagrams and ICMP errors of a peer that sends what it likes.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::common::udp::*;
use crate::common::*;
use netstack_wire::udp::UdpHeader;
use tokio::time::timeout;
use tokio_netstack::device::Capabilities;
use tokio_netstack::{Stack, TcpListener, TcpStream, UdpConfig, UdpSocket};

const TICK: Duration = Duration::from_millis(5);

/// Both ends of a family: the raw peer's, the stack's.
fn ends(v6: bool) -> (SocketAddr, SocketAddr) {
    if v6 {
        (addr("2001:db8::2", 4000), addr("2001:db8::1", PORT))
    } else {
        (addr(CLIENT, 4000), addr(SERVER, PORT))
    }
}

async fn bind_any(stack: &Stack, v6: bool) -> UdpSocket {
    let any: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    UdpSocket::bind(stack, (any, PORT)).await.unwrap()
}

fn header(src: SocketAddr, dst: SocketAddr, data: &[u8]) -> UdpHeader {
    UdpHeader::for_payload((src.ip(), src.port()), (dst.ip(), dst.port()), data).unwrap()
}

/// A length field of 0, 7 or beyond the packet drops the datagram; octets behind the length are not data.
// req: R768-1
#[tokio::test(start_paused = true)]
async fn the_length_field_rules() {
    for v6 in [false, true] {
        let (stack, mut raw) = raw_pair();
        let socket = bind_any(&stack, v6).await;
        let (src, dst) = ends(v6);
        for len in [0, 7, 13, u16::MAX] {
            let wrong = UdpHeader { len, ..header(src, dst, b"data") };
            raw.send_packet(&datagram_with(src, dst, &wrong, b"data"));
        }
        // Whole is an empty datagram, with four octets behind it that are none of it.
        raw.send_packet(&datagram_with(src, dst, &header(src, dst, b""), b"more"));
        raw.send_packet(&datagram_with(src, dst, &header(src, dst, b"data"), b"data and more"));
        let mut buf = [0; 32];
        assert_eq!(socket.recv_from(&mut buf).await.unwrap(), (0, src));
        let (len, _) = socket.recv_from(&mut buf).await.unwrap();
        assert_eq!(&buf[..len], b"data");
        assert!(timeout(TICK, socket.recv(&mut buf)).await.is_err());
        assert_eq!(stack.counters().drop_bad_total_length, 4);
    }
}

/// Over IPv4 a checksum of zero passes; a wrong one is dropped in both families, and over IPv6 so is none at all: there is no
/// zero-checksum mode.
// req: R768-2, R768-3, R6936-1
#[tokio::test(start_paused = true)]
async fn checksums_are_checked() {
    for v6 in [false, true] {
        let (stack, mut raw) = raw_pair();
        let socket = bind_any(&stack, v6).await;
        let (src, dst) = ends(v6);
        let right = header(src, dst, b"data");
        for checksum in [right.checksum ^ 1, right.checksum ^ 0xff00, 0, right.checksum] {
            raw.send_packet(&datagram_with(src, dst, &UdpHeader { checksum, ..right }, b"data"));
        }
        let mut received = 0;
        while let Ok(Ok(4)) = timeout(TICK, socket.recv(&mut [0; 8])).await {
            received += 1;
        }
        let counters = stack.counters();
        assert_eq!(received, if v6 { 1 } else { 2 });
        assert_eq!((counters.drop_bad_checksum, counters.drop_udp_no_checksum), (2, u64::from(v6)));
        raw.quiet(TICK).await;
    }
}

/// A datagram whose sum comes out as zero is sent with all ones: zero would say that there is no checksum.
// req: R768-2, R768-3
#[tokio::test(start_paused = true)]
async fn a_computed_zero_is_sent_as_ones() {
    for v6 in [false, true] {
        let (stack, mut raw) = raw_pair();
        let socket = bind_any(&stack, v6).await;
        let (peer, here) = ends(v6);
        // The two octets that make the sum all ones are those of the checksum without them.
        let sum = header(here, peer, &[0, 0]).checksum;
        socket.send_to(&sum.to_be_bytes(), peer).await.unwrap();
        let packet = raw.packet().await;
        let ip = netstack_wire::ip::parse(&packet).unwrap();
        let (sent, _) = UdpHeader::parse(ip.payload).unwrap();
        assert_eq!(sent.checksum, 0xffff);
        assert_eq!(parse_datagram(&packet).data[..], sum.to_be_bytes());
    }
}

/// A port unreachable fails the next call of the connected socket that it is about, once, whichever call that is; sockets
/// without a peer, and errors that quote somebody else, are left alone.
// req: R768-5
#[tokio::test(start_paused = true)]
async fn a_refusal_reaches_the_connected_socket_it_is_about() {
    for v6 in [false, true] {
        let (stack, mut raw) = raw_pair();
        let (peer, here) = ends(v6);
        let socket = UdpSocket::bind(&stack, here).await.unwrap();
        let other = UdpSocket::bind(&stack, (here.ip(), 8)).await.unwrap();
        socket.send_to(b"not connected", peer).await.unwrap();
        let packet = raw.packet().await;
        raw.send_packet(&unreachable(port_unreachable(v6), &packet));
        assert!(timeout(TICK, socket.recv(&mut [0; 8])).await.is_err());
        assert_eq!(stack.counters().rx_icmp_unmatched, 1);

        socket.connect(peer).await.unwrap();
        socket.send(b"connected").await.unwrap();
        let packet = raw.packet().await;
        let refusal = unreachable(port_unreachable(v6), &packet);
        for call in 0..4 {
            raw.send_packet(&refusal);
            tokio::time::sleep(TICK).await;
            let kind = match call {
                0 => socket.recv(&mut [0; 8]).await.unwrap_err().kind(),
                1 => socket.send(b"again").await.unwrap_err().kind(),
                2 => socket.try_recv(&mut [0; 8]).unwrap_err().kind(),
                _ => socket.take_error().unwrap().unwrap().kind(),
            };
            assert_eq!(kind, ErrorKind::ConnectionRefused, "call {call}");
            assert!(socket.take_error().unwrap().is_none());
        }
        // One that waits is woken; the socket can be used on.
        let mut buf = [0; 8];
        let (received, ()) = tokio::join!(socket.recv(&mut buf), async { raw.send_packet(&refusal) });
        assert_eq!(received.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        raw.send_packet(&datagram(peer, here, b"hello"));
        assert_eq!(socket.recv(&mut [0; 8]).await.unwrap(), 5);
        assert!(other.take_error().unwrap().is_none());

        let mut forged = packet.to_vec();
        let port = forged.len() - b"connected".len() - 8;
        forged[port + 3] ^= 1;
        raw.send_packet(&unreachable(port_unreachable(v6), &forged));
        tokio::time::sleep(TICK).await;
        assert!(socket.take_error().unwrap().is_none());
    }
}

/// News that may pass does not fail a call; whoever asks is told.
// req: R768-5
#[tokio::test(start_paused = true)]
async fn soft_errors_are_kept_for_whoever_asks() {
    let (stack, mut raw) = raw_pair();
    let (peer, here) = ends(false);
    let socket = UdpSocket::bind(&stack, here).await.unwrap();
    socket.connect(peer).await.unwrap();
    socket.send(b"x").await.unwrap();
    let packet = raw.packet().await;
    for (code, kind) in [(0, ErrorKind::NetworkUnreachable), (1, ErrorKind::HostUnreachable)] {
        raw.send_packet(&unreachable(code, &packet));
        assert!(timeout(TICK, socket.recv(&mut [0; 8])).await.is_err());
        socket.send(b"y").await.unwrap();
        assert_eq!(socket.take_error().unwrap().unwrap().kind(), kind);
    }
}

/// A datagram to a port that nobody has is answered by ICMP; one to a bound port is not, and dropping the socket closes the
/// port.
// req: R768-4
#[tokio::test(start_paused = true)]
async fn a_closed_port_says_so() {
    for v6 in [false, true] {
        let (stack, mut raw) = raw_pair();
        let (peer, here) = ends(v6);
        let socket = bind_any(&stack, v6).await;
        raw.send_packet(&datagram(peer, here, b"open"));
        raw.quiet(TICK).await;
        drop(socket);
        raw.send_packet(&datagram(peer, here, b"closed"));
        let answer = raw.packet_within(TICK).await.unwrap();
        assert_eq!(unreachable_code(&answer), Some(port_unreachable(v6)));
        assert_eq!(stack.counters().drop_udp_closed, 1);
    }
}

/// A flood of one socket fills its queue and no more: another socket and a TCP connection go on.
// req: R8085-3
#[tokio::test(start_paused = true)]
async fn a_flood_hits_one_socket_alone() {
    let (server, client) = stacks_with(&Default::default(), Capabilities::ip(1500), 512);
    let mut config = UdpConfig::new();
    config.recv_buffer(100_000);
    let flooded = UdpSocket::bind_with(&server, addr(SERVER, 9), config).await.unwrap();
    let calm = UdpSocket::bind(&server, addr(SERVER, 10)).await.unwrap();
    let listener = TcpListener::bind(&server, addr(SERVER, PORT)).await.unwrap();
    let sender = UdpSocket::bind(&client, (Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    for _ in 0..1000 {
        sender.send_to(&[0; 1000], addr(SERVER, 9)).await.unwrap();
    }
    sender.send_to(b"calm", addr(SERVER, 10)).await.unwrap();
    assert_eq!(calm.recv(&mut [0; 8]).await.unwrap(), 4);
    let (connected, accepted) =
        tokio::join!(TcpStream::connect(&client, addr(SERVER, PORT)), listener.accept());
    drop((connected.unwrap(), accepted.unwrap()));
    let mut kept = 0;
    while flooded.try_recv(&mut [0; 1000]).is_ok() {
        kept += 1;
    }
    assert!((80..100).contains(&kept), "{kept} datagrams of 1000 octets in 100,000 bytes");
    assert_eq!((flooded.dropped(), server.counters().drop_udp_queue_full), (1000 - kept, 1000 - kept));
    assert_eq!(calm.dropped(), 0);
}
