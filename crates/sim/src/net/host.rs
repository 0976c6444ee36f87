//! How the stack of a host is made, and made again.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use netstack_tcp::TcpConfig;
use tokio_netstack::{IpNetwork, IpPrefix, Stack, StackBuilder};

use super::fabric::Shared;
use super::port::SimDevice;
use super::watch::HostWatch;
use crate::SimRng;

/// Settings of a host's stack.
pub(super) type Settings = Box<dyn Fn(StackBuilder) -> StackBuilder + Send + Sync>;

/// A host, as the builder laid it out.
pub(super) struct HostPlan {
    /// Each with the link that it belongs to; the first one without.
    pub(super) addresses: Vec<(IpPrefix, Option<usize>)>,
    pub(super) settings: Settings,
    /// The directions of its links by which it sends; its devices in order.
    pub(super) out: Vec<usize>,
    /// Networks whose way was laid down.
    pub(super) laid: Vec<(IpNetwork, usize)>,
    /// The ways to each address, the shortest first.
    pub(super) shortest: Vec<(IpAddr, usize)>,
}

impl HostPlan {
    pub(super) fn check(&self, name: &str) -> io::Result<()> {
        let lacks = match (self.addresses.is_empty(), self.out.is_empty()) {
            (true, _) => "an address: give `host` one",
            (_, true) => "a link: connect it with `link`",
            _ => return Ok(()),
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("the host {name:?} lacks {lacks}")))
    }

    /// Makes its stack, the `boot`th, counted from 0; devices of an earlier one are gone.
    pub(super) fn boot(
        &self,
        network: &Arc<Shared>,
        seed: u64,
        host: usize,
        boot: u64,
        tcp: &TcpConfig,
    ) -> io::Result<Stack> {
        let mut stack = Stack::builder();
        if network.build(|state| state.observer.is_some()) {
            stack = stack.observe(HostWatch::new(network, host));
        }
        for (device, &out) in self.out.iter().enumerate() {
            stack = stack.device(SimDevice::attach(network, out));
            let here = |link: &Option<usize>| link.map_or(device == 0, |link| link == out / 2);
            let own = self.addresses.iter().filter(|(_, link)| here(link));
            stack = own.fold(stack, |stack, &(address, _)| stack.address(address));
        }
        if self.out.len() > 1 {
            for (network, way) in self.routes() {
                let device = self.out.iter().position(|&out| out == way);
                stack = device.into_iter().fold(stack, |stack, device| stack.route(network, device));
            }
        }
        let secret = SimRng::new(seed, 1 << 48 | (host as u64) << 24 | boot).next_u64();
        (self.settings)(stack.tcp_config(tcp.clone()).seed_for_test(secret)).build()
    }

    /// Its routes: those laid down, and the shortest way to each address that is in none of their networks.
    fn routes(&self) -> impl Iterator<Item = (IpNetwork, usize)> + '_ {
        let shortest = self.shortest.iter().filter_map(|&(address, way)| {
            let width = if address.is_ipv4() { 32 } else { 128 };
            Some((IpNetwork::new(address, width).ok()?, way))
        });
        let new = |(to, _): &(IpNetwork, usize)| self.laid.iter().all(|(laid, _)| !laid.contains(to.addr()));
        self.laid.iter().copied().chain(shortest.filter(new))
    }
}
