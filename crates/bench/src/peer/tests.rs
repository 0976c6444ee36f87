use std::collections::HashSet;

use super::*;

#[test]
fn each_connection_has_an_address_of_its_own_and_is_found_by_it() {
    let samples = [0, 1, PORTS - 1, PORTS, 999_999, MOST - 1];
    let addresses: HashSet<SocketAddr> = samples.iter().map(|&i| address(i)).collect();
    assert_eq!(addresses.len(), samples.len());
    for at in samples {
        assert_eq!(index(address(at).ip(), address(at).port()), Some(at));
    }
}
