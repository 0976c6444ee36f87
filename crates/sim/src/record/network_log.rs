//! Watching a network of whole stacks.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use netstack_tcp::{Connection, Instant, State, Timer};

use super::entry::{Packet, PacketFate, QueueDepth, Record};
use super::watched::{Look, Watched};
use super::{EndName, LinkName, Log};
use crate::net::{ConnectionEvent, Happened, Network, NodeId, Observer, PacketEvent, Reason, Way, What};

const LISTEN: &str = "LISTEN";
const CLOSED: &str = State::Closed.name();
const TIME_WAIT: &str = State::TimeWait.name();

/// Watches a [`net::Network`](crate::net::Network) and keeps everything: an [`Observer`]. It keeps each packet on each link with
/// its payload, what waits in front of each line, and the states, timers and figures of every connection of every host.
///
/// Links are nanosecond-exact; hosts act in the steps of Tokio's timers, up to a millisecond behind the arrival that they answer.
///
/// # Examples
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use netstack_sim::record::{NetworkLog, Record};
/// use netstack_sim::{LinkConfig, net};
/// use tokio_netstack::{TcpListener, TcpStream};
///
/// # fn main() -> std::io::Result<()> {
/// net::block_on(async {
///     let seen = Arc::new(Mutex::new(NetworkLog::new()));
///     let mut net = net::Builder::new(7);
///     net.observer(Arc::clone(&seen));
///     let client = net.host("client", &["192.0.2.1"]);
///     let server = net.host("server", &["192.0.2.2"]);
///     net.link(client, server, &LinkConfig::new());
///     let net = net.build()?;
///     let listener = TcpListener::bind(&net.stack(server), ([192, 0, 2, 2], 7)).await?;
///     let _stream = TcpStream::connect(&net.stack(client), ([192, 0, 2, 2], 7)).await?;
///
///     let log = seen.lock().unwrap().log(&net);
///     assert_eq!(log.header.ends[0].name, "client");
///     assert!(log.records.iter().any(|record| matches!(record, Record::State(change) if change.to == "ESTABLISHED")));
///     let mut lines = Vec::new();
///     log.write_json(&mut lines)
/// })
/// # }
/// ```
#[derive(Debug, Default)]
pub struct NetworkLog {
    records: Vec<Record>,
    /// Each direction by its place in the log.
    links: HashMap<Way, usize>,
    /// Where each direction begins and ends, and what waited last.
    directions: Vec<Direction>,
    /// The record of each packet that has not arrived.
    under_way: HashMap<(Way, u64), usize>,
    /// The packet that arrived last: a router that sends it on does so at once.
    passing: Option<Passing>,
    /// Each end by its place in the log: its host, itself, its peer.
    places: HashMap<(NodeId, SocketAddr, SocketAddr), usize>,
    ends: Vec<End>,
}

#[derive(Debug)]
struct Direction {
    from: NodeId,
    to: NodeId,
    depth: (usize, usize),
}

/// A packet that has arrived at a node.
#[derive(Debug)]
struct Passing {
    at: Instant,
    node: NodeId,
    /// Source and destination.
    addresses: (IpAddr, IpAddr),
    /// The links that it has crossed.
    hops: usize,
}

#[derive(Debug)]
struct End {
    host: NodeId,
    local: SocketAddr,
    peer: SocketAddr,
    /// The state before anything happened.
    before: &'static str,
    watched: Watched,
}

impl NetworkLog {
    /// Has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was seen so far. Links are called by the names of the nodes, as in `client to router`; an end is called by its
    /// host. A connection between the same addresses and ports as an earlier one goes on where that ended.
    pub fn log(&self, network: &Network) -> Log {
        let mut log = Log { records: self.records.clone(), ..Log::default() };
        // What links do is noted when the network is next looked at, maybe behind what a host did later.
        log.records.sort_by_key(Record::t);
        log.header.seed = Some(network.seed());
        let link = |link: &Direction| LinkName {
            name: format!("{} to {}", network.name(link.from), network.name(link.to)),
        };
        log.header.links = self.directions.iter().map(link).collect();
        let end = |end: &End| EndName {
            name: network.name(end.host).to_owned(),
            local: end.local,
            peer: end.peer,
            state: end.before.to_owned(),
        };
        log.header.ends = self.ends.iter().map(end).collect();
        log
    }

