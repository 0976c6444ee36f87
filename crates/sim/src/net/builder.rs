//! Describing a network.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use netstack_tcp::TcpConfig;
use tokio_netstack::{IpNetwork, IpPrefix, StackBuilder};

use super::fabric::{Shared, State};
use super::host::{HostPlan, Settings};
use super::network::Network;
use super::node::Node;
use super::router::Router;
use super::{LinkId, NodeId, Observer, routes};
use crate::LinkConfig;

/// Describes a network: hosts, routers, and the links between them.
///
/// Packets take the shortest way, in links, unless [`route`](Self::route) says otherwise. A host with several links has a
/// device on each, in the order of the links. The addresses that it was made with belong to the first, which sockets that are
/// bound to one of them prefer, and are reached by any of its links; [`address`](Self::address) gives a link addresses of its own.
///
/// # Examples
///
/// A dumbbell: two clients and two servers, and a line of 10 Mbit/s that they share.
///
/// ```
/// use std::time::Duration;
/// use netstack_sim::{LinkConfig, QueueLimit, net::Builder};
///
/// let mut net = Builder::new(7);
/// let left = net.router("left", &["203.0.113.1"]);
/// let right = net.router("right", &["203.0.113.2"]);
/// let mut line = LinkConfig::new();
/// line.rate(10_000_000).delay(Duration::from_millis(20)).queue(QueueLimit::Packets(64));
/// let bottleneck = net.link(left, right, &line);
/// for n in 1..=2 {
///     let client = net.host(&format!("client {n}"), &[&format!("192.0.2.{n}")]);
///     let server = net.host(&format!("server {n}"), &[&format!("198.51.100.{n}")]);
///     net.link(client, left, &LinkConfig::new());
///     net.link(right, server, &LinkConfig::new());
/// }
/// # let _ = bottleneck;
/// ```
pub struct Builder {
    seed: u64,
    nodes: Vec<NodePlan>,
    links: Vec<(usize, usize, LinkConfig, LinkConfig)>,
    routes: Vec<(usize, IpNetwork, usize)>,
    tcp: TcpConfig,
    observer: Option<Box<dyn Observer>>,
}

struct NodePlan {
    name: String,
    /// Each with the link that it belongs to, if it is of one alone.
    addresses: Vec<(IpPrefix, Option<usize>)>,
    /// `None` of a router.
    settings: Option<Settings>,
}

impl Builder {
    /// A network without nodes, every random decision of which comes from one seed: the one in the environment variable
    /// `NETSTACK_SIM_SEED`, else `seed`. A test that panics has it printed.
    pub fn new(seed: u64) -> Self {
        Self {
            seed: crate::seed_or(seed),
            nodes: Vec::new(),
            links: Vec::new(),
            routes: Vec::new(),
            tcp: TcpConfig::new(),
            observer: None,
        }
    }

    /// The seed that is used.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Adds a host with these addresses, IPv4 or IPv6, such as `192.0.2.1` or `2001:db8::1`.
    ///
    /// # Panics
    ///
    /// If an address cannot be read or is no host's; so do the others that take addresses as text.
    pub fn host(&mut self, name: &str, addresses: &[&str]) -> NodeId {
        self.host_with(name, addresses, |stack| stack)
    }

    /// Adds a host whose stack has settings of its own, which `settings` makes. It is called again when the host is restarted.
    pub fn host_with(
        &mut self,
        name: &str,
        addresses: &[&str],
        settings: impl Fn(StackBuilder) -> StackBuilder + Send + Sync + 'static,
    ) -> NodeId {
        self.add(name, addresses, Some(Box::new(settings)))
    }

    /// Adds a router. It speaks ICMP from these addresses: time exceeded, too big, unreachable, and answers to pings; without
    /// an address of a packet's family it drops in silence.
    pub fn router(&mut self, name: &str, addresses: &[&str]) -> NodeId {
        self.add(name, addresses, None)
    }

    /// Links two nodes, both directions alike.
    ///
    /// # Panics
    ///
    /// If a node is of another network, or both are the same.
    pub fn link(&mut self, a: NodeId, b: NodeId, both: &LinkConfig) -> LinkId {
        self.link_ways(a, b, both, both)
    }

