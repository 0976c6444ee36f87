//! Addresses with the prefix of their network, and networks.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
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
        if len > width(addr) {
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
        self.network().contains(other)
    }

    /// The network that the address is in.
    #[must_use]
    pub fn network(&self) -> IpNetwork {
        IpNetwork::masked(self.addr, self.len)
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
}

/// A network that a route leads to, written `198.51.100.0/24` or `2001:db8::/32`; `0.0.0.0/0` and `::/0` are everything.
///
/// # Examples
///
/// ```
/// use tokio_netstack::IpNetwork;
///
/// let network: IpNetwork = "198.51.100.0/24".parse()?;
/// assert!(network.contains("198.51.100.77".parse()?));
/// // Bits behind the prefix do not count.
/// assert_eq!("198.51.100.77/24".parse::<IpNetwork>()?, network);
/// assert!(IpNetwork::ALL_V6.contains("2001:db8::1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IpNetwork {
    addr: IpAddr,
    len: u8,
}

impl IpNetwork {
    /// Every IPv4 address: the network of an IPv4 default route.
    pub const ALL_V4: Self = Self { addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED), len: 0 };

    /// Every IPv6 address: the network of an IPv6 default route.
    pub const ALL_V6: Self = Self { addr: IpAddr::V6(Ipv6Addr::UNSPECIFIED), len: 0 };

    /// The network of `addr` whose prefix has `len` bits; bits of `addr` behind them are cleared.
    ///
    /// # Errors
    ///
    /// [`PrefixError::Length`]: `len` is above 32 (IPv4) or 128 (IPv6).
    pub fn new(addr: IpAddr, len: u8) -> Result<Self, PrefixError> {
        if len > width(addr) {
            return Err(PrefixError::Length);
        }
        Ok(Self::masked(addr, len))
    }

    /// `len` fits the family.
    fn masked(addr: IpAddr, len: u8) -> Self {
        let bits = bits(addr) & mask(len);
        let addr = match addr {
            // The upper 32 bits.
            IpAddr::V4(_) => Ipv4Addr::from_bits((bits >> 96) as u32).into(),
            IpAddr::V6(_) => Ipv6Addr::from_bits(bits).into(),
        };
        Self { addr, len }
    }

    /// The network's first address.
    #[must_use]
    pub fn addr(&self) -> IpAddr {
        self.addr
    }

    /// Bits of the prefix.
    #[must_use]
    pub fn prefix_len(&self) -> u8 {
        self.len
    }

    /// Whether `addr` lies in the network.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        self.addr.is_ipv4() == addr.is_ipv4() && bits(addr) & mask(self.len) == bits(self.addr)
    }
}

impl From<IpPrefix> for IpNetwork {
    fn from(prefix: IpPrefix) -> Self {
        prefix.network()
    }
}

/// Written and read as `address/length`.
macro_rules! as_text {
    ($($name:ident: $without:literal,)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}/{}", self.addr, self.len)
            }
        }

        impl FromStr for $name {
            type Err = PrefixError;

            #[doc = concat!("Reads `address/length`; without `/length` ", $without, ".")]
            fn from_str(text: &str) -> Result<Self, PrefixError> {
                let (addr, len) = split(text)?;
                Self::new(addr, len)
            }
        }
    )*};
}

as_text! {
    IpPrefix: "the address stands alone in its network",
    IpNetwork: "it is the one address",
}

/// The two parts of `address/length`; without `/length` all bits count.
fn split(text: &str) -> Result<(IpAddr, u8), PrefixError> {
    let (addr, len) = match text.split_once('/') {
        Some((addr, len)) => (addr, Some(len)),
        None => (text, None),
    };
    let addr: IpAddr = addr.parse().map_err(|_| PrefixError::Address)?;
    let len = match len {
        Some(len) => len.parse().map_err(|_| PrefixError::Length)?,
        None => width(addr),
    };
    Ok((addr, len))
}

/// Bits of an address of this family.
fn width(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 32 } else { 128 }
}

/// The bits of an address, from the highest on whatever its family.
pub(super) fn bits(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(addr) => u128::from(addr.to_bits()) << 96,
        IpAddr::V6(addr) => addr.to_bits(),
    }
}

/// The highest `len` bits.
pub(super) fn mask(len: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0)
}

/// Why a text or a pair is no [`IpPrefix`] or [`IpNetwork`].
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
