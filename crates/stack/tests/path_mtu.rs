//! Path MTU discovery of whole stacks: what routers report, and who hears of it.

use std::time::Duration;

use crate::common::*;
use bytes::Bytes;
use netstack_wire::SeqNum;
use netstack_wire::icmp::IcmpMessage;
use netstack_wire::tcp::TcpFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::{TcpListener, TcpStream};

const TICK: Duration = Duration::from_millis(2);
const OTHER: &str = "192.0.2.3";

/// Opens a connection from `port` that takes full segments, and gives the stack's end.
async fn open(raw: &mut Raw, listener: &TcpListener, port: u16) -> TcpStream {
    // R1191-6
    let mss = if raw.remote.is_ipv6() { 1440 } else { 1460 };
    open_to(raw, listener, port, mss).await
}

/// The same where the stack says that it takes segments of `mss` octets.
async fn open_to(raw: &mut Raw, listener: &TcpListener, port: u16, mss: u16) -> TcpStream {
    raw.local.set_port(port);
    raw.seq = SeqNum(1000);
    let mut syn = raw.header(TcpFlags::SYN);
    syn.options.mss = Some(1460);
    raw.send_header(&syn, b"");
    raw.seq += 1;
    let seen = raw.recv().await;
    assert_eq!(seen.header.options.mss, Some(mss));
    raw.ack = seen.header.seq + 1;
    raw.send(TcpFlags::ACK, b"");
    listener.accept().await.unwrap().0
}

/// The packets that have come by now.
async fn flight(raw: &mut Raw) -> Vec<Bytes> {
    let mut packets = Vec::new();
    while let Some(packet) = raw.packet_within(TICK).await {
        packets.push(packet);
    }
    packets
}

/// Sizes of the packets, and where the first begins.
fn sizes(packets: &[Bytes]) -> (Option<SeqNum>, Vec<usize>) {
    let first = packets.first().map(|packet| parse(packet).header.seq);
    (first, packets.iter().map(Bytes::len).collect())
}

/// Both families: the address of the peer, and that of the stack.
const FAMILIES: [(&str, &str); 2] = [(CLIENT, SERVER), ("2001:db8::2", "2001:db8::1")];

/// A report makes segments smaller at once, and holds for the destination: for what begins later, and for other connections,
/// but not for other destinations.
// req: R1191-2, R8201-1, R8201-5, R8201-6, R1191-6
#[tokio::test(start_paused = true)]
async fn one_report_is_enough_for_a_destination() {
    for (local, remote) in FAMILIES {
        let (stack, mut raw) = raw_pair();
        let listener = TcpListener::bind(&stack, addr(remote, PORT)).await.unwrap();
        (raw.local, raw.remote) = (addr(local, 0), addr(remote, PORT));
        let mut other = open(&mut raw, &listener, 40_001).await;
        let mut stream = open(&mut raw, &listener, 40_000).await;
        let start = raw.ack;
        stream.write_all(&pattern(8_000)).await.unwrap();
        let sent = flight(&mut raw).await;
        assert_eq!(sizes(&sent).1[0], 1500);
        raw.send_packet(&too_big(&sent[0], 1300));
        let again = flight(&mut raw).await;
        let (first, lengths) = sizes(&again);
        assert_eq!(first, Some(start), "from the first lost octet on");
        assert!(lengths.iter().all(|len| *len <= 1300) && lengths[0] == 1300, "{lengths:?}");
        let info = stream.info().await.unwrap();
        assert_eq!((info.path_mtu, info.stats.path_mtu_reductions, info.stats.timeouts), (1300, 1, 0));

        other.write_all(&pattern(3_000)).await.unwrap();
        raw.local.set_port(40_001);
        assert_eq!(sizes(&flight(&mut raw).await).1[0], 1300, "the other connection knows");
        let mut third = open(&mut raw, &listener, 40_002).await;
        third.write_all(&pattern(3_000)).await.unwrap();
        assert_eq!(sizes(&flight(&mut raw).await).1[0], 1300, "and one that begins");
        if local == CLIENT {
            raw.local = addr(OTHER, 0);
            let mut elsewhere = open(&mut raw, &listener, 40_003).await;
            elsewhere.write_all(&pattern(3_000)).await.unwrap();
            assert_eq!(sizes(&flight(&mut raw).await).1[0], 1500, "another path is another path");
        }
    }
}

/// What is known grows old: ten minutes later a new connection starts with the link's MTU.
// req: R8201-5, R1191-5
#[tokio::test(start_paused = true)]
async fn what_is_known_grows_old() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let mut stream = open(&mut raw, &listener, 40_000).await;
    stream.write_all(&pattern(3_000)).await.unwrap();
    let sent = flight(&mut raw).await;
    raw.send_packet(&too_big(&sent[0], 1300));
    flight(&mut raw).await;
    raw.ack += 3_000;
    raw.send(TcpFlags::RST, b"");
    for (seconds, expected) in [(590, 1300), (20, 1500)] {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let mut late = open(&mut raw, &listener, 40_000 + seconds as u16).await;
        late.write_all(&pattern(1_500)).await.unwrap();
        assert_eq!(sizes(&flight(&mut raw).await).1[0], expected);
        raw.send(TcpFlags::RST, b"");
    }
}

