//! A link that holds its packets until the line takes them, so that a change of its rate is felt at once and a discipline
//! may drop what waits. [`Link::offer`] takes a packet in; [`Link::free_at`] says when the next one leaves, and
//! [`Link::depart`] lets it.

use netstack_tcp::Instant;
use netstack_wire::Ecn;

use super::{Fate, Link};
use crate::impair::Item;

/// A packet that the line has taken.
#[derive(Debug)]
pub(crate) struct Departure {
    /// As it was offered.
    pub(crate) token: u32,
    /// Leaves with CE.
    pub(crate) marked: bool,
    /// The bit that arrives flipped, to be taken modulo the packet's bits.
    pub(crate) hit: Option<u64>,
    pub(crate) fate: Fate,
}

impl Link {
    /// Takes in a packet of `len` bytes that the caller calls `token`; false if the queue is full and it is dropped.
    pub(crate) fn offer(&mut self, now: Instant, token: u32, len: usize, ecn: Ecn) -> bool {
        self.count(len);
        let busy = self.held.depth().1 > 0 || self.rate.free_at() > now.as_nanos();
        if busy && !self.held.admits(len) {
            self.stats.queue_full += 1;
            return false;
        }
        let (bytes, packets) = self.held.depth();
        let waiting = if busy { (bytes + len, packets + 1) } else { (0, 0) };
        self.mark.on_packet(waiting.0);
        let marked = self.mark.field(ecn) != ecn;
        self.note_depth(waiting);
        self.held.push(Item { token, len, marked });
        true
    }

    /// When the line can take the next of the packets that wait; `None` if none does.
    pub(crate) fn free_at(&self) -> Option<Instant> {
        (self.held.depth().1 > 0).then(|| Instant::from_nanos(self.rate.free_at()))
    }

    /// The line takes the next packet at `now`, not before [`free_at`](Self::free_at).
    pub(crate) fn depart(&mut self, now: Instant) -> Option<Departure> {
        let item = self.held.pop()?;
        let now = now.as_nanos();
        let (_, departure) = if now > self.rate.free_at() {
            self.rate.transmit(now, item.len)
        } else {
            self.rate.transmit_next(item.len)
        };
        self.stats.marked += u64::from(item.marked);
        let (fate, hit) = self.cross(departure);
        Some(Departure { token: item.token, marked: item.marked, hit, fate })
    }

    /// Forgets what waits, and gives the names of it.
    pub(crate) fn flush(&mut self) -> impl Iterator<Item = u32> + '_ {
        std::iter::from_fn(|| self.held.pop()).map(|item| item.token)
    }
}
