//! The same messages over TCP and over UDP, on links that lose alike.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use netstack_sim::heap::{Pair, PairConfig};
use netstack_sim::record::{LinkName, Log, Packet, PacketFate, Record, Recording};
use netstack_sim::{Fate, Link, LinkConfig};
use netstack_tcp::{Instant, TcpConfig};
use netstack_wire::Protocol;
use netstack_wire::ip::IpHeader;
use netstack_wire::udp::UdpHeader;

use super::actor::{Act, Actor};
use super::scenes::DELAY;
use crate::draw::Picture;

/// Messages, their size, the time between two, and when the first is sent.
const COUNT: usize = 30;
const SIZE: usize = 100;
const PAUSE: u64 = 20;
const FIRST: u64 = 100;
const LOSS: f64 = 0.1;

/// A message and when an application had it; times in nanoseconds after it was sent.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it was sent, after the start.
    pub sent: u64,
    /// How long TCP took.
    pub tcp: Option<u64>,
    /// How long UDP took; `None` if it was lost.
    pub udp: Option<u64>,
}

/// What came of the messages.
#[derive(Clone, Debug)]
pub struct Contrast {
    /// The messages in the order in which they were sent.
    pub messages: Vec<Arrival>,
    /// What happened on TCP's link.
    pub tcp: Log,
    /// What happened on UDP's.
    pub udp: Log,
}

/// Sends 30 messages, one each 20 ms, over a link of 25 ms that loses a tenth of its packets.
pub fn contrast(seed: u64) -> Contrast {
    let mut link = LinkConfig::new();
    link.delay(DELAY).loss(LOSS);
    let times: Vec<u64> = (0..COUNT as u64).map(|number| FIRST + PAUSE * number).collect();
    let (tcp, over_tcp) = over_tcp(seed, &link, &times);
    let (udp, over_udp) = over_udp(seed, &link, &times);
    let messages = times.iter().enumerate().map(|(place, &at)| {
        let sent = Duration::from_millis(at).as_nanos() as u64;
        let after = |at: u64| at.saturating_sub(sent);
        Arrival { sent, tcp: over_tcp[place].map(after), udp: over_udp[place].map(after) }
    });
    Contrast { messages: messages.collect(), tcp, udp }
}

fn over_tcp(seed: u64, link: &LinkConfig, times: &[u64]) -> (Log, Vec<Option<u64>>) {
    let mut config = PairConfig::new(seed);
    let mut tcp = TcpConfig::new();
    // Each message leaves at once.
    tcp.nodelay(true);
    let tcp = std::sync::Arc::new(tcp);
    (config.a.tcp, config.b.tcp) = (std::sync::Arc::clone(&tcp), tcp);
    config.a_to_b = link.clone();
    config.b_to_a.delay(DELAY);
    let end = times.last().unwrap_or(&0) + PAUSE;
    let messages = times.iter().map(|&at| (at, Act::Write(SIZE))).chain([(end, Act::Shutdown)]);
    let recording = Recording::of_pair(&config);
    let mut pair = Pair::new(config, Actor::new(messages), Actor::new([(end, Act::Shutdown)]), recording);
    pair.run();
    let arrivals = pair.app_b().arrivals();
    let whole = (1..=times.len()).map(|count| {
        let arrival = arrivals.iter().find(|&&(_, bytes)| bytes >= count * SIZE);
        arrival.map(|&(at, _)| at.as_nanos())
    });
    let whole = whole.collect();
    (pair.into_observer().into_log(), whole)
}

fn over_udp(seed: u64, link: &LinkConfig, times: &[u64]) -> (Log, Vec<Option<u64>>) {
    let (src, dst): (SocketAddr, SocketAddr) = (([192, 0, 2, 1], 40_000).into(), ([192, 0, 2, 2], 7).into());
    let mut link = Link::new(link, seed, 0);
    let mut log = Log::default();
    log.header.seed = Some(seed);
    log.header.links.push(LinkName { name: "A to B".to_owned() });
    let octets = datagram(src, dst);
    let arrivals = times.iter().map(|&at| {
        let now = Instant::from_duration(Duration::from_millis(at));
        let (fate, arrival) = match link.send(now, octets.len()) {
            Fate::QueueFull => (PacketFate::QueueFull, None),
            Fate::Lost => (PacketFate::Lost, None),
            Fate::Arrives { at, copy } => {
                let at = at.as_nanos();
                (PacketFate::Delivered { at, copy: copy.map(Instant::as_nanos) }, Some(at))
            }
        };
        let packet = Packet::parse(now.as_nanos(), 0, octets.clone(), octets.len(), fate);
        log.records.extend(packet.map(Record::Packet));
        arrival
    });
    let arrivals = arrivals.collect();
    (log, arrivals)
}

fn datagram(src: SocketAddr, dst: SocketAddr) -> Bytes {
    let data = [b'.'; SIZE];
    let header = UdpHeader::for_payload((src.ip(), src.port()), (dst.ip(), dst.port()), &data)
        .expect("a hundred octets fit into a datagram");
    let ip = IpHeader::new(src.ip(), dst.ip(), Protocol::UDP, usize::from(header.len));
    let mut octets = BytesMut::zeroed(ip.header_len() + 8);
    let start = ip.emit(&mut octets);
    header.emit(&mut octets[start..]);
    octets.extend_from_slice(&data);
    octets.freeze()
}

impl Contrast {
    /// What happened to both, in order of time. The link of UDP comes behind the two directions of TCP's.
    pub fn log(&self) -> Log {
        let mut log = self.tcp.clone();
        let first = log.header.links.len();
        let datagrams =
            self.udp.packets().cloned().map(|packet| Packet { link: first + packet.link, ..packet });
        log.records.extend(datagrams.map(Record::Packet));
        log.records.sort_by_key(Record::t);
        log.header.links.extend(self.udp.header.links.iter().cloned());
        for (place, link) in log.header.links.iter_mut().enumerate() {
            let protocol = if place < first { "TCP" } else { "UDP" };
            link.name = format!("{protocol}, {}", link.name);
        }
        log
    }

    /// How late each message was with either protocol.
    pub fn picture(&self) -> Picture {
        crate::draw::contrast(&self.messages)
    }
}
