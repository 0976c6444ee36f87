use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// All 65,536 numbers come before one comes again, and the next cannot be told from those before.
// req: R6864-1
#[test]
fn identifications_of_ipv4_repeat_only_when_all_are_used() {
    let ids = FragmentIds::new([7; 16]);
    let (src, dst) = (ip("192.0.2.1"), ip("192.0.2.2"));
    let mut seen = vec![false; 1 << 16];
    let mut steps = 0;
    let mut last = 0;
    for _ in 0..1 << 16 {
        let id = ids.next(src, dst, Protocol::UDP);
        assert!(!std::mem::replace(&mut seen[id as usize], true), "{id} comes twice");
        steps += usize::from(id.abs_diff(last) < 16);
        last = id;
    }
    // Of random numbers 31 in 65,536 are that near to the one before.
    assert!(steps < 100, "{steps} of 65,536 are near the one before");
}

/// Another destination or protocol sees other numbers, so that nobody learns of the traffic of others.
// req: R6864-1
#[test]
fn each_destination_and_protocol_has_an_order_of_its_own() {
    let take = |dst: &str, protocol| {
        let ids = FragmentIds::new([7; 16]);
        (0..8).map(|_| ids.next(ip("192.0.2.1"), ip(dst), protocol)).collect::<Vec<_>>()
    };
    assert_eq!(take("192.0.2.2", Protocol::UDP), take("192.0.2.2", Protocol::UDP));
    assert_ne!(take("192.0.2.2", Protocol::UDP), take("192.0.2.3", Protocol::UDP));
    assert_ne!(take("192.0.2.2", Protocol::UDP), take("192.0.2.2", Protocol::ICMP));
    let other_key = FragmentIds::new([8; 16]);
    assert_ne!(
        take("192.0.2.2", Protocol::UDP)[0],
        other_key.next(ip("192.0.2.1"), ip("192.0.2.2"), Protocol::UDP)
    );
}

/// Over IPv6 the identification has 32 bits and counts for the pair of addresses, whatever the protocol.
#[test]
fn identifications_of_ipv6_do_not_depend_on_the_protocol() {
    let ids = FragmentIds::new([7; 16]);
    let mut seen = std::collections::HashSet::new();
    for n in 0..100_000u32 {
        let protocol = if n % 2 == 0 { Protocol::UDP } else { Protocol::ICMPV6 };
        assert!(seen.insert(ids.next(ip("2001:db8::1"), ip("2001:db8::2"), protocol)));
    }
    assert!(seen.iter().any(|&id| id > u32::from(u16::MAX)));
}
