//! Sequence numbers and their modular order (RFC 9293 section 3.4).

#[cfg(test)]
mod tests;

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

/// A TCP sequence number: a point on a circle of 2^32.
///
/// There is deliberately no `Ord`: the order is only meaningful between numbers less than 2^31 apart, and is not
/// transitive. Compare with [`before`](Self::before), [`after`](Self::after) and
/// [`in_window`](Self::in_window).
///
/// ```
/// use netstack_wire::SeqNum;
///
/// let last = SeqNum(u32::MAX);
/// assert!(last.before(last + 1));
/// assert_eq!((last + 5).distance_from(last), 5);
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// Whether `self` comes strictly before `other`.
    pub const fn before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// Whether `self` comes strictly after `other`.
    pub const fn after(self, other: Self) -> bool {
        other.before(self)
    }

    /// Whether `self` is `other` or comes before it.
    pub const fn before_eq(self, other: Self) -> bool {
        !self.after(other)
    }

    /// Whether `self` is `other` or comes after it.
    pub const fn after_eq(self, other: Self) -> bool {
        !self.before(other)
    }

    /// Whether `left <= self < left + len`. An empty window holds nothing.
    pub const fn in_window(self, left: Self, len: u32) -> bool {
        self.0.wrapping_sub(left.0) < len
    }

    /// How many numbers `self` lies ahead of `earlier`, modulo 2^32.
    pub const fn distance_from(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// The earlier of the two.
    #[must_use]
    pub const fn min(self, other: Self) -> Self {
        if other.before(self) { other } else { self }
    }

    /// The later of the two.
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        if other.after(self) { other } else { self }
    }
}

impl Add<u32> for SeqNum {
    type Output = Self;

    fn add(self, len: u32) -> Self {
        Self(self.0.wrapping_add(len))
    }
}

impl AddAssign<u32> for SeqNum {
    fn add_assign(&mut self, len: u32) {
        *self = *self + len;
    }
}

impl Sub<u32> for SeqNum {
    type Output = Self;

    fn sub(self, len: u32) -> Self {
        Self(self.0.wrapping_sub(len))
    }
}

impl fmt::Display for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
