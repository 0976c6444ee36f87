use proptest::prelude::*;

use super::*;
use crate::stack::LOOPBACK;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn network(text: &str) -> IpNetwork {
    text.parse().unwrap()
}

/// Each address on an interface of its own.
fn routes(prefixes: &[&str]) -> RouteTable {
    let given: Vec<_> = prefixes.iter().enumerate().map(|(interface, prefix)| (*prefix, interface)).collect();
    table(&given, &[])
}

fn table(addresses: &[(&str, usize)], routes: &[(&str, usize)]) -> RouteTable {
    let mut table = RouteTable::default();
    for (prefix, interface) in addresses {
        table.add_address(prefix.parse().unwrap(), *interface).unwrap();
    }
    for (route, interface) in routes {
        table.add_route(network(route), *interface).unwrap();
    }
    table.imply_defaults();
    table
}

#[test]
fn prefixes_parse_and_print() {
    for text in ["192.0.2.2/24", "2001:db8::2/64", "192.0.2.1/0", "2001:db8::1/128"] {
        assert_eq!(text.parse::<IpPrefix>().unwrap().to_string(), text);
    }
    assert_eq!("192.0.2.2".parse::<IpPrefix>().unwrap().prefix_len(), 32);
    for (text, error) in [
        ("192.0.2.2/33", PrefixError::Length),
        ("2001:db8::1/129", PrefixError::Length),
        ("192.0.2.2/", PrefixError::Length),
        ("192.0.2.256/24", PrefixError::Address),
        ("host/24", PrefixError::Address),
        ("0.0.0.0/0", PrefixError::NotAHost),
        ("224.0.0.1/4", PrefixError::NotAHost),
        ("255.255.255.255/32", PrefixError::NotAHost),
        ("ff02::1/64", PrefixError::NotAHost),
    ] {
        assert_eq!(text.parse::<IpPrefix>(), Err(error), "{text}");
    }
}

#[test]
fn the_source_is_the_nearest_address() {
    let routes =
        routes(&["198.51.100.1/16", "192.0.2.1/24", "198.51.100.9/24", "fe80::1/64", "2001:db8::1/64"]);
    for (remote, source) in [
        ("192.0.2.99", "192.0.2.1"),
        ("198.51.100.77", "198.51.100.9"),
        ("198.51.7.7", "198.51.100.1"),
        ("203.0.113.1", "198.51.100.1"),
        ("2001:db8::99", "2001:db8::1"),
        ("2001:db8:1::1", "2001:db8::1"),
        ("fe80::99", "fe80::1"),
    ] {
        assert_eq!(routes.source_for(ip(remote)).unwrap().1, ip(source), "to {remote}");
    }
}

#[test]
fn without_an_address_of_the_family_there_is_no_source() {
    assert_eq!(routes(&["192.0.2.1/24"]).source_for(ip("2001:db8::1")), None);
}

// req: R1122-11
#[test]
fn destinations_are_told_apart() {
    let mut routes = routes(&["192.0.2.1/24", "198.51.100.1/31"]);
    for (dst, class) in [
        ("192.0.2.1", Destination::Ours),
        ("192.0.2.2", Destination::Foreign),
        ("192.0.2.255", Destination::Group),
        ("255.255.255.255", Destination::Group),
        ("224.0.0.1", Destination::Group),
        ("ff02::1", Destination::Group),
        // A network of two hosts has no broadcast address (RFC 3021).
        ("198.51.100.0", Destination::Foreign),
    ] {
        assert_eq!(routes.classify(ip(dst)), class, "{dst}");
    }
    routes.set_any_address(true);
    assert_eq!(routes.classify(ip("203.0.113.9")), Destination::Ours);
    assert_eq!(routes.classify(ip("192.0.2.255")), Destination::Group);
    assert_eq!(routes.classify(ip("0.0.0.0")), Destination::Foreign);
    for dst in ["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"] {
        assert_eq!(routes.classify(ip(dst)), Destination::Foreign, "{dst} comes from no device");
        assert!(!routes.is_valid_source(ip(dst)), "{dst} comes from no device");
        assert!(routes.may_bind(ip(dst)), "{dst} is the stack itself");
    }
    assert!(routes.may_bind(ip("203.0.113.9")));
    assert!(!routes.may_bind(ip("192.0.2.255")));
}

