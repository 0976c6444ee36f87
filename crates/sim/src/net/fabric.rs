//! The inside of a network: nodes, directions of links, and the packets under way, moved on by time.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use netstack_tcp::Instant;

use super::node::{Node, Receiver};
use super::observer::{Observer, Reason};
use super::policy::Policy;
use super::router::Router;
use crate::heap::EventHeap;
use crate::link::{Line, Outcome};
use crate::{Link, LinkConfig, LinkStats, Trace};

/// The state of a network, shared by its devices, its handles and its driver.
pub(crate) struct Shared(Mutex<State>);

impl Shared {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(State::new(seed)))
    }

    /// Brings the network up to the present, lets `act` do something to it at that instant, and wakes whom it concerns. No
    /// task runs under the lock.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        let (result, wakers) = {
            let mut state = self.lock();
            let now = state.now();
            state.run(now);
            let result = act(&mut state, now);
            state.run(now);
            state.call_driver();
            (result, std::mem::take(&mut state.wakers))
        };
        for waker in wakers {
            waker.wake();
        }
        result
    }

    /// Lets `act` make the network, before there is time, or look at it as it is, without bringing it up to the present.
    pub(crate) fn build<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.lock())
    }

    /// Hash of everything so far.
    pub(crate) fn trace(&self) -> Trace {
        self.with(|state, _| state.trace)
    }

    /// What a direction has done.
    pub(crate) fn stats(&self, way: usize) -> LinkStats {
        self.with(|state, _| state.channels[way].link.stats())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((driver, _)) = state.driver.take() {
            driver.wake();
        }
        if state.is_replayable && std::thread::panicking() {
            let variable = crate::seed::SEED_VARIABLE;
            eprintln!("the simulated network had the seed {0}; again: {variable}={0}", state.seed);
        }
    }
}

/// A packet on a link.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) id: u64,
    pub(super) bytes: Bytes,
}

/// What will happen.
#[derive(Debug)]
pub(super) enum Event {
    /// The line of a direction is free for what waits.
    Line(usize),
    /// A packet that a policy delayed reaches the queue.
    Queue(usize, Packet),
    /// A packet has crossed a direction; `cuts` of it when it left.
    Arrive { way: usize, cuts: u32, packet: Packet },
}

/// One direction of a link.
pub(super) struct Channel {
    pub(super) link: Link,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) mtu: usize,
    pub(super) is_up: bool,
    /// How often it was cut: what was under way then does not arrive.
    pub(super) cuts: u32,
    pub(super) policies: Vec<Policy>,
    pub(super) line: Line<Packet>,
    /// What has arrived, at a host.
    pub(super) receiver: Receiver,
}

pub(crate) struct State {
    pub(super) seed: u64,
    /// Whether the seed may be given by the environment.
    pub(super) is_replayable: bool,
    /// Time zero of the links: the first use, so that it is taken on the runtime's clock.
    epoch: Option<tokio::time::Instant>,
    pub(super) trace: Trace,
    /// Packets given to links so far.
    pub(super) packets: u64,
    pub(super) nodes: Vec<Node>,
    /// Two for each link.
    pub(super) channels: Vec<Channel>,
    pub(super) heap: EventHeap<Event>,
    pub(super) observer: Option<Box<dyn Observer>>,
    /// Wakes the driver, and when it wakes by itself.
    driver: Option<(Waker, Option<Instant>)>,
    has_driver: bool,
    /// Scratch for the lines.
    pub(super) outcomes: Vec<Outcome<Packet>>,
    /// To wake once the lock is free.
    pub(super) wakers: Vec<Waker>,
    /// By node, while the network is in parts: the part that it belongs to.
    pub(super) parts: Option<Vec<Option<usize>>>,
    /// Which host has an address.
    pub(super) owners: std::collections::BTreeMap<IpAddr, usize>,
}

