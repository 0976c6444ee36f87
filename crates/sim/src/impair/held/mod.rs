//! Packets that wait for the line and can still be dropped, marked or overtaken before it takes them.

mod codel;
mod fair;
mod red;

use std::collections::VecDeque;
use std::time::Duration;

use super::QueueLimit;
use crate::rng::SimRng;

use codel::Codel;
use fair::Fair;
use red::Red;

/// Which of the packets that wait is next, and which are dropped or marked before there is no room.
///
/// Marks are given to packets that bear ECT (RFC 3168 5), if `ecn` is on; others are dropped in their place. Sizes count
/// whole IP packets that wait; what the line is sending does not wait.
///
/// ```
/// use netstack_sim::{Discipline, LinkConfig, QueueLimit};
///
/// let mut home = LinkConfig::new();
/// home.rate(20_000_000).queue(QueueLimit::Packets(1_000)).discipline(Discipline::CODEL);
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub enum Discipline {
    /// First in, first out; nothing is dropped as long as there is room.
    #[default]
    DropTail,
    /// Random early detection (Floyd and Jacobson 1993, as RFC 2309 recommends it), with the gentle slope above `max`.
    Red {
        /// Average length in bytes up to which nothing is dropped.
        min: usize,
        /// Average length in bytes at which `probability` is reached; twice as much drops all.
        max: usize,
        /// Share of the packets that are dropped at `max`.
        probability: f64,
        /// Whether to mark in place of dropping, below `max`.
        ecn: bool,
    },
    /// Controlled delay (RFC 8289).
    CoDel {
        /// Wait that is acceptable for good.
        target: Duration,
        /// How long a wait above it is tolerated: about the longest round trip.
        interval: Duration,
        /// Whether to mark in place of dropping.
        ecn: bool,
    },
    /// A queue for each flow, served in turn by deficit round robin (Shreedhar and Varghese 1995); when there is no room the
    /// longest loses its last packet. A flow is what has the same addresses, protocol and ports.
    Fair {
        /// Bytes that a flow may send in its turn, at least a packet's.
        quantum: usize,
    },
}

impl Discipline {
    /// CoDel with the constants of RFC 8289 4.2 to 4.4: 5 ms and 100 ms, marking.
    pub const CODEL: Self =
        Self::CoDel { target: Duration::from_millis(5), interval: Duration::from_millis(100), ecn: true };

    /// Fair queueing with a turn of one full Ethernet packet.
    pub const FAIR: Self = Self::Fair { quantum: 1_514 };
}

/// A packet that waits; whoever drives the link keeps its bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// The driver's name for it.
    pub(crate) token: u32,
    pub(crate) len: usize,
    /// Tells flows apart.
    pub(crate) flow: u64,
    /// Bears ECT, and can be marked.
    pub(crate) can_mark: bool,
    /// To leave with CE.
    pub(crate) marked: bool,
    /// When it came, nanoseconds.
    pub(crate) came: u64,
}

/// Why a packet that waited is dropped.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// There was no room.
    Full,
    /// The discipline would have it so.
    Early,
}

/// Packets dropped while the queue was at work, for the driver to clear away.
pub(crate) type Dropped = Vec<(Item, Cause)>;

/// The queue.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    limit: QueueLimit,
    bytes: usize,
    packets: usize,
    order: Order,
}

#[derive(Clone, Debug)]
enum Order {
    Fifo(VecDeque<Item>),
    Red(VecDeque<Item>, Red),
    Codel(VecDeque<Item>, Codel),
    Fair(Fair),
}

impl Held {
    /// `slot` is how long a line of the link's rate takes for a full packet, in nanoseconds.
    pub(crate) fn new(limit: QueueLimit, discipline: Discipline, slot: u64, rng: SimRng) -> Self {
        let order = match discipline {
            Discipline::DropTail => Order::Fifo(VecDeque::new()),
            Discipline::Red { min, max, probability, ecn } => {
                Order::Red(VecDeque::new(), Red::new((min, max), probability, ecn, slot, rng))
            }
            Discipline::CoDel { target, interval, ecn } => {
                Order::Codel(VecDeque::new(), Codel::new(crate::nanos(target), crate::nanos(interval), ecn))
            }
            Discipline::Fair { quantum } => Order::Fair(Fair::new(quantum)),
        };
        Self { limit, bytes: 0, packets: 0, order }
    }

    /// Takes over what waits in `old`, in the order in which that would have sent it, beyond the bound if need be.
    pub(crate) fn take_over(&mut self, mut old: Self) {
        while let Some(item) = old.next() {
            self.put(item);
        }
    }

    /// Takes in a packet. One that finds the line `busy` may be dropped, or cost another its place.
    pub(crate) fn push(&mut self, now: u64, mut item: Item, busy: bool, dropped: &mut Dropped) {
        let fits = !busy || self.limit.admits(self.bytes, self.packets, item.len);
        if let Order::Red(_, red) = &mut self.order {
            match red.judge(now, self.bytes, busy, item.can_mark) {
                red::Judgement::Pass => {}
                red::Judgement::Mark => item.marked = true,
                red::Judgement::Drop => return dropped.push((item, Cause::Early)),
            }
        }
        if fits {
            return self.put(item);
        }
        match &mut self.order {
            Order::Fair(_) => {
                self.put(item);
                while self.limit.is_passed(self.bytes, self.packets) {
                    let Order::Fair(fair) = &mut self.order else { return };
                    let Some(victim) = fair.drop_longest() else { return };
                    self.forget(&victim);
                    dropped.push((victim, Cause::Full));
                }
            }
            _ => dropped.push((item, Cause::Full)),
        }
    }

    /// The next packet for the line.
    pub(crate) fn pop(&mut self, now: u64, dropped: &mut Dropped) -> Option<Item> {
        let item = match &mut self.order {
            Order::Codel(items, codel) => {
                let before = dropped.len();
                let item = codel.pop(now, items, self.bytes, dropped);
                for (lost, _) in &dropped[before..] {
                    self.bytes -= lost.len;
                    self.packets -= 1;
                }
                item
            }
            _ => return self.next(),
        };
        if let Some(item) = &item {
            self.forget(item);
        }
        item
    }

    /// Takes the next packet out, whatever the discipline thinks of it.
    pub(crate) fn next(&mut self) -> Option<Item> {
        let item = match &mut self.order {
            Order::Fifo(items) | Order::Red(items, _) | Order::Codel(items, _) => items.pop_front(),
            Order::Fair(fair) => fair.pop(),
        }?;
        self.forget(&item);
        Some(item)
    }

    /// Bytes and packets that wait.
    pub(crate) fn depth(&self) -> (usize, usize) {
        (self.bytes, self.packets)
    }

    fn put(&mut self, item: Item) {
        self.bytes += item.len;
        self.packets += 1;
        match &mut self.order {
            Order::Fifo(items) | Order::Red(items, _) | Order::Codel(items, _) => items.push_back(item),
            Order::Fair(fair) => fair.push(item),
        }
    }

    fn forget(&mut self, item: &Item) {
        self.bytes -= item.len;
        self.packets -= 1;
    }
}

#[cfg(test)]
mod tests;
