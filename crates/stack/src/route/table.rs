//! What addresses and prefixes say about a packet: one consistent state of them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::lookup::Lookup;
use super::select;
use super::{IpNetwork, IpPrefix};
use crate::error::{invalid, not_found};
use crate::stack::LOOPBACK;

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

/// The addresses and routes of a stack, each on one of its interfaces.
#[derive(Debug, Clone, Default)]
pub(crate) struct RouteTable {
    /// In the order in which they were given.
    addresses: Vec<(IpPrefix, usize)>,
    /// Explicit routes, in the order in which they were given.
    routes: Vec<(IpNetwork, usize)>,
    /// Default routes that nobody gave; any other route to everything goes before.
    implied: Vec<(IpNetwork, usize)>,
    /// Interfaces without a device.
    down: Vec<usize>,
    any_address: bool,
    /// What follows from the above, for lookups per packet.
    own: Vec<IpAddr>,
    broadcasts: Vec<Ipv4Addr>,
    lookup: Lookup,
}

impl RouteTable {
    // ---- Changes ----

    /// Gives an address to an interface.
    pub(crate) fn add_address(&mut self, prefix: IpPrefix, interface: usize) -> io::Result<()> {
        let addr = prefix.addr();
        if addr.to_canonical().is_loopback() {
            return Err(invalid(format!(
                "{addr} is the stack's without being given, and belongs to no device"
            )));
        }
        if self.addresses.iter().any(|(other, _)| other.addr() == addr) {
            let text = format!("the address {addr} is given twice");
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        self.addresses.push((prefix, interface));
        self.derive();
        Ok(())
    }

    /// Takes an address away.
    pub(crate) fn remove_address(&mut self, addr: IpAddr) -> io::Result<()> {
        remove(&mut self.addresses, |(prefix, _)| prefix.addr() == addr)
            .ok_or_else(|| not_found(format!("{addr} is not an address of this stack")))?;
        self.derive();
        Ok(())
    }

    /// Routes a network by an interface.
    pub(crate) fn add_route(&mut self, network: IpNetwork, interface: usize) -> io::Result<()> {
        if self.routes.contains(&(network, interface)) {
            let text = format!("the route to {network} by device {interface} is given twice");
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        self.routes.push((network, interface));
        self.derive();
        Ok(())
    }

    /// Takes a route away; an implied one if no other fits.
    pub(crate) fn remove_route(&mut self, network: IpNetwork, interface: usize) -> io::Result<()> {
        let wanted = |route: &(IpNetwork, usize)| *route == (network, interface);
        remove(&mut self.routes, wanted).or_else(|| remove(&mut self.implied, wanted)).ok_or_else(|| {
            not_found(format!(
                "there is no route to {network} by device {interface}; `routes` lists those that there are, and the \
                 network of an address goes with the address"
            ))
        })?;
        self.derive();
        Ok(())
    }

    /// Gives each family that has an address and no default route one over the interface of its first address.
    pub(crate) fn imply_defaults(&mut self) {
        for network in [IpNetwork::ALL_V4, IpNetwork::ALL_V6] {
            let v4 = network.addr().is_ipv4();
            let family = || self.addresses.iter().filter(|(prefix, _)| prefix.addr().is_ipv4() == v4);
            let first =
                family().find(|(prefix, _)| !is_link_local(prefix.addr())).or_else(|| family().next());
            if let Some(&(_, interface)) = first
                && !self.routes.iter().any(|(route, _)| *route == network)
            {
                self.implied.push((network, interface));
            }
        }
        self.derive();
    }

    /// An interface has lost its device, or has one again: routes over it do not count as long as it has none.
    pub(crate) fn set_down(&mut self, interface: usize, down: bool) {
        self.down.retain(|&other| other != interface);
        if down {
            self.down.push(interface);
        }
        self.derive();
    }

    /// Forgets an interface with all that it has.
    pub(crate) fn remove_interface(&mut self, interface: usize) {
        self.addresses.retain(|&(_, at)| at != interface);
        self.routes.retain(|&(_, at)| at != interface);
        self.implied.retain(|&(_, at)| at != interface);
        self.set_down(interface, false);
    }

    /// Takes every unicast destination as our own, as a proxy does that terminates whatever comes along.
    pub(crate) fn set_any_address(&mut self, on: bool) {
        self.any_address = on;
    }

    fn derive(&mut self) {
        self.own = self.addresses.iter().map(|(prefix, _)| prefix.addr()).collect();
        self.own.sort_unstable();
        self.broadcasts = self.addresses.iter().filter_map(|(prefix, _)| prefix.broadcast()).collect();
        self.broadcasts.sort_unstable();
        let connected = self.addresses.iter().map(|&(prefix, at)| (prefix.network(), at));
        let explicit = self.routes.iter().copied();
        let all = explicit.chain(connected).chain(self.implied.iter().copied());
        self.lookup = Lookup::new(all.filter(|(_, interface)| !self.down.contains(interface)));
    }

    // ---- What there is ----

    /// All addresses, in the order in which they were given.
    pub(crate) fn addresses(&self) -> &[(IpPrefix, usize)] {
        &self.addresses
    }

    /// All routes but those to the addresses' own networks, implied ones last.
    pub(crate) fn routes(&self) -> impl Iterator<Item = (IpNetwork, usize)> {
        self.routes.iter().chain(&self.implied).copied()
    }

    /// Whether an interface has an IPv6 address.
    pub(crate) fn has_v6(&self, interface: usize) -> bool {
        self.addresses.iter().any(|(prefix, at)| *at == interface && prefix.addr().is_ipv6())
    }

    /// Whether the stack has an address of the family of `addr`.
    pub(crate) fn has_family(&self, addr: IpAddr) -> bool {
        self.own.iter().any(|own| own.is_ipv4() == addr.is_ipv4())
    }

    // ---- Questions about one address ----

    /// The interface that `addr` was given to.
    pub(crate) fn interface_of(&self, addr: IpAddr) -> Option<usize> {
        self.addresses.iter().find(|(prefix, _)| prefix.addr() == addr).map(|&(_, interface)| interface)
    }

    /// Whether `addr` is one of our addresses.
    pub(crate) fn is_own(&self, addr: IpAddr) -> bool {
        self.own.binary_search(&addr).is_ok()
    }

    /// Whether packets to `addr` never leave the stack: its own addresses, 127.0.0.0/8 and ::1.
    pub(crate) fn is_local(&self, addr: IpAddr) -> bool {
        self.is_own(addr) || is_loopback(addr)
    }

    /// Whether a socket may be bound to `addr`.
    pub(crate) fn may_bind(&self, addr: IpAddr) -> bool {
        addr.is_unspecified() || self.is_local(addr) || (self.any_address && !self.is_group(addr))
    }

    /// Whether packets may start from `addr` (R1122-5).
    pub(crate) fn may_send_from(&self, addr: IpAddr) -> bool {
        self.any_address || self.is_local(addr)
    }

    /// What the destination of a packet from a device is to us (R1122-3, R1122-11, R8200-2).
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

    /// Whether `src`, of a packet from a device, names a single host that is not this one: the only kind of sender there
    /// can be (R1122-4, R8200-2).
    pub(crate) fn is_valid_source(&self, src: IpAddr) -> bool {
        !(src.is_unspecified() || is_loopback(src) || self.is_group(src) || self.is_own(src))
    }

    /// Multicast, limited broadcast, or the broadcast address of one of our networks (RFC 1122 3.3.6).
    pub(crate) fn is_group(&self, addr: IpAddr) -> bool {
        match addr {
            IpAddr::V4(v4) => {
                v4.is_multicast() || v4.is_broadcast() || self.broadcasts.binary_search(&v4).is_ok()
            }
            IpAddr::V6(v6) => v6.is_multicast(),
        }
    }

    // ---- Ways out ----

    /// The interface and the source address for packets to `dst`; `None` without a route, or without an address that
    /// fits.
    pub(crate) fn source_for(&self, dst: IpAddr) -> Option<(usize, IpAddr)> {
        if self.is_own(dst) {
            return Some((LOOPBACK, dst));
        }
        if is_loopback(dst) {
            return Some((LOOPBACK, localhost(dst)));
        }
        let (_, interface) = self.lookup.find(dst, |_| true)?;
        Some((interface, self.source_by(dst, interface)?))
    }

    /// The source address for packets to `dst` over an interface (RFC 6724 section 5).
    pub(crate) fn source_by(&self, dst: IpAddr, interface: usize) -> Option<IpAddr> {
        let confined = select::is_confined(dst);
        self.addresses
            .iter()
            .filter(|(prefix, at)| {
                prefix.addr().is_ipv4() == dst.is_ipv4() && (!confined || *at == interface)
            })
            // `max_by_key` keeps the last of equals; the first address given is to win.
            .rev()
            .max_by_key(|(prefix, at)| select::merit(prefix, *at == interface, dst))
            .map(|(prefix, _)| prefix.addr())
    }

    /// The interface for packets from `local` to `remote`.
    ///
    /// That of the local address is preferred: who binds to an address means its device. Only where no route over it leads
    /// to the destination, and another that is more than a default route does, it is the other's. None leads
    /// from a loopback address out of the stack.
    pub(crate) fn interface_from(&self, local: IpAddr, remote: IpAddr) -> Option<usize> {
        if self.is_local(remote) {
            return Some(LOOPBACK);
        }
        if is_loopback(local) {
            return None;
        }
        let (len, best) = self.lookup.find(remote, |_| true)?;
        let home = self.interface_of(local).filter(|home| !self.down.contains(home));
        let leads = |home: &usize| len == 0 || self.lookup.find(remote, |other| other == *home).is_some();
        Some(home.filter(leads).unwrap_or(best))
    }
}

/// Takes the first element that is `wanted` out.
fn remove<T>(all: &mut Vec<T>, wanted: impl Fn(&T) -> bool) -> Option<T> {
    let at = all.iter().position(wanted)?;
    Some(all.remove(at))
}

/// Addresses that mean the host itself and never travel (RFC 1122 3.2.1.3 (g), RFC 4291 2.5.3).
pub(crate) fn is_loopback(addr: IpAddr) -> bool {
    addr.to_canonical().is_loopback()
}

/// The loopback address that packets to others of its family start from.
fn localhost(dst: IpAddr) -> IpAddr {
    if dst.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() }
}

pub(super) fn is_link_local(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => addr.is_link_local(),
        IpAddr::V6(addr) => addr.is_unicast_link_local(),
    }
}
