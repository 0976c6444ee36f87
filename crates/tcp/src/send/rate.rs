//! Delivery-rate sampling (draft-cheng-iccrg-delivery-rate-estimation): how fast the path delivered the flight that an ACK
//! ends. Apart from any controller; each may use it.

#[cfg(test)]
mod tests;

use core::time::Duration;

use crate::congestion::{Lost, RateSample};
use crate::time::Instant;

/// What a transmission remembers of the moment it left (draft 3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SentState {
    /// Octets delivered by then.
    delivered: u64,
    /// When those were complete.
    delivered_at: Instant,
    /// Octets found lost by then.
    lost: u64,
    /// When the flight began of which it is a part.
    first_sent_at: Instant,
    /// Octets in flight, itself included.
    tx_in_flight: u32,
    app_limited: bool,
}

/// The newest transmission of which the current ACK delivered something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Newest {
    sent_at: Instant,
    state: SentState,
}

impl Newest {
    /// By when it left; of what left at once, by its place.
    fn order(&self) -> (Instant, u64, u32) {
        (self.sent_at, self.state.delivered, self.state.tx_in_flight)
    }
}

/// Counters of what was delivered, and when (draft 3.1.1).
#[derive(Debug, Default)]
pub(crate) struct DeliveryRate {
    delivered: u64,
    delivered_at: Instant,
    lost: u64,
    /// When the newest transmission delivered so far left.
    first_sent_at: Instant,
    /// Once this much is delivered, samples are of the path again and not of the application; 0 if they are.
    app_limited_until: u64,
    /// The last rate that was not the application's.
    rate: u64,
}

impl DeliveryRate {
    /// `octets` leave at `now`, with `flight` outstanding before them.
    pub(crate) fn on_send(&mut self, now: Instant, flight: u32, octets: u32) -> SentState {
        if flight == 0 {
            // A flight begins: the time before it is nobody's.
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        SentState {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            lost: self.lost,
            first_sent_at: self.first_sent_at,
            tx_in_flight: flight.saturating_add(octets),
            app_limited: self.is_app_limited(),
        }
    }

    /// An ACK delivered, for the first time, `octets` of what left at `sent_at`; `newest` is of the same ACK.
    pub(crate) fn on_delivered(
        &mut self,
        now: Instant,
        sent_at: Instant,
        sent: &SentState,
        octets: u32,
        newest: &mut Option<Newest>,
    ) {
        self.delivered += u64::from(octets);
        self.delivered_at = now;
        let delivery = Newest { sent_at, state: *sent };
        if newest.is_none_or(|newest| newest.order() <= delivery.order()) {
            *newest = Some(delivery);
        }
    }

    /// `octets` of a transmission are lost.
    pub(crate) fn on_lost(&mut self, now: Instant, sent: &SentState, octets: u32) -> Lost {
        self.lost += u64::from(octets);
        Lost {
            now,
            octets,
            tx_in_flight: sent.tx_in_flight,
            lost: self.lost - sent.lost,
            delivered: self.delivered,
            app_limited: sent.app_limited,
        }
    }

    /// The sample of the ACK of which `newest` is the newest delivery. `None` if there was none, or the times say nothing
    /// (draft 3.3).
    pub(crate) fn sample(&mut self, newest: Option<&Newest>, min_rtt: Duration) -> Option<RateSample> {
        if self.delivered > self.app_limited_until {
            self.app_limited_until = 0;
        }
        let Newest { sent_at, state } = *newest?;
        self.first_sent_at = self.first_sent_at.max(sent_at);
        // ACKs may come compressed, and sending may stall: the slower of the two is the path's.
        let interval = (sent_at - state.first_sent_at).max(self.delivered_at - state.delivered_at);
        if interval.is_zero() || interval < min_rtt {
            return None;
        }
        let octets = self.delivered - state.delivered;
        let rate = u128::from(octets) * 1_000_000_000 / interval.as_nanos();
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        if !state.app_limited || rate > self.rate {
            self.rate = rate;
        }
        Some(RateSample {
            rate,
            delivered: self.delivered,
            prior_delivered: state.delivered,
            interval,
            app_limited: state.app_limited,
            tx_in_flight: state.tx_in_flight,
            lost: self.lost - state.lost,
        })
    }

    /// The application has nothing more to send, with `flight` octets outstanding and room in the windows: what leaves
    /// until those are delivered tells of it, not of the path (draft 3.4).
    pub(crate) fn set_app_limited(&mut self, flight: u32) {
        self.app_limited_until = (self.delivered + u64::from(flight)).max(1);
    }

    /// Whether what leaves now tells of the application (draft 3.4).
    pub(crate) fn is_app_limited(&self) -> bool {
        self.app_limited_until != 0
    }

    /// Octets delivered.
    #[cfg(test)]
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Octets per second of the last flight that the application did not hold back; 0 before the first sample.
    pub(crate) fn rate(&self) -> u64 {
        self.rate
    }
}
