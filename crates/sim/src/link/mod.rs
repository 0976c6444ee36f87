//! One direction of a link.

mod config;
mod hold;
mod line;

use netstack_tcp::Instant;
use netstack_wire::Ecn;

use crate::impair::{Corrupt, Delay, Discipline, Duplicate, Held, Loss, Mark, Queue, Rate, Reorder};
use crate::rng::SimRng;

pub use config::LinkConfig;
pub(crate) use line::{Line, Outcome};

/// What became of a packet given to a [`Link`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Dropped by the queue: it was full, or its discipline would have it so.
    QueueFull,
    /// Left the queue and was lost on the wire.
    Lost,
    /// Arrives at `at`, and a second time at `copy` if it was duplicated.
    Arrives {
        /// Arrival of the packet: of its last bit.
        at: Instant,
        /// Arrival of the duplicate.
        copy: Option<Instant>,
    },
}

/// What a [`Link`] has done so far, in packets unless it says bytes.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Given to the link.
    pub offered: u64,
    /// Bytes given to the link.
    pub offered_bytes: u64,
    /// Dropped for want of room in the queue.
    pub queue_full: u64,
    /// Dropped by the queue's discipline before it was full.
    pub early: u64,
    /// Marked CE.
    pub marked: u64,
    /// Lost on the wire.
    pub lost: u64,
    /// Lost because the link was cut, or the ends were apart: given to it then, or under way when it was cut.
    pub cut: u64,
    /// Lost because they were longer than the link's MTU.
    pub too_big: u64,
    /// Dropped by a policy.
    pub policy_dropped: u64,
    /// Hit by corruption.
    pub corrupted: u64,
    /// Duplicated.
    pub duplicated: u64,
    /// Held back so that others could overtake, copies counted.
    pub held_back: u64,
    /// Sent on to arrive, copies counted.
    pub delivered: u64,
    /// Most bytes that ever waited in the queue.
    pub max_queue_bytes: usize,
    /// Most packets that ever waited in the queue.
    pub max_queue_packets: usize,
}

/// One direction of a link: gives each packet its fate, at the moment when it is sent. Holds no packets itself, so that the
/// event heap and the networks under Tokio can share it.
#[derive(Clone, Debug)]
pub struct Link {
    config: LinkConfig,
    seed: u64,
    direction: u64,
    /// How often it was configured anew.
    changes: u64,
    queue: Queue,
    held: Held,
    rate: Rate,
    mark: Mark,
    loss: Loss,
    corrupt: Corrupt,
    duplicate: Duplicate,
    delay: Delay,
    reorder: Reorder,
    stats: LinkStats,
}

impl Link {
    /// A link whose random decisions come from streams of `seed` that belong to `direction`, any number that tells this
    /// direction from the others of the same network.
    pub fn new(config: &LinkConfig, seed: u64, direction: u64) -> Self {
        let stream = |id: u64| SimRng::new(seed, direction << 8 | id);
        let stall_end = config.stall.0.saturating_add(config.stall.1);
        let hold = (crate::nanos(config.hold.0), crate::nanos(config.hold.1));
        Self {
            config: config.clone(),
            seed,
            direction,
            changes: 0,
            queue: Queue::new(config.queue),
            held: Held::new(config.queue, config.discipline, slot(config.rate), stream(9)),
            rate: Rate::new(config.rate, (crate::nanos(config.stall.0), crate::nanos(stall_end))),
            mark: Mark::new(config.mark_above),
            loss: Loss::new(config.loss, stream(1), stream(6)),
            corrupt: Corrupt::new(config.corrupt, stream(7), stream(8)),
            duplicate: Duplicate::new(config.duplicate, stream(2)),
            delay: Delay::new(crate::nanos(config.delay), config.jitter, config.distribution, stream(3)),
            reorder: Reorder::new(config.reorder, hold, stream(4), stream(5)),
            stats: LinkStats::default(),
        }
    }

    /// What it does now.
    pub fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// Does from now on as `config` says. What waits goes on waiting, also beyond a new bound; what the line is sending is
    /// sent at the old rate; random decisions come from streams of their own.
    pub fn reconfigure(&mut self, config: &LinkConfig) {
        let changes = self.changes + 1;
        let seed = self.seed ^ changes.rotate_right(16);
        let old = std::mem::replace(self, Self::new(config, seed, self.direction));
        (self.seed, self.changes, self.stats) = (old.seed, changes, old.stats);
        self.rate.go_on_from(&old.rate);
        self.delay.go_on_from(&old.delay);
        self.queue = old.queue;
        self.queue.set_limit(config.queue);
        self.held.take_over(old.held);
    }

