//! Watching what the links of a network do.

use std::sync::{Arc, Mutex, PoisonError};

use netstack_tcp::Instant;

use super::{NodeId, Way};

/// Sees what befalls each packet at each link. Called while the network is at work: it must not call the network.
///
/// An `Arc<Mutex<_>>` of an observer is one as well, so that what it has seen can be looked at from outside.
pub trait Observer: Send {
    /// Something befell a packet.
    fn packet(&mut self, event: &PacketEvent<'_>);
}

impl<O: Observer> Observer for Arc<Mutex<O>> {
    fn packet(&mut self, event: &PacketEvent<'_>) {
        self.lock().unwrap_or_else(PoisonError::into_inner).packet(event);
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
