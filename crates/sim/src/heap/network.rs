//! Flows and the links that they share.

use netstack_tcp::{Instant, Segment};

use super::deadlines::Deadlines;
use super::end::End;
use super::wires::{Advance, Wires};
use super::{App, EndId, Endpoint, EndpointConfig, Observer, Side, Victim};
use crate::{Link, LinkConfig, LinkStats, Trace};

/// A connection between two ends, and the links between them.
#[derive(Clone, Debug)]
pub struct FlowConfig {
    /// The first end.
    pub a: EndpointConfig,
    /// The second end.
    pub b: EndpointConfig,
    /// The links that a packet from A to B crosses, in order, at least one; places in [`NetworkConfig::links`].
    pub a_to_b: Vec<usize>,
    /// The links that a packet from B to A crosses.
    pub b_to_a: Vec<usize>,
}

/// What a [`Network`] is made of.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Seed of every random decision of the links.
    pub seed: u64,
    /// Each one direction of a link; several flows may share one.
    pub links: Vec<LinkConfig>,
    /// The flows.
    pub flows: Vec<FlowConfig>,
    /// Packets that are lost whatever chance says.
    pub victims: Vec<Victim>,
}

/// Flows with an application on each end, and the links that they share, on an event heap.
///
/// ```
/// use netstack_sim::LinkConfig;
/// use netstack_sim::heap::{FlowConfig, Network, NetworkConfig, PairConfig, Receiver, Sender};
///
/// // Two flows, one bottleneck there and one way back.
/// let mut bottleneck = LinkConfig::new();
/// bottleneck.rate(10_000_000);
/// let ends = PairConfig::new(7);
/// let flow = FlowConfig { a: ends.a, b: ends.b, a_to_b: vec![0], b_to_a: vec![1] };
/// let config = NetworkConfig {
///     seed: 7,
///     links: vec![bottleneck, LinkConfig::new()],
///     flows: vec![flow.clone(), flow],
///     victims: Vec::new(),
/// };
/// let apps = (0..2).map(|_| (Sender::new(50_000), Receiver::new())).collect();
/// let mut network = Network::new(config, apps, ());
/// network.run();
/// assert_eq!(network.app_b(1).received(), 50_000);
/// ```
#[derive(Debug)]
pub struct Network<A, B, O> {
    flows: Vec<(End<A>, End<B>)>,
    wires: Wires<O>,
    /// By [`EndId::index`].
    deadlines: Deadlines,
    now: Instant,
    steps: u64,
}

impl<A: App, B: App, O: Observer> Network<A, B, O> {
    /// A network at time zero with a pair of applications for each flow, watched by `observer` (`()` for none).
    ///
    /// # Panics
    ///
    /// If there are not as many pairs of applications as flows, or a route is empty or names a link that there is not.
    pub fn new(config: NetworkConfig, apps: Vec<(A, B)>, observer: O) -> Self {
        assert_eq!(config.flows.len(), apps.len(), "a pair of applications for each flow");
        let number = 0..;
        let links: Vec<_> =
            config.links.iter().zip(number).map(|(link, id)| Link::new(link, config.seed, id)).collect();
        let mut flows = Vec::with_capacity(apps.len());
        let mut routes = Vec::with_capacity(2 * apps.len());
        let mut deadlines = Deadlines::new(2 * apps.len());
        for (flow, (ends, (app_a, app_b))) in config.flows.into_iter().zip(apps).enumerate() {
            for route in [ends.a_to_b, ends.b_to_a] {
                let known = route.iter().all(|&link| link < links.len());
                assert!(
                    known && !route.is_empty(),
                    "flow {flow} has a route over {route:?} of {} links",
                    links.len()
                );
                routes.push(route.into());
            }
            let a = End::new(EndId { flow, side: Side::A }, ends.a, app_a);
            let b = End::new(EndId { flow, side: Side::B }, ends.b, app_b);
            deadlines.set(2 * flow, a.deadline());
            deadlines.set(2 * flow + 1, b.deadline());
            flows.push((a, b));
        }
        let wires = Wires::new(links, routes, config.victims, observer);
        Self { flows, wires, deadlines, now: Instant::ZERO, steps: 0 }
    }

    /// When the next thing happens; `None` if nothing ever will.
    pub fn next_at(&self) -> Option<Instant> {
        match (self.wires.next_at(), self.deadlines.first()) {
            (Some(packet), Some(deadline)) => Some(packet.min(deadline)),
            (packet, deadline) => packet.or(deadline),
        }
    }

    /// Lets the next thing happen: one packet has crossed a link, or what is due at one end. Gives its instant, or `None` if
    /// nothing is left to happen.
    pub fn step(&mut self) -> Option<Instant> {
        let at = self.next_at()?;
        self.now = self.now.max(at);
        self.steps += 1;
        match self.wires.advance(self.now) {
            Some(Advance::Arrived(to, segment)) => {
                let (a, b) = &mut self.flows[to.flow];
                let deadline = match to.side {
                    Side::A => a.arrive(self.now, segment, &mut self.wires),
                    Side::B => b.arrive(self.now, segment, &mut self.wires),
                };
                self.deadlines.set(to.index(), deadline);
            }
            Some(Advance::Moved) => {}
            None => {
                let end = EndId::from_index(self.deadlines.first_end());
                let (a, b) = &mut self.flows[end.flow];
                let deadline = match end.side {
                    Side::A => a.expire(self.now, &mut self.wires),
                    Side::B => b.expire(self.now, &mut self.wires),
                };
                self.deadlines.set(end.index(), deadline);
            }
        }
        Some(self.now)
    }

    /// Lets a segment that nobody sends in this run arrive at `at`, as if `from` had sent it: an old duplicate, or a forgery.
    pub fn inject(&mut self, from: EndId, segment: Segment, at: Instant) {
        self.wires.inject(self.now, from, segment, at.max(self.now));
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
        self.wires.in_flight()
    }

    /// An end; [`app_a`](Self::app_a) and [`app_b`](Self::app_b) give the applications.
    ///
    /// # Panics
    ///
    /// If there is no such flow; so do the others that are given a number.
    pub fn endpoint(&self, end: EndId) -> &Endpoint {
        let (a, b) = &self.flows[end.flow];
        match end.side {
            Side::A => &a.endpoint,
            Side::B => &b.endpoint,
        }
    }

    /// The application on A of a flow.
    pub fn app_a(&self, flow: usize) -> &A {
        &self.flows[flow].0.app
    }

    /// The application on B of a flow.
    pub fn app_b(&self, flow: usize) -> &B {
        &self.flows[flow].1.app
    }

    /// What a link has done.
    pub fn link_stats(&self, link: usize) -> LinkStats {
        self.wires.links[link].stats()
    }

    /// Bytes and packets that wait in front of the line of a link now.
    pub fn link_waiting(&mut self, link: usize) -> (usize, usize) {
        self.wires.links[link].waiting(self.now)
    }

    /// Hash of all that was sent so far.
    pub fn trace(&self) -> Trace {
        self.wires.trace
    }

    /// The observer.
    pub fn observer(&self) -> &O {
        &self.wires.observer
    }

    /// Ends the run and gives out what the observer has seen.
    pub fn into_observer(self) -> O {
        self.wires.observer
    }
}

#[cfg(test)]
mod tests;
