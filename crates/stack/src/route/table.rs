//! What addresses and prefixes say about a packet: one consistent state of them.

use std::net::{IpAddr, Ipv4Addr};

use super::IpPrefix;

/// What a destination address is to this stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination {
    /// One of our unicast addresses.
    Ours,
    /// A broadcast or multicast address: never TCP's.
    Group,
    /// Somebody else's.
    Foreign,
}

/// The addresses of a stack, each on one of its interfaces.
#[derive(Debug, Clone, Default)]
pub(crate) struct RouteTable {
    entries: Vec<(IpPrefix, usize)>,
    any_address: bool,
}

impl RouteTable {
    pub(crate) fn add(&mut self, prefix: IpPrefix, interface: usize) {
        self.entries.push((prefix, interface));
    }

    /// Takes every unicast destination as our own, as a proxy does that terminates whatever comes along.
    pub(crate) fn set_any_address(&mut self, on: bool) {
        self.any_address = on;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All addresses, in the order in which they were given.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.entries.iter().map(|(prefix, _)| prefix.addr())
    }

    /// The addresses of one interface.
    pub(crate) fn on_interface(&self, interface: usize) -> impl Iterator<Item = IpAddr> {
        self.entries.iter().filter(move |&&(_, at)| at == interface).map(|(prefix, _)| prefix.addr())
    }

    /// An address that was given twice.
    pub(crate) fn duplicate(&self) -> Option<IpAddr> {
        let all: Vec<_> = self.addresses().collect();
        (1..all.len()).find(|&at| all[..at].contains(&all[at])).map(|at| all[at])
    }

    /// The interface that `addr` was given to.
    pub(crate) fn interface_of(&self, addr: IpAddr) -> Option<usize> {
        self.entries.iter().find(|(prefix, _)| prefix.addr() == addr).map(|&(_, interface)| interface)
    }

    /// Whether `addr` is one of our addresses.
    pub(crate) fn is_own(&self, addr: IpAddr) -> bool {
        self.interface_of(addr).is_some()
    }

    /// Whether a socket may be bound to `addr`.
    pub(crate) fn may_bind(&self, addr: IpAddr) -> bool {
        let any = || self.any_address && !self.is_group(addr) && !is_loopback(addr);
        addr.is_unspecified() || self.is_own(addr) || any()
    }

    /// What a received packet's destination is to us (R1122-3, R1122-11, R8200-2).
    pub(crate) fn classify(&self, dst: IpAddr) -> Destination {
        if self.is_own(dst) {
            Destination::Ours
        } else if self.is_group(dst) {
            Destination::Group
        } else if self.any_address && !dst.is_unspecified() && !is_loopback(dst) {
            Destination::Ours
        } else {
            Destination::Foreign
        }
    }

    /// Whether `src` names a single host that is not this one: the only kind of sender there can be (R1122-4, R8200-2).
    pub(crate) fn is_valid_source(&self, src: IpAddr) -> bool {
        !(src.is_unspecified() || src.is_loopback() || self.is_group(src) || self.is_own(src))
    }

    /// Multicast, limited broadcast, or the broadcast address of one of our networks.
    pub(crate) fn is_group(&self, addr: IpAddr) -> bool {
        addr.is_multicast()
            || addr == Ipv4Addr::BROADCAST
            || self.entries.iter().any(|(prefix, _)| prefix.broadcast().is_some_and(|group| addr == group))
    }

    /// The interface and source address for packets to `dst`: the longest prefix that holds `dst`, else the first
    /// address of the family, as over a default route.
    pub(crate) fn source_for(&self, dst: IpAddr) -> Option<(usize, IpAddr)> {
        let family = || self.entries.iter().filter(|(prefix, _)| prefix.addr().is_ipv4() == dst.is_ipv4());
        family()
            .filter(|(prefix, _)| prefix.contains(dst))
            // `max_by_key` keeps the last of equals; the first address given is to win.
            .rev()
            .max_by_key(|(prefix, _)| prefix.prefix_len())
            .or_else(|| family().find(|(prefix, _)| !is_link_local(prefix.addr())))
            .or_else(|| family().next())
            .map(|&(prefix, interface)| (interface, prefix.addr()))
    }
}

/// Addresses that mean the host itself and never travel (RFC 1122 3.2.1.3 (g), RFC 4291 2.5.3).
fn is_loopback(addr: IpAddr) -> bool {
    addr.to_canonical().is_loopback()
}

fn is_link_local(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => addr.is_link_local(),
        IpAddr::V6(addr) => addr.is_unicast_link_local(),
    }
}
