//! The bridge between Tokio's clock and the protocol's.

use netstack_tcp::Instant;

/// Nanoseconds since the stack started, on Tokio's clock: under paused time it stands still.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    epoch: tokio::time::Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { epoch: tokio::time::Instant::now() }
    }

    pub(crate) fn now(self) -> Instant {
        self.at(tokio::time::Instant::now())
    }

    /// A point of Tokio's time; anything before the start counts as the start.
    pub(crate) fn at(self, time: tokio::time::Instant) -> Instant {
        Instant::from_duration(time.saturating_duration_since(self.epoch))
    }

    /// The point of Tokio's time at which `instant` is reached, `None` beyond what the clock can express.
    pub(crate) fn tokio(self, instant: Instant) -> Option<tokio::time::Instant> {
        self.epoch.checked_add(instant.saturating_duration_since(Instant::ZERO))
    }
}
