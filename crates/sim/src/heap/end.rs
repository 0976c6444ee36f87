//! One end of a flow: its endpoint, its application, and the turns that they take.

use std::fmt;

use bytes::Bytes;
use netstack_tcp::{Instant, Segment};
use netstack_wire::Ecn;
use netstack_wire::tcp::TcpHeader;

use super::cut::cut;
use super::mailbox::Mailbox;
use super::wires::Wires;
use super::{App, Endpoint, EndpointConfig, Observer, Socket};

/// One of the two ends of a flow.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The first end; by default it opens actively.
    A,
    /// The second end; by default it opens passively.
    B,
}

impl Side {
    /// The other end.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// Names an end: a side of a flow. Shown as `A`, and as `A3` for a flow other than the first.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndId {
    /// The flow, counted from 0.
    pub flow: usize,
    /// The side of it.
    pub side: Side,
}

impl EndId {
    /// The end that it talks to.
    pub fn other(self) -> Self {
        Self { side: self.side.other(), ..self }
    }

    /// A number for tables with a place for each end.
    pub(crate) fn index(self) -> usize {
        2 * self.flow + self.side as usize
    }

    pub(crate) fn from_index(index: usize) -> Self {
        Self { flow: index / 2, side: if index.is_multiple_of(2) { Side::A } else { Side::B } }
    }
}

impl fmt::Display for EndId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.flow {
            0 => self.side.fmt(f),
            flow => write!(f, "{}{flow}", self.side),
        }
    }
}

/// One end with its application.
#[derive(Debug)]
pub(crate) struct End<A> {
    id: EndId,
    pub(crate) endpoint: Endpoint,
    pub(crate) app: A,
    /// When the application wants to be called.
    wake: Option<Instant>,
    mailbox: Mailbox,
    /// When the mailbox is to be emptied.
    turn_at: Option<Instant>,
    /// The earliest of `wake`, `turn_at` and the endpoint's own deadline.
    deadline: Option<Instant>,
}

impl<A: App> End<A> {
    pub(crate) fn new(id: EndId, config: EndpointConfig, app: A) -> Self {
        let endpoint = Endpoint::new(config);
        let deadline = endpoint.deadline();
        Self { id, endpoint, app, wake: None, mailbox: Mailbox::default(), turn_at: None, deadline }
    }

    /// When [`Self::expire`] is to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// A segment has come. Gives the deadline, as `expire` does.
    pub(crate) fn arrive<O: Observer>(
        &mut self,
        now: Instant,
        segment: Segment,
        wires: &mut Wires<O>,
    ) -> Option<Instant> {
        let delay = self.endpoint.config().turn_delay;
        if delay.is_zero() {
            self.handle(now, now, segment, wires);
            self.turn(now, wires);
        } else {
            self.mailbox.push(now, segment);
            let turn_at = *self.turn_at.get_or_insert(now + delay);
            self.deadline = Some(self.deadline.map_or(turn_at, |deadline| deadline.min(turn_at)));
        }
        self.deadline
    }

    /// The deadline has come, of the application, of the mailbox or of the connection.
    pub(crate) fn expire<O: Observer>(&mut self, now: Instant, wires: &mut Wires<O>) -> Option<Instant> {
        let merge = self.endpoint.config().merge;
        while let Some((at, segment)) = self.mailbox.pop(merge) {
            self.handle(now, at, segment, wires);
            self.endpoint.collect();
        }
        self.turn_at = None;
        self.endpoint.expire(now);
        self.turn(now, wires);
        self.deadline
    }

    /// Handles a segment that arrived at `at`.
    fn handle<O: Observer>(&mut self, now: Instant, at: Instant, segment: Segment, wires: &mut Wires<O>) {
        if let Some(header) = self.endpoint.arrive(at, segment) {
            self.send_bare(now, header, wires);
        }
    }

    /// What a connection actor does in a turn, after its inputs: hand over, let the application act, send.
    fn turn<O: Observer>(&mut self, now: Instant, wires: &mut Wires<O>) {
        self.endpoint.collect();
        self.endpoint.account_unread();
        loop {
            self.wake = self.app.poll(&mut Socket::new(&mut self.endpoint, now)).filter(|&wake| wake > now);
            self.endpoint.announce_room();
            self.transmit(now, wires);
            if !self.endpoint.collect() {
                break;
            }
            self.endpoint.account_unread();
        }
        self.endpoint.settle();
        self.deadline = [self.wake, self.endpoint.deadline()].into_iter().flatten().min();
        wires.observer.turned(now, self.id, &self.endpoint);
    }

    fn transmit<O: Observer>(&mut self, now: Instant, wires: &mut Wires<O>) {
        let max_payload = self.endpoint.config().max_payload;
        let ip_header = ip_header_len(&self.endpoint);
        let seen = self.endpoint.clock(now);
        let Some(connection) = self.endpoint.connection_mut() else { return };
        let mut slices = std::mem::take(&mut wires.slices);
        while let Some(transmit) = connection.poll_transmit(seen, &mut slices, max_payload) {
            cut(&transmit, &slices, |segment| wires.send(now, self.id, ip_header, segment));
        }
        slices.clear();
        wires.slices = slices;
    }

    fn send_bare<O: Observer>(&mut self, now: Instant, header: TcpHeader, wires: &mut Wires<O>) {
        let segment = Segment { header, payload: Bytes::new(), ecn: Ecn::NotEct, gso_size: 0 };
        wires.send(now, self.id, ip_header_len(&self.endpoint), segment);
    }
}

fn ip_header_len(endpoint: &Endpoint) -> usize {
    if endpoint.config().local.is_ipv6() { 40 } else { 20 }
}
