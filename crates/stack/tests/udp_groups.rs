//! Broadcast and multicast.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::common::udp::*;
use crate::common::*;
use netstack_wire::ip;
use tokio::time::timeout;
use tokio_netstack::device::{self, Capabilities};
use tokio_netstack::{SendMsg, UdpConfig, UdpSocket};

const TICK: Duration = Duration::from_millis(5);
const GROUP: Ipv4Addr = Ipv4Addr::new(233, 252, 0, 1);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0xdb8, 1);

async fn nothing(socket: &UdpSocket) -> bool {
    timeout(TICK, socket.recv(&mut [0; 16])).await.is_err()
}

async fn text(socket: &UdpSocket) -> String {
    let mut buf = [0; 16];
    let len = timeout(TICK, socket.recv(&mut buf)).await.expect("a datagram").unwrap();
    String::from_utf8_lossy(&buf[..len]).into_owned()
}

/// Broadcasts are sent only by a socket that may, and reach sockets on all addresses and not those on one.
#[tokio::test(start_paused = true)]
async fn broadcasts_need_permission_and_reach_sockets_on_all_addresses() {
    let (server, client) = stacks();
    let mut config = UdpConfig::new();
    config.reuse_address(true);
    let all = UdpSocket::bind_with(&server, (Ipv4Addr::UNSPECIFIED, PORT), config.clone()).await.unwrap();
    let one = UdpSocket::bind_with(&server, addr(SERVER, PORT), config).await.unwrap();
    let socket = UdpSocket::bind(&client, (Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    for group in ["255.255.255.255", "192.0.2.255"] {
        socket.set_broadcast(false).unwrap();
        let error = socket.send_to(b"x", addr(group, PORT)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        socket.send_to(b"to all", addr(group, PORT)).await.unwrap();
        let mut buf = [0; 16];
        let msg = all.recv_msg(&mut buf).await.unwrap();
        assert_eq!((msg.to, msg.len), (addr(group, PORT), 6));
    }
    assert!(nothing(&one).await);
}

/// Nobody answers a broadcast or a group that nobody asked for, neither with data nor with an error.
// req: R792-4, R4443-4
#[tokio::test(start_paused = true)]
async fn groups_nobody_asked_for_are_dropped_in_silence() {
    let (stack, mut raw) = raw_pair();
    let _bound = UdpSocket::bind(&stack, (Ipv4Addr::UNSPECIFIED, PORT)).await.unwrap();
    let targets = [("192.0.2.255", 8), ("255.255.255.255", 8), ("233.252.0.1", PORT), ("233.252.0.1", 8)];
    for (group, port) in targets {
        raw.send_packet(&datagram(addr(CLIENT, 4000), addr(group, port), b"anybody?"));
    }
    raw.send_packet(&datagram(addr("2001:db8::2", 4000), addr("ff0e::db8:1", PORT), b"anybody?"));
    raw.quiet(TICK).await;
    assert_eq!(stack.counters().drop_group, 5);
}

/// Members of a group receive it until they leave, each a copy; other sockets do not.
#[tokio::test(start_paused = true)]
async fn members_receive_their_group_until_they_leave() {
    let (server, client) = stacks();
    let mut config = UdpConfig::new();
    config.reuse_address(true);
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let any = (Ipv4Addr::UNSPECIFIED, PORT);
        sockets.push(UdpSocket::bind_with(&server, any, config.clone()).await.unwrap());
    }
    let named = UdpSocket::bind_with(&server, (GROUP, PORT), config).await.unwrap();
    sockets[0].join_multicast_v4(GROUP, Ipv4Addr::UNSPECIFIED).unwrap();
    sockets[1].join_multicast_v4(GROUP, Ipv4Addr::new(192, 0, 2, 1)).unwrap();
    sockets[2].join_multicast_v4(Ipv4Addr::new(233, 252, 0, 2), Ipv4Addr::UNSPECIFIED).unwrap();
    named.join_multicast_v4(GROUP, Ipv4Addr::UNSPECIFIED).unwrap();
    let sender = UdpSocket::bind(&client, (Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    sender.send_to(b"members", (GROUP, PORT)).await.unwrap();
    for member in [&sockets[0], &sockets[1], &named] {
        assert_eq!(text(member).await, "members");
    }
    assert!(nothing(&sockets[2]).await);
    // One that is bound to a group sends from an address of the stack.
    named.send_to(b"from", sender_addr(&sender)).await.unwrap();
    assert_eq!(sender.recv_from(&mut [0; 16]).await.unwrap(), (4, addr(SERVER, PORT)));

    sockets[0].leave_multicast_v4(GROUP, Ipv4Addr::UNSPECIFIED).unwrap();
    let again = sockets[0].leave_multicast_v4(GROUP, Ipv4Addr::UNSPECIFIED);
    assert_eq!(again.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    sender.send_to(b"again", (GROUP, PORT)).await.unwrap();
    assert_eq!(text(&sockets[1]).await, "again");
    assert!(nothing(&sockets[0]).await);
}

fn sender_addr(sender: &UdpSocket) -> std::net::SocketAddr {
    addr(CLIENT, sender.local_addr().unwrap().port())
}

/// IPv6 groups are joined by interface; the hop limit of what is sent to a group is 1 unless it is set.
#[tokio::test(start_paused = true)]
async fn ipv6_groups_are_joined_by_interface() {
    let (server, client) = stacks();
    let member = UdpSocket::bind(&server, (Ipv6Addr::UNSPECIFIED, PORT)).await.unwrap();
    member.join_multicast_v6(&GROUP_V6, 1).unwrap();
    let beyond = member.join_multicast_v6(&GROUP_V6, 2).unwrap_err();
    assert_eq!(beyond.kind(), ErrorKind::AddrNotAvailable);
    let sender = UdpSocket::bind(&client, (Ipv6Addr::UNSPECIFIED, 0)).await.unwrap();
    sender.set_ttl(99).unwrap();
    for hops in [1, 7] {
        let mut buf = [0; 8];
        sender.set_multicast_hops_v6(hops).unwrap();
        assert_eq!(sender.multicast_hops_v6().unwrap(), hops);
        sender.send_to(b"hops", (GROUP_V6, PORT)).await.unwrap();
        let msg = member.recv_msg(&mut buf).await.unwrap();
        assert_eq!((u32::from(msg.hop_limit), msg.to.ip()), (hops, GROUP_V6.into()));
    }
    member.leave_multicast_v6(&GROUP_V6, 1).unwrap();
    sender.send_to(b"hops", (GROUP_V6, PORT)).await.unwrap();
    assert!(nothing(&member).await);
    assert_eq!(sender.set_multicast_ttl_v4(3).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(sender.set_multicast_loop_v4(true).unwrap_err().kind(), ErrorKind::InvalidInput);
    let unicast = member.join_multicast_v6(&"2001:db8::1".parse().unwrap(), 0).unwrap_err();
    assert_eq!(unicast.kind(), ErrorKind::InvalidInput);
}

/// Members on the sender's own stack, the sender among them, hear it unless it says no; the wire has it either way.
#[tokio::test(start_paused = true)]
async fn multicast_loops_back_unless_it_is_told_not_to() {
    let (stack, mut raw) = raw_pair();
    let socket = UdpSocket::bind(&stack, (Ipv4Addr::UNSPECIFIED, PORT)).await.unwrap();
    socket.join_multicast_v4(GROUP, Ipv4Addr::UNSPECIFIED).unwrap();
    assert!(socket.multicast_loop_v4().unwrap());
    let mut buf = [0; 16];
    socket.send_to(b"hello me", (GROUP, PORT)).await.unwrap();
    assert_eq!(socket.recv_from(&mut buf).await.unwrap(), (8, addr(SERVER, PORT)));
    let packet = raw.packet().await;
    assert_eq!(
        (parse_datagram(&packet).to, ip::parse(&packet).unwrap().hop_limit),
        ((GROUP, PORT).into(), 1)
    );
    socket.set_multicast_loop_v4(false).unwrap();
    socket.set_multicast_ttl_v4(3).unwrap();
    socket.send_to(b"not me", (GROUP, PORT)).await.unwrap();
    assert!(nothing(&socket).await);
    assert_eq!(ip::parse(&raw.packet().await).unwrap().hop_limit, 3);
}

/// A group joined on one device is not heard on another, and the chosen source decides where a group is sent to.
#[tokio::test(start_paused = true)]
async fn groups_belong_to_an_interface() {
    let caps = || Capabilities::ip(1500);
    let (left, left_peer) = device::memory::pair(caps(), caps());
    let (right, right_peer) = device::memory::pair(caps(), caps());
    let stack = builder(left, 1).device(right).address("198.51.100.1/24".parse().unwrap()).build().unwrap();
    let left_peer = builder(left_peer, 2).build().unwrap();
    let right_peer = tokio_netstack::Stack::builder()
        .device(right_peer)
        .address("198.51.100.2/24".parse().unwrap())
        .build()
        .unwrap();
    let member = UdpSocket::bind(&stack, (Ipv4Addr::UNSPECIFIED, PORT)).await.unwrap();
    member.join_multicast_v4(GROUP, Ipv4Addr::new(198, 51, 100, 1)).unwrap();
    let mut peers = Vec::new();
    for peer in [&left_peer, &right_peer] {
        let socket = UdpSocket::bind(peer, (Ipv4Addr::UNSPECIFIED, PORT)).await.unwrap();
        socket.join_multicast_v4(GROUP, Ipv4Addr::UNSPECIFIED).unwrap();
        socket.set_multicast_loop_v4(false).unwrap();
        peers.push(socket);
    }
    peers[0].send_to(b"left", (GROUP, PORT)).await.unwrap();
    peers[1].send_to(b"right", (GROUP, PORT)).await.unwrap();
    assert_eq!(text(&member).await, "right");
    assert!(nothing(&member).await);
    for (source, at) in [([192, 0, 2, 1], 0), ([198, 51, 100, 1], 1)] {
        member.send_msg(b"hi", &SendMsg::new().to((GROUP, PORT)).from(source)).await.unwrap();
        assert_eq!(text(&peers[at]).await, "hi");
        assert!(nothing(&peers[1 - at]).await);
    }
}
