//! One direction of a link.

use std::time::Duration;

use netstack_tcp::Instant;

use crate::impair::{Delay, Duplicate, Jitter, Loss, Queue, QueueLimit, Rate, Reorder};
use crate::rng::SimRng;

/// What one direction of a link does to packets. The default is a perfect wire: no delay, no limit, no loss.
///
/// ```
/// use std::time::Duration;
/// use netstack_sim::{LinkConfig, QueueLimit};
///
/// let mut dsl = LinkConfig::new();
/// dsl.rate(20_000_000).delay(Duration::from_millis(25)).loss(0.01).queue(QueueLimit::Bytes(64 * 1024));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinkConfig {
    rate: Option<u64>,
    queue: QueueLimit,
    delay: Duration,
    jitter: Jitter,
    loss: f64,
    duplicate: f64,
    reorder: f64,
    hold: Duration,
}

impl LinkConfig {
    /// A perfect wire.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rate of the line in bits per second, counted over whole IP packets. Default: no limit.
    ///
    /// # Panics
    ///
    /// If `bits_per_second` is 0; cut a link by a loss of 1 instead.
    pub fn rate(&mut self, bits_per_second: u64) -> &mut Self {
        assert!(bits_per_second > 0, "a rate is at least 1 bit per second; use loss(1.0) for a cut link");
        self.rate = Some(bits_per_second);
        self
    }

    /// Bound of the queue in front of the line; it fills only if there is a [`rate`](Self::rate). Default: unbounded.
    pub fn queue(&mut self, limit: QueueLimit) -> &mut Self {
        self.queue = limit;
        self
    }

    /// Propagation delay, one way. Default: none.
    pub fn delay(&mut self, delay: Duration) -> &mut Self {
        self.delay = delay;
        self
    }

    /// Random delay on top of the propagation delay. Default: none.
    pub fn jitter(&mut self, jitter: Jitter) -> &mut Self {
        self.jitter = jitter;
        self
    }

    /// Probability, 0 to 1, that a packet is lost after it has left the queue. Default: 0.
    ///
    /// # Panics
    ///
    /// If `probability` is not within 0 to 1; so do the other probabilities.
    pub fn loss(&mut self, probability: f64) -> &mut Self {
        self.loss = checked(probability);
        self
    }

    /// Probability, 0 to 1, that a packet which is not lost arrives twice. Default: 0.
    pub fn duplicate(&mut self, probability: f64) -> &mut Self {
        self.duplicate = checked(probability);
        self
    }

    /// Probability, 0 to 1, that a packet is held back by up to `hold`, so that later ones overtake it. Default: 0.
    pub fn reorder(&mut self, probability: f64, hold: Duration) -> &mut Self {
        self.reorder = checked(probability);
        self.hold = hold;
        self
    }
}

/// What became of a packet given to a [`Link`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Dropped: the queue was full.
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
    /// Dropped by the full queue.
    pub queue_full: u64,
    /// Lost on the wire.
    pub lost: u64,
    /// Duplicated.
    pub duplicated: u64,
    /// Held back so that others could overtake, copies counted.
    pub held_back: u64,
    /// Arrivals, copies counted.
    pub delivered: u64,
    /// Most bytes that ever waited in the queue.
    pub max_queue_bytes: usize,
    /// Most packets that ever waited in the queue.
    pub max_queue_packets: usize,
}

/// One direction of a link: gives each packet its fate at the moment when it is sent. Holds no packets itself, so that the
/// event heap and the Tokio device can share it.
#[derive(Clone, Debug)]
pub struct Link {
    queue: Queue,
    rate: Rate,
    loss: Loss,
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
        Self {
            queue: Queue::new(config.queue),
            rate: Rate::new(config.rate),
            loss: Loss::new(config.loss, stream(1)),
            duplicate: Duplicate::new(config.duplicate, stream(2)),
            delay: Delay::new(crate::nanos(config.delay), config.jitter, stream(3)),
            reorder: Reorder::new(config.reorder, crate::nanos(config.hold), stream(4), stream(5)),
            stats: LinkStats::default(),
        }
    }

    /// Sends an IP packet of `len` bytes at `now`, which must not lie before the `now` of an earlier call.
    pub fn send(&mut self, now: Instant, len: usize) -> Fate {
        let now = now.as_nanos();
        self.stats.offered += 1;
        self.stats.offered_bytes += len as u64;
        if !self.queue.admits(now, self.rate.free_at(), len) {
            self.stats.queue_full += 1;
            return Fate::QueueFull;
        }
        let (start, departure) = self.rate.transmit(now, len);
        self.queue.push(now, start, len);
        let (bytes, packets) = self.queue.depth();
        self.stats.max_queue_bytes = self.stats.max_queue_bytes.max(bytes);
        self.stats.max_queue_packets = self.stats.max_queue_packets.max(packets);
        if self.loss.loses() {
            self.stats.lost += 1;
            return Fate::Lost;
        }
        let at = self.arrival(departure);
        let copy = self.duplicate.copies().then(|| {
            self.stats.duplicated += 1;
            self.arrival(departure)
        });
        Fate::Arrives { at, copy }
    }

    /// What the link has done so far.
    pub fn stats(&self) -> LinkStats {
        self.stats
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

fn checked(probability: f64) -> f64 {
    assert!((0.0..=1.0).contains(&probability), "a probability lies between 0 and 1, not at {probability}");
    probability
}

#[cfg(test)]
mod tests;
