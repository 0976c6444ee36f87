//! Pings: those that the stack sends, and those that it answers.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::common::*;
use bytes::Bytes;
use netstack_wire::icmp::{IcmpMessage, v4};
use netstack_wire::ip;
use tokio::time::{Instant, timeout};
use tokio_netstack::{IcmpNotice, PingError, PingFailure, Stack};

const TICK: Duration = Duration::from_millis(2);
const TARGET: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// A packet with `message`, to the stack.
fn packet(src: &str, message: &IcmpMessage<'_>) -> Vec<u8> {
    icmp(src, SERVER, message)
}

/// Identifier, sequence number and data of an echo request.
fn request(packet: &Bytes) -> (u16, u16, Vec<u8>) {
    let parsed = ip::parse(packet).unwrap();
    match IcmpMessage::parse_v4(parsed.payload).unwrap() {
        IcmpMessage::EchoRequest { id, seq, data } => (id, seq, data.to_vec()),
        other => panic!("{other:?}"),
    }
}

/// Starts a ping to the raw peer, and gives the request that came.
async fn start(
    stack: &Stack,
    raw: &mut Raw,
) -> (tokio::task::JoinHandle<std::io::Result<tokio_netstack::PingReply>>, Bytes) {
    let ping = tokio::spawn(stack.ping(TARGET).send());
    let packet = raw.packet_within(Duration::from_secs(1)).await.expect("a request leaves");
    (ping, packet)
}

/// Both families, from no data to what fills a packet.
// req: R792-1, R4443-1, R4443-7
#[tokio::test(start_paused = true)]
async fn a_stack_answers_another() {
    let (_server, client) = stacks();
    for (target, largest) in [(SERVER, 1472), ("2001:db8::1", 1452)] {
        let target: IpAddr = target.parse().unwrap();
        for len in [0, 1, 8, 56, 1000, largest, 4000, 65_507] {
            let reply = client.ping(target).data_len(len).await.unwrap();
            assert_eq!((reply.from, reply.data_len, reply.hop_limit), (target, len, 64));
        }
    }
    assert_eq!(client.counters().rx_echo_replies, 16);
}

#[tokio::test(start_paused = true)]
async fn the_round_trip_is_measured_and_the_hop_limit_set() {
    let (stack, mut raw) = raw_pair();
    let ping = tokio::spawn(stack.ping(TARGET).hop_limit(3).data_len(100).send());
    let sent = raw.packet().await;
    assert_eq!((sent.len(), ip::parse(&sent).unwrap().hop_limit), (128, 3));
    let (id, seq, data) = request(&sent);
    tokio::time::sleep(Duration::from_millis(30)).await;
    raw.send_packet(&packet(CLIENT, &IcmpMessage::EchoReply { id, seq, data: &data }));
    let reply = ping.await.unwrap().unwrap();
    assert!((30..33).contains(&reply.rtt.as_millis()), "{reply:?}");
    assert_eq!(reply.from, IpAddr::from(TARGET));
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_timeout_and_a_late_answer_is_nobodys() {
    let (stack, mut raw) = raw_pair();
    let began = Instant::now();
    let error = stack.ping(TARGET).timeout(Duration::from_millis(700)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(began.elapsed().as_millis(), 700);
    let (id, seq, data) = request(&raw.packet().await);
    raw.send_packet(&packet(CLIENT, &IcmpMessage::EchoReply { id, seq, data: &data }));
    raw.silence(TICK).await;
    assert_eq!(stack.counters().drop_icmp_ignored, 1);
}

/// Whoever drops the future gives the wait up.
#[tokio::test(start_paused = true)]
async fn a_ping_can_be_dropped_at_any_time() {
    let (stack, _raw) = raw_pair_of_depth(1024, |device| builder(device, 1).build().unwrap());
    for _ in 0..3 {
        let mut pings: Vec<_> = (0..300).map(|_| Box::pin(stack.ping(TARGET).send())).collect();
        for ping in &mut pings {
            assert!(timeout(Duration::ZERO, ping).await.is_err());
        }
    }
    let mut waiting: Vec<_> = (0..1024).map(|_| Box::pin(stack.ping(TARGET).send())).collect();
    for ping in &mut waiting {
        assert!(timeout(Duration::ZERO, ping).await.is_err());
    }
    let error = stack.ping(TARGET).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy, "each of them waits, and no more");
}

/// An answer counts only from the target, with all that was sent; an error only if it quotes the request.
// req: R792-7
#[tokio::test(start_paused = true)]
async fn forged_answers_are_ignored() {
    let (stack, mut raw) = raw_pair();
    let (ping, sent) = start(&stack, &mut raw).await;
    let (id, seq, data) = request(&sent);
    let mut changed = data.clone();
    changed[3] ^= 1;
    let mut quoted = sent.to_vec();
    quoted[25] ^= 1;
    let code = v4::PORT_UNREACHABLE;
    for forged in [
        packet("192.0.2.3", &IcmpMessage::EchoReply { id, seq, data: &data }),
        packet(CLIENT, &IcmpMessage::EchoReply { id: id ^ 1, seq, data: &data }),
        packet(CLIENT, &IcmpMessage::EchoReply { id, seq: seq ^ 1, data: &data }),
        packet(CLIENT, &IcmpMessage::EchoReply { id, seq, data: &changed }),
        packet(CLIENT, &IcmpMessage::EchoReply { id, seq, data: &data[1..] }),
        packet("192.0.2.3", &IcmpMessage::Unreachable { code, quoted: &quoted[..28] }),
        packet("192.0.2.3", &IcmpMessage::Unreachable { code, quoted: &sent[..27] }),
        packet("192.0.2.3", &IcmpMessage::TooBig { mtu: 576, quoted: &quoted[..28] }),
    ] {
        raw.send_packet(&forged);
    }
    raw.silence(TICK).await;
    assert!(!ping.is_finished());
    raw.send_packet(&packet(CLIENT, &IcmpMessage::EchoReply { id, seq, data: &data }));
    ping.await.unwrap().unwrap();
}

/// What an ICMP error says is the error, with who said so.
// req: R792-7
#[tokio::test(start_paused = true)]
async fn errors_on_the_path_are_told() {
    let (stack, mut raw) = raw_pair();
    let cases = [
        (IcmpNotice::NetworkUnreachable, ErrorKind::NetworkUnreachable),
        (IcmpNotice::HostUnreachable, ErrorKind::HostUnreachable),
        (IcmpNotice::TimeExceeded, ErrorKind::HostUnreachable),
        (IcmpNotice::ParameterProblem, ErrorKind::HostUnreachable),
    ];
    for (notice, kind) in cases {
        let (ping, sent) = start(&stack, &mut raw).await;
        let quoted = &sent[..28];
        let message = match notice {
            IcmpNotice::NetworkUnreachable => IcmpMessage::Unreachable { code: 0, quoted },
            IcmpNotice::HostUnreachable => IcmpMessage::Unreachable { code: 1, quoted },
            IcmpNotice::TimeExceeded => IcmpMessage::TimeExceeded { code: 0, quoted },
            _ => IcmpMessage::ParamProblem { code: 0, pointer: 1, quoted },
        };
        raw.send_packet(&packet("198.51.100.1", &message));
        let error = ping.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), kind);
        let inner = error.get_ref().unwrap().downcast_ref::<PingError>().unwrap();
        assert_eq!(inner.from, "198.51.100.1".parse::<IpAddr>().unwrap());
        assert_eq!(inner.reason, PingFailure::Notice(notice));
        assert!(error.to_string().starts_with("198.51.100.1 answers: "), "{error}");
    }
}

