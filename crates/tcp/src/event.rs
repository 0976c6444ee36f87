//! What a connection tells its owner.

use crate::state::CloseReason;

/// A fact that [`Connection::poll_event`](crate::Connection::poll_event) reports, each once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The handshake is complete.
    Connected,
    /// Urgent data is newly pending, or its end moved (MUST-32).
    UrgentPending,
    /// R1 is crossed: one segment was retransmitted three times without an answer (SHLD-9).
    RetryWarning,
    /// The peer's FIN arrived in order: no data follows what was read (MUST-12).
    PeerClosed,
    /// The connection is over.
    Closed(CloseReason),
}

/// Events that wait to be polled: one bit each, so that they cost no allocation.
#[derive(Debug, Default)]
pub(crate) struct EventSet(u8);

impl EventSet {
    pub(crate) const CONNECTED: u8 = 1;
    pub(crate) const URGENT: u8 = 2;
    pub(crate) const RETRY_WARNING: u8 = 4;
    pub(crate) const PEER_CLOSED: u8 = 8;
    pub(crate) const CLOSED: u8 = 16;

    pub(crate) fn raise(&mut self, event: u8) {
        self.0 |= event;
    }

    /// Takes the first event, in the order in which they can happen.
    pub(crate) fn take(&mut self, reason: CloseReason) -> Option<Event> {
        let bit = self.0 & self.0.wrapping_neg();
        self.0 &= !bit;
        match bit {
            Self::CONNECTED => Some(Event::Connected),
            Self::URGENT => Some(Event::UrgentPending),
            Self::RETRY_WARNING => Some(Event::RetryWarning),
            Self::PEER_CLOSED => Some(Event::PeerClosed),
            Self::CLOSED => Some(Event::Closed(reason)),
            _ => None,
        }
    }
}
