//! The four numbers that name a connection.

use core::fmt;
use std::net::{IpAddr, SocketAddr};

/// Local and remote address and port: the name of a connection (RFC 9293 3.4).
///
/// Flow label and scope of a `SocketAddrV6` are not part of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FourTuple {
    local_ip: IpAddr,
    local_port: u16,
    remote_port: u16,
    remote_ip: IpAddr,
}

impl FourTuple {
    /// The tuple of a connection between `local` and `remote`.
    #[must_use]
    pub fn new(local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            local_ip: local.ip(),
            local_port: local.port(),
            remote_port: remote.port(),
            remote_ip: remote.ip(),
        }
    }

    /// Our end.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        SocketAddr::new(self.local_ip, self.local_port)
    }

    /// The peer's end.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        SocketAddr::new(self.remote_ip, self.remote_port)
    }

    /// The same connection seen from the peer.
    #[must_use]
    pub fn flipped(&self) -> Self {
        Self::new(self.remote(), self.local())
    }

    /// Whether the connection runs over IPv6.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.local_ip.is_ipv6()
    }

    /// Octets of the fixed IP header below this connection's segments: 20 or 40.
    pub(crate) fn ip_header_len(&self) -> usize {
        if self.is_ipv6() { 40 } else { 20 }
    }

    /// Feeds the tuple to a keyed hash, in one fixed order.
    pub(crate) fn hash_into(&self, hasher: &mut impl core::hash::Hasher) {
        for ip in [self.local_ip, self.remote_ip] {
            match ip {
                IpAddr::V4(ip) => hasher.write(&ip.octets()),
                IpAddr::V6(ip) => hasher.write(&ip.octets()),
            }
        }
        hasher.write_u16(self.local_port);
        hasher.write_u16(self.remote_port);
    }
}

impl fmt::Display for FourTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <-> {}", self.local(), self.remote())
    }
}

impl fmt::Debug for FourTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
