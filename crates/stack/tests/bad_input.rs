//! Input that is wrong, hostile or none of our business: dropped, counted by reason, and harmless; ICMP.

use std::net::IpAddr;
use std::time::Duration;

use crate::common::*;
use netstack_wire::icmp::{IcmpMessage, v4, v6};
use netstack_wire::ip;
use netstack_wire::tcp::{TcpFlags, TcpHeader};
use netstack_wire::udp::UdpHeader;
use netstack_wire::{Protocol, SeqNum};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_netstack::{StackCounters, TcpListener, TcpStream};

const TICK: Duration = Duration::from_millis(2);

fn ip_of(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn syn(src_port: u16, dst_port: u16) -> TcpHeader {
    TcpHeader { src_port, dst_port, seq: SeqNum(1), flags: TcpFlags::SYN, window: 1000, ..Default::default() }
}

fn udp(src: &str, dst: &str, data: &[u8]) -> Vec<u8> {
    let header = UdpHeader::for_payload((ip_of(src), 4000), (ip_of(dst), 53), data).unwrap();
    let mut datagram = vec![0; 8];
    header.emit(&mut datagram);
    datagram.extend_from_slice(data);
    packet(src, dst, Protocol::UDP, &datagram)
}

/// Rewrites the IPv4 header checksum after a test changed the header.
fn fix_ipv4(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let len = usize::from(packet[0] & 15) * 4;
    let sum = netstack_wire::checksum::checksum(&packet[..len]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// The counter that a bad packet moves.
type Reason = fn(&StackCounters) -> u64;

/// Name, packet, and where it is counted.
fn bad_packets() -> Vec<(&'static str, Vec<u8>, Reason)> {
    let good = segment(ip_of(CLIENT), ip_of(SERVER), &syn(1, PORT), b"");
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = good.clone();
        change(&mut packet);
        packet
    };
    let from = |src: &str| segment(ip_of(src), ip_of(SERVER), &syn(1, PORT), b"");
    let to = |dst: &str| segment(ip_of(CLIENT), ip_of(dst), &syn(1, PORT), b"");
    vec![
        ("one octet", vec![0x45], |c| c.drop_truncated),
        ("version 5", changed(&|p| p[0] = 0x55), |c| c.drop_bad_version),
        ("short IHL", changed(&|p| p[0] = 0x44), |c| c.drop_bad_header_length),
        ("cut short", changed(&|p| p.truncate(30)), |c| c.drop_bad_total_length),
        ("IP checksum", changed(&|p| p[10] ^= 1), |c| c.drop_bad_checksum),
        ("TCP checksum", changed(&|p| p[36] ^= 1), |c| c.drop_bad_checksum),
        (
            "TCP option of length 0",
            {
                let mut header = syn(1, PORT);
                header.options.mss = Some(1460);
                let mut packet = segment(ip_of(CLIENT), ip_of(SERVER), &header, b"");
                packet[41] = 0;
                let (src, dst) = (ip_of(CLIENT), ip_of(SERVER));
                netstack_wire::tcp::write_checksum(src, dst, &mut packet[20..], [b""]);
                packet
            },
            |c| c.drop_bad_option,
        ),
        (
            "data offset beyond the segment",
            {
                let mut packet = good.clone();
                packet[32] = 0xf0;
                let (src, dst) = (ip_of(CLIENT), ip_of(SERVER));
                netstack_wire::tcp::write_checksum(src, dst, &mut packet[20..], [b""]);
                packet
            },
            |c| c.drop_bad_header_length,
        ),
        (
            "fragment with a part of a header",
            changed(&|p| {
                p[6] = 0x20;
                p.truncate(36);
                p[3] = 36;
                fix_ipv4(p);
            }),
            |c| c.drop_fragment_tiny,
        ),
        ("from 0.0.0.0", from("0.0.0.0"), |c| c.drop_bad_source),
        ("from broadcast", from("255.255.255.255"), |c| c.drop_bad_source),
        ("from the subnet's broadcast", from("192.0.2.255"), |c| c.drop_bad_source),
        ("from multicast", from("224.0.0.1"), |c| c.drop_bad_source),
        ("from loopback", from("127.0.0.1"), |c| c.drop_bad_source),
        ("land", segment(ip_of(SERVER), ip_of(SERVER), &syn(PORT, PORT), b""), |c| c.drop_land),
        ("to multicast", to("224.0.0.1"), |c| c.drop_group),
        ("to the subnet's broadcast", to("192.0.2.255"), |c| c.drop_group),
        ("to a stranger", to("198.51.100.1"), |c| c.drop_foreign),
        ("port 0", segment(ip_of(CLIENT), ip_of(SERVER), &syn(0, PORT), b""), |c| c.drop_port_zero),
        ("IPv6 from ::", segment(ip_of("::"), ip_of("2001:db8::1"), &syn(1, PORT), b""), |c| {
            c.drop_bad_source
        }),
        ("IPv6 to multicast", segment(ip_of("2001:db8::2"), ip_of("ff02::1"), &syn(1, PORT), b""), |c| {
            c.drop_group
        }),
        ("bad UDP length", packet(CLIENT, SERVER, Protocol::UDP, &[0, 1, 0, 2, 0, 99, 0, 0]), |c| {
            c.drop_bad_total_length
        }),
        ("ICMP of 3 octets", packet(CLIENT, SERVER, Protocol::ICMP, &[8, 0, 0]), |c| c.drop_truncated),
        ("no next header", packet("2001:db8::2", "2001:db8::1", Protocol(59), b"rest"), |c| c.drop_protocol),
    ]
}

/// Each bad packet moves its own counter, gets no answer, and leaves a connection in progress alone.
// req: R1122-1, R1122-2, R791-1, R1122-3, R1122-4, R1122-8, R8200-2, MUST-3
#[tokio::test(start_paused = true)]
async fn bad_packets_are_counted_by_reason() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();

    for (name, packet, reason) in bad_packets() {
        let before = reason(&stack.counters());
        raw.send_packet(&packet);
        assert!(raw.packet_within(TICK).await.is_none(), "{name} got an answer");
        assert_eq!(reason(&stack.counters()), before + 1, "{name} was not counted as such");
    }
    stream.write_all(b"undisturbed").await.unwrap();
    assert_eq!(&raw.recv().await.payload[..], b"undisturbed");
}

/// Source-routed packets are dropped, other options ignored.
// req: R1122-8, MUST-50, MUST-53, SHLD-24
#[tokio::test(start_paused = true)]
async fn ip_options() {
    let (stack, mut raw) = raw_pair();
    let _listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let with_option = |port: u16, option: [u8; 4]| {
        let mut packet = segment(ip_of(CLIENT), ip_of(SERVER), &syn(port, PORT), b"");
        packet.splice(20..20, option);
        packet[0] = 0x46;
        packet[3] += 4;
        fix_ipv4(&mut packet);
        packet
    };
    raw.send_packet(&with_option(1, [131, 3, 4, 0]));
    raw.silence(TICK).await;
    assert_eq!(stack.counters().drop_source_routed, 1);
    raw.send_packet(&with_option(2, [148, 4, 0, 0]));
    assert!(
        raw.recv_within(TICK).await.unwrap().has(TcpFlags::SYN | TcpFlags::ACK),
        "router alert is ignored"
    );
}

/// Random octets, and damaged good packets, never do harm.
#[tokio::test(start_paused = true)]
async fn garbage_does_no_harm() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut state = 88172645463325252u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let good = segment(ip_of(CLIENT), ip_of(SERVER), &syn(1, PORT), b"some data");
    for _ in 0..5000 {
        let mut packet: Vec<u8> = if random() % 2 == 0 {
            (0..1 + random() % 100).map(|_| random() as u8).collect()
        } else {
            let mut packet = good.clone();
            for _ in 0..1 + random() % 4 {
                let at = random() % packet.len();
                packet[at] = random() as u8;
            }
            packet.truncate(1 + random() % packet.len());
            packet
        };
        if packet[0] >> 4 == 4 && packet.len() >= 20 && random() % 2 == 0 {
            packet[0] = 0x45;
            fix_ipv4(&mut packet);
        }
        raw.send_packet(&packet);
        while raw.packet_within(Duration::ZERO).await.is_some() {}
        if random() % 64 == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    sleep(TICK).await;
    assert_eq!(stack.counters().rx_packets, 5002);
    while raw.packet_within(TICK).await.is_some() {}
    raw.send(TcpFlags::ACK | TcpFlags::PSH, b"alive");
    let mut buf = [0; 5];
    timeout(TICK, stream.read_exact(&mut buf)).await.unwrap().unwrap();
    assert_eq!(&buf, b"alive");
}

/// Echo is answered from the address asked, with the same data.
// req: R792-1, R4443-7, R1122-10
#[tokio::test(start_paused = true)]
async fn echo_is_answered() {
    let (stack, mut raw) = raw_pair();
    for (us, them) in [(SERVER, CLIENT), ("2001:db8::1", "2001:db8::2")] {
        for len in [0, 1, 1400] {
            let data = pattern(len);
            let request = IcmpMessage::EchoRequest { id: 7, seq: 9, data: &data };
            raw.send_packet(&icmp(them, us, &request));
            let answer = raw.packet_within(TICK).await.expect("an answer");
            let ip = ip::parse(&answer).unwrap();
            assert_eq!((ip.src, ip.dst), (ip_of(us), ip_of(them)));
            assert_eq!(read_icmp(&ip), IcmpMessage::EchoReply { id: 7, seq: 9, data: &data });
        }
    }
    assert_eq!(stack.counters().tx_echo_replies, 6);
    // req: R792-2
    raw.send_packet(&icmp(CLIENT, "192.0.2.255", &IcmpMessage::EchoRequest { id: 1, seq: 1, data: b"" }));
    raw.silence(TICK).await;
}

/// A closed UDP port earns port unreachable that quotes the datagram.
// req: R768-4, R792-5, R4443-3, R4443-6
#[tokio::test(start_paused = true)]
async fn a_closed_udp_port_is_unreachable() {
    let (_stack, mut raw) = raw_pair();
    for (us, them, code, room) in [
        (SERVER, CLIENT, v4::PORT_UNREACHABLE, 576 - 28),
        ("2001:db8::1", "2001:db8::2", v6::PORT_UNREACHABLE, 1280 - 48),
    ] {
        for len in [10, 1400] {
            let datagram = udp(them, us, &pattern(len));
            raw.send_packet(&datagram);
            let answer = raw.packet_within(TICK).await.expect("an answer");
            let ip = ip::parse(&answer).unwrap();
            let quoted = &datagram[..datagram.len().min(room)];
            assert_eq!(read_icmp(&ip), IcmpMessage::Unreachable { code, quoted });
        }
    }
}

/// No error about broadcasts, ICMP errors or datagrams with a bad checksum; and no more than the rate allows.
// req: R792-4, R4443-4, R792-6, R4443-5
#[tokio::test(start_paused = true)]
async fn icmp_errors_keep_to_their_rules() {
    let (stack, mut raw) = raw_pair();
    let mut damaged = udp(CLIENT, SERVER, b"x");
    damaged[27] ^= 1;
    let about_ours = udp(SERVER, CLIENT, b"y");
    let error = IcmpMessage::Unreachable { code: 3, quoted: &about_ours };
    for silent in [
        udp(CLIENT, "192.0.2.255", b"x"),
        udp(CLIENT, "224.0.0.5", b"x"),
        udp("2001:db8::2", "ff02::1", b"x"),
        udp("0.0.0.0", SERVER, b"x"),
        damaged,
        icmp(CLIENT, SERVER, &error),
        icmp(CLIENT, SERVER, &IcmpMessage::Other { kind: 5, code: 0, rest: [0; 4], body: &about_ours }),
        icmp(CLIENT, SERVER, &IcmpMessage::Other { kind: 200, code: 0, rest: [0; 4], body: b"" }),
    ] {
        raw.send_packet(&silent);
        raw.silence(TICK).await;
    }
    sleep(Duration::from_secs(2)).await;
    for _ in 0..100 {
        raw.send_packet(&udp(CLIENT, SERVER, b"x"));
    }
    let mut answers = 0;
    while raw.packet_within(TICK).await.is_some() {
        answers += 1;
    }
    assert_eq!(answers, 10, "the bucket");
    assert_eq!(stack.counters().icmp_errors_limited, 90);
    sleep(Duration::from_millis(501)).await;
    for _ in 0..100 {
        raw.send_packet(&udp(CLIENT, SERVER, b"x"));
    }
    while raw.packet_within(TICK).await.is_some() {
        answers += 1;
    }
    assert_eq!(answers, 15, "then the rate");
}

/// Port unreachable about our SYN ends a connect; about another sequence number it means nothing.
// req: SHLD-26, MUST-54, R5927-1
#[tokio::test(start_paused = true)]
async fn an_icmp_error_refuses_a_connect() {
    let (stack, mut raw) = raw_pair();
    let connect = tokio::spawn(async move { (TcpStream::connect(&stack, addr(CLIENT, 80)).await, stack) });
    let syn = raw.packet().await;
    let mut forged = syn.to_vec();
    forged[24] ^= 0x40;
    raw.send_packet(&icmp(CLIENT, SERVER, &IcmpMessage::Unreachable { code: 3, quoted: &forged[..28] }));
    // req: R792-7
    raw.send_packet(&icmp(CLIENT, SERVER, &IcmpMessage::Unreachable { code: 3, quoted: &syn[..27] }));
    sleep(TICK).await;
    assert!(!connect.is_finished());
    raw.send_packet(&icmp(CLIENT, SERVER, &IcmpMessage::Unreachable { code: 3, quoted: &syn[..28] }));
    let (result, stack) = timeout(TICK, connect).await.unwrap().unwrap();
    assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(stack.counters().rx_icmp_errors, 2);
}

/// An unknown protocol is answered as such.
// req: R1122-12, R8200-4
#[tokio::test(start_paused = true)]
async fn an_unknown_protocol_is_unreachable() {
    let (_stack, mut raw) = raw_pair();
    let unknown = packet(CLIENT, SERVER, Protocol(200), b"what is this");
    raw.send_packet(&unknown);
    let answer = raw.packet_within(TICK).await.unwrap();
    let message = IcmpMessage::parse_v4(ip::parse(&answer).unwrap().payload).unwrap();
    assert_eq!(message, IcmpMessage::Unreachable { code: v4::PROTOCOL_UNREACHABLE, quoted: &unknown });
    let unknown = packet("2001:db8::2", "2001:db8::1", Protocol(200), b"what is this");
    raw.send_packet(&unknown);
    let answer = raw.packet_within(TICK).await.unwrap();
    let ip = ip::parse(&answer).unwrap();
    let message = read_icmp(&ip);
    assert_eq!(message, IcmpMessage::ParamProblem { code: 1, pointer: 6, quoted: &unknown });
}

/// An IPv6 header that its receiver cannot understand is reported, from our address, and not for a multicast address
/// unless the option asks for it.
// req: R8200-5
#[tokio::test(start_paused = true)]
async fn an_unknown_ipv6_option_is_a_parameter_problem() {
    let (_stack, mut raw) = raw_pair();
    let with_option = |dst: &str, option: u8| {
        let mut payload = vec![6, 0, option, 4, 0, 0, 0, 0];
        payload.extend_from_slice(&[0; 20]);
        packet("2001:db8::2", dst, Protocol(60), &payload)
    };
    for (dst, option, answered) in [
        ("2001:db8::1", 0x9e, true),
        ("2001:db8::1", 0xde, true),
        ("2001:db8::1", 0x5e, false),
        ("ff02::1", 0x9e, true),
        ("ff02::1", 0xde, false),
        ("2001:db8::77", 0x9e, false),
    ] {
        let sent = with_option(dst, option);
        raw.send_packet(&sent);
        let answer = raw.packet_within(TICK).await;
        assert_eq!(answer.is_some(), answered, "option {option:#x} to {dst}");
        let Some(answer) = answer else { continue };
        let ip = ip::parse(&answer).unwrap();
        assert_eq!(ip.src, ip_of("2001:db8::1"));
        let message = read_icmp(&ip);
        assert_eq!(message, IcmpMessage::ParamProblem { code: 2, pointer: 42, quoted: &sent });
    }
}
