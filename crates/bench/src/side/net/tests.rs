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
