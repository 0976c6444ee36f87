//! Which of the stack's addresses a packet starts from (RFC 6724 section 5).
//!
//! Rules 4 and 7 have no object here: a stack has no home addresses and makes no temporary ones; nor has rule 5.5, for
//! devices carry bare packets and know no next hops. No address is deprecated (rule 3): a stack has the addresses that it
//! is given, and one to be used no more is removed.

use std::net::{IpAddr, Ipv6Addr};

use super::prefix::{IpPrefix, bits, mask};
use super::table::is_link_local;

/// What makes one address a better source than another, the first difference decides; more is better.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Merit {
    /// Rule 1: the destination itself.
    same: bool,
    /// Rule 2: wide enough, and then the narrowest; else the widest.
    scope: (bool, i8),
    /// Rule 5: on the interface that the packet leaves by.
    outgoing: bool,
    /// Rule 6: the label of the destination.
    label: bool,
    /// Rule 8: bits that it has in common with the destination.
    common: u32,
}

/// How good `candidate` is as the source of packets to `dst`.
pub(super) fn merit(candidate: &IpPrefix, outgoing: bool, dst: IpAddr) -> Merit {
    let addr = candidate.addr();
    let (own, wanted) = (scope(addr), scope(dst));
    Merit {
        same: addr == dst,
        scope: if own < wanted { (false, own) } else { (true, -own) },
        outgoing,
        label: label(addr) == label(dst),
        common: common_prefix(candidate, dst),
    }
}

/// Whether packets to `dst` may start only from addresses of the interface that they leave by (RFC 6724 section 4).
pub(super) fn is_confined(dst: IpAddr) -> bool {
    dst.is_ipv6() && (dst.is_multicast() || is_link_local(dst))
}

/// The scope of an address (RFC 6724 3.1, 3.2), in the numbers of multicast scopes.
fn scope(addr: IpAddr) -> i8 {
    const LINK_LOCAL: i8 = 2;
    const SITE_LOCAL: i8 = 5;
    const GLOBAL: i8 = 14;
    match addr {
        IpAddr::V4(v4) if v4.is_loopback() || v4.is_link_local() => LINK_LOCAL,
        IpAddr::V4(_) => GLOBAL,
        // Four bits.
        IpAddr::V6(v6) if v6.is_multicast() => (v6.octets()[1] & 0x0f) as i8,
        IpAddr::V6(v6) if v6.is_loopback() || v6.is_unicast_link_local() => LINK_LOCAL,
        IpAddr::V6(v6) if v6.segments()[0] & 0xffc0 == 0xfec0 => SITE_LOCAL,
        IpAddr::V6(_) => GLOBAL,
    }
}

/// The default policy table (RFC 6724 2.1) without its precedences, which rank destinations; longest prefixes first.
const LABELS: [(Ipv6Addr, u8, u8); 9] = [
    (Ipv6Addr::LOCALHOST, 128, 0),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 4),
    (Ipv6Addr::UNSPECIFIED, 96, 3),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, 5),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 2),
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16, 12),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, 11),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, 13),
    (Ipv6Addr::UNSPECIFIED, 0, 1),
];

fn label(addr: IpAddr) -> u8 {
    let addr = match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped(),
        IpAddr::V6(addr) => addr,
    };
    let of = |(network, len, label): &(Ipv6Addr, u8, u8)| {
        (addr.to_bits() & mask(*len) == network.to_bits()).then_some(*label)
    };
    LABELS.iter().find_map(of).unwrap_or(1)
}

/// Bits in common, no more than the prefix of the source is long (RFC 6724 2.2). Over IPv4 only a network that holds the
/// destination counts: beyond it nearness in number says nothing, and the first address given stands for the host.
fn common_prefix(source: &IpPrefix, dst: IpAddr) -> u32 {
    let len = u32::from(source.prefix_len());
    if dst.is_ipv4() {
        return if source.contains(dst) { len } else { 0 };
    }
    (bits(source.addr()) ^ bits(dst)).leading_zeros().min(len)
}
