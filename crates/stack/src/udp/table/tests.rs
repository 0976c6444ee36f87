use super::*;
use crate::udp::UdpConfig;
use crate::udp::endpoint::Link;
use crate::udp::ports::RandomPorts;
use crate::udp::queue::Pool;

fn pool() -> Arc<Pool> {
    Arc::new(Pool::new(usize::MAX))
}

fn addr(last: u8, port: u16) -> SocketAddr {
    ([192, 0, 2, last], port).into()
}

fn bound(table: &Table, local: SocketAddr, config: &UdpConfig) -> Arc<Endpoint> {
    let endpoint = Arc::new(Endpoint::bound(local, config, &pool()));
    table.insert(endpoint.key(), &endpoint);
    endpoint
}

fn found(table: &Table, from: SocketAddr, to: SocketAddr, expected: &Arc<Endpoint>) -> bool {
    table.find(from, to).is_some_and(|endpoint| Arc::ptr_eq(&endpoint, expected))
}

/// The socket connected to the sender goes before one bound to the address, and that before one bound to any.
#[test]
fn the_closest_socket_gets_the_datagram() {
    let table = Table::new(Secrets::from_seed(1));
    let config = UdpConfig::new();
    let any = bound(&table, ([0, 0, 0, 0], 7).into(), &config);
    let here = bound(&table, addr(1, 7), &config);
    let connected = Arc::new(Endpoint::bound(addr(1, 7), &config, &pool()));
    connected.set_link(Link { local: addr(1, 7), remote: addr(9, 99), zone: None });
    table.insert(connected.key(), &connected);
    assert!(found(&table, addr(9, 99), addr(1, 7), &connected));
    assert!(found(&table, addr(9, 98), addr(1, 7), &here));
    assert!(found(&table, addr(9, 99), addr(2, 7), &any));
    assert!(table.find(addr(9, 99), addr(1, 8)).is_none());
    for (endpoint, next) in [(&connected, &here), (&here, &any)] {
        table.remove(&endpoint.key(), endpoint);
        assert!(found(&table, addr(9, 99), addr(1, 7), next));
    }
    table.remove(&any.key(), &any);
    assert_eq!(table.len(), 0);
}

/// With a shared port the datagrams of one sender go to one socket, and those of many to all; with a shared address the newest
/// socket has them.
#[test]
fn shared_ports_spread_senders_and_shared_addresses_do_not() {
    let table = Table::new(Secrets::from_seed(1));
    let mut config = UdpConfig::new();
    config.reuse_port(true);
    let sharing: Vec<_> = (0..4).map(|_| bound(&table, addr(1, 7), &config)).collect();
    let mut hits = [0; 4];
    for port in 1..=400 {
        let endpoint = table.find(addr(9, port), addr(1, 7)).unwrap();
        assert!(found(&table, addr(9, port), addr(1, 7), &endpoint), "the same sender, another socket");
        hits[sharing.iter().position(|other| Arc::ptr_eq(other, &endpoint)).unwrap()] += 1;
    }
    assert!(hits.iter().all(|hits| (50..150).contains(hits)), "{hits:?}");

    let mut config = UdpConfig::new();
    config.reuse_address(true);
    let first = bound(&table, addr(1, 8), &config);
    let second = bound(&table, addr(1, 8), &config);
    assert!((1..50).all(|port| found(&table, addr(9, port), addr(1, 8), &second)));
    table.remove(&second.key(), &second);
    assert!(found(&table, addr(9, 1), addr(1, 8), &first));
}

/// A second session for a tuple gives way to the first.
#[test]
fn a_tuple_has_one_session() {
    let table = Table::new(Secrets::from_seed(1));
    let [first, second] = [(); 2].map(|()| Arc::new(Endpoint::bound(addr(1, 7), &UdpConfig::new(), &pool())));
    let key = FourTuple::new(addr(1, 7), addr(9, 9));
    assert!(table.insert_alone(key, &first).is_none());
    assert!(Arc::ptr_eq(&table.insert_alone(key, &second).unwrap(), &first));
    assert_eq!(table.len(), 1);
}

/// Ports drawn one after another have nothing in common, and every port of the range is drawn before the allocator gives up.
// req: R8085-2
#[test]
fn ports_are_drawn_at_random_and_all_are_used() {
    let mut ports = RandomPorts::new([7; 16], &(49_152..=65_535));
    let drawn: Vec<u16> = (0..256).map(|_| ports.pick(|_| false).unwrap()).collect();
    assert!(drawn.iter().all(|port| *port >= 49_152));
    let near = drawn.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 64).count();
    assert!(near < 16, "{near} of 255 ports lie near the one before");
    let mut other = RandomPorts::new([8; 16], &(49_152..=65_535));
    assert_ne!(drawn[..8], (0..8).map(|_| other.pick(|_| false).unwrap()).collect::<Vec<_>>()[..]);

    let mut few = RandomPorts::new([7; 16], &(10..=13));
    let mut used = Vec::new();
    while let Some(port) = few.pick(|port| used.contains(&port)) {
        used.push(port);
    }
    used.sort_unstable();
    assert_eq!(used, [10, 11, 12, 13]);
}
