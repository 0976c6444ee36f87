//! What the Internet layer puts into its headers, and what it takes from others.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::common::*;
use netstack_wire::icmp::IcmpMessage;
use netstack_wire::ip::{self, IpHeader, Protocol};
use netstack_wire::tcp::TcpFlags;
use tokio::io::AsyncWriteExt;
use tokio_netstack::TcpListener;
use tokio_netstack::device::Capabilities;

const TICK: Duration = Duration::from_millis(2);

/// A segment or an echo request that arrives with its last hop used up is for us all the same; what we send has hops left.
// req: R1122-6
#[tokio::test(start_paused = true)]
async fn the_hop_limit_of_what_arrives_does_not_matter() {
    let (stack, mut raw) = raw_pair();
    let _listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    for (them, us) in [(CLIENT, SERVER), ("2001:db8::2", "2001:db8::1")] {
        for hop_limit in [0, 1] {
            let request = icmp(them, us, &IcmpMessage::EchoRequest { id: 1, seq: 1, data: b"" });
            let parsed = ip::parse(&request).unwrap();
            let mut header = IpHeader::new(parsed.src, parsed.dst, parsed.protocol, parsed.payload.len());
            header.hop_limit = hop_limit;
            let mut packet = vec![0; header.header_len()];
            header.emit(&mut packet);
            packet.extend_from_slice(parsed.payload);
            raw.send_packet(&packet);
            let answer = raw.packet_within(TICK).await.expect("an answer");
            assert_eq!(ip::parse(&answer).unwrap().hop_limit, 64);
        }
    }
}

/// Whatever is sent comes from the one address of ours that it is about: answers of every kind to the second address too,
/// and nothing from an address that is not ours.
// req: R1122-5, R1122-10
#[tokio::test(start_paused = true)]
async fn only_own_addresses_are_sources() {
    let own = ["192.0.2.1", "192.0.2.10", "2001:db8::1", "2001:db8::10"];
    let (stack, mut raw) = raw_pair_with(|builder| {
        builder.address("192.0.2.10/24".parse().unwrap()).address("2001:db8::10/64".parse().unwrap())
    });
    let _listener = TcpListener::bind(&stack, addr("0.0.0.0", PORT)).await.unwrap();
    for us in own.into_iter().chain(["192.0.2.255", "224.0.0.1", "255.255.255.255", "ff02::1", "192.0.2.99"])
    {
        let them = if us.contains(':') { "2001:db8::2" } else { CLIENT };
        let (src, dst): (IpAddr, IpAddr) = (them.parse().unwrap(), us.parse().unwrap());
        let echo = icmp(them, us, &IcmpMessage::EchoRequest { id: 1, seq: 1, data: b"data" });
        raw.remote = addr(us, PORT);
        raw.local = addr(them, 40000);
        let syn = segment(src, dst, &raw.header(TcpFlags::SYN), b"");
        raw.remote = addr(us, 9);
        let closed = segment(src, dst, &raw.header(TcpFlags::SYN), b"");
        for sent in [echo, syn, closed, packet(them, us, Protocol(200), b"unknown")] {
            raw.send_packet(&sent);
            let answer = raw.packet_within(TICK).await;
            assert_eq!(answer.is_some(), own.contains(&us), "{us}");
            if let Some(answer) = answer {
                let answer = ip::parse(&answer).unwrap();
                assert_eq!((answer.src, answer.dst), (dst, src));
            }
        }
    }
}

