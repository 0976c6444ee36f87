//! Two endpoints and the link between them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use netstack_tcp::{Instant, MAX_PAYLOAD, TcpConfig};
use netstack_wire::SeqNum;

use super::{App, EndId, Endpoint, EndpointConfig, FlowConfig, Network, NetworkConfig, Observer, Open, Side};
use crate::{LinkConfig, LinkStats, Trace};

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
            tick: Duration::ZERO,
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
pub struct Pair<A, B, O>(Network<A, B, O>);

impl<A: App, B: App, O: Observer> Pair<A, B, O> {
    /// A pair at time zero, with `app_a` and `app_b` on its ends, watched by `observer` (`()` for none).
    pub fn new(config: PairConfig, app_a: A, app_b: B, observer: O) -> Self {
        let PairConfig { seed, a, b, a_to_b, b_to_a } = config;
        let flow = FlowConfig { a, b, a_to_b: vec![0], b_to_a: vec![1] };
        let network =
            NetworkConfig { seed, links: vec![a_to_b, b_to_a], flows: vec![flow], victims: Vec::new() };
        Self(Network::new(network, vec![(app_a, app_b)], observer))
    }

    /// When the next thing happens; `None` if nothing ever will.
    pub fn next_at(&self) -> Option<Instant> {
        self.0.next_at()
    }

    /// Lets the next thing happen: one arrival, or what is due at one end. Gives its instant, or `None` if nothing is left
    /// to happen.
    pub fn step(&mut self) -> Option<Instant> {
        self.0.step()
    }

    /// Runs until nothing is left to happen: the connections are gone and nothing is under way.
    pub fn run(&mut self) {
        self.0.run();
    }

    /// Runs everything up to and at `limit`; tells whether something is left to happen after it.
    pub fn run_until(&mut self, limit: Instant) -> bool {
        self.0.run_until(limit)
    }

    /// The present instant.
    pub fn now(&self) -> Instant {
        self.0.now()
    }

    /// Calls of [`step`](Self::step) that did something.
    pub fn steps(&self) -> u64 {
        self.0.steps()
    }

    /// Packets under way.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight()
    }

    /// The end of `side`.
    pub fn endpoint(&self, side: Side) -> &Endpoint {
        self.0.endpoint(EndId { flow: 0, side })
    }

    /// The application on A.
    pub fn app_a(&self) -> &A {
        self.0.app_a(0)
    }

    /// The application on B.
    pub fn app_b(&self) -> &B {
        self.0.app_b(0)
    }

    /// What the link that leaves `side` has done.
    pub fn link_stats(&self, side: Side) -> LinkStats {
        self.0.link_stats(side as usize)
    }

    /// Hash of all that was sent so far.
    pub fn trace(&self) -> Trace {
        self.0.trace()
    }

    /// The observer.
    pub fn observer(&self) -> &O {
        self.0.observer()
    }

    /// Ends the run and gives out what the observer has seen.
    pub fn into_observer(self) -> O {
        self.0.into_observer()
    }
}

#[cfg(test)]
mod tests;
