//! Names of the parts of a network.

use std::array;
use std::fmt;
use std::iter::{Once, once};

/// A host or a router of a [`Network`](super::Network).
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) usize);

impl NodeId {
    /// Its number: nodes count from 0 in the order in which the builder was given them.
    pub fn index(self) -> usize {
        self.0
    }
}

/// A link of a [`Network`](super::Network), both directions. Where directions are asked for, a link stands for its two.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(super) usize);

impl LinkId {
    /// Its number: links count from 0 in the order in which the builder was given them.
    pub fn index(self) -> usize {
        self.0
    }

    /// The direction from the node that was named first when the link was made.
    pub fn there(self) -> Way {
        Way(2 * self.0)
    }

    /// The direction towards the node that was named first when the link was made.
    pub fn back(self) -> Way {
        Way(2 * self.0 + 1)
    }
}

impl IntoIterator for LinkId {
    type Item = Way;
    type IntoIter = array::IntoIter<Way, 2>;

    fn into_iter(self) -> Self::IntoIter {
        [self.there(), self.back()].into_iter()
    }
}

/// One direction of a link.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Way(pub(super) usize);

impl Way {
    /// The link.
    pub fn link(self) -> LinkId {
        LinkId(self.0 / 2)
    }

    /// The other direction of the link.
    pub fn reverse(self) -> Self {
        Self(self.0 ^ 1)
    }
}

impl IntoIterator for Way {
    type Item = Self;
    type IntoIter = Once<Self>;

    fn into_iter(self) -> Self::IntoIter {
        once(self)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.0.is_multiple_of(2) { "there" } else { "back" };
        write!(f, "link {} {direction}", self.0 / 2)
    }
}
