//! Addresses of the stack: what is ours, and which of them a connection starts from.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

#[cfg(test)]
mod tests;

/// An address of the stack with the length of its network's prefix, written `192.0.2.2/24` or `2001:db8::2/64`.
///
/// # Examples
///
/// ```
/// use tokio_netstack::IpPrefix;
///
/// let prefix: IpPrefix = "192.0.2.2/24".parse()?;
/// assert!(prefix.contains("192.0.2.77".parse()?));
/// assert!("192.0.2.2/33".parse::<IpPrefix>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IpPrefix {
    addr: IpAddr,
    len: u8,
}

impl IpPrefix {
    /// `addr` in a network whose prefix has `len` bits.
    ///
    /// # Errors
    ///
    /// `len` is above 32 (IPv4) or 128 (IPv6), or `addr` is no address that a host can have: unspecified, multicast,
    /// or the IPv4 broadcast address.
    pub fn new(addr: IpAddr, len: u8) -> Result<Self, PrefixError> {
        if len > Self::width(addr) {
            return Err(PrefixError::Length);
        }
        if addr.is_unspecified() || addr.is_multicast() || addr == Ipv4Addr::BROADCAST {
            return Err(PrefixError::NotAHost);
        }
        Ok(Self { addr, len })
    }

    /// The address.
    #[must_use]
    pub fn addr(&self) -> IpAddr {
        self.addr
    }

    /// Bits of the prefix.
    #[must_use]
    pub fn prefix_len(&self) -> u8 {
        self.len
    }

    /// Whether `other` lies in the same network.
    #[must_use]
    pub fn contains(&self, other: IpAddr) -> bool {
        match (self.addr, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let host_bits = 32 - u32::from(self.len);
                (a.to_bits() ^ b.to_bits()).checked_shr(host_bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let host_bits = 128 - u32::from(self.len);
                (a.to_bits() ^ b.to_bits()).checked_shr(host_bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// The address that reaches all hosts of an IPv4 network (RFC 1122 3.3.6). Networks of one or two hosts have none.
    fn broadcast(&self) -> Option<Ipv4Addr> {
        match self.addr {
            IpAddr::V4(addr) if self.len <= 30 => {
                let host_mask = u32::MAX.checked_shr(u32::from(self.len)).unwrap_or(0);
                Some(Ipv4Addr::from_bits(addr.to_bits() | host_mask))
            }
            _ => None,
        }
    }

    fn width(addr: IpAddr) -> u8 {
        if addr.is_ipv4() { 32 } else { 128 }
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

impl FromStr for IpPrefix {
    type Err = PrefixError;

    /// Reads `address/length`; without `/length` the address stands alone in its network.
    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (addr, len) = match text.split_once('/') {
            Some((addr, len)) => (addr, Some(len)),
            None => (text, None),
        };
        let addr: IpAddr = addr.parse().map_err(|_| PrefixError::Address)?;
        let len = match len {
            Some(len) => len.parse().map_err(|_| PrefixError::Length)?,
            None => Self::width(addr),
        };
        Self::new(addr, len)
    }
}

/// Why a text or a pair is no [`IpPrefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrefixError {
    /// Not an IPv4 or IPv6 address.
    Address,
    /// Not a prefix length: up to 32 for IPv4, up to 128 for IPv6.
    Length,
    /// The address is unspecified, multicast or broadcast.
    NotAHost,
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "not an IP address; write it like 192.0.2.2/24 or 2001:db8::2/64",
            Self::Length => "not a prefix length; it is 0 to 32 for IPv4 and 0 to 128 for IPv6",
            Self::NotAHost => "an unspecified, multicast or broadcast address cannot belong to a host",
        })
    }
}

impl std::error::Error for PrefixError {}

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
#[derive(Debug, Default)]
pub(crate) struct Routes {
    entries: Vec<(IpPrefix, usize)>,
    any_address: bool,
}

impl Routes {
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
        self.entries.iter().map(|(prefix, _)| prefix.addr)
    }

    /// The addresses of one interface.
    pub(crate) fn on_interface(&self, interface: usize) -> impl Iterator<Item = IpAddr> {
        self.entries.iter().filter(move |&&(_, at)| at == interface).map(|(prefix, _)| prefix.addr)
    }

    /// An address that was given twice.
    pub(crate) fn duplicate(&self) -> Option<IpAddr> {
        let all: Vec<_> = self.addresses().collect();
        (1..all.len()).find(|&at| all[..at].contains(&all[at])).map(|at| all[at])
    }

    /// The interface that `addr` was given to.
    pub(crate) fn interface_of(&self, addr: IpAddr) -> Option<usize> {
        self.entries.iter().find(|(prefix, _)| prefix.addr == addr).map(|&(_, interface)| interface)
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
        let family = || self.entries.iter().filter(|(prefix, _)| prefix.addr.is_ipv4() == dst.is_ipv4());
        family()
            .filter(|(prefix, _)| prefix.contains(dst))
            // `max_by_key` keeps the last of equals; the first address given is to win.
            .rev()
            .max_by_key(|(prefix, _)| prefix.len)
            .or_else(|| family().find(|(prefix, _)| !is_link_local(prefix.addr)))
            .or_else(|| family().next())
            .map(|&(prefix, interface)| (interface, prefix.addr))
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

/// An address without the parts that name no connection: flow label, scope, and the IPv4-mapped form.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// The unspecified address of the family of `addr`.
pub(crate) fn unspecified(addr: IpAddr) -> IpAddr {
    if addr.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}