/// A Routing header of any type without segments left is stepped over, and the answer has none; with segments left it is
/// pointed at.
// req: R8200-6, R8200-11
#[tokio::test(start_paused = true)]
async fn a_routing_header_is_not_sent_back() {
    let (stack, mut raw) = raw_pair();
    let (them, us) = ("2001:db8::2", "2001:db8::1");
    (raw.local, raw.remote) = (addr(them, 40000), addr(us, PORT));
    let _listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
    for (kind, port) in [(0, 1), (2, 2), (200, 3)] {
        raw.local.set_port(port);
        let syn = segment(raw.local.ip(), raw.remote.ip(), &raw.header(TcpFlags::SYN), b"");
        let behind = |left: u8| {
            let mut routing = vec![6, 2, kind, left, 0, 0, 0, 0];
            routing.extend_from_slice(&"2001:db8::99".parse::<std::net::Ipv6Addr>().unwrap().octets());
            routing.extend_from_slice(&syn[40..]);
            packet(them, us, Protocol(43), &routing)
        };
        raw.send_packet(&behind(0));
        let answer = raw.packet_within(TICK).await.expect("a SYN-ACK");
        assert_eq!((answer[6], ip::parse(&answer).unwrap().header_len), (6, 40));
        assert!(parse(&answer).has(TcpFlags::SYN | TcpFlags::ACK));
        raw.send_packet(&behind(1));
        let answer = raw.packet_within(TICK).await.expect("a parameter problem");
        let (answer, quoted) = (ip::parse(&answer).unwrap(), behind(1));
        assert_eq!(read_icmp(&answer), IcmpMessage::ParamProblem { code: 0, pointer: 42, quoted: &quoted });
    }
}

/// All segments of a connection have one flow label, and another connection another; answers of ICMP have one as well.
// req: R6437-1
#[tokio::test(start_paused = true)]
async fn a_flow_has_one_label() {
    let (stack, mut raw) = raw_pair();
    let mut labels = HashSet::new();
    (raw.local, raw.remote) = (addr("2001:db8::2", 40000), addr("2001:db8::1", PORT));
    let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
    for port in 1..=8 {
        raw.local.set_port(port);
        raw.send(TcpFlags::SYN, b"");
        let first = raw.packet().await;
        let label = ip::parse(&first).unwrap().flow_label;
        assert!(label != 0 && labels.insert(label), "{label:#x} of connection {port}");
        raw.ack = parse(&first).header.seq + 1;
        raw.send(TcpFlags::ACK, b"");
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&pattern(5000)).await.unwrap();
        drop(stream);
        for _ in 0..4 {
            let packet = raw.packet().await;
            assert_eq!(ip::parse(&packet).unwrap().flow_label, label);
        }
        // A segment that the connection no longer answers itself.
        raw.send(TcpFlags::RST, b"");
        while raw.packet_within(TICK).await.is_some() {}
        raw.send(TcpFlags::ACK, b"");
        assert_eq!(ip::parse(&raw.packet().await).unwrap().flow_label, label, "the reset's");
    }
    let request = icmp("2001:db8::2", "2001:db8::1", &IcmpMessage::EchoRequest { id: 1, seq: 1, data: b"" });
    raw.send_packet(&request);
    let first = ip::parse(&raw.packet().await).unwrap().flow_label;
    raw.send_packet(&request);
    assert_eq!(ip::parse(&raw.packet().await).unwrap().flow_label, first);
    assert_ne!(first, 0);
}

/// Over a link of the least MTU no packet is longer, whatever a peer would take.
// req: R8200-10
#[tokio::test(start_paused = true)]
async fn nothing_is_longer_than_the_link_carries() {
    let (stack, mut raw) =
        raw_pair_on(Capabilities::ip(1280), 512, |device| builder(device, 1).build().unwrap());
    (raw.local, raw.remote) = (addr("2001:db8::2", 40000), addr("2001:db8::1", PORT));
    let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
    let mut syn = raw.header(TcpFlags::SYN);
    syn.options.mss = Some(8940);
    raw.send_header(&syn, b"");
    raw.seq += 1;
    raw.ack = raw.recv().await.header.seq + 1;
    raw.send(TcpFlags::ACK, b"");
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(&pattern(10_000)).await.unwrap();
    let mut longest = 0;
    while let Some(packet) = raw.packet_within(TICK).await {
        longest = longest.max(packet.len());
    }
    assert_eq!(longest, 1280);
}
