//! Two endpoints and the link between them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use netstack_tcp::{Instant, MAX_PAYLOAD, Segment, TcpConfig};
use netstack_wire::tcp::TcpHeader;
use netstack_wire::{Ecn, SeqNum};

use super::cut::cut;
use super::events::EventHeap;
use super::mailbox::Mailbox;
use super::{App, Endpoint, EndpointConfig, Observer, Open, Socket};
use crate::{Fate, Link, LinkConfig, LinkStats, Trace};

/// One of the two ends.
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

/// What a [`Pair`] is made of.
#[derive(Clone, Debug)]
pub struct PairConfig {
    /// Seed of every random decision of the links.
    pub seed: u64,
    /// The first end.
    pub a: EndpointConfig,
    /// The second end.
    pub b: EndpointConfig,
    /// The link from A to B.
    pub a_to_b: LinkConfig,
    /// The link from B to A.
    pub b_to_a: LinkConfig,
}

impl PairConfig {
    /// A connects at once from 192.0.2.1 to B, which listens on 192.0.2.2, over a perfect wire of MTU 1,500 with default
    /// protocol settings.
    pub fn new(seed: u64) -> Self {
        let a = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 40_000);
        let b = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 7);
        let tcp = Arc::new(TcpConfig::new());
        let end = |local, remote, open, iss| EndpointConfig {
            local,
            remote,
            open,
            iss: SeqNum(iss),
            ts_offset: 0,
            mtu: 1500,
            max_payload: MAX_PAYLOAD,
            turn_delay: Duration::ZERO,
            merge: false,
            tcp: Arc::clone(&tcp),
        };
        Self {
            seed,
            a: end(a, b, Open::Active(Instant::ZERO), 1_000),
            b: end(b, a, Open::Passive, 2_000),
            a_to_b: LinkConfig::new(),
            b_to_a: LinkConfig::new(),
        }
    }
}

/// Two endpoints with an application each, and the two directions of a link, on an event heap.
///
/// ```
/// use netstack_sim::heap::{Pair, PairConfig, Receiver, Sender, Side};
///
/// let mut config = PairConfig::new(7);
/// config.a_to_b.loss(0.01);
/// let mut pair = Pair::new(config, Sender::new(100_000), Receiver::new(), ());
/// pair.run();
/// assert_eq!(pair.app_b().received(), 100_000);
/// assert!(pair.link_stats(Side::A).delivered > 0);
/// ```
#[derive(Debug)]
pub struct Pair<A, B, O> {
    a: End<A>,
    b: End<B>,
    wires: Wires<O>,
    now: Instant,
    steps: u64,
}

impl<A: App, B: App, O: Observer> Pair<A, B, O> {
    /// A pair at time zero, with `app_a` and `app_b` on its ends, watched by `observer` (`()` for none).
    pub fn new(config: PairConfig, app_a: A, app_b: B, observer: O) -> Self {
        let a_to_b = Link::new(&config.a_to_b, config.seed, 0);
        let b_to_a = Link::new(&config.b_to_a, config.seed, 1);
        Self {
            a: End::new(Side::A, config.a, app_a, a_to_b),
            b: End::new(Side::B, config.b, app_b, b_to_a),
            wires: Wires { heap: EventHeap::new(), trace: Trace::new(), observer, slices: Vec::new() },
            now: Instant::ZERO,
            steps: 0,
        }
    }

    /// When the next thing happens; `None` if nothing ever will.
    pub fn next_at(&self) -> Option<Instant> {
        [self.wires.heap.next_at(), self.a.deadline, self.b.deadline].into_iter().flatten().min()
    }

    /// Lets the next thing happen: one arrival, or what is due at one end. Gives its instant, or `None` if nothing is left
    /// to happen.
    pub fn step(&mut self) -> Option<Instant> {
        let at = self.next_at()?;
        self.now = self.now.max(at);
        self.steps += 1;
        if let Some((_, (side, segment))) = self.wires.heap.pop_due(self.now) {
            self.wires.observer.arrived(self.now, side, &segment);
            match side {
                Side::A => self.a.arrive(self.now, segment, &mut self.wires),
                Side::B => self.b.arrive(self.now, segment, &mut self.wires),
            }
        } else if self.a.is_due(self.now) {
            self.a.expire(self.now, &mut self.wires);
        } else {
            self.b.expire(self.now, &mut self.wires);
        }
        Some(self.now)
    }

    /// Runs until nothing is left to happen: the connections are gone and nothing is under way.
    pub fn run(&mut self) {
        while self.step().is_some() {}
    }

    /// Runs everything up to and at `limit`; tells whether something is left to happen after it.
    pub fn run_until(&mut self, limit: Instant) -> bool {
        while let Some(at) = self.next_at() {
            if at > limit {
                self.now = self.now.max(limit);
                return true;
            }
            self.step();
        }
        false
    }

    /// The present instant.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Calls of [`step`](Self::step) that did something.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Packets under way.
    pub fn in_flight(&self) -> usize {
        self.wires.heap.len()
    }

    /// The end of `side`.
    pub fn endpoint(&self, side: Side) -> &Endpoint {
        match side {
            Side::A => &self.a.endpoint,
            Side::B => &self.b.endpoint,
        }
    }

    /// The application on A.
    pub fn app_a(&self) -> &A {
        &self.a.app
    }

