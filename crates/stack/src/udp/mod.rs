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
use std::sync::{Arc, PoisonError};

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
use crate::sync::{Mutex, RwLock};
use endpoint::{Endpoint, unconnected};
use ports::RandomPorts;
use queue::{Ended, Pool};
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

/// How much bound sockets may take together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UdpLimits {
    pub(crate) sockets: usize,
    /// Bytes of memory that their queues may hold.
    pub(crate) memory: usize,
}

impl UdpLimits {
    /// 65,536 sockets, and 256 MiB.
    pub(crate) const DEFAULT: Self = Self { sockets: 65_536, memory: 256 << 20 };
}

/// Bound sockets, without sessions.
#[derive(Debug, Default)]
struct Bound {
    by_port: BTreeMap<u16, Vec<Arc<Endpoint>>>,
    sockets: usize,
}

/// All UDP of a stack.
#[derive(Debug)]
pub(crate) struct Udp {
    table: Table,
    bound: RwLock<Bound>,
    most_sockets: usize,
    /// What the queues of bound sockets hold.
    pool: Arc<Pool>,
    ports: Mutex<RandomPorts>,
    sessions: RwLock<Option<Arc<Registry>>>,
}

impl Udp {
    pub(crate) fn new(secrets: Secrets, ephemeral_ports: &RangeInclusive<u16>, limits: UdpLimits) -> Self {
        Self {
            table: Table::new(secrets),
            bound: RwLock::default(),
            most_sockets: limits.sockets,
            pool: Arc::new(Pool::new(limits.memory)),
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
            let bound = self.bound.read().unwrap_or_else(PoisonError::into_inner);
            let here = bound.by_port.get(&datagram.to.port()).into_iter().flatten();
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

    /// Enters a socket; port 0 takes a free one.
    fn bind(&self, local: SocketAddr, config: &UdpConfig) -> io::Result<Arc<Endpoint>> {
        let mut all = self.bound.write().unwrap_or_else(PoisonError::into_inner);
        if all.sockets >= self.most_sockets {
            let text = format!(
                "the stack has {} UDP sockets, as many as it may; close some, or allow more with \
                 `StackBuilder::max_udp_sockets`",
                all.sockets
            );
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, text));
        }
        let stands = |port: u16, alone: bool| {
            let mut here = all.by_port.get(&port).into_iter().flatten();
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
        let endpoint = Arc::new(Endpoint::bound(SocketAddr::new(local.ip(), port), config, &self.pool));
        all.by_port.entry(port).or_default().push(Arc::clone(&endpoint));
        all.sockets += 1;
        drop(all);
        self.table.insert(unconnected(endpoint.bound), &endpoint);
        Ok(endpoint)
    }

    /// Forgets a socket or session that is dropped.
    fn unbind(&self, endpoint: &Arc<Endpoint>) {
        self.table.remove(&endpoint.key(), endpoint);
        if endpoint.age.is_some() {
            return;
        }
        let mut all = self.bound.write().unwrap_or_else(PoisonError::into_inner);
        all.sockets -= 1;
        if let Some(here) = all.by_port.get_mut(&endpoint.bound.port()) {
            here.retain(|other| !Arc::ptr_eq(other, endpoint));
            if here.is_empty() {
                all.by_port.remove(&endpoint.bound.port());
            }
        }
    }

    /// Bytes of memory that received datagrams hold until they are read: of bound sockets, and of sessions.
    pub(crate) fn held(&self) -> usize {
        self.pool.held() + self.registry().map_or(0, |registry| registry.held())
    }

    fn registry(&self) -> Option<Arc<Registry>> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The stack stops: nothing is received any more, and calls that send fail.
    pub(crate) fn close_all(&self) {
        let bound = {
            let bound = self.bound.read().unwrap_or_else(PoisonError::into_inner);
            bound.by_port.values().flatten().cloned().collect::<Vec<_>>()
        };
        for endpoint in bound {
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
