//! Addresses and routes of the stack: what is ours, which way a packet leaves, and which address it starts from.
//!
//! They may change while packets come and go: readers see one [`RouteTable`] or the next, and never wait.

mod lookup;
mod prefix;
mod select;
mod table;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::stack::LOOPBACK;

pub use prefix::{IpNetwork, IpPrefix, PrefixError};
pub(crate) use table::{Destination, RouteTable, is_loopback};

#[cfg(test)]
mod tests;

/// The addresses of a stack, as they are now.
#[derive(Debug)]
pub(crate) struct Routes {
    table: ArcSwap<RouteTable>,
}

impl Routes {
    pub(crate) fn new(table: RouteTable) -> Self {
        Self { table: ArcSwap::from_pointee(table) }
    }

    /// The present state, for several questions that belong together. Not to be kept.
    pub(crate) fn table(&self) -> Guard<Arc<RouteTable>> {
        self.table.load()
    }

    /// Carries a change out, or leaves everything as it was. Callers see to it that there is one at a time.
    pub(crate) fn change(&self, change: impl FnOnce(&mut RouteTable) -> io::Result<()>) -> io::Result<()> {
        let mut table = RouteTable::clone(&self.table());
        change(&mut table)?;
        self.table.store(Arc::new(table));
        Ok(())
    }

    /// See [`RouteTable::interface_of`].
    pub(crate) fn interface_of(&self, addr: IpAddr) -> Option<usize> {
        self.table().interface_of(addr)
    }

    /// See [`RouteTable::interface_from`].
    pub(crate) fn interface_from(&self, local: IpAddr, remote: IpAddr) -> Option<usize> {
        self.table().interface_from(local, remote)
    }

    /// See [`RouteTable::may_send_from`].
    pub(crate) fn may_send_from(&self, addr: IpAddr) -> bool {
        self.table().may_send_from(addr)
    }

    /// See [`RouteTable::may_bind`].
    pub(crate) fn may_bind(&self, addr: IpAddr) -> bool {
        self.table().may_bind(addr)
    }

    /// See [`RouteTable::classify`].
    pub(crate) fn classify(&self, dst: IpAddr) -> Destination {
        self.table().classify(dst)
    }

    /// See [`RouteTable::is_valid_source`].
    pub(crate) fn is_valid_source(&self, src: IpAddr) -> bool {
        self.table().is_valid_source(src)
    }

    /// See [`RouteTable::is_group`].
    pub(crate) fn is_group(&self, addr: IpAddr) -> bool {
        self.table().is_group(addr)
    }

    /// See [`RouteTable::source_by`].
    pub(crate) fn source_by(&self, dst: IpAddr, interface: usize) -> Option<IpAddr> {
        self.table().source_by(dst, interface)
    }

    /// See [`RouteTable::source_for`].
    pub(crate) fn source_for(&self, dst: IpAddr) -> Option<(usize, IpAddr)> {
        self.table().source_for(dst)
    }
}

/// The interface that the scope of a link-local or multicast address names (RFC 4007 11), 1 for the first. Of others it says
/// nothing.
pub(crate) fn zone_of(addr: SocketAddr) -> Option<usize> {
    match addr {
        SocketAddr::V6(addr) if addr.ip().is_unicast_link_local() || addr.ip().is_multicast() => {
            (addr.scope_id() as usize).checked_sub(1)
        }
        _ => None,
    }
}

/// `addr` with the scope that tells where it was met, if it is link-local: enough to write back to it.
pub(crate) fn with_zone(addr: SocketAddr, interface: usize) -> SocketAddr {
    match addr {
        SocketAddr::V6(mut addr) if addr.ip().is_unicast_link_local() && interface != LOOPBACK => {
            // Interfaces count within 16 bits.
            addr.set_scope_id(interface as u32 + 1);
            addr.into()
        }
        _ => addr,
    }
}

/// An address without the parts that name no connection: flow label, scope, and the IPv4-mapped form.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// Whether two sockets of one port, bound to `a` and `b`, would answer for the same address.
pub(crate) fn overlap(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4() && (a == b || a.is_unspecified() || b.is_unspecified())
}

/// The unspecified address of the family of `addr`.
pub(crate) fn unspecified(addr: IpAddr) -> IpAddr {
    if addr.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}