    /// Links two nodes; `there` is the direction from `a` to `b`.
    ///
    /// # Panics
    ///
    /// As [`link`](Self::link).
    pub fn link_ways(&mut self, a: NodeId, b: NodeId, there: &LinkConfig, back: &LinkConfig) -> LinkId {
        assert!(
            a.0.max(b.0) < self.nodes.len() && a != b,
            "{a:?} and {b:?} are not two nodes of this network"
        );
        self.links.push((a.0, b.0, there.clone(), back.clone()));
        LinkId(self.links.len() - 1)
    }

    /// Links each node to the next, all links alike; gives the links in order.
    pub fn chain(&mut self, nodes: &[NodeId], both: &LinkConfig) -> Vec<LinkId> {
        nodes.windows(2).map(|pair| self.link(pair[0], pair[1], both)).collect()
    }

    /// Links each of `leaves` to `hub`, all links alike; the direction there is the one from the leaf.
    pub fn star(&mut self, hub: NodeId, leaves: &[NodeId], both: &LinkConfig) -> Vec<LinkId> {
        leaves.iter().map(|&leaf| self.link(leaf, hub, both)).collect()
    }

    /// Has `node` send what is for `network`, such as `198.51.100.0/24` or one address, by `link`. The longest prefix wins; a
    /// shortest way counts where none matches.
    ///
    /// # Panics
    ///
    /// If `link` does not touch `node`, or the network cannot be read.
    pub fn route(&mut self, node: NodeId, network: &str, link: LinkId) -> &mut Self {
        let network = network.parse().unwrap_or_else(|error| panic!("{network:?} is no network: {error}"));
        let (a, b, ..) = self.links[link.0];
        let way = match node.0 {
            node if node == a => link.there(),
            node if node == b => link.back(),
            _ => panic!("{link:?} does not touch {node:?}, which cannot send by it"),
        };
        self.routes.push((node.0, network, way.0));
        self
    }

    /// Gives `node` an address that belongs to one of its links: packets to it come by that link, and what leaves by the link
    /// starts from it unless the application says otherwise. Sockets bound to it send by that link, wherever to, if that leads
    /// there.
    ///
    /// ```
    /// use netstack_sim::{LinkConfig, net::Builder};
    ///
    /// // A phone with two networks: the same server is reached by either, from the address of either.
    /// let mut net = Builder::new(7);
    /// let phone = net.host("phone", &[]);
    /// let (wifi, mobile) = (net.router("wifi", &["203.0.113.1"]), net.router("mobile", &["203.0.113.2"]));
    /// let (core, server) = (net.router("core", &[]), net.host("server", &["198.51.100.1"]));
    /// net.link(core, server, &LinkConfig::new());
    /// for (router, address) in [(wifi, "192.0.2.1"), (mobile, "192.0.2.129")] {
    ///     let link = net.link(phone, router, &LinkConfig::new());
    ///     net.address(phone, address, link);
    ///     net.link(router, core, &LinkConfig::new());
    /// }
    /// ```
    ///
    /// # Panics
    ///
    /// If `link` does not touch `node`, or the address cannot be read or is no host's.
    pub fn address(&mut self, node: NodeId, address: &str, link: LinkId) -> &mut Self {
        let (a, b, ..) = self.links[link.0];
        assert!(
            node.0 == a || node.0 == b,
            "{link:?} does not touch {node:?}, which cannot have its address there"
        );
        let plan = &mut self.nodes[node.0];
        plan.addresses.push((read(address, &plan.name), Some(link.0)));
        self
    }

    /// Settings of TCP for every host.
    pub fn tcp(&mut self, config: TcpConfig) -> &mut Self {
        self.tcp = config;
        self
    }

