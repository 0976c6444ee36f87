//! Datagrams in pieces, received and sent.

use std::time::Duration;

use crate::common::*;
use bytes::Bytes;
use netstack_wire::icmp::IcmpMessage;
use netstack_wire::ip::{self, Fragment, IpHeader, Protocol};
use netstack_wire::tcp::TcpFlags;
use tokio_netstack::device::Capabilities;
use tokio_netstack::{Stack, TcpListener};

const TICK: Duration = Duration::from_millis(2);

const FAMILIES: [(&str, &str); 2] = [(CLIENT, SERVER), ("2001:db8::2", "2001:db8::1")];

/// One fragment of a whole packet: `len` octets of its payload from `offset` on.
fn fragment(whole: &[u8], id: u32, offset: usize, len: usize) -> Vec<u8> {
    let parsed = ip::parse(whole).unwrap();
    let data = &parsed.payload[offset..offset + len];
    let mut header = IpHeader::new(parsed.src, parsed.dst, parsed.protocol, len);
    header.dont_fragment = false;
    header.ecn = parsed.ecn;
    header.fragment = Some(Fragment { offset: offset as u16, more: offset + len < parsed.payload.len(), id });
    let mut packet = vec![0; header.header_len()];
    header.emit(&mut packet);
    packet.extend_from_slice(data);
    packet
}

/// All fragments of a whole packet, of `size` octets each.
fn fragments(whole: &[u8], id: u32, size: usize) -> Vec<Vec<u8>> {
    let len = ip::parse(whole).unwrap().payload.len();
    let starts = (0..len).step_by(size);
    starts.map(|offset| fragment(whole, id, offset, size.min(len - offset))).collect()
}

fn echo(them: &str, us: &str, seq: u16, data: &[u8]) -> Vec<u8> {
    icmp(them, us, &IcmpMessage::EchoRequest { id: 7, seq, data })
}

/// The payload of an answer that may be in fragments, as the stack sent it: in order.
async fn answer(raw: &mut Raw, mtu: usize) -> Option<(Vec<u8>, Vec<u32>)> {
    let mut payload = Vec::new();
    let mut ids = Vec::new();
    loop {
        let packet = raw.packet_within(TICK).await?;
        assert!(packet.len() <= mtu, "{} octets", packet.len());
        let parsed = ip::parse(&packet).unwrap();
        assert!(parsed.hop_limit > 0);
        let Some(Fragment { offset, more, id }) = parsed.fragment else {
            return Some((parsed.payload.to_vec(), ids));
        };
        assert!(!parsed.src.is_ipv4() || !parsed.dont_fragment);
        assert_eq!(usize::from(offset), payload.len());
        payload.extend_from_slice(parsed.payload);
        ids.push(id);
        if !more {
            return Some((payload, ids));
        }
    }
}

/// Echo requests in fragments, in the order given or backwards, are answered with as many octets, in fragments that fit the
/// link; each answer has one identification, and each another.
// req: R791-2, R8200-20, R8200-10, R6864-1
#[tokio::test(start_paused = true)]
async fn a_long_echo_comes_back_in_fragments() {
    for mtu in [1280, 1500] {
        let (stack, mut raw) =
            raw_pair_on(Capabilities::ip(mtu), 512, |device| builder(device, 1).build().unwrap());
        for (them, us) in FAMILIES {
            let mut seen = Vec::new();
            for (seq, len) in [1473, 3000, 20_000, 65_507].into_iter().enumerate() {
                let data = pattern(len);
                let mut pieces = fragments(&echo(them, us, seq as u16, &data), 100 + seq as u32, 1224);
                if seq % 2 == 1 {
                    pieces.reverse();
                }
                for piece in &pieces {
                    raw.send_packet(piece);
                }
                let (payload, ids) = answer(&mut raw, mtu).await.expect("an answer");
                assert_eq!(payload.len(), 8 + len);
                assert_eq!(payload[8..], data, "{len} octets from {them}");
                assert!(ids.iter().all(|&id| id == ids[0]) && !seen.contains(&ids[0]), "{ids:?} {seen:?}");
                assert_ne!(
                    ids[0].wrapping_sub(1),
                    seen.last().copied().unwrap_or(ids[0]),
                    "no plain counter"
                );
                seen.push(ids[0]);
            }
        }
        let counters = stack.counters();
        assert_eq!((counters.rx_reassembled, counters.tx_fragmented), (8, 8));
        assert_eq!(counters.iter().filter(|(name, n)| name.starts_with("drop") && *n > 0).count(), 0);
    }
}