/// A report that a ping was too big is remembered for the destination.
// req: R8201-5
#[tokio::test(start_paused = true)]
async fn a_ping_learns_the_path() {
    let (stack, mut raw) = raw_pair();
    let ping = tokio::spawn(stack.ping(TARGET).data_len(1472).dont_fragment(true).send());
    let sent = raw.packet().await;
    raw.send_packet(&packet("198.51.100.1", &IcmpMessage::TooBig { mtu: 1300, quoted: &sent[..28] }));
    let error = ping.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("1300"), "{error}");
    let error = stack.ping(TARGET).data_len(1472).dont_fragment(true).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "known without asking the path");
    let connecting = tokio::spawn({
        let stack = stack.clone();
        async move { tokio_netstack::TcpStream::connect(&stack, addr(CLIENT, 9)).await }
    });
    raw.local.set_port(9);
    raw.accept().await;
    let stream = connecting.await.unwrap().unwrap();
    assert_eq!(stream.info().await.unwrap().path_mtu, 1300);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_pinged_is_refused_at_once() {
    let (stack, mut raw) = raw_pair();
    for target in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "ff02::1", "::"] {
        let error = stack.ping(target.parse::<IpAddr>().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{target}");
    }
    let error = stack.ping(TARGET).data_len(65_508).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    raw.silence(TICK).await;
    let waiting = tokio::spawn(stack.ping(TARGET).send());
    raw.packet().await;
    stack.abort().await;
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::NetworkDown);
    assert_eq!(stack.ping(TARGET).await.unwrap_err().kind(), ErrorKind::NetworkDown);
}

/// A flood of pings is answered at the rate that is set.
#[tokio::test(start_paused = true)]
async fn echo_replies_have_a_rate() {
    let (stack, mut raw) = raw_pair_with(|builder| builder.echo_reply_rate(5, 10));
    for seq in 0..100 {
        raw.send_packet(&packet(CLIENT, &IcmpMessage::EchoRequest { id: 7, seq, data: b"flood" }));
    }
    let mut answers = 0;
    while raw.packet_within(TICK).await.is_some() {
        answers += 1;
    }
    assert_eq!(answers, 5);
    let counters = stack.counters();
    assert_eq!((counters.tx_echo_replies, counters.echo_limited), (5, 95));
    tokio::time::sleep(Duration::from_millis(200)).await;
    for seq in 0..10 {
        raw.send_packet(&packet(CLIENT, &IcmpMessage::EchoRequest { id: 8, seq, data: b"flood" }));
    }
    tokio::time::sleep(TICK).await;
    assert_eq!(stack.counters().tx_echo_replies, 7, "two more after a fifth of a second");
}
