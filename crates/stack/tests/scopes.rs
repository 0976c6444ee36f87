//! Link-local addresses name a host on one link: the scope says which (RFC 4007).

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use crate::common::udp::*;
use crate::common::*;
use netstack_wire::tcp::TcpFlags;
use tokio_netstack::device::Capabilities;
use tokio_netstack::{SendMsg, Stack, TcpListener, TcpStream, UdpSocket};

const TICK: Duration = Duration::from_millis(2);
const PEER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);

/// A stack with two devices, `fe80::1` and `fe80::2`, and a peer of one address behind each.
fn two_links() -> (Stack, [Raw; 2]) {
    let (a, first) = raw_device(Capabilities::ip(1500), 64);
    let (b, second) = raw_device(Capabilities::ip(1500), 64);
    let stack = Stack::builder()
        .device(a)
        .address("fe80::1/64".parse().unwrap())
        .device(b)
        .address("fe80::2/64".parse().unwrap())
        .build()
        .unwrap();
    (stack, [first, second])
}

fn peer(scope: u32) -> SocketAddr {
    SocketAddrV6::new(PEER, PORT, 0, scope).into()
}

/// Datagrams leave by the link that the scope names, from its address; where they come from is told with the scope, and answers
/// find the way back.
// req: R8200-2, R1122-10
#[tokio::test(start_paused = true)]
async fn datagrams_go_by_the_link_of_their_scope() {
    let (stack, mut links) = two_links();
    let any = UdpSocket::bind(&stack, addr("::", 53)).await.unwrap();
    let connected = UdpSocket::bind(&stack, addr("::", 54)).await.unwrap();
    for (scope, own) in [(1, "fe80::1"), (2, "fe80::2")] {
        let raw = &mut links[scope as usize - 1];
        any.send_to(b"to", peer(scope)).await.unwrap();
        let seen = parse_datagram(&raw.packet_within(TICK).await.expect("by this link"));
        assert_eq!((seen.from, seen.to), (addr(own, 53), addr("fe80::9", PORT)));

        raw.send_packet(&datagram(addr("fe80::9", PORT), addr(own, 53), b"back"));
        let mut buf = [0; 8];
        let (_, from) = any.recv_from(&mut buf).await.unwrap();
        assert_eq!(from, peer(scope));
        any.send_msg(b"again", &SendMsg::new().to(from)).await.unwrap();
        assert!(raw.packet_within(TICK).await.is_some());

        connected.connect(peer(scope)).await.unwrap();
        assert_eq!(connected.peer_addr().unwrap(), peer(scope));
        assert_eq!(connected.local_addr().unwrap(), addr(own, 54));
        connected.send(b"connected").await.unwrap();
        assert_eq!(parse_datagram(&raw.packet_within(TICK).await.unwrap()).from, addr(own, 54));

        let group = SocketAddrV6::new("ff02::1".parse().unwrap(), PORT, 0, scope);
        any.send_to(b"all", group).await.unwrap();
        assert_eq!(parse_datagram(&raw.packet_within(TICK).await.unwrap()).from, addr(own, 53));
    }
    let error = any.send_to(b"nowhere", peer(3)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
}

/// Connections as well; a scope of a global address says nothing.
#[tokio::test(start_paused = true)]
async fn connections_go_by_the_link_of_their_scope() {
    let (stack, mut links) = two_links();
    for (scope, own) in [(1, "fe80::1"), (2, "fe80::2")] {
        let connecting = tokio::spawn({
            let stack = stack.clone();
            async move { TcpStream::connect(&stack, peer(scope)).await }
        });
        let raw = &mut links[scope as usize - 1];
        raw.local = addr("fe80::9", PORT);
        raw.accept().await;
        assert_eq!(raw.remote.ip().to_string(), own);
        let stream = connecting.await.unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), peer(scope));

        let listener = TcpListener::bind(&stack, addr(own, 80)).await.unwrap();
        (raw.local, raw.remote) = (addr("fe80::9", 4000), addr(own, 80));
        raw.send(TcpFlags::SYN, b"");
        let answer = raw.recv_within(TICK).await.unwrap();
        raw.ack = answer.header.seq + 1;
        raw.send(TcpFlags::ACK, b"");
        let (_, from) = listener.accept().await.unwrap();
        assert_eq!(from, SocketAddrV6::new(PEER, 4000, 0, scope).into());
    }
    let wrong = TcpStream::connect_from(&stack, addr("fe80::1", 0), peer(2)).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::AddrNotAvailable);
    assert_eq!(TcpStream::connect(&stack, peer(3)).await.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
}