/// A segment that comes in fragments reaches its listener, with its checksum verified.
// req: R791-2, R8200-20
#[tokio::test(start_paused = true)]
async fn the_checksum_of_a_reassembled_segment_is_verified() {
    let (stack, mut raw) = raw_pair();
    let mut listeners = Vec::new();
    for (them, us) in FAMILIES {
        (raw.local, raw.remote) = (addr(them, 40000), addr(us, PORT));
        listeners.push(TcpListener::bind(&stack, raw.remote).await.unwrap());
        let syn = segment(raw.local.ip(), raw.remote.ip(), &raw.header(TcpFlags::SYN), &[7; 40]);
        let mut damaged = syn.clone();
        *damaged.last_mut().unwrap() ^= 1;
        for piece in fragments(&damaged, 1, 32) {
            raw.send_packet(&piece);
        }
        raw.silence(TICK).await;
        for piece in fragments(&syn, 2, 32) {
            raw.send_packet(&piece);
        }
        assert!(raw.recv_within(TICK).await.unwrap().has(TcpFlags::SYN | TcpFlags::ACK));
    }
    assert_eq!((stack.counters().drop_bad_checksum, stack.counters().rx_reassembled), (2, 4));
}

/// After 60 seconds the sender hears that its datagram was not whole, if its first fragment has come; with nothing to wait
/// for no timer runs.
// req: R791-3, R8200-21, R5722-1
#[tokio::test(start_paused = true)]
async fn what_stays_in_pieces_is_given_up_after_a_minute() {
    let (stack, mut raw) = raw_pair();
    for (them, us) in FAMILIES {
        let request = echo(them, us, 1, &pattern(3000));
        let pieces = fragments(&request, 1, 1000);
        raw.send_packet(&pieces[0]);
        // Without the first, and one discarded for an overlap: nobody is told.
        raw.send_packet(&fragments(&request, 2, 1000)[1]);
        raw.send_packet(&fragments(&request, 3, 1000)[0]);
        raw.send_packet(&fragment(&request, 3, 992, 1000));
        assert!(raw.packet_within(Duration::from_millis(59_999)).await.is_none());
        raw.send_packet(&pieces[2]);
        let error = raw.packet_within(Duration::from_millis(5)).await.expect("time exceeded");
        let parsed = ip::parse(&error).unwrap();
        assert_eq!((parsed.src.to_string(), parsed.dst.to_string()), (us.into(), them.into()));
        let room = if parsed.src.is_ipv4() { 576 - 28 } else { 1280 - 48 };
        let quoted = &pieces[0][..pieces[0].len().min(room)];
        assert_eq!(read_icmp(&parsed), IcmpMessage::TimeExceeded { code: 1, quoted });
        assert!(raw.packet_within(Duration::from_secs(100)).await.is_none());
        raw.send_packet(&pieces[1]);
        assert!(raw.packet_within(TICK).await.is_none(), "the others are gone");
        tokio::time::sleep(Duration::from_secs(61)).await;
    }
    let counters = stack.counters();
    assert_eq!((counters.reassembly_timeouts, counters.drop_fragment_overlap), (6, 2));
}

/// What waits is given up in time though there is no device left, and again when there is one.
// req: R791-3, R8900-1
#[tokio::test(start_paused = true)]
async fn what_stays_in_pieces_is_given_up_without_a_device() {
    let (stack, mut raw) = raw_pair();
    let (them, us) = FAMILIES[0];
    for round in 1..=2 {
        raw.send_packet(&fragments(&echo(them, us, 1, &pattern(3000)), round, 1000)[1]);
        tokio::time::sleep(TICK).await;
        stack.remove_device(round as usize - 1).unwrap();
        tokio::time::sleep(Duration::from_millis(59_900)).await;
        assert_eq!(stack.counters().reassembly_timeouts, u64::from(round) - 1);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(stack.counters().reassembly_timeouts, u64::from(round));
        let (device, peer) = raw_device(Capabilities::ip(1500), 64);
        raw = peer;
        let index = stack.add_device(device).unwrap();
        stack.add_address("192.0.2.1/24".parse().unwrap(), index).unwrap();
    }
}

