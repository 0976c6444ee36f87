use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn routes(prefixes: &[&str]) -> RouteTable {
    let mut routes = RouteTable::default();
    for (interface, prefix) in prefixes.iter().enumerate() {
        routes.add(prefix.parse().unwrap(), interface);
    }
    routes
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
        assert_eq!(routes.classify(ip(dst)), Destination::Foreign, "{dst} never travels");
        assert!(!routes.may_bind(ip(dst)), "{dst}");
    }
    assert!(routes.may_bind(ip("203.0.113.9")));
}
