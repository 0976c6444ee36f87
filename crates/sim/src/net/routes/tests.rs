use super::towards;

/// Both directions of each link.
fn edges(links: &[(usize, usize)]) -> Vec<(usize, usize)> {
    links.iter().flat_map(|&(a, b)| [(a, b), (b, a)]).collect()
}

#[test]
fn the_fewest_links_win_and_the_first_of_equals() {
    // Routers 1 to 4 in a ring, hosts 0 and 5 on opposite corners.
    let edges = edges(&[(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)]);
    let next = towards(5, 6, &edges, |node| (1..5).contains(&node));
    assert_eq!(next, [Some(0), Some(2), Some(6), Some(8), Some(10), None]);
}

#[test]
fn a_host_in_between_does_not_forward() {
    let edges = edges(&[(0, 1), (1, 2)]);
    assert_eq!(towards(2, 3, &edges, |_| false), [None, Some(2), None]);
    assert_eq!(towards(2, 3, &edges, |node| node == 1), [Some(0), Some(2), None]);
}
