//! Longest-prefix lookup: which interface leads to a destination.

use std::net::IpAddr;

use super::prefix::{IpNetwork, bits, mask};

/// Networks of one prefix length, sorted; of equal ones the preferred comes first.
#[derive(Debug, Clone)]
struct Level {
    len: u8,
    networks: Vec<(u128, usize)>,
}

/// The routes of both families, longest prefixes first. A lookup costs a binary search for each length in use.
#[derive(Debug, Clone, Default)]
pub(super) struct Lookup {
    v4: Vec<Level>,
    v6: Vec<Level>,
}

impl Lookup {
    /// Of routes to the same network the first is preferred.
    pub(super) fn new(routes: impl Iterator<Item = (IpNetwork, usize)>) -> Self {
        let mut lookup = Self::default();
        for (network, interface) in routes {
            let levels = if network.addr().is_ipv4() { &mut lookup.v4 } else { &mut lookup.v6 };
            let len = network.prefix_len();
            let at = levels.partition_point(|level| level.len > len);
            if levels.get(at).is_none_or(|level| level.len != len) {
                levels.insert(at, Level { len, networks: Vec::new() });
            }
            levels[at].networks.push((bits(network.addr()), interface));
        }
        for level in lookup.v4.iter_mut().chain(&mut lookup.v6) {
            // Stable: equals stay in the order of preference.
            level.networks.sort_by_key(|&(network, _)| network);
        }
        lookup
    }

    /// The best route to `dst` over a usable interface: the length of its prefix, and the interface.
    pub(super) fn find(&self, dst: IpAddr, usable: impl Fn(usize) -> bool) -> Option<(u8, usize)> {
        let levels = if dst.is_ipv4() { &self.v4 } else { &self.v6 };
        levels.iter().find_map(|level| {
            let wanted = bits(dst) & mask(level.len);
            let start = level.networks.partition_point(|&(network, _)| network < wanted);
            let mut equal = level.networks[start..].iter().take_while(|&&(network, _)| network == wanted);
            equal.find(|&&(_, interface)| usable(interface)).map(|&(_, interface)| (level.len, interface))
        })
    }
}
