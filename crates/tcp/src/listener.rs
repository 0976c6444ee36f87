//! LISTEN: who may open a connection, and how many may wait (RFC 9293 3.10.7.2).

#[cfg(test)]
mod tests;

use core::fmt;

use netstack_wire::tcp::{TcpFlags, TcpHeader};

use crate::negotiate::{SynRecord, is_opening_syn};
use crate::reset::reset_for;
use crate::segment::Segment;
use crate::time::Instant;
use crate::tuple::FourTuple;

/// What becomes of a segment that reached a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SynAction {
    /// Make a connection of it with [`Connection::accept`](crate::Connection::accept). The listener counts it as half open
    /// until [`Listener::half_open_ended`] or [`Listener::reserve`].
    Spawn(SynRecord),
    /// Keep the record until the application decides (a listener made by [`Listener::deferring`]).
    Incoming(SynRecord),
    /// Answer with this reset: the segment acknowledges something in LISTEN (S-LISTEN-2).
    Reset(TcpHeader),
    /// Nothing is sent.
    Drop(SynDrop),
}

/// Why a segment for a listener was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SynDrop {
    /// It is a reset (S-LISTEN-1), or has neither SYN nor ACK (S-LISTEN-5).
    NotASyn,
    /// As many handshakes are open as the listener allows (R4987-1).
    TooManyHalfOpen,
    /// As many connections wait for `accept` as the backlog allows.
    BacklogFull,
}

/// The counts behind one listening socket: half-open handshakes, and connections that nobody has accepted yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Listener {
    backlog: usize,
    max_half_open: usize,
    half_open: usize,
    queued: usize,
    deferring: bool,
}

impl Listener {
    /// A listener that lets `backlog` open connections wait for `accept` and `max_half_open` handshakes be in progress.
    /// Each is at least 1.
    #[must_use]
    pub fn new(backlog: usize, max_half_open: usize) -> Self {
        Self {
            backlog: backlog.max(1),
            max_half_open: max_half_open.max(1),
            half_open: 0,
            queued: 0,
            deferring: false,
        }
    }

    /// The same listener, but each SYN waits for the application before it is answered.
    #[must_use]
    pub fn deferring(mut self) -> Self {
        self.deferring = true;
        self
    }

    /// Decides on a segment for this listener that belongs to no connection.
    pub fn handle_syn(&mut self, now: Instant, tuple: FourTuple, seg: &Segment) -> SynAction {
        if seg.has(TcpFlags::ACK) {
            // S-LISTEN-2; `reset_for` declines to answer a RST (S-LISTEN-1).
            return reset_for(seg).map_or(SynAction::Drop(SynDrop::NotASyn), SynAction::Reset);
        }
        if !is_opening_syn(seg) {
            return SynAction::Drop(SynDrop::NotASyn);
        }
        if self.queued >= self.backlog {
            return SynAction::Drop(SynDrop::BacklogFull);
        }
        if self.half_open >= self.max_half_open {
            return SynAction::Drop(SynDrop::TooManyHalfOpen);
        }
        self.half_open += 1;
        let record = SynRecord::from_segment(tuple, seg, now);
        if self.deferring { SynAction::Incoming(record) } else { SynAction::Spawn(record) }
    }

    /// A handshake ended without becoming a connection.
    pub fn half_open_ended(&mut self) {
        self.half_open = self.half_open.saturating_sub(1);
    }

    /// The last ACK of a handshake arrived: takes a place in the accept queue, or says that there is none; then the ACK
    /// is to be dropped, and the SYN-ACK's retransmission asks again.
    #[must_use]
    pub fn reserve(&mut self) -> bool {
        let free = self.queued < self.backlog;
        if free {
            self.half_open_ended();
            self.queued += 1;
        }
        free
    }

    /// Takes a reservation back: the segment did not complete the handshake after all.
    pub fn unreserve(&mut self) {
        self.dequeued();
        self.half_open += 1;
    }

    /// A connection left the accept queue: accepted, or given up.
    pub fn dequeued(&mut self) {
        self.queued = self.queued.saturating_sub(1);
    }

    /// Handshakes in progress.
    #[must_use]
    pub fn half_open(&self) -> usize {
        self.half_open
    }

    /// Connections that wait for `accept`.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Listener {{ queued: {}/{}, half_open: {}/{} }}",
            self.queued, self.backlog, self.half_open, self.max_half_open
        )
    }
}