/// Fragments that overlap discard their datagram, and what comes of it later; another datagram is not touched.
// req: R5722-1, R791-5
#[tokio::test(start_paused = true)]
async fn overlapping_fragments_are_not_answered() {
    let (stack, mut raw) = raw_pair();
    for (them, us) in FAMILIES {
        let request = echo(them, us, 1, &pattern(3000));
        let pieces = fragments(&request, 1, 1000);
        let others = fragments(&request, 2, 1000);
        for packet in [&pieces[0], &others[0], &fragment(&request, 1, 992, 1000)] {
            raw.send_packet(packet);
        }
        for packet in &pieces {
            raw.send_packet(packet);
        }
        assert!(raw.packet_within(TICK).await.is_none());
        // Exact duplicates are no overlap.
        for packet in [&others[0], &others[1], &others[1], &others[2], &others[3]] {
            raw.send_packet(packet);
        }
        assert!(answer(&mut raw, 1500).await.is_some());
    }
    let counters = stack.counters();
    assert_eq!((counters.drop_fragment_overlap, counters.drop_fragment_late), (2, 8));
    assert_eq!((counters.drop_fragment_duplicate, counters.rx_reassembled), (4, 2));
}

/// A fragment that is whole by itself is handled alone, though others of its identification wait.
// req: R6946-1
#[tokio::test(start_paused = true)]
async fn an_atomic_fragment_is_never_mixed_with_others() {
    let (stack, mut raw) = raw_pair();
    let (them, us) = FAMILIES[1];
    let request = echo(them, us, 1, &pattern(3000));
    let pieces = fragments(&request, 9, 1200);
    raw.send_packet(&pieces[0]);
    raw.send_packet(&pieces[1]);
    let small = echo(them, us, 2, b"alone");
    raw.send_packet(&fragment(&small, 9, 0, 13));
    let (payload, _) = answer(&mut raw, 1500).await.expect("the atomic one is answered at once");
    assert_eq!(payload[8..], *b"alone");
    raw.send_packet(&pieces[2]);
    let (payload, _) = answer(&mut raw, 1500).await.expect("the others are still there");
    assert_eq!(payload.len(), 3008);
    assert_eq!(stack.counters().rx_fragments, 3);
}

/// A fragment of IPv4 that cannot be takes its datagram along.
// req: R791-4
#[tokio::test(start_paused = true)]
async fn an_impossible_fragment_discards_its_datagram() {
    let (stack, mut raw) = raw_pair();
    let request = echo(CLIENT, SERVER, 1, &pattern(1000));
    for (id, offset_and_more, len) in [(1, 0x2000 | 8, 60), (2, 0x1fff, 64)] {
        let pieces = fragments(&request, id, 504);
        raw.send_packet(&pieces[0]);
        // Not a multiple of 8 and not the last; past octet 65,535.
        let mut bad = fragment(&request, id, 8, len);
        bad[6..8].copy_from_slice(&u16::to_be_bytes(offset_and_more));
        bad[10..12].fill(0);
        let sum = netstack_wire::checksum::checksum(&bad[..20]);
        bad[10..12].copy_from_slice(&sum.to_be_bytes());
        raw.send_packet(&bad);
        raw.send_packet(&pieces[1]);
        assert!(raw.packet_within(TICK).await.is_none());
    }
    let counters = stack.counters();
    assert_eq!((counters.drop_bad_fragment, counters.drop_fragment_late), (2, 2));
    assert!(raw.packet_within(Duration::from_secs(100)).await.is_none());
}

/// What is wrong with a fragment of IPv6 is said with the place of the fault.
// req: R8200-22, R8200-23
#[tokio::test(start_paused = true)]
async fn an_impossible_ipv6_fragment_is_a_parameter_problem() {
    let (_stack, mut raw) = raw_pair();
    let (them, us) = FAMILIES[1];
    let fragment_of = |next: u8, place: u16, payload: &[u8]| {
        let [a, b] = place.to_be_bytes();
        packet(them, us, Protocol(44), &[&[next, 0, a, b, 0, 0, 0, 1], payload].concat())
    };
    for (sent, code, pointer) in [
        (fragment_of(58, 1, &[1; 60]), 0, 4),
        (fragment_of(58, 65_528, &[1; 8]), 0, 42),
        (fragment_of(6, 1, &[1; 16]), 3, 0),
        (fragment_of(60, 1, &[6, 9, 1, 4, 0, 0, 0, 0]), 3, 0),
    ] {
        raw.send_packet(&sent);
        let error = raw.packet_within(TICK).await.expect("a parameter problem");
        let parsed = ip::parse(&error).unwrap();
        assert_eq!(read_icmp(&parsed), IcmpMessage::ParamProblem { code, pointer, quoted: &sent });
    }
}

