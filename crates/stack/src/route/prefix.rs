//! Addresses with the prefix of their network.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

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
    pub(super) fn broadcast(&self) -> Option<Ipv4Addr> {
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
