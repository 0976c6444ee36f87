//! The shortest ways through a network.

use std::collections::VecDeque;

/// The direction of a link by which each node sends towards `goal`: the fewest links, of equal ways the one whose link was
/// made first. Hosts do not forward. `edges` are the directions: where each begins and ends; only what `enters` may be the last.
pub(super) fn towards(
    goal: usize,
    nodes: usize,
    edges: &[(usize, usize)],
    forwards: impl Fn(usize) -> bool,
    enters: impl Fn(usize) -> bool,
) -> Vec<Option<usize>> {
    let mut into: Vec<Vec<usize>> = vec![Vec::new(); nodes];
    for (way, &(_, to)) in edges.iter().enumerate() {
        into[to].push(way);
    }
    let mut next = vec![None; nodes];
    let mut reached = VecDeque::from([goal]);
    while let Some(node) = reached.pop_front() {
        for &way in &into[node] {
            let from = edges[way].0;
            if from != goal && next[from].is_none() && (node != goal || enters(way)) {
                next[from] = Some(way);
                if forwards(from) {
                    reached.push_back(from);
                }
            }
        }
    }
    next
}

#[cfg(test)]
mod tests;
