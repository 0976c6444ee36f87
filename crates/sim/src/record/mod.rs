//! One structured log of a run: each packet on each link with its fate, and what each connection went through.
//!
//! A [`Recording`] watches a [`Network`](crate::heap::Network) or a [`Pair`](crate::heap::Pair) and becomes a [`Log`]; a
//! [`NetworkLog`] watches a [network of whole stacks](crate::net::Network). A log is written as JSON lines
//! ([`Log::write_json`]), whose schema is docs/trace-schema.md, and reads back; it is written as pcapng
//! ([`Log::write_pcapng`]), one interface for each link, for Wireshark and its kin. A capture of anyone's becomes a log too
//! ([`Log::read_capture`]), one of packets alone.
//!
//! ```
//! use netstack_sim::heap::{Pair, PairConfig, Receiver, Sender};
//! use netstack_sim::record::{Log, Recording};
//!
//! let config = PairConfig::new(7);
//! let recording = Recording::of_pair(&config);
//! let mut pair = Pair::new(config, Sender::new(10_000), Receiver::new(), recording);
//! pair.run();
//! let log = pair.into_observer().into_log();
//!
//! let mut lines = Vec::new();
//! log.write_json(&mut lines)?;
//! let back = Log::read_json(&lines[..])?;
//! assert_eq!(back.records.len(), log.records.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod capture;
mod entry;
mod json;
mod link_layer;
mod network_log;
mod packet;
mod recording;
#[cfg(test)]
mod tests;
mod watched;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub use entry::{
    Change, Figures, Packet, PacketFate, QueueDepth, Record, StateChange, TcpSegment, TimerChange, Transport,
};
pub use json::{ReadError, SCHEMA};
pub use network_log::NetworkLog;
pub use recording::Recording;

/// Everything that happened in a run, in the order in which it happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// Whom and what the records speak of.
    pub header: Header,
    /// What happened; times never decrease, but for a capture whose own times do.
    pub records: Vec<Record>,
}

/// Whom and what the records of a [`Log`] speak of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Seed of the run, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The links, each one direction; a record names one by its place here.
    pub links: Vec<LinkName>,
    /// The ends of connections; a record names one by its place here.
    pub ends: Vec<EndName>,
}

/// One direction of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkName {
    /// What it is called.
    pub name: String,
}

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndName {
    /// What it is called.
    pub name: String,
    /// Its address and port.
    pub local: SocketAddr,
    /// Those of its peer.
    pub peer: SocketAddr,
    /// The state before anything happened: LISTEN or CLOSED.
    pub state: String,
}

impl Log {
    /// The packets, in order.
    pub fn packets(&self) -> impl Iterator<Item = &Packet> {
        self.records.iter().filter_map(|record| match record {
            Record::Packet(packet) => Some(packet),
            _ => None,
        })
    }

    /// The packets, to be annotated.
    pub fn packets_mut(&mut self) -> impl Iterator<Item = &mut Packet> {
        self.records.iter_mut().filter_map(|record| match record {
            Record::Packet(packet) => Some(packet),
            _ => None,
        })
    }
}
