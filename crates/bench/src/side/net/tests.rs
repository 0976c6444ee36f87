use super::*;

#[test]
fn networks_are_distinct_and_hold_documentation_addresses_alone() {
    let mut subnets = Subnets::default();
    let taken: Vec<_> = (0..192).map(|_| subnets.take()).collect();
    for (number, subnet) in taken.iter().enumerate() {
        assert!(NETWORKS.contains(&subnet.near().octets()[..3].try_into().unwrap()));
        assert_eq!(subnet.far().to_bits(), subnet.near().to_bits() + 1);
        assert!(taken[..number].iter().all(|other| other.base != subnet.base));
    }
    assert_eq!(subnets.take().base, taken[0].base);
    assert_ne!(subnets.take().device, taken[1].device);
}

#[test]
fn drops_of_both_directions_are_added() {
    let table = "Inter-|   Receive                                                |  Transmit\n\
                 bench10: 1 2 3 9 5 6 7 8 1 2 3 9 5 6 7 8\n  \
                 bench1: 1 2 3 40 5 6 7 8 1 2 3 2 5 6 7 8\n";
    assert_eq!(drops_in(table, "bench1"), Some(42));
    assert_eq!(drops_in(table, "bench2"), None);
}
