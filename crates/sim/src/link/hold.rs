//! A link that holds its packets until the line takes them, so that a change of its rate is felt at once and a discipline
//! may drop what waits. [`Link::offer`] takes a packet in; [`Link::free_at`] says when the next one leaves, and
//! [`Link::depart`] lets it.

use netstack_tcp::Instant;
use netstack_wire::Ecn;

use super::{Fate, Link};
use crate::impair::{Cause, Dropped, Item};

/// A packet offered to a link that holds its packets.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Offer {
    /// What the caller calls it.
    pub(crate) token: u32,
    pub(crate) len: usize,
    /// Tells flows apart, if [`Link::is_fair`].
    pub(crate) flow: u64,
    pub(crate) ecn: Ecn,
}

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
    /// Takes in a packet; it, or others, may end up in `dropped`.
    pub(crate) fn offer(&mut self, now: Instant, offer: Offer, dropped: &mut Dropped) {
        let Offer { token, len, flow, ecn } = offer;
        let now = now.as_nanos();
        self.count(len);
        let (bytes, packets) = self.held.depth();
        let busy = packets > 0 || self.rate.free_at() > now;
        self.mark.on_packet(if busy { bytes + len } else { 0 });
        let item = Item {
            token,
            len,
            flow,
            can_mark: ecn != Ecn::NotEct,
            marked: self.mark.field(ecn) != ecn,
            came: now,
        };
        let before = dropped.len();
        self.held.push(now, item, busy, dropped);
        self.count_dropped(&dropped[before..]);
        if busy {
            self.note_depth(self.held.depth());
        }
    }

    /// When the line can take the next of the packets that wait; `None` if none does.
    pub(crate) fn free_at(&self) -> Option<Instant> {
        (self.held.depth().1 > 0).then(|| Instant::from_nanos(self.rate.free_at()))
    }

    /// The line takes the next packet at `now`, not before [`free_at`](Self::free_at); some may be dropped on the way.
    pub(crate) fn depart(&mut self, now: Instant, dropped: &mut Dropped) -> Option<Departure> {
        let now = now.as_nanos();
        let before = dropped.len();
        let item = self.held.pop(now, dropped);
        self.count_dropped(&dropped[before..]);
        let item = item?;
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
        std::iter::from_fn(|| self.held.next()).map(|item| item.token)
    }

    fn count_dropped(&mut self, dropped: &[(Item, Cause)]) {
        for (_, cause) in dropped {
            match cause {
                Cause::Full => self.stats.queue_full += 1,
                Cause::Early => self.stats.early += 1,
            }
        }
    }
}
