//! Watching a network of whole stacks.

use std::collections::HashMap;

use bytes::Bytes;
use netstack_tcp::Instant;

use super::entry::{Packet, PacketFate, Record};
use super::{LinkName, Log};
use crate::net::{Network, NodeId, Observer, PacketEvent, Reason, Way, What};

/// Watches a [`net::Network`](crate::net::Network) and keeps each packet on each link, with its payload: an [`Observer`].
///
/// What the connections went through is not in its log, as they belong to the stacks.
#[derive(Debug, Default)]
pub struct PacketLog {
    records: Vec<Record>,
    /// Each direction by its place in the log, and where it begins and ends.
    links: HashMap<Way, usize>,
    nodes: Vec<(NodeId, NodeId)>,
    /// The record of each packet that has not arrived.
    under_way: HashMap<(Way, u64), usize>,
}

impl PacketLog {
    /// Has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was seen so far; links are called by the names of the nodes, as in `client to router`.
    pub fn log(&self, network: &Network) -> Log {
        let mut log = Log { records: self.records.clone(), ..Log::default() };
        let name = |&(from, to): &(NodeId, NodeId)| LinkName {
            name: format!("{} to {}", network.name(from), network.name(to)),
        };
        log.header.links = self.nodes.iter().map(name).collect();
        log
    }

    fn set_fate(&mut self, key: (Way, u64), fate: PacketFate) {
        if let Some(Record::Packet(packet)) =
            self.under_way.get(&key).and_then(|&at| self.records.get_mut(at))
        {
            packet.fate = fate;
        }
    }
}

impl Observer for PacketLog {
    fn packet(&mut self, event: &PacketEvent<'_>) {
        let key = (event.way, event.packet);
        match event.what {
            What::Sent => {
                let next = self.nodes.len();
                let link = *self.links.entry(event.way).or_insert(next);
                if link == next {
                    self.nodes.push((event.from, event.to));
                }
                let octets = Bytes::copy_from_slice(event.bytes);
                let size = octets.len();
                let packet = Packet::parse(event.at.as_nanos(), link, octets, size, PacketFate::Seen);
                if let Some(packet) = packet {
                    self.under_way.insert(key, self.records.len());
                    self.records.push(Record::Packet(packet));
                }
            }
            What::Left { at, copy } => {
                let copy = copy.map(Instant::as_nanos);
                self.set_fate(key, PacketFate::Delivered { at: at.as_nanos(), copy });
            }
            What::Dropped(reason) => {
                let queue = matches!(reason, Reason::QueueFull | Reason::Early);
                self.set_fate(key, if queue { PacketFate::QueueFull } else { PacketFate::Lost });
                self.under_way.remove(&key);
            }
            What::Arrived => {
                self.under_way.remove(&key);
            }
        }
    }
}