    /// Sends an IP packet of `len` bytes at `now`, which must not lie before the `now` of an earlier call.
    ///
    /// The packet is a length only: one that is hit by corruption counts as lost, as its checksum will have it.
    pub fn send(&mut self, now: Instant, len: usize) -> Fate {
        self.carry(now, len, false)
    }

    /// Whether its queue must hold packets back, so that [`send`](Self::send) cannot tell their fate.
    pub(crate) fn must_hold(&self) -> bool {
        self.config.discipline != Discipline::DropTail
    }

    /// Whether its queue tells flows apart.
    pub(crate) fn is_fair(&self) -> bool {
        matches!(self.config.discipline, Discipline::Fair { .. })
    }

    /// Sends a packet; one that is `doomed` is lost on the wire, whatever chance says.
    pub(crate) fn carry(&mut self, now: Instant, len: usize, doomed: bool) -> Fate {
        let now = now.as_nanos();
        self.count(len);
        if !self.queue.admits(now, self.rate.free_at(), len) {
            self.stats.queue_full += 1;
            return Fate::QueueFull;
        }
        let (start, departure) = self.rate.transmit(now, len);
        self.queue.push(now, start, len);
        let depth = self.queue.depth();
        self.mark.on_packet(depth.0);
        self.note_depth(depth);
        if doomed {
            self.stats.lost += 1;
            // Chance goes on as if it had decided.
            self.loss.loses();
            return Fate::Lost;
        }
        let (fate, hit) = self.cross(departure);
        if hit.is_some() { Fate::Lost } else { fate }
    }

    /// The ECN field with which the packet that was sent last leaves, if it came with `ecn`.
    pub fn mark(&mut self, ecn: Ecn) -> Ecn {
        let field = self.mark.field(ecn);
        self.stats.marked += u64::from(field != ecn);
        field
    }

    /// Bytes and packets that wait for the line at `now`, which must not lie before the `now` of an earlier call.
    pub fn waiting(&mut self, now: Instant) -> (usize, usize) {
        self.queue.advance(now.as_nanos());
        let ((bytes, packets), held) = (self.queue.depth(), self.held.depth());
        (bytes + held.0, packets + held.1)
    }

    /// What the link has done so far.
    pub fn stats(&self) -> LinkStats {
        self.stats
    }

    pub(crate) fn stats_mut(&mut self) -> &mut LinkStats {
        &mut self.stats
    }

    fn count(&mut self, len: usize) {
        self.stats.offered += 1;
        self.stats.offered_bytes += len as u64;
    }

    fn note_depth(&mut self, (bytes, packets): (usize, usize)) {
        self.stats.max_queue_bytes = self.stats.max_queue_bytes.max(bytes);
        self.stats.max_queue_packets = self.stats.max_queue_packets.max(packets);
    }

    /// What becomes of a packet that has left the line at `departure`, and which bit of it is hit.
    fn cross(&mut self, departure: u64) -> (Fate, Option<u64>) {
        if self.loss.loses() {
            self.stats.lost += 1;
            return (Fate::Lost, None);
        }
        let hit = self.corrupt.hits();
        self.stats.corrupted += u64::from(hit.is_some());
        let at = self.arrival(departure);
        let copy = self.duplicate.copies().then(|| {
            self.stats.duplicated += 1;
            self.arrival(departure)
        });
        (Fate::Arrives { at, copy }, hit)
    }

    fn arrival(&mut self, departure: u64) -> Instant {
        let mut arrival = self.delay.arrival(departure);
        if let Some(hold) = self.reorder.hold() {
            self.stats.held_back += 1;
            arrival += hold;
        }
        self.stats.delivered += 1;
        Instant::from_nanos(arrival)
    }
}

/// How long a line takes for a packet of 1,500 bytes, nanoseconds.
fn slot(rate: Option<u64>) -> u64 {
    rate.map_or(0, |rate| 12_000_000_000_000 / rate)
}

#[cfg(test)]
mod tests;