impl State {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            is_replayable: false,
            epoch: None,
            trace: Trace::new(),
            packets: 0,
            nodes: Vec::new(),
            channels: Vec::new(),
            heap: EventHeap::new(),
            observer: None,
            driver: None,
            has_driver: false,
            outcomes: Vec::new(),
            wakers: Vec::new(),
            parts: None,
            owners: std::collections::BTreeMap::new(),
        }
    }

    pub(crate) fn add_node(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Adds both directions of a link between two nodes; gives the number of the one there, which the one back follows.
    pub(crate) fn add_link(&mut self, a: usize, b: usize, there: &LinkConfig, back: &LinkConfig) -> usize {
        let first = self.channels.len();
        for (config, from, to) in [(there, a, b), (back, b, a)] {
            let link = Link::new(config, self.seed, self.channels.len() as u64);
            self.channels.push(Channel {
                link,
                from,
                to,
                mtu: config.longest(),
                is_up: true,
                cuts: 0,
                policies: Vec::new(),
                line: Line::new(),
                receiver: Receiver::default(),
            });
        }
        first
    }

    /// Time zero on Tokio's clock.
    pub(super) fn epoch(&mut self) -> tokio::time::Instant {
        *self.epoch.get_or_insert_with(tokio::time::Instant::now)
    }

    /// An instant of the network on Tokio's clock.
    pub(super) fn tokio_time(&mut self, at: Instant) -> tokio::time::Instant {
        self.epoch() + Duration::from_nanos(at.as_nanos())
    }

    /// The present instant on Tokio's clock.
    pub(super) fn now(&mut self) -> Instant {
        Instant::from_duration(tokio::time::Instant::now() - self.epoch())
    }

    /// When the next thing happens.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.heap.next_at()
    }

    /// Whether a driver is to be started; true once.
    pub(super) fn wants_driver(&mut self) -> bool {
        !std::mem::replace(&mut self.has_driver, true)
    }

    /// The driver sleeps until `at`, or until it is called.
    pub(super) fn driver_sleeps(&mut self, waker: Waker, at: Option<Instant>) {
        self.driver = Some((waker, at));
    }

    /// Calls the driver if it would sleep past what happens next.
    fn call_driver(&mut self) {
        let next = self.next_at();
        let late = |(_, wakes_at): &(Waker, Option<Instant>)| {
            next.is_some_and(|next| wakes_at.is_none_or(|wakes_at| next < wakes_at))
        };
        if self.driver.as_ref().is_some_and(late)
            && let Some((driver, _)) = self.driver.take()
        {
            self.wakers.push(driver);
        }
    }

    /// Lets everything happen up to `now`, each at its own instant.
    fn run(&mut self, now: Instant) {
        while let Some((at, event)) = self.heap.pop_due(now) {
            match event {
                Event::Line(way) => {
                    self.channels[way].line.fire();
                    self.run_line(at, way);
                    self.observe_queue(at, way);
                }
                Event::Queue(way, packet) => self.queue(at, way, packet),
                Event::Arrive { way, cuts, packet } => self.arrive(at, way, cuts, packet),
            }
        }
    }

    fn arrive(&mut self, at: Instant, way: usize, cuts: u32, packet: Packet) {
        if cuts != self.channels[way].cuts {
            self.drop_packet(at, way, &packet, Reason::Cut);
            return;
        }
        self.arrived(at, way, &packet);
        if let Node::Router(router) = &self.nodes[self.channels[way].to] {
            self.forward(at, router.forward(packet.bytes, |way| self.channels[way].mtu));
            return;
        }
        let receiver = &mut self.channels[way].receiver;
        if !receiver.is_gone {
            receiver.inbox.push_back((at, packet.bytes));
            self.wakers.extend(receiver.waker.take());
        }
    }

    fn forward(&mut self, at: Instant, forwarded: Option<(usize, Vec<Bytes>)>) {
        if let Some((way, packets)) = forwarded {
            for packet in packets {
                self.send(at, way, packet);
            }
        }
    }

    pub(super) fn router_mut(&mut self, node: usize) -> Option<&mut Router> {
        match &mut self.nodes[node] {
            Node::Router(router) => Some(router),
            Node::Host => None,
        }
    }
}
