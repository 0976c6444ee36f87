//! What ingress and a socket share.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};

use netstack_tcp::{FourTuple, Instant};

use super::UdpConfig;
use super::queue::{Pool, Queue};
use super::room::Room;
use crate::lane::lock;
use crate::route::{unspecified, with_zone};
use crate::stack::Inner;
use crate::sync::Mutex;

/// The two ends of a connected socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// The interface that the scope of `remote` names.
    pub(super) zone: Option<usize>,
}

impl Link {
    /// The remote end as the application knows it, with its scope.
    pub(super) fn peer(self) -> SocketAddr {
        self.zone.map_or(self.remote, |zone| with_zone(self.remote, zone))
    }
}

/// A multicast group that a socket is a member of, on one interface or on all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Membership {
    pub(super) group: IpAddr,
    pub(super) interface: Option<usize>,
}

/// Groups that a socket may be a member of.
pub(super) const MAX_MEMBERSHIPS: usize = 256;

/// Options that a send or an arrival looks at.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) hop_limit: AtomicU8,
    pub(super) multicast_hops: AtomicU8,
    pub(super) tos: AtomicU8,
    pub(super) broadcast: AtomicBool,
    pub(super) multicast_loop: AtomicBool,
    pub(super) dont_fragment: AtomicBool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hop_limit: AtomicU8::new(64),
            // As RFC 1112 6.1 has it.
            multicast_hops: AtomicU8::new(1),
            tos: AtomicU8::new(0),
            broadcast: AtomicBool::new(false),
            multicast_loop: AtomicBool::new(true),
            dont_fragment: AtomicBool::new(false),
        }
    }
}

/// How old a session is.
#[derive(Debug)]
pub(super) struct Age {
    pub(super) id: u64,
    /// When a datagram passed last, in nanoseconds of the stack's clock.
    active: AtomicU64,
    /// Of that, what the registry knows; written under its lock.
    pub(super) recorded: AtomicU64,
}

/// A bound socket or a session.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The address that it was bound to.
    pub(super) bound: SocketAddr,
    pub(super) reuse_address: bool,
    pub(super) reuse_port: bool,
    link: Mutex<Option<Link>>,
    /// Held while `connect` moves it in the table.
    pub(super) moving: Mutex<()>,
    /// The interface that was last sent by.
    interface: AtomicUsize,
    pub(super) queue: Queue,
    pub(super) room: Room,
    pub(super) settings: Settings,
    memberships: Mutex<Vec<Membership>>,
    /// Only a session has one.
    pub(super) age: Option<Age>,
}

impl Endpoint {
    pub(super) fn bound(bound: SocketAddr, config: &UdpConfig, pool: &Arc<Pool>) -> Self {
        Self {
            bound,
            reuse_address: config.reuse_address,
            reuse_port: config.reuse_port,
            link: Mutex::new(None),
            moving: Mutex::default(),
            interface: AtomicUsize::new(0),
            queue: Queue::new(config.recv_buffer, pool),
            room: Room::default(),
            settings: Settings::default(),
            memberships: Mutex::default(),
            age: None,
        }
    }

    /// A session between `remote` and the address `local` that it wrote to.
    pub(super) fn session(link: Link, recv_buffer: usize, pool: &Arc<Pool>, id: u64, now: Instant) -> Self {
        let age =
            Age { id, active: AtomicU64::new(now.as_nanos()), recorded: AtomicU64::new(now.as_nanos()) };
        let mut config = UdpConfig::new();
        config.recv_buffer(recv_buffer);
        let bound = Self::bound(link.local, &config, pool);
        Self { link: Mutex::new(Some(link)), age: Some(age), ..bound }
    }

    pub(super) fn link(&self) -> Option<Link> {
        *lock(&self.link)
    }

    pub(super) fn set_link(&self, link: Link) {
        *lock(&self.link) = Some(link);
    }

    pub(super) fn interface(&self) -> usize {
        self.interface.load(Relaxed)
    }

    pub(super) fn set_interface(&self, interface: usize) {
        self.interface.store(interface, Relaxed);
    }

    /// Where the table has it.
    pub(super) fn key(&self) -> FourTuple {
        match self.link() {
            Some(link) => FourTuple::new(link.local, link.remote),
            None => unconnected(self.bound),
        }
    }

    /// Joins a group; false if there are too many.
    pub(super) fn join(&self, membership: Membership) -> bool {
        let mut memberships = lock(&self.memberships);
        let joined = memberships.contains(&membership);
        if !joined && memberships.len() < MAX_MEMBERSHIPS {
            memberships.push(membership);
            return true;
        }
        joined
    }

    /// Leaves a group; false if it is no member.
    pub(super) fn leave(&self, membership: Membership) -> bool {
        let mut memberships = lock(&self.memberships);
        let before = memberships.len();
        memberships.retain(|other| *other != membership);
        memberships.len() < before
    }

    /// Whether a datagram from `from` to the multicast or broadcast address `to` is for this socket.
    pub(super) fn takes_group(&self, from: SocketAddr, to: SocketAddr, interface: usize) -> bool {
        let ip = self.bound.ip();
        let address = ip == to.ip() || ip.is_unspecified() && ip.is_ipv4() == to.is_ipv4();
        let peer = self.link().is_none_or(|link| link.remote == from);
        let member = || {
            let memberships = lock(&self.memberships);
            memberships.iter().any(|m| m.group == to.ip() && m.interface.is_none_or(|at| at == interface))
        };
        address && peer && (!to.ip().is_multicast() || member())
    }

    /// A datagram passed: only a session takes the time.
    pub(super) fn touch(&self, inner: &Inner) {
        if let Some(age) = &self.age {
            age.active.fetch_max(inner.clock.now().as_nanos(), Relaxed);
        }
    }
}

impl Age {
    pub(super) fn active(&self) -> u64 {
        self.active.load(Relaxed)
    }
}

/// The key of a socket that takes datagrams from anyone.
pub(super) fn unconnected(local: SocketAddr) -> FourTuple {
    FourTuple::new(local, SocketAddr::new(unspecified(local.ip()), 0))
}
