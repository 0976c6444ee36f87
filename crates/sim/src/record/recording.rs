//! Watching a network on the event heap.

use std::net::SocketAddr;

use bytes::Bytes;
use netstack_tcp::{Instant, Segment, State};

use super::entry::{Packet, PacketFate, QueueDepth, Record};
use super::packet::octets_of;
use super::watched::{Look, Watched};
use super::{EndName, Header, LinkName, Log};
use crate::Fate;
use crate::heap::{EndId, Endpoint, FlowConfig, NetworkConfig, Observer, Open, PairConfig, Side};

/// Watches a run and keeps everything: an [`Observer`].
///
/// It holds each packet with its payload until it is dropped, about 200 octets more than the payload for a packet, and about as
/// much again for what its ends say of themselves.
#[derive(Debug)]
pub struct Recording {
    log: Log,
    /// By [`EndId::index`].
    ends: Vec<End>,
    /// What waited last, by link.
    depths: Vec<(usize, usize)>,
    headers_only: bool,
}

#[derive(Debug)]
struct End {
    local: SocketAddr,
    peer: SocketAddr,
    /// The links that its packets cross.
    route: Vec<usize>,
    watched: Watched,
}

impl Recording {
    /// A recording of a network made of `config`; its links are called `link 0` and so on.
    pub fn new(config: &NetworkConfig) -> Self {
        let names = (0..config.links.len()).map(|link| format!("link {link}")).collect();
        Self::named(Some(config.seed), names, config.flows.iter())
    }

    /// A recording of a pair; its links are called `A to B` and `B to A`.
    pub fn of_pair(config: &PairConfig) -> Self {
        let flow = FlowConfig { a: config.a.clone(), b: config.b.clone(), a_to_b: vec![0], b_to_a: vec![1] };
        let names = ["A to B", "B to A"].map(str::to_owned).to_vec();
        Self::named(Some(config.seed), names, [&flow].into_iter())
    }

    fn named<'a>(seed: Option<u64>, links: Vec<String>, flows: impl Iterator<Item = &'a FlowConfig>) -> Self {
        let mut header = Header { seed, ..Header::default() };
        let mut ends = Vec::new();
        for (flow, config) in flows.enumerate() {
            let sides = [(Side::A, &config.a, &config.a_to_b), (Side::B, &config.b, &config.b_to_a)];
            for (side, end, route) in sides {
                let state = before(end.open);
                header.ends.push(EndName {
                    name: EndId { flow, side }.to_string(),
                    local: end.local,
                    peer: end.remote,
                    state: state.to_owned(),
                });
                ends.push(End {
                    local: end.local,
                    peer: end.remote,
                    route: route.clone(),
                    watched: Watched::new(ends.len(), state),
                });
            }
        }
        let depths = vec![(0, 0); links.len()];
        header.links = links.into_iter().map(|name| LinkName { name }).collect();
        Self { log: Log { header, records: Vec::new() }, ends, depths, headers_only: false }
    }

    /// Names the links, in their order.
    #[must_use]
    pub fn link_names<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        for (link, name) in self.log.header.links.iter_mut().zip(names) {
            name.clone_into(&mut link.name);
        }
        self
    }

    /// Keeps of each packet's octets the headers alone: a capture has the packets cut short then.
    #[must_use]
    pub fn headers_only(mut self) -> Self {
        self.headers_only = true;
        self
    }

    /// What was recorded.
    pub fn into_log(self) -> Log {
        self.log
    }
}

impl Observer for Recording {
    const WATCHES_QUEUES: bool = true;

    fn sent(&mut self, now: Instant, from: EndId, hops: usize, segment: &Segment, fate: Fate) {
        let end = &self.ends[from.index()];
        let fate = match fate {
            Fate::QueueFull => PacketFate::QueueFull,
            Fate::Lost => PacketFate::Lost,
            Fate::Arrives { at, copy } => {
                PacketFate::Delivered { at: at.as_nanos(), copy: copy.map(Instant::as_nanos) }
            }
        };
        let octets: Bytes = octets_of(end.local, end.peer, segment);
        let size = octets.len();
        let packet = Packet::parse(now.as_nanos(), end.route[hops], octets, size, fate);
        let mut packet = packet.expect("what was just written is an IP packet");
        packet.hop = hops;
        if self.headers_only {
            // A copy: a slice would keep the whole alive.
            packet.data = Bytes::copy_from_slice(&packet.data[..size - segment.payload.len()]);
        }
        self.log.records.push(Record::Packet(packet));
    }

    fn queued(&mut self, now: Instant, link: usize, bytes: usize, packets: usize) {
        if self.depths[link] != (bytes, packets) {
            self.depths[link] = (bytes, packets);
            self.log.records.push(Record::Queue(QueueDepth { t: now.as_nanos(), link, bytes, packets }));
        }
    }

    fn turned(&mut self, now: Instant, end: EndId, endpoint: &Endpoint) {
        let look = Look {
            t: now.as_nanos(),
            state: endpoint.state().map_or_else(|| before(endpoint.config().open), State::name),
            connection: endpoint.connection(),
            started: 0,
            rests_until: endpoint.time_wait().map(|record| record.expires_at().as_nanos()),
        };
        self.ends[end.index()].watched.look(look, &mut self.log.records);
    }
}

/// The state before there is a connection.
fn before(open: Open) -> &'static str {
    match open {
        Open::Passive => "LISTEN",
        Open::Active(_) => State::Closed.name(),
    }
}