    /// Has `observer` see every packet at every link.
    pub fn observer(&mut self, observer: impl Observer + 'static) -> &mut Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Makes the network and starts the stacks of its hosts. To be called inside a Tokio runtime, with a paused clock: see
    /// [`block_on`](super::block_on).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): a host without an address or a link, or what
    /// [`StackBuilder::build`] refuses.
    pub fn build(mut self) -> io::Result<Network> {
        let shared = Arc::new(Shared::new(self.seed));
        let names = self.nodes.iter().map(|node| node.name.clone()).collect();
        let hosts = shared.build(|state| self.lay_out(state));
        let hosts = hosts.into_iter().collect::<io::Result<Vec<_>>>()?;
        Network::start(shared, names, hosts, self.tcp)
    }

    /// Makes the nodes, links and routes; gives the plans of the hosts, `None` for each router.
    fn lay_out(&mut self, state: &mut State) -> Vec<io::Result<Option<HostPlan>>> {
        state.is_replayable = true;
        state.observer = self.observer.take();
        for (index, node) in self.nodes.iter().enumerate() {
            let addresses = node.addresses.iter().map(|(address, _)| address.addr());
            state.owners.extend(addresses.clone().map(|address| (address, index)));
            state.add_node(match node.settings {
                Some(_) => Node::Host,
                None => Node::Router(Router { addresses: addresses.collect(), ..Router::default() }),
            });
        }
        for (a, b, there, back) in &self.links {
            state.add_link(*a, *b, there, back);
        }
        let edges: Vec<_> = state.channels.iter().map(|way| (way.from, way.to)).collect();
        let ways = self.ways(&edges);
        let plans = self.nodes.iter_mut().zip(ways).enumerate();
        plans
            .map(|(index, (node, ways))| {
                let laid = self.routes.iter().filter(|(at, ..)| *at == index);
                let laid: Vec<_> = laid.map(|&(_, network, way)| (network, way)).collect();
                if let Some(router) = state.router_mut(index) {
                    (router.routes, router.shortest) = (laid, ways.into_iter().collect());
                    return Ok(None);
                }
                let settings = node.settings.take().expect("what is no router is a host, and has settings");
                let out = (0..edges.len()).filter(|&way| edges[way].0 == index).collect();
                let host =
                    HostPlan { addresses: node.addresses.clone(), settings, out, laid, shortest: ways };
                host.check(&node.name).map(|()| Some(host))
            })
            .collect()
    }

    /// By node: the address of every other, and the direction that leads there: the shortest way first, then those that begin
    /// with a link which has an address of the node's own.
    fn ways(&self, edges: &[(usize, usize)]) -> Vec<Vec<(IpAddr, usize)>> {
        let forwards = |node: usize| self.nodes[node].settings.is_none();
        let is_own = |from: usize, way: usize| {
            let has = |link: usize| self.nodes[from].addresses.iter().any(|(_, own)| *own == Some(link));
            edges[way].0 == from && !forwards(from) && has(way / 2)
        };
        let mut ways: Vec<Vec<(IpAddr, usize)>> = vec![Vec::new(); self.nodes.len()];
        for (goal, node) in self.nodes.iter().enumerate() {
            for &(address, link) in &node.addresses {
                let enters = |way: usize| link.is_none_or(|link| way / 2 == link);
                let next = routes::towards(goal, self.nodes.len(), edges, forwards, enters);
                let leads = |way: usize| match edges[way].1 {
                    to if to == goal => enters(way),
                    to => forwards(to) && next[to].is_some(),
                };
                for (from, ways) in ways.iter_mut().enumerate().filter(|(from, _)| *from != goal) {
                    let other = |way: &usize| Some(*way) != next[from] && is_own(from, *way) && leads(*way);
                    let others = (0..edges.len()).filter(other);
                    ways.extend(next[from].into_iter().chain(others).map(|way| (address.addr(), way)));
                }
            }
        }
        ways
    }

    fn add(&mut self, name: &str, addresses: &[&str], settings: Option<Settings>) -> NodeId {
        let addresses = addresses.iter().map(|text| (read(text, name), None)).collect();
        self.nodes.push(NodePlan { name: name.to_owned(), addresses, settings });
        NodeId(self.nodes.len() - 1)
    }
}

/// An address of the node `name`.
fn read(text: &str, name: &str) -> IpPrefix {
    text.parse().unwrap_or_else(|error| panic!("{text:?} cannot be an address of {name:?}: {error}"))
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.nodes.iter().map(|node| &node.name).collect();
        f.debug_struct("Builder").field("seed", &self.seed).field("nodes", &names).finish_non_exhaustive()
    }
}
