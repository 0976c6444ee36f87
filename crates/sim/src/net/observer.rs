//! Watching what the links and the hosts of a network do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use netstack_tcp::{Connection, Instant};

use super::{NodeId, Way};

/// Sees what befalls each packet at each link, and each connection of each host. Called while the network is at work: it must
/// not call the network.
///
/// An `Arc<Mutex<_>>` of an observer is one as well, so that what it has seen can be looked at from outside.
pub trait Observer: Send {
    /// Something befell a packet.
    fn packet(&mut self, event: &PacketEvent<'_>);

    /// Something befell a connection of a host.
    fn connection(&mut self, event: &ConnectionEvent<'_>) {
        let _ = event;
    }

    /// So many bytes and packets wait in front of the line of a direction, after it was given a packet or took one.
    fn queue(&mut self, at: Instant, way: Way, bytes: usize, packets: usize) {
        let _ = (at, way, bytes, packets);
    }
}

impl<O: Observer> Observer for Arc<Mutex<O>> {
    fn packet(&mut self, event: &PacketEvent<'_>) {
        self.lock().unwrap_or_else(PoisonError::into_inner).packet(event);
    }

    fn connection(&mut self, event: &ConnectionEvent<'_>) {
        self.lock().unwrap_or_else(PoisonError::into_inner).connection(event);
    }

    fn queue(&mut self, at: Instant, way: Way, bytes: usize, packets: usize) {
        self.lock().unwrap_or_else(PoisonError::into_inner).queue(at, way, bytes, packets);
    }
}

/// What befell a packet at one direction of a link.
#[derive(Copy, Clone, Debug)]
pub struct PacketEvent<'a> {
    /// When, since the start of the network; to the nanosecond, whatever the step of Tokio's timers.
    pub at: Instant,
    /// The packet's number on this link: what is sent over the next link has another. A duplicate has its original's.
    pub packet: u64,
    /// The direction of the link.
    pub way: Way,
    /// Where the direction begins.
    pub from: NodeId,
    /// Where it ends.
    pub to: NodeId,
    /// What befell it.
    pub what: What,
    /// The IP packet, as it is now.
    pub bytes: &'a [u8],
}

/// What befell a packet.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// It was given to the link.
    Sent,
    /// It has left the queue, and arrives.
    Left {
        /// Arrival of its last bit.
        at: Instant,
        /// Arrival of the duplicate, if there is one.
        copy: Option<Instant>,
    },
    /// It has arrived at the far end.
    Arrived,
    /// It is gone.
    Dropped(Reason),
}

/// Why a packet did not arrive.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The queue had no room.
    QueueFull,
    /// The queue's discipline dropped it before there was no room.
    Early,
    /// Lost on the wire, by chance.
    Lost,
    /// The link was cut, or the hosts were apart.
    Cut,
    /// Longer than the link's MTU.
    TooBig,
    /// A policy dropped it.
    Policy,
}

/// What befell a connection of a host.
#[derive(Copy, Clone, Debug)]
pub struct ConnectionEvent<'a> {
    /// When, since the start of the network. Hosts act in the steps of Tokio's timers: up to a millisecond behind the arrival
    /// that they answer.
    pub at: Instant,
    /// The host.
    pub host: NodeId,
    /// Address and port of the connection's end at the host.
    pub local: SocketAddr,
    /// Those of its peer.
    pub peer: SocketAddr,
    /// What befell it.
    pub what: Happened<'a>,
}

/// What befell a connection.
#[derive(Copy, Clone, Debug)]
#[non_exhaustive]
pub enum Happened<'a> {
    /// Its task has handled what was due, and has sent what it could.
    Turned {
        /// As it is now.
        connection: &'a Connection,
        /// When the clock of its stack started: the connection's own instants count from there.
        started: Instant,
    },
    /// It rests in TIME-WAIT: it has come there, or a repeated FIN has begun the wait anew.
    Rests {
        /// When that ends.
        until: Instant,
    },
    /// Its stack has forgotten it: it is over, or its TIME-WAIT is.
    Ended,
}
