//! UDP (RFC 768): sockets, the table that finds them, and sessions of any-address mode.
//!
//! ```text
//! in :  ingress -> `Udp::deliver` -> table -> the socket's queue -> `recv*`
//! out:  `send*` -> `Outbound` -> `Inner::send_packet` -> device
//! ```
//!
//! There is no task behind a socket. What it receives waits in its queue, bounded by the memory that it holds; what it sends
//! goes to the device in the caller's task, or waits there for its turn.

mod config;
mod endpoint;
mod message;
mod output;
mod ports;
mod queue;
mod room;
mod sessions;
mod socket;
mod table;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use netstack_tcp::{FourTuple, IcmpNotice};

pub use config::{UdpConfig, UdpSessionsConfig};
pub use message::{MessageTooLong, RecvMsg, SendMsg};
pub(crate) use queue::Datagram;
pub use sessions::{UdpSession, UdpSessions};
pub use socket::UdpSocket;

use crate::lane::lock;
use crate::route::overlap;
use crate::secrets::Secrets;
use crate::stack::Inner;
use endpoint::{Endpoint, unconnected};
use ports::RandomPorts;
use queue::Ended;
use sessions::Registry;
use table::Table;

/// What became of a received datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It is in a queue.
    Queued,
    /// There was no room for it, which is counted.
    Dropped,
    /// Nobody is bound to its port.
    Nobody,
}

type ByPort = BTreeMap<u16, Vec<Arc<Endpoint>>>;

/// All UDP of a stack.
#[derive(Debug)]
pub(crate) struct Udp {
    table: Table,
    /// Bound sockets, without sessions.
    by_port: RwLock<ByPort>,
    ports: Mutex<RandomPorts>,
    sessions: RwLock<Option<Arc<Registry>>>,
}

impl Udp {
    pub(crate) fn new(secrets: Secrets, ephemeral_ports: &RangeInclusive<u16>) -> Self {
        Self {
            table: Table::new(secrets),
            by_port: RwLock::default(),
            ports: Mutex::new(RandomPorts::new(secrets.udp_ports, ephemeral_ports)),
            sessions: RwLock::default(),
        }
    }

    /// A datagram to one of our addresses, with a checksum that is right.
    pub(crate) fn deliver(&self, inner: &Arc<Inner>, datagram: Datagram) -> Delivery {
        if let Some(endpoint) = self.table.find(datagram.from, datagram.to) {
            return queue(inner, &endpoint, datagram);
        }
        match self.registry() {
            Some(registry) => registry.open(inner, datagram),
            None => Delivery::Nobody,
        }
    }

    /// A datagram to a multicast group or a broadcast address: a copy for each socket that asked for it. False if none did.
    pub(crate) fn deliver_group(&self, inner: &Inner, datagram: &Datagram, interface: usize) -> bool {
        let takers: Vec<_> = {
            let by_port = self.by_port.read().unwrap_or_else(PoisonError::into_inner);
            let here = by_port.get(&datagram.to.port()).into_iter().flatten();
            here.filter(|e| e.takes_group(datagram.from, datagram.to, interface)).cloned().collect()
        };
        for endpoint in &takers {
            queue(inner, endpoint, datagram.clone());
        }
        !takers.is_empty()
    }

    /// An ICMP error about a datagram from `local` to `remote`: false if no socket is connected so (R768-5).
    pub(crate) fn handle_error(&self, local: SocketAddr, remote: SocketAddr, notice: IcmpNotice) -> bool {
        let endpoint = self.table.get(&FourTuple::new(local, remote), remote);
        if let Some(endpoint) = &endpoint {
            endpoint.queue.fail(notice);
        }
        endpoint.is_some()
    }

    /// Whether a socket is connected so.
    pub(crate) fn is_connected(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        self.table.get(&FourTuple::new(local, remote), remote).is_some()
    }

    /// Enters a socket; port 0 takes a free one.
    fn bind(&self, local: SocketAddr, config: &UdpConfig) -> io::Result<Arc<Endpoint>> {
        let mut by_port = self.by_port.write().unwrap_or_else(PoisonError::into_inner);
        let stands = |port: u16, alone: bool| {
            let mut here = by_port.get(&port).into_iter().flatten();
            here.any(|other| overlap(other.bound.ip(), local.ip()) && (alone || !may_share(other, config)))
        };
        let port = if local.port() == 0 {
            lock(&self.ports).pick(|port| stands(port, true)).ok_or_else(|| {
                io::Error::new(io::ErrorKind::AddrInUse, "every ephemeral port has a socket on this address")
            })?
        } else if stands(local.port(), false) {
            let text =
                format!("{local} has a socket already; close it, bind another port, or let both share it");
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        } else {
            local.port()
        };
        let endpoint = Arc::new(Endpoint::bound(SocketAddr::new(local.ip(), port), config));
        by_port.entry(port).or_default().push(Arc::clone(&endpoint));
        drop(by_port);
        self.table.insert(unconnected(endpoint.bound), &endpoint);
        Ok(endpoint)
    }

    /// Forgets a socket or session that is dropped.
    fn unbind(&self, endpoint: &Arc<Endpoint>) {
        self.table.remove(&endpoint.key(), endpoint);
        if endpoint.age.is_some() {
            return;
        }
        let mut by_port = self.by_port.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = by_port.get_mut(&endpoint.bound.port()) {
            here.retain(|other| !Arc::ptr_eq(other, endpoint));
            if here.is_empty() {
                by_port.remove(&endpoint.bound.port());
            }
        }
    }

    fn registry(&self) -> Option<Arc<Registry>> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The stack stops: nothing is received any more, and calls that send fail.
    pub(crate) fn close_all(&self) {
        let by_port = {
            let by_port = self.by_port.read().unwrap_or_else(PoisonError::into_inner);
            by_port.values().flatten().cloned().collect::<Vec<_>>()
        };
        for endpoint in by_port {
            endpoint.queue.end(Ended::Stopped);
        }
        if let Some(registry) = self.registry() {
            registry.stop();
        }
    }
}

/// Puts a datagram into the queue of a socket or session.
fn queue(inner: &Inner, endpoint: &Endpoint, datagram: Datagram) -> Delivery {
    if endpoint.queue.push(datagram) {
        inner.counters.rx_datagrams.bump();
        endpoint.touch(inner);
        Delivery::Queued
    } else {
        inner.counters.drop_udp_queue_full.bump();
        Delivery::Dropped
    }
}

/// Whether a socket may take the address of another.
fn may_share(other: &Endpoint, config: &UdpConfig) -> bool {
    other.reuse_address && config.reuse_address || other.reuse_port && config.reuse_port
}