/// Fragments within a fragment are not put together.
#[tokio::test(start_paused = true)]
async fn fragments_are_not_nested() {
    let (stack, mut raw) = raw_pair();
    let (them, us) = FAMILIES[1];
    let inner = fragments(&echo(them, us, 1, &pattern(100)), 5, 56);
    let outer = packet(them, us, Protocol(200), &inner[0][40..]);
    for mut piece in fragments(&outer, 6, 32) {
        piece[40] = 44;
        raw.send_packet(&piece);
    }
    assert!(raw.packet_within(TICK).await.is_none());
    assert_eq!((stack.counters().rx_reassembled, stack.counters().drop_bad_fragment), (1, 1));
}

/// A small TCP fragment neither hides the header nor replaces a part of it.
// req: R8900-2
#[tokio::test(start_paused = true)]
async fn tiny_tcp_fragments_are_dropped() {
    let (stack, mut raw) = raw_pair();
    let _listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
    let syn = segment(raw.local.ip(), raw.remote.ip(), &raw.header(TcpFlags::SYN), &[0; 44]);
    for (offset, len) in [(0, 8), (8, 56), (0, 16), (16, 48)] {
        raw.send_packet(&fragment(&syn, offset as u32 / 16, offset, len));
        raw.silence(TICK).await;
    }
    assert_eq!(stack.counters().drop_fragment_tiny, 3);
    for piece in fragments(&syn, 9, 24) {
        raw.send_packet(&piece);
    }
    assert!(raw.recv_within(TICK).await.unwrap().has(TcpFlags::SYN | TcpFlags::ACK));
}

/// A flood of first fragments takes no more memory than it may, and neither an open connection nor the fragments of another
/// host suffer.
// req: R8900-1
#[tokio::test(start_paused = true)]
async fn a_flood_of_first_fragments_does_no_harm() {
    let (stack, mut raw) = raw_pair_of_depth(4096, |device| {
        builder(device, 1).reassembly_memory(1 << 20, 1 << 18).build().unwrap()
    });
    let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let honest = fragments(&echo("192.0.2.3", SERVER, 1, &pattern(2000)), 1, 1000);
    raw.send_packet(&honest[0]);
    let flood = echo("192.0.2.4", SERVER, 1, &pattern(2000));
    for id in 0..3000 {
        raw.send_packet(&fragment(&flood, id, 0, 1400));
    }
    tokio::time::sleep(TICK).await;
    raw.send(TcpFlags::ACK | TcpFlags::PSH, b"alive");
    let mut buf = [0; 5];
    tokio::time::timeout(TICK, tokio::io::AsyncReadExt::read_exact(&mut stream, &mut buf))
        .await
        .unwrap()
        .unwrap();
    assert!(raw.recv_within(Duration::from_secs(1)).await.unwrap().has(TcpFlags::ACK));
    raw.send_packet(&honest[1]);
    raw.send_packet(&honest[2]);
    assert!(answer(&mut raw, 1500).await.is_some(), "of another source than the flood's");
    let evicted = stack.counters().reassembly_evicted;
    assert!((2800..3000).contains(&evicted), "{evicted} given up");
}

/// Fragments that find the device full are counted, and no half of an answer is sent twice.
#[tokio::test(start_paused = true)]
async fn an_answer_longer_than_the_devices_queue_is_given_up() {
    let (stack, mut raw): (Stack, Raw) = raw_pair_of_depth(16, |device| builder(device, 1).build().unwrap());
    let request = echo(CLIENT, SERVER, 1, &pattern(30_000));
    for piece in fragments(&request, 1, 1400) {
        raw.send_packet(&piece);
        tokio::task::yield_now().await;
    }
    let mut sent: Vec<Bytes> = Vec::new();
    while let Some(packet) = raw.packet_within(TICK).await {
        sent.push(packet);
    }
    assert_eq!(sent.len(), 16);
    assert_eq!((stack.counters().tx_replies_dropped, stack.counters().tx_fragments), (1, 16));
}