    /// The application on B.
    pub fn app_b(&self) -> &B {
        &self.b.app
    }

    /// What the link that leaves `side` has done.
    pub fn link_stats(&self, side: Side) -> LinkStats {
        match side {
            Side::A => self.a.link.stats(),
            Side::B => self.b.link.stats(),
        }
    }

    /// Hash of all that was sent so far.
    pub fn trace(&self) -> Trace {
        self.wires.trace
    }

    /// The observer.
    pub fn observer(&self) -> &O {
        &self.wires.observer
    }
}

/// One end with its application and the link that leaves it.
#[derive(Debug)]
struct End<A> {
    side: Side,
    endpoint: Endpoint,
    app: A,
    /// When the application wants to be called.
    wake: Option<Instant>,
    link: Link,
    mailbox: Mailbox,
    /// When the mailbox is to be emptied.
    turn_at: Option<Instant>,
    /// The earliest of `wake`, `turn_at` and the endpoint's own deadline.
    deadline: Option<Instant>,
}

impl<A: App> End<A> {
    fn new(side: Side, config: EndpointConfig, app: A, link: Link) -> Self {
        let endpoint = Endpoint::new(config);
        let deadline = endpoint.deadline();
        Self { side, endpoint, app, wake: None, link, mailbox: Mailbox::default(), turn_at: None, deadline }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|at| at <= now)
    }

    fn arrive<O: Observer>(&mut self, now: Instant, segment: Segment, wires: &mut Wires<O>) {
        let delay = self.endpoint.config().turn_delay;
        if delay.is_zero() {
            self.handle(now, now, segment, wires);
            self.turn(now, wires);
            return;
        }
        self.mailbox.push(now, segment);
        let turn_at = *self.turn_at.get_or_insert(now + delay);
        self.deadline = Some(self.deadline.map_or(turn_at, |deadline| deadline.min(turn_at)));
    }

    fn expire<O: Observer>(&mut self, now: Instant, wires: &mut Wires<O>) {
        let merge = self.endpoint.config().merge;
        while let Some((at, segment)) = self.mailbox.pop(merge) {
            self.handle(now, at, segment, wires);
            self.endpoint.collect();
        }
        self.turn_at = None;
        self.endpoint.expire(now);
        self.turn(now, wires);
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
        wires.observer.turned(now, self.side, &self.endpoint);
    }

    fn transmit<O: Observer>(&mut self, now: Instant, wires: &mut Wires<O>) {
        let max_payload = self.endpoint.config().max_payload;
        let ip_header = ip_header_len(&self.endpoint);
        let Some(connection) = self.endpoint.connection_mut() else { return };
        let mut slices = std::mem::take(&mut wires.slices);
        while let Some(transmit) = connection.poll_transmit(now, &mut slices, max_payload) {
            cut(&transmit, &slices, |segment| wires.send(now, self.side, &mut self.link, ip_header, segment));
        }
        slices.clear();
        wires.slices = slices;
    }

    fn send_bare<O: Observer>(&mut self, now: Instant, header: TcpHeader, wires: &mut Wires<O>) {
        let segment = Segment { header, payload: Bytes::new(), ecn: Ecn::NotEct, gso_size: 0 };
        wires.send(now, self.side, &mut self.link, ip_header_len(&self.endpoint), segment);
    }
}

/// What both directions share.
#[derive(Debug)]
struct Wires<O> {
    heap: EventHeap<(Side, Segment)>,
    trace: Trace,
    observer: O,
    /// Scratch for `poll_transmit`.
    slices: Vec<Bytes>,
}

impl<O: Observer> Wires<O> {
    fn send(&mut self, now: Instant, from: Side, link: &mut Link, ip_header: usize, segment: Segment) {
        let len = ip_header + segment.header.header_len() + segment.payload.len();
        let fate = link.send(now, len);
        self.record(now, from, &segment, fate);
        self.observer.sent(now, from, &segment, fate);
        if let Fate::Arrives { at, copy } = fate {
            let to = from.other();
            if let Some(copy) = copy {
                self.heap.push(copy, (to, segment.clone()));
            }
            self.heap.push(at, (to, segment));
        }
    }

    fn record(&mut self, now: Instant, from: Side, segment: &Segment, fate: Fate) {
        let header = &segment.header;
        let (code, at) = match fate {
            Fate::QueueFull => (0, 0),
            Fate::Lost => (1, 0),
            Fate::Arrives { at, copy: None } => (2, at.as_nanos()),
            Fate::Arrives { at, copy: Some(copy) } => (3, at.as_nanos() ^ copy.as_nanos().rotate_left(32)),
        };
        let timestamps = header.options.timestamps.unwrap_or_default();
        let trace = &mut self.trace;
        trace.packet();
        trace.word(now.as_nanos());
        trace.word(at);
        trace.word(code << 8 | from as u64);
        trace.word(u64::from(header.seq.0) << 32 | u64::from(header.ack.0));
        trace.word(
            (segment.payload.len() as u64) << 32
                | u64::from(header.flags.bits()) << 16
                | u64::from(header.window),
        );
        trace.word(u64::from(timestamps.val) << 32 | u64::from(timestamps.ecr));
    }
}

fn ip_header_len(endpoint: &Endpoint) -> usize {
    if endpoint.config().local.is_ipv6() { 40 } else { 20 }
}

#[cfg(test)]
mod tests;
