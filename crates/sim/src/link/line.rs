//! The packets that wait for the line of a link, for whoever drives it.

use netstack_tcp::Instant;
use netstack_wire::Ecn;

use super::Link;
use super::hold::{Departure, Offer};
use crate::impair::{Cause, Dropped};
use crate::slab::Slab;

/// What became of a packet that waited.
#[derive(Debug)]
pub(crate) enum Outcome<P> {
    /// The queue dropped it.
    Dropped(P, Cause),
    /// The line has taken it.
    Left(P, Departure),
}

/// The packets of a link that holds them.
#[derive(Debug)]
pub(crate) struct Line<P> {
    waiting: Slab<P>,
    /// Whether the driver was told to come back.
    is_armed: bool,
    dropped: Dropped,
}

impl<P> Line<P> {
    pub(crate) fn new() -> Self {
        Self { waiting: Slab::new(), is_armed: false, dropped: Dropped::new() }
    }

    /// A packet comes.
    pub(crate) fn offer(
        &mut self,
        link: &mut Link,
        now: Instant,
        packet: P,
        (len, flow, ecn): (usize, u64, Ecn),
        outcomes: &mut Vec<Outcome<P>>,
    ) {
        let token = self.waiting.insert(packet);
        link.offer(now, Offer { token, len, flow, ecn }, &mut self.dropped);
        self.clear(outcomes);
    }

    /// Lets leave what the line takes by `now`. Gives the instant at which to call [`fire`](Self::fire), unless it was given
    /// before.
    pub(crate) fn run(
        &mut self,
        link: &mut Link,
        now: Instant,
        outcomes: &mut Vec<Outcome<P>>,
    ) -> Option<Instant> {
        while let Some(free_at) = link.free_at() {
            if free_at > now {
                let is_told = std::mem::replace(&mut self.is_armed, true);
                return (!is_told).then_some(free_at);
            }
            let departure = link.depart(now, &mut self.dropped);
            self.clear(outcomes);
            if let Some(departure) = departure
                && let Some(packet) = self.waiting.take(departure.token)
            {
                outcomes.push(Outcome::Left(packet, departure));
            }
        }
        None
    }

    /// The instant has come that [`run`](Self::run) gave; it is to be called again.
    pub(crate) fn fire(&mut self) {
        self.is_armed = false;
    }

    /// Gives up what waits.
    pub(crate) fn flush(&mut self, link: &mut Link) -> Vec<P> {
        link.flush().filter_map(|token| self.waiting.take(token)).collect()
    }

    fn clear(&mut self, outcomes: &mut Vec<Outcome<P>>) {
        for (item, cause) in self.dropped.drain(..) {
            if let Some(packet) = self.waiting.take(item.token) {
                outcomes.push(Outcome::Dropped(packet, cause));
            }
        }
    }
}
