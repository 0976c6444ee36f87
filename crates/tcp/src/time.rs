//! The protocol's clock: a point in time is nanoseconds since the stack started.

use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A point in time, in nanoseconds since the stack started.
///
/// The core never reads a clock: each input carries the time at which it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

/// The latest instant that is a deadline and not [`Instant::NEVER`].
const LATEST: u64 = u64::MAX - 1;

impl Instant {
    /// The start of the stack.
    pub const ZERO: Self = Self(0);
    /// Later than any time that is reached; stands for "never" where an `Option` would cost a word.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the start.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The instant `elapsed` after the start; saturates after 584 years.
    #[must_use]
    pub fn from_duration(elapsed: Duration) -> Self {
        Self(u64::try_from(elapsed.as_nanos()).unwrap_or(LATEST))
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The instant `span` before this one; the start of the stack if that lies further back.
    pub(crate) fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(Self::from_duration(span).0))
    }

    /// Time since `earlier`, zero if `earlier` lies ahead.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A span that may last for ever, in one word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience(u64);

impl Patience {
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self(limit.map_or(u64::MAX, |limit| u64::try_from(limit.as_nanos()).unwrap_or(LATEST)))
    }

    pub(crate) fn limit(self) -> Option<Duration> {
        (self.0 != u64::MAX).then(|| Duration::from_nanos(self.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, delay: Duration) -> Self {
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        // One below NEVER: a deadline far ahead stays a deadline.
        Self(self.0.saturating_add(nanos).min(LATEST))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, delay: Duration) {
        *self = *self + delay;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}
