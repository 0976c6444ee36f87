//! A network at work.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use netstack_tcp::{Instant, TcpConfig};
use tokio_netstack::Stack;

use super::fabric::Shared;
use super::host::HostPlan;
use super::policy::{PacketView, Verdict, drop_nth};
use super::{NodeId, Way};
use crate::{LinkConfig, LinkStats, Trace};

/// A network of stacks in virtual time, made by a [`Builder`](super::Builder). Cloning gives another handle to the same.
///
/// What names directions of links takes a [`Way`], a [`LinkId`](super::LinkId) for both of its directions, or a collection
/// of ways. What is changed counts from the present instant on.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use netstack_sim::{LinkConfig, net};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio_netstack::{TcpListener, TcpStream};
///
/// # fn main() -> std::io::Result<()> {
/// net::block_on(async {
///     let mut net = net::Builder::new(7);
///     let client = net.host("client", &["192.0.2.1", "2001:db8::1"]);
///     let server = net.host("server", &["192.0.2.2", "2001:db8::2"]);
///     let link = net.link(client, server, LinkConfig::new().rate(10_000_000).loss(0.02));
///     let net = net.build()?;
///
///     let listener = TcpListener::bind(&net.stack(server), ([192, 0, 2, 2], 7)).await?;
///     let mut stream = TcpStream::connect(&net.stack(client), ([192, 0, 2, 2], 7)).await?;
///     let (mut accepted, _) = listener.accept().await?;
///     net.cut(link);
///     stream.write_all(b"hello").await?;
///     tokio::time::sleep(Duration::from_secs(5)).await;
///     net.heal(link);
///     let mut text = [0; 5];
///     accepted.read_exact(&mut text).await?;
///     assert_eq!(&text, b"hello");
///     Ok(())
/// })
/// # }
/// ```
#[derive(Clone)]
pub struct Network {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    seed: u64,
    names: Vec<String>,
    /// By node; `None` of a router.
    hosts: Vec<Option<HostPlan>>,
    tcp: TcpConfig,
    /// By node: the stack, and how often it was restarted.
    stacks: Mutex<Vec<Option<(Stack, u64)>>>,
}

impl Network {
    pub(super) fn start(
        shared: Arc<Shared>,
        names: Vec<String>,
        hosts: Vec<Option<HostPlan>>,
        tcp: TcpConfig,
    ) -> io::Result<Self> {
        let seed = shared.build(|state| state.seed);
        let boot = |(host, plan): (usize, &Option<HostPlan>)| {
            plan.as_ref().map(|plan| Ok((plan.boot(&shared, seed, host, 0, &tcp)?, 0))).transpose()
        };
        let stacks = hosts.iter().enumerate().map(boot).collect::<io::Result<Vec<_>>>()?;
        let stacks = Mutex::new(stacks);
        Ok(Self { inner: Arc::new(Inner { shared, seed, names, hosts, tcp, stacks }) })
    }

    /// The stack of a host; the present one, if it was restarted.
    ///
    /// # Panics
    ///
    /// If the node is a router, or of another network.
    pub fn stack(&self, host: NodeId) -> Stack {
        match &self.stacks()[host.0] {
            Some((stack, _)) => stack.clone(),
            None => panic!("{:?} is a router and has no stack", self.name(host)),
        }
    }

    /// The name that a node was given.
    pub fn name(&self, node: NodeId) -> &str {
        &self.inner.names[node.0]
    }

