use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use netstack_wire::tcp::TcpFlags;
use tokio::io::AsyncReadExt;
use tokio_netstack::{TcpListener, TcpStream};

use super::{Change, Log, NetworkLog, Packet, PacketFate, ReadError, Record, Recording, Transport};
use crate::heap::{EndId, FlowConfig, Pick, Side, Victim};
use crate::heap::{Network, NetworkConfig, Pair, PairConfig, Receiver, Sender};
use crate::net::{Builder, block_on};
use crate::{LinkConfig, QueueLimit};

/// 60 kB over a narrow link that loses and has a short queue.
fn lossy(seed: u64) -> Log {
    let mut config = PairConfig::new(seed);
    config.a_to_b.rate(10_000_000).delay(Duration::from_millis(10)).loss(0.05).queue(QueueLimit::Packets(8));
    config.b_to_a.delay(Duration::from_millis(10));
    let recording = Recording::of_pair(&config);
    let mut pair = Pair::new(config, Sender::new(60_000), Receiver::new(), recording);
    pair.run();
    pair.into_observer().into_log()
}

fn json(log: &Log) -> Vec<u8> {
    let mut lines = Vec::new();
    log.write_json(&mut lines).unwrap();
    lines
}

#[test]
fn the_same_seed_gives_the_same_octets_and_another_seed_others() {
    assert_eq!(json(&lossy(3)), json(&lossy(3)));
    assert_ne!(json(&lossy(3)), json(&lossy(4)));
}

#[test]
fn json_lines_read_back_to_what_was_written() {
    let log = lossy(3);
    let mut back = Log::read_json(&json(&log)[..]).unwrap();
    for (packet, original) in back.packets_mut().zip(log.packets()) {
        // The one thing that the lines do not carry.
        packet.data = original.data.clone();
    }
    assert_eq!(back, log);
}

#[test]
fn every_fate_and_kind_of_record_is_in_the_log() {
    let log = lossy(3);
    let fates: Vec<_> = log.packets().map(|packet| packet.fate).collect();
    assert!(fates.contains(&PacketFate::Lost));
    assert!(fates.contains(&PacketFate::QueueFull));
    assert!(fates.iter().any(|fate| matches!(fate, PacketFate::Delivered { .. })));
    assert!(log.records.iter().any(|record| matches!(record, Record::Queue(depth) if depth.packets == 8)));
    assert!(
        log.records
            .iter()
            .any(|record| matches!(record, Record::Figures(figures) if figures.ssthresh.is_some()))
    );
    assert!(log.records.is_sorted_by_key(Record::t));
}

#[test]
fn the_states_of_both_ends_are_those_of_a_life() {
    let log = lossy(3);
    let path = |of: usize| -> Vec<&str> {
        let changes = log.records.iter().filter_map(|record| match record {
            Record::State(change) if change.end == of => Some(change.to.as_ref()),
            _ => None,
        });
        changes.collect()
    };
    let active = ["SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSED"];
    assert_eq!(path(0), active);
    // Its application closes within the instant in which the peer's FIN comes.
    assert_eq!(path(1), ["SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"]);
}

