//! The timers of one connection, as a table of deadlines.

#[cfg(test)]
mod tests;

use crate::time::Instant;

/// The timers of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timer {
    /// The tail loss probe (RFC 8985 7.2); before [`Self::Retransmit`], which it moves on.
    Probe,
    /// The reordering timer of RACK (RFC 8985 6.2).
    Reorder,
    /// Retransmission of SYN, data or FIN (RFC 6298).
    Retransmit,
    /// Zero-window probe, or the sender's override of silly-window avoidance (RFC 9293 3.8.6).
    Persist,
    /// The next paced batch.
    Pacing,
    /// The delayed ACK (RFC 9293 3.8.6.3).
    DelayedAck,
    /// The keep-alive probe (RFC 9293 3.8.4).
    KeepAlive,
    /// R2: no progress for the user timeout (RFC 9293 3.8.3).
    UserTimeout,
    /// The end of TIME-WAIT, or of FIN-WAIT-2 without an owner.
    Lifetime,
}

impl Timer {
    /// Every timer, in the order in which those that are due at once are handled.
    pub const ALL: [Self; 9] = [
        Self::Probe,
        Self::Reorder,
        Self::Retransmit,
        Self::Persist,
        Self::Pacing,
        Self::DelayedAck,
        Self::KeepAlive,
        Self::UserTimeout,
        Self::Lifetime,
    ];

    /// The name in a word, as traces spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Reorder => "reorder",
            Self::Retransmit => "retransmit",
            Self::Persist => "persist",
            Self::Pacing => "pacing",
            Self::DelayedAck => "delayed-ack",
            Self::KeepAlive => "keep-alive",
            Self::UserTimeout => "user-timeout",
            Self::Lifetime => "lifetime",
        }
    }
}

/// One deadline per [`Timer`].
#[derive(Debug)]
pub(crate) struct TimerTable([Instant; Timer::ALL.len()]);

impl TimerTable {
    pub(crate) fn new() -> Self {
        Self([Instant::NEVER; Timer::ALL.len()])
    }

    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = at;
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = Instant::NEVER;
    }

    pub(crate) fn stop_all(&mut self) {
        *self = Self::new();
    }

    pub(crate) fn is_armed(&self, timer: Timer) -> bool {
        self.0[timer as usize] != Instant::NEVER
    }

    /// When `timer` fires, if it runs.
    pub(crate) fn deadline(&self, timer: Timer) -> Option<Instant> {
        self.is_armed(timer).then_some(self.0[timer as usize])
    }

    /// Stops `timer` and says so if it is due at `now`.
    pub(crate) fn take_due(&mut self, timer: Timer, now: Instant) -> bool {
        let due = self.0[timer as usize] <= now;
        if due {
            self.stop(timer);
        }
        due
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().copied().min().filter(|at| *at != Instant::NEVER)
    }
}
