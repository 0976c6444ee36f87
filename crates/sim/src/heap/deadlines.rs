//! Which end is due first.

use netstack_tcp::Instant;

/// The deadlines of a fixed number of ends, as a tournament: each node of a binary tree holds the earlier of its two
/// children, so that the first is known at once and a change costs one way up.
#[derive(Debug)]
pub(crate) struct Deadlines {
    /// The root at 1, the children of `i` at `2 i` and `2 i + 1`, the leaves from `leaves` on; `u64::MAX` for none.
    nodes: Vec<u64>,
    leaves: usize,
}

impl Deadlines {
    /// None of `ends` ends has a deadline.
    pub(crate) fn new(ends: usize) -> Self {
        let leaves = ends.next_power_of_two();
        Self { nodes: vec![u64::MAX; 2 * leaves], leaves }
    }

    /// Sets the deadline of an end.
    pub(crate) fn set(&mut self, end: usize, deadline: Option<Instant>) {
        let mut node = self.leaves + end;
        self.nodes[node] = deadline.map_or(u64::MAX, Instant::as_nanos);
        while node > 1 {
            node /= 2;
            let earlier = self.nodes[2 * node].min(self.nodes[2 * node + 1]);
            if self.nodes[node] == earlier {
                break;
            }
            self.nodes[node] = earlier;
        }
    }

    /// The first deadline.
    pub(crate) fn first(&self) -> Option<Instant> {
        (self.nodes[1] != u64::MAX).then(|| Instant::from_nanos(self.nodes[1]))
    }

    /// The end that is due first, the lowest of several; an end without a deadline if none has one.
    pub(crate) fn first_end(&self) -> usize {
        let mut node = 1;
        while node < self.leaves {
            node = if self.nodes[2 * node] == self.nodes[node] { 2 * node } else { 2 * node + 1 };
        }
        node - self.leaves
    }
}

#[cfg(test)]
mod tests;