#[test]
fn a_timer_that_was_due_fired_and_time_wait_has_one_of_its_own() {
    let mut config = PairConfig::new(1);
    config.a_to_b.delay(Duration::from_millis(10));
    let syn = Victim::new(EndId { flow: 0, side: Side::A }, Pick::Flags(TcpFlags::SYN, 1));
    let flow = FlowConfig { a: config.a, b: config.b, a_to_b: vec![0], b_to_a: vec![1] };
    let links = vec![config.a_to_b, LinkConfig::new()];
    let network = NetworkConfig { seed: 1, links, flows: vec![flow], victims: vec![syn] };
    let recording = Recording::new(&network).link_names(["there"]);
    let mut network = Network::new(network, vec![(Sender::new(10), Receiver::new())], recording);
    network.run();
    let log = network.into_observer().into_log();
    assert_eq!(log.header.links[0].name, "there");
    assert_eq!(log.header.links[1].name, "link 1");
    let fired: Vec<_> = log
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Timer(timer) if timer.change == Change::Fired => {
                Some((timer.t / 1_000_000, timer.timer.as_ref()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(fired[0], (1000, "retransmit"));
    assert_eq!(fired.last().unwrap().1, "2msl");
}

#[test]
fn a_capture_of_a_log_reads_back_with_the_lost_ones() {
    let log = lossy(3);
    let mut octets = Vec::new();
    log.write_pcapng(&mut octets).unwrap();
    let back = Log::read_capture(&octets[..]).unwrap();
    assert_eq!(back.header.links, log.header.links);
    let shown = |packet: &Packet| {
        let lost = matches!(packet.fate, PacketFate::Lost | PacketFate::QueueFull);
        (packet.t, packet.link, packet.src, packet.dst, packet.size, lost, packet.transport.clone())
    };
    assert!(back.packets().map(shown).eq(log.packets().map(shown)));
}

#[test]
fn frames_of_ethernet_with_a_vlan_tag_are_read() {
    let log = lossy(3);
    let first = log.packets().next().unwrap();
    let mut frame = vec![0; 12];
    frame.extend([0x81, 0x00, 0x00, 0x07, 0x08, 0x00]);
    frame.extend_from_slice(&first.data);
    let link = pcap_file::DataLink::ETHERNET;
    assert_eq!(super::link_layer::header_len(link, &frame), Some(18));
    assert_eq!(super::link_layer::header_len(link, &frame[..13]), None);
}

#[test]
fn a_packet_of_which_only_the_head_was_kept_has_its_whole_length() {
    let log = lossy(3);
    let data = log.packets().find(|packet| packet.size > 1400).unwrap();
    let head = data.data.slice(..60);
    let parsed = Packet::parse(0, 0, head, data.size, PacketFate::Seen).unwrap();
    assert_eq!(parsed.transport, data.transport);
    assert!(matches!(parsed.transport, Transport::Tcp(segment) if segment.len > 1400));
}

/// A pcap file of the packets of a log as `tcpdump` writes it: byte order, nanoseconds, kind of link, octets kept of a packet.
fn pcap(log: &Log, big: bool, nanos: bool, link: u32, snap: usize) -> Vec<u8> {
    let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let header: &[u8] = match link {
        1 => &[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0x08, 0x00],
        113 => &[0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 1, 0, 0, 0x08, 0x00],
        276 => &[0x08, 0x00, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 0, 0, 0, 0, 0, 1, 0, 0],
        _ => &[],
    };
    let version = if big { [0, 2, 0, 4] } else { [2, 0, 4, 0] };
    let mut octets = word(if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }).to_vec();
    octets.extend(version);
    octets.extend([0, 0, snap as u32, link].map(word).concat());
    for packet in log.packets() {
        let frame = [header, &packet.data].concat();
        let kept = &frame[..frame.len().min(snap)];
        // Long after the epoch, as a clock would have it.
        let seconds = 1_700_000_000 + (packet.t / 1_000_000_000) as u32;
        let part = (packet.t % 1_000_000_000) as u32 / if nanos { 1 } else { 1_000 };
        octets.extend([seconds, part, kept.len() as u32, frame.len() as u32].map(word).concat());
        octets.extend_from_slice(kept);
    }
    octets
}

#[test]
fn captures_of_every_clock_byte_order_and_kind_of_link_are_read_alike() {
    let log = lossy(3);
    let start = log.packets().next().unwrap().t;
    for (big, nanos, snap) in kinds_of_captures() {
        for link in [1, 101, 113, 276] {
            let back = Log::read_capture(&pcap(&log, big, nanos, link, snap)[..]).unwrap();
            let unit = if nanos { 1 } else { 1_000 };
            let shown = |packet: &Packet, t: u64| (t / unit, packet.size, packet.transport.clone());
            let read = back.packets().map(|packet| shown(packet, packet.t));
            let sent = log.packets().map(|packet| shown(packet, packet.t - start));
            assert!(read.eq(sent), "big-endian {big}, nanoseconds {nanos}, {snap} octets kept, link {link}");
        }
    }
}

/// Byte order, clock, and how much of a packet is kept: all of it, or the headers.
fn kinds_of_captures() -> impl Iterator<Item = (bool, bool, usize)> {
    (0..8).map(|place| (place & 1 > 0, place & 2 > 0, if place & 4 > 0 { 100 } else { 262_144 }))
}

#[test]
fn a_capture_that_was_cut_off_or_is_foreign_is_refused_with_what_to_do() {
    let log = lossy(3);
    let problem = |octets: &[u8]| Log::read_capture(octets).unwrap_err().to_string();
    let whole = pcap(&log, false, false, 1, 262_144);
    assert!(
        problem(&whole[..whole.len() - 7]).contains("cut off") && problem(&whole[..10]).contains("cut off")
    );
    let mut octets = Vec::new();
    log.write_pcapng(&mut octets).unwrap();
    assert!(
        problem(&octets[..octets.len() - 3])
            .contains(&format!("after {} packets", log.packets().count() - 1))
    );
    assert!(problem(&[0x1f, 0x8b, 8, 0, 0]).contains("gunzip"));
    assert!(
        problem(&pcap(&log, false, false, 143, 262_144)).contains("Ethernet, Linux cooked and raw IP can")
    );
}

#[test]
fn octets_that_are_no_packet_give_none() {
    for octets in [&[][..], &[0x45], &[0xff; 40], &[0; 1500]] {
        assert_eq!(Packet::parse(0, 0, Bytes::copy_from_slice(octets), octets.len(), PacketFate::Seen), None);
    }
}

#[test]
fn what_is_no_trace_is_refused_with_the_line_that_is_wrong() {
    let problem = |text: &str| Log::read_json(text.as_bytes()).unwrap_err().to_string();
    assert!(problem("").contains("empty"));
    assert!(problem("{\"schema\":\"other\",\"links\":[],\"ends\":[]}").contains("other"));
    let header = "{\"schema\":\"netstack-trace 1\",\"links\":[],\"ends\":[]}\n";
    assert!(problem(&format!("{header}nonsense")).starts_with("line 2:"));
    let stray = "{\"type\":\"queue\",\"t\":0,\"link\":0,\"bytes\":0,\"packets\":0}";
    assert!(problem(&format!("{header}\n{stray}")).starts_with("line 3: it names a link"));
    assert!(matches!(Log::read_capture(&b"hello"[..]), Err(ReadError::Capture(_))));
}

#[test]
fn a_network_of_stacks_is_kept_link_by_link() {
    block_on(async {
        let seen = Arc::new(Mutex::new(NetworkLog::new()));
        let mut net = Builder::new(1);
        net.observer(Arc::clone(&seen));
        let client = net.host("client", &["192.0.2.1"]);
        let router = net.router("router", &["203.0.113.1"]);
        let server = net.host("server", &["198.51.100.1"]);
        let mut config = LinkConfig::new();
        config.delay(Duration::from_millis(1));
        net.chain(&[client, router, server], &config);
        let net = net.build().unwrap();
        let listener = TcpListener::bind(&net.stack(server), ([198, 51, 100, 1], 7)).await.unwrap();
        let mut stream = TcpStream::connect(&net.stack(client), ([198, 51, 100, 1], 7)).await.unwrap();
        drop(listener.accept().await.unwrap());
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        let log = seen.lock().unwrap().log(&net);
        let names: Vec<_> = log.header.links.iter().map(|link| link.name.as_str()).collect();
        assert_eq!(names, ["client to router", "router to server", "server to router", "router to client"]);
        let syn: Vec<_> = log.packets().take(2).map(|packet| (packet.t, packet.link, packet.fate)).collect();
        let at = |at| PacketFate::Delivered { at, copy: None };
        assert_eq!(syn, [(syn[0].0, 0, at(syn[1].0)), (syn[0].0 + 1_000_000, 1, at(syn[1].0 + 1_000_000))]);
        assert_eq!(Log::read_json(&json(&log)[..]).unwrap().packets().count(), log.packets().count());
    });
}