#[test]
fn networks_parse_and_lose_what_is_behind_the_prefix() {
    for (text, printed) in [
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("198.51.100.77/24", "198.51.100.0/24"),
        ("198.51.100.77", "198.51.100.77/32"),
        ("2001:db8:ffff::1/33", "2001:db8:8000::/33"),
        ("224.0.0.0/4", "224.0.0.0/4"),
    ] {
        assert_eq!(network(text).to_string(), printed);
    }
    assert_eq!("192.0.2.0/33".parse::<IpNetwork>(), Err(PrefixError::Length));
    assert_eq!(IpNetwork::from("192.0.2.2/24".parse::<IpPrefix>().unwrap()), network("192.0.2.0/24"));
    assert!(!IpNetwork::ALL_V4.contains(ip("::1")));
}

/// The longest prefix decides, whoever was given first; an explicit route goes before an address's network, and any
/// default route before the implied one.
#[test]
fn the_longest_prefix_leads() {
    let mut table = table(
        &[("192.0.2.1/24", 0), ("198.51.100.1/24", 1), ("2001:db8::1/64", 0)],
        &[
            ("203.0.0.0/16", 1),
            ("203.0.113.0/24", 2),
            ("203.0.113.9/32", 1),
            ("192.0.2.128/25", 1),
            ("198.51.100.0/24", 2),
            ("2001:db8:1::/48", 2),
        ],
    );
    for (dst, interface) in [
        ("192.0.2.9", 0),
        ("192.0.2.200", 1),
        ("198.51.100.9", 2),
        ("203.0.5.5", 1),
        ("203.0.113.5", 2),
        ("203.0.113.9", 1),
        ("8.8.8.8", 0),
        ("2001:db8::99", 0),
        ("2001:db8:1:2::3", 2),
        ("2001:db8:2::3", 0),
    ] {
        assert_eq!(table.source_for(ip(dst)).unwrap().0, interface, "to {dst}");
    }
    table.add_route(IpNetwork::ALL_V4, 2).unwrap();
    assert_eq!(table.source_for(ip("8.8.8.8")).unwrap().0, 2);
    // What is down does not count, a shorter prefix does.
    table.set_down(2, true);
    assert_eq!(table.source_for(ip("203.0.113.5")).unwrap().0, 1);
    assert_eq!(table.source_for(ip("198.51.100.9")).unwrap().0, 1);
    assert_eq!(table.source_for(ip("8.8.8.8")).unwrap().0, 0);
    table.set_down(2, false);
    assert_eq!(table.source_for(ip("203.0.113.5")).unwrap().0, 2);
    // Without a default route the rest of the world is out of reach.
    table.remove_route(IpNetwork::ALL_V4, 2).unwrap();
    table.remove_route(IpNetwork::ALL_V4, 0).unwrap();
    assert_eq!(table.source_for(ip("8.8.8.8")), None);
    assert_eq!(table.remove_route(IpNetwork::ALL_V4, 0).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn the_same_is_not_given_twice() {
    let mut table = table(&[("192.0.2.1/24", 0)], &[("203.0.113.0/24", 0)]);
    let kind = |result: io::Result<()>| result.unwrap_err().kind();
    assert_eq!(kind(table.add_address("192.0.2.1/32".parse().unwrap(), 1)), io::ErrorKind::AlreadyExists);
    assert_eq!(kind(table.add_route(network("203.0.113.7/24"), 0)), io::ErrorKind::AlreadyExists);
    assert_eq!(kind(table.remove_address(ip("192.0.2.2"))), io::ErrorKind::NotFound);
    assert_eq!(kind(table.add_address("127.0.0.1/8".parse().unwrap(), 0)), io::ErrorKind::InvalidInput);
    table.add_route(network("203.0.113.0/24"), 1).unwrap();
}

/// RFC 6724 section 5, rule by rule, on one interface where nothing else is said.
#[test]
fn ipv6_sources_follow_rfc_6724() {
    for (rule, addresses, dst, expected) in [
        // Rule 2, from the RFC's section 10.1.
        (
            "2: global for global",
            &[("fe80::1/64", 0), ("2001:db8:1::1/64", 0)][..],
            "2001:db8:2::9",
            "2001:db8:1::1",
        ),
        ("2: link-local for link-local", &[("2001:db8:1::1/64", 0), ("fe80::1/64", 0)], "fe80::9", "fe80::1"),
        (
            "2: the widest where none suffices",
            &[("fe80::1/64", 0), ("fec0::1/64", 0)],
            "2001:db8:2::9",
            "fec0::1",
        ),
        ("2: no wider than needed", &[("2001:db8:1::1/64", 0), ("fec0::1/64", 0)], "fec0::9", "fec0::1"),
        ("2: by the scope of a group", &[("2001:db8:1::1/64", 0), ("fe80::1/64", 0)], "ff02::1", "fe80::1"),
        (
            "2: by the scope of a wide group",
            &[("fe80::1/64", 0), ("2001:db8:1::1/64", 0)],
            "ff0e::1",
            "2001:db8:1::1",
        ),
        // Rule 5 goes before rule 8.
        (
            "5: of the outgoing interface",
            &[("2001:db8:2::1/64", 1), ("2001:db8:1::1/64", 0)],
            "2001:db8:2:1::9",
            "2001:db8:1::1",
        ),
        // Rule 6.
        (
            "6: 6to4 for 6to4",
            &[("2001:db8:1::1/64", 0), ("2002:c633:6401::1/48", 0)],
            "2002:c000:201::9",
            "2002:c633:6401::1",
        ),
        (
            "6: unique local for unique local",
            &[("2001:db8:1::1/64", 0), ("fd00::1/8", 0)],
            "fc00::9",
            "fd00::1",
        ),
        (
            "6: global for global",
            &[("fd00::1/64", 0), ("2001:db8:1::1/64", 0)],
            "2001:db8:2::9",
            "2001:db8:1::1",
        ),
        (
            "6: native for native, though Teredo has more bits in common",
            &[("2001:0:1::1/64", 0), ("3fff::1/64", 0)],
            "2001:db8:2::9",
            "3fff::1",
        ),
        // Rule 8.
        (
            "8: the longest prefix",
            &[("2001:db8:1::1/64", 0), ("2001:db8:3::1/64", 0)],
            "2001:db8:3:1::9",
            "2001:db8:3::1",
        ),
        (
            "8: no further than the source's prefix",
            &[("2001:db8:3::1/32", 0), ("2001:db8:1::1/64", 0)],
            "2001:db8:3:1::9",
            "2001:db8:1::1",
        ),
        ("else the first", &[("2001:db8::1/64", 0), ("2001:db8::2/64", 0)], "2001:db8::9", "2001:db8::1"),
    ] {
        let mut table = table(addresses, &[("2001:db8:2:1::/64", 0)]);
        table.add_route(IpNetwork::ALL_V6, 0).unwrap();
        assert_eq!(table.source_for(ip(dst)), Some((0, ip(expected))), "rule {rule}");
    }
}

/// Rule 1, and what reaches the stack itself.
#[test]
fn the_stack_reaches_itself_by_no_device() {
    let table = table(&[("2001:db8::2/64", 0), ("2001:db8::1/64", 0), ("192.0.2.1/24", 1)], &[]);
    for (dst, source) in [
        ("2001:db8::1", "2001:db8::1"),
        ("192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.7.7.7", "127.0.0.1"),
        ("::1", "::1"),
    ] {
        assert_eq!(table.source_for(ip(dst)), Some((LOOPBACK, ip(source))), "to {dst}");
    }
    assert_eq!(table.interface_from(ip("192.0.2.1"), ip("127.0.0.1")), Some(LOOPBACK));
}

/// A link-local destination is on the link that the packet leaves by: addresses of other links do not fit.
#[test]
fn link_local_sources_stay_on_their_link() {
    let table = table(&[("fe80::1/64", 0), ("2001:db8::1/64", 1)], &[("fe80::/64", 1)]);
    assert_eq!(table.source_for(ip("fe80::9")), Some((1, ip("2001:db8::1"))));
    let none = self::table(&[("fe80::1/64", 0)], &[("fe80::/64", 1)]);
    assert_eq!(none.source_for(ip("fe80::9")), None);
}

/// Over IPv4 nearness in number says nothing beyond the destination's own network.
#[test]
fn ipv4_sources_are_of_the_network_of_the_device_or_the_first() {
    let table = table(
        &[("192.0.2.1/24", 0), ("198.51.100.1/24", 0), ("203.0.113.1/24", 1), ("169.254.0.1/16", 0)],
        &[("203.0.112.0/24", 0), ("10.0.0.0/8", 1)],
    );
    for (dst, interface, source) in [
        ("198.51.100.9", 0, "198.51.100.1"),
        ("198.51.101.9", 0, "192.0.2.1"),
        ("203.0.112.9", 0, "192.0.2.1"),
        ("10.1.1.1", 1, "203.0.113.1"),
        ("169.254.7.7", 0, "169.254.0.1"),
    ] {
        assert_eq!(table.source_for(ip(dst)), Some((interface, ip(source))), "to {dst}");
    }
}

/// Who binds to an address means its device, unless only another one leads to the destination.
#[test]
fn a_bound_address_prefers_its_own_device() {
    let mut table =
        table(&[("192.0.2.1/24", 0), ("198.51.100.1/24", 1)], &[("203.0.113.0/24", 2), ("10.0.0.0/8", 1)]);
    let from = |table: &RouteTable, local: &str, remote: &str| table.interface_from(ip(local), ip(remote));
    assert_eq!(from(&table, "198.51.100.1", "8.8.8.8"), Some(1), "against a default route");
    assert_eq!(from(&table, "192.0.2.1", "10.0.0.1"), Some(0), "by its own default route");
    assert_eq!(from(&table, "198.51.100.1", "203.0.113.9"), Some(2), "no other leads there");
    assert_eq!(from(&table, "203.0.113.77", "10.0.0.1"), Some(1), "no address of ours: by the routes");
    table.set_down(1, true);
    assert_eq!(from(&table, "198.51.100.1", "8.8.8.8"), Some(0), "its device is down");
    table.remove_route(IpNetwork::ALL_V4, 0).unwrap();
    assert_eq!(from(&table, "192.0.2.1", "8.8.8.8"), None);
}

proptest! {
    /// The lookup finds what a search through all routes finds.
    #[test]
    fn lookup_is_the_longest_match(
        routes in proptest::collection::vec((any::<u32>(), 0u8..=32, 0usize..4), 0..24),
        down in 0usize..4,
        seeds in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<u32>()), 1..16),
    ) {
        let routes: Vec<_> = routes
            .into_iter()
            .map(|(addr, len, at)| (IpNetwork::new(Ipv4Addr::from_bits(addr).into(), len).unwrap(), at))
            .collect();
        let lookup = lookup::Lookup::new(routes.iter().copied());
        for (index, shift, noise) in seeds {
            // Near a route, or anywhere.
            let near = if routes.is_empty() { 0 } else {
                match index.get(&routes).0.addr() { IpAddr::V4(addr) => addr.to_bits(), IpAddr::V6(_) => 0 }
            };
            let dst = IpAddr::from(Ipv4Addr::from_bits(near ^ noise.checked_shr(shift.into()).unwrap_or(0)));
            let best = routes
                .iter()
                .filter(|(network, at)| network.contains(dst) && *at != down)
                .rev()
                .max_by_key(|(network, _)| network.prefix_len())
                .map(|(network, at)| (network.prefix_len(), *at));
            prop_assert_eq!(lookup.find(dst, |at| at != down), best);
        }
    }
}
