use super::towards;

/// Both directions of each link.
fn edges(links: &[(usize, usize)]) -> Vec<(usize, usize)> {
    links.iter().flat_map(|&(a, b)| [(a, b), (b, a)]).collect()
}

#[test]
fn the_fewest_links_win_and_the_first_of_equals() {
    // Routers 1 to 4 in a ring, hosts 0 and 5 on opposite corners.
    let edges = edges(&[(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)]);
    let next = towards(5, 6, &edges, |node| (1..5).contains(&node), |_| true);
    assert_eq!(next, [Some(0), Some(2), Some(6), Some(8), Some(10), None]);
}

#[test]
fn a_host_in_between_does_not_forward() {
    let edges = edges(&[(0, 1), (1, 2)]);
    assert_eq!(towards(2, 3, &edges, |_| false, |_| true), [None, Some(2), None]);
    assert_eq!(towards(2, 3, &edges, |node| node == 1, |_| true), [Some(0), Some(2), None]);
}

#[test]
fn a_link_that_an_address_belongs_to_is_the_last_on_the_way_to_it() {
    // Host 4 has a link to router 1, two hops from host 0, and one to router 3, three hops from it.
    let edges = edges(&[(0, 1), (1, 4), (1, 2), (2, 3), (3, 4)]);
    let to = |link: usize| towards(4, 5, &edges, |node| (1..4).contains(&node), move |way| way / 2 == link);
    assert_eq!(to(1), [Some(0), Some(2), Some(5), Some(7), None]);
    assert_eq!(to(4), [Some(0), Some(4), Some(6), Some(8), None]);
}