/// Packets that TCP sends are never fragmented on their way, whatever they carry.
// req: R1191-1, R7323-22
#[tokio::test(start_paused = true)]
async fn no_packet_of_tcp_may_be_fragmented() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let mut stream = open(&mut raw, &listener, 40_000).await;
    stream.write_all(&pattern(5_000)).await.unwrap();
    let mut all = flight(&mut raw).await;
    raw.send_packet(&too_big(&all[0], 600));
    drop(stream);
    all.extend(flight(&mut raw).await);
    raw.ack += 5_001;
    raw.send(TcpFlags::ACK | TcpFlags::FIN, b"");
    all.extend(flight(&mut raw).await);
    // A reset for a segment that belongs to nobody.
    raw.local.set_port(41_000);
    raw.send(TcpFlags::ACK, b"");
    // A SYN, and its retransmission.
    let connecting = tokio::spawn({
        let stack = stack.clone();
        async move { TcpStream::connect(&stack, addr(CLIENT, 9)).await }
    });
    all.extend(flight(&mut raw).await);
    all.extend(raw.packet_within(Duration::from_secs(2)).await);
    connecting.abort();
    assert!(all.len() > 15, "{}", all.len());
    for packet in &all {
        assert_eq!(packet[6] & 0x60, 0x40, "DF alone: {:?}", parse(packet));
    }
}

/// Neither a report about what was never sent, nor a redirect or a source quench, changes anything.
// req: R8201-3, R8899-1, R5927-4, R792-8, R5927-5
#[tokio::test(start_paused = true)]
async fn what_nobody_sent_is_not_too_big() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let mut stream = open(&mut raw, &listener, 40_000).await;
    stream.write_all(&pattern(4_000)).await.unwrap();
    let sent = flight(&mut raw).await;
    let mut wrong_port = sent[0].to_vec();
    wrong_port[23] ^= 1;
    let mut wrong_seq = sent[0].to_vec();
    wrong_seq[27] ^= 1;
    for quoted in [&wrong_port, &wrong_seq] {
        raw.send_packet(&too_big(quoted, 600));
    }
    let (mut redirect, mut quench) = (sent[0].to_vec(), sent[0].to_vec());
    for (packet, kind, rest) in [(&mut redirect, 5, [192, 0, 2, 99]), (&mut quench, 4, [0; 4])] {
        *packet = about(packet, |body| IcmpMessage::Other { kind, code: 1, rest, body });
        raw.send_packet(packet);
    }
    raw.silence(TICK).await;
    let info = stream.info().await.unwrap();
    assert_eq!((info.path_mtu, info.soft_error), (1500, None));
    let counters = stack.counters();
    assert_eq!((counters.rx_icmp_unmatched, counters.drop_icmp_ignored), (1, 2));
    raw.ack += 4_000;
    raw.send(TcpFlags::ACK | TcpFlags::PSH, b"still here");
    let mut text = [0; 10];
    stream.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"still here");
}

/// Two stacks with a router between them that says what it takes; whoever writes, the bytes arrive as they were.
// req: R1191-2, R8201-1
#[tokio::test(start_paused = true)]
async fn a_transfer_survives_a_report_in_its_middle() {
    for (local, remote) in FAMILIES {
        let (stack, mut raw) = raw_pair();
        let listener = TcpListener::bind(&stack, addr(remote, PORT)).await.unwrap();
        (raw.local, raw.remote) = (addr(local, 0), addr(remote, PORT));
        let mut stream = open(&mut raw, &listener, 40_000).await;
        let text = pattern(300_000);
        let expected = text.clone();
        let start = raw.ack;
        tokio::spawn(async move { stream.write_all(&text).await });
        let mut got: Vec<u8> = Vec::new();
        let mut mtu = 1500;
        while got.len() < expected.len() {
            let packet = raw.packet_within(Duration::from_secs(5)).await.expect("more comes");
            mtu = match got.len() {
                0..50_000 => 1500,
                50_000..150_000 => 1400,
                _ => 1281,
            };
            if packet.len() > mtu {
                raw.send_packet(&too_big(&packet, mtu as u32));
                continue;
            }
            let seen = parse(&packet);
            let at = seen.header.seq.distance_from(start) as usize;
            if at <= got.len() && at + seen.payload.len() > got.len() {
                got.extend_from_slice(&seen.payload[got.len() - at..]);
            }
            raw.ack = start + got.len() as u32;
            raw.send(TcpFlags::ACK, b"");
        }
        assert!(got == expected, "byte for byte");
        assert_eq!(mtu, 1281);
    }
}

/// The clamp bounds both what is announced and what is sent.
// req: MUST-16
#[tokio::test(start_paused = true)]
async fn the_mss_clamp_holds_both_ways() {
    let mut config = tokio_netstack::TcpConfig::new();
    config.mss(1200);
    let (stack, mut raw) = raw_pair_with(|builder| builder.tcp_config(config));
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let mut stream = open_to(&mut raw, &listener, 40_000, 1200).await;
    stream.write_all(&pattern(4 * 1200)).await.unwrap();
    assert_eq!(sizes(&flight(&mut raw).await).1, [1240; 4]);
    let info = stream.info().await.unwrap();
    assert_eq!((info.mss, info.path_mtu), (1200, 1240));
}