    /// The nodes, in the order in which the builder was given them.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        (0..self.inner.names.len()).map(NodeId)
    }

    /// The directions of all links, and the nodes where each begins and ends.
    pub fn ways(&self) -> Vec<(Way, NodeId, NodeId)> {
        self.inner.shared.with(|state, _| {
            let ways = state.channels.iter().enumerate();
            ways.map(|(way, channel)| (Way(way), NodeId(channel.from), NodeId(channel.to))).collect()
        })
    }

    /// The seed that every random decision comes from.
    pub fn seed(&self) -> u64 {
        self.inner.seed
    }

    /// The present instant, since the network's start.
    pub fn now(&self) -> Instant {
        self.inner.shared.with(|_, now| now)
    }

    /// Hash of every packet so far: where and when it was sent, its bytes, and what became of it. Two runs with one seed have
    /// the same.
    pub fn trace(&self) -> Trace {
        self.inner.shared.trace()
    }

    /// What a direction has done so far.
    pub fn stats(&self, way: Way) -> LinkStats {
        self.inner.shared.stats(way.0)
    }

    /// Bytes and packets that wait in front of the line of a direction.
    pub fn waiting(&self, way: Way) -> (usize, usize) {
        self.inner.shared.with(|state, now| state.channels[way.0].link.waiting(now))
    }

    /// Cuts directions: what waits, what is under way and what comes is lost, until they are healed.
    pub fn cut(&self, ways: impl IntoIterator<Item = Way>) {
        self.each(ways, |network, way| network.shared.with(|state, now| state.cut(now, way.0)));
    }

    /// Heals directions that were cut.
    pub fn heal(&self, ways: impl IntoIterator<Item = Way>) {
        self.each(ways, |network, way| network.shared.with(|state, _| state.channels[way.0].is_up = true));
    }

    /// Changes what directions do. Packets that have left the queue arrive as they would have.
    ///
    /// A new MTU is for routers and for what comes; the devices of hosts keep theirs, and what they send beyond it is lost.
    pub fn change(&self, ways: impl IntoIterator<Item = Way>, change: impl Fn(&mut LinkConfig)) {
        self.each(ways, |network, way| {
            network.shared.with(|state, _| {
                let channel = &mut state.channels[way.0];
                let mut config = channel.link.config().clone();
                change(&mut config);
                channel.mtu = config.longest();
                channel.link.reconfigure(&config);
            });
        });
    }

    /// Has `policy` decide over each packet given to a direction, before its queue. Policies are asked in the order in which
    /// they were added; the first that does not let a packet pass decides. A policy must not call the network.
    ///
    /// ```
    /// # use netstack_sim::{LinkConfig, net};
    /// use net::Verdict;
    ///
    /// # net::block_on(async {
    /// # let mut net = net::Builder::new(7);
    /// # let a = net.host("a", &["192.0.2.1"]);
    /// # let b = net.host("b", &["192.0.2.2"]);
    /// # let link = net.link(a, b, &LinkConfig::new());
    /// # let net = net.build().unwrap();
    /// // A box in the middle that strips every option off.
    /// net.policy(link.there(), |packet| match packet.with_tcp(|header| header.options = Default::default()) {
    ///     Some(bytes) => Verdict::Replace(bytes),
    ///     None => Verdict::Pass,
    /// });
    /// # });
    /// ```
    pub fn policy(&self, way: Way, policy: impl FnMut(&PacketView<'_>) -> Verdict + Send + 'static) {
        self.inner.shared.with(|state, _| state.channels[way.0].policies.push(Box::new(policy)));
    }

    /// Gives a packet to a direction as if the node where it begins had sent it: an old duplicate, or a forgery.
    pub fn inject(&self, way: Way, packet: impl Into<Bytes>) {
        self.inner.shared.with(|state, now| state.send(now, way.0, packet.into()));
    }

    /// Takes the policies of a direction away.
    pub fn clear_policies(&self, way: Way) {
        let policies = self.inner.shared.with(|state, _| std::mem::take(&mut state.channels[way.0].policies));
        drop(policies);
    }

    /// Drops the packet that is the `nth`, counted from 1 and from now, for which `matches` holds, and no other.
    ///
    /// ```
    /// # use netstack_sim::{LinkConfig, net};
    /// # net::block_on(async {
    /// # let mut net = net::Builder::new(7);
    /// # let a = net.host("a", &["192.0.2.1"]);
    /// # let b = net.host("b", &["192.0.2.2"]);
    /// # let link = net.link(a, b, &LinkConfig::new());
    /// # let net = net.build().unwrap();
    /// // The third segment that carries data.
    /// net.drop_nth(link.there(), 3, |packet| packet.has_data());
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// If `nth` is 0.
    pub fn drop_nth(
        &self,
        way: Way,
        nth: u64,
        matches: impl FnMut(&PacketView<'_>) -> bool + Send + 'static,
    ) {
        self.policy(way, drop_nth(nth, matches));
    }

    /// Takes the hosts of `parts` apart: from now on a packet from a host of one part to a host of another is lost on its
    /// first link. Nodes that are in no part reach everyone. In place of an earlier partition.
    pub fn partition(&self, parts: &[&[NodeId]]) {
        let mut of = vec![None; self.inner.names.len()];
        for (part, nodes) in parts.iter().enumerate() {
            for node in *nodes {
                of[node.0] = Some(part);
            }
        }
        self.inner.shared.with(|state, _| state.parts = Some(of));
    }

    /// Ends a [`partition`](Self::partition).
    pub fn reunite(&self) {
        self.inner.shared.with(|state, _| state.parts = None);
    }

    /// Restarts a host as if its power had failed: its stack is gone without a word to its peers, and the new one, with the
    /// same addresses and settings, knows nothing of it. Sockets of the old stack report an error.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`](super::Builder::build).
    ///
    /// # Panics
    ///
    /// If the node is a router.
    pub fn restart(&self, host: NodeId) -> io::Result<Stack> {
        let Inner { shared, seed, hosts, tcp, .. } = &*self.inner;
        let Some(plan) = &hosts[host.0] else { panic!("{:?} is a router: cut its links", self.name(host)) };
        let boot = self.stacks()[host.0].as_ref().map_or(0, |(_, boot)| boot + 1);
        let stack = plan.boot(shared, *seed, host.0, boot, tcp)?;
        let old = self.stacks()[host.0].replace((stack.clone(), boot));
        drop(old);
        Ok(stack)
    }

    fn each(&self, ways: impl IntoIterator<Item = Way>, mut act: impl FnMut(&Inner, Way)) {
        for way in ways {
            act(&self.inner, way);
        }
    }

    /// No caller's code runs under the lock.
    fn stacks(&self) -> MutexGuard<'_, Vec<Option<(Stack, u64)>>> {
        self.inner.stacks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("seed", &self.inner.seed)
            .field("nodes", &self.inner.names)
            .finish_non_exhaustive()
    }
}

/// Runs a future to its end on a runtime of its own: one thread, the clock paused, so that it is in virtual time, and the
/// same on each run. What `#[tokio::test(start_paused = true)]` gives a test, for one that wants to run something twice.
///
/// # Panics
///
/// If the operating system cannot make a runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing that the system could refuse")
        .block_on(future)
}