    fn sent(&mut self, event: &PacketEvent<'_>) {
        let next = self.directions.len();
        let link = *self.links.entry(event.way).or_insert(next);
        if link == next {
            self.directions.push(Direction { from: event.from, to: event.to, depth: (0, 0) });
        }
        let octets = Bytes::copy_from_slice(event.bytes);
        let size = octets.len();
        let packet = Packet::parse(event.at.as_nanos(), link, octets, size, PacketFate::Seen);
        let Some(mut packet) = packet else { return };
        let addresses = (packet.src.ip(), packet.dst.ip());
        if let Some(passing) = &self.passing
            && (passing.at, passing.node, passing.addresses) == (event.at, event.from, addresses)
        {
            packet.hop = passing.hops;
        }
        self.under_way.insert((event.way, event.packet), self.records.len());
        self.records.push(Record::Packet(packet));
    }

    fn under_way(&mut self, event: &PacketEvent<'_>) -> Option<&mut Packet> {
        match self.records.get_mut(*self.under_way.get(&(event.way, event.packet))?)? {
            Record::Packet(packet) => Some(packet),
            _ => None,
        }
    }

    /// Adds an end, which began in the state `before`; gives its place.
    fn add(&mut self, event: &ConnectionEvent<'_>, before: &'static str) -> usize {
        let place = self.ends.len();
        let ConnectionEvent { host, local, peer, .. } = *event;
        self.places.insert((host, local, peer), place);
        self.ends.push(End { host, local, peer, before, watched: Watched::new(place, before) });
        place
    }
}

impl Observer for NetworkLog {
    fn packet(&mut self, event: &PacketEvent<'_>) {
        match event.what {
            What::Sent => self.sent(event),
            What::Left { at, copy } => {
                if let Some(packet) = self.under_way(event) {
                    let copy = copy.map(Instant::as_nanos);
                    packet.fate = PacketFate::Delivered { at: at.as_nanos(), copy };
                    packet.ce |= netstack_wire::ip::ecn_of(event.bytes) == netstack_wire::Ecn::Ce;
                }
            }
            What::Dropped(reason) => {
                if let Some(packet) = self.under_way(event) {
                    let by_queue = matches!(reason, Reason::QueueFull | Reason::Early);
                    packet.fate = if by_queue { PacketFate::QueueFull } else { PacketFate::Lost };
                }
                self.under_way.remove(&(event.way, event.packet));
            }
            What::Arrived => {
                self.passing = self.under_way(event).map(|packet| Passing {
                    at: event.at,
                    node: event.to,
                    addresses: (packet.src.ip(), packet.dst.ip()),
                    hops: packet.hop + 1,
                });
                self.under_way.remove(&(event.way, event.packet));
            }
        }
    }

    fn connection(&mut self, event: &ConnectionEvent<'_>) {
        let t = event.at.as_nanos();
        let gone = |state| Look { t, state, connection: None, started: 0, rests_until: None };
        let place = self.places.get(&(event.host, event.local, event.peer)).copied();
        let (place, begins, look) = match (event.what, place) {
            (Happened::Turned { connection, started }, place) => {
                let before = if connection.is_passive() { LISTEN } else { CLOSED };
                let place = place.unwrap_or_else(|| self.add(event, before));
                (place, Some(before), turned(t, connection, started.as_nanos()))
            }
            (Happened::Rests { until }, Some(place)) => {
                let look = Look { rests_until: Some(until.as_nanos()), ..gone(TIME_WAIT) };
                (place, Some(TIME_WAIT), look)
            }
            (Happened::Ended, Some(place)) => (place, None, gone(CLOSED)),
            // It was gone before its first turn.
            (_, None) => return,
        };
        let watched = &mut self.ends[place].watched;
        // Addresses and ports that are used again.
        if let Some(state) = begins.filter(|_| watched.state() == CLOSED) {
            watched.enter(t, state, &mut self.records);
        }
        watched.look(look, &mut self.records);
    }

    fn queue(&mut self, at: Instant, way: Way, bytes: usize, packets: usize) {
        let Some(&link) = self.links.get(&way) else { return };
        let direction = &mut self.directions[link];
        if direction.depth != (bytes, packets) {
            direction.depth = (bytes, packets);
            self.records.push(Record::Queue(QueueDepth { t: at.as_nanos(), link, bytes, packets }));
        }
    }
}

/// A connection after a turn; one in TIME-WAIT or CLOSED has no figures any more.
fn turned(t: u64, connection: &Connection, started: u64) -> Look<'_> {
    let state = connection.state();
    let rests = state == State::TimeWait;
    let end = connection.deadline(Timer::Lifetime).filter(|_| rests);
    Look {
        t,
        state: state.name(),
        connection: Some(connection).filter(|_| !rests && state != State::Closed),
        started,
        rests_until: end.map(|end| started.saturating_add(end.as_nanos())),
    }
}
