//! One direction of a link.

use std::time::Duration;

use netstack_tcp::Instant;
use netstack_wire::Ecn;

use crate::impair::{Delay, Duplicate, Jitter, Loss, LossModel, Mark, Queue, QueueLimit, Rate, Reorder};
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
    mark_above: Option<usize>,
    delay: Duration,
    jitter: Jitter,
    loss: LossModel,
    duplicate: f64,
    reorder: f64,
    /// Least and longest hold.
    hold: (Duration, Duration),
    /// Start and length.
    stall: (Duration, Duration),
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

    /// A packet that bears ECT leaves with CE, congestion experienced, when with it more than so many bytes wait for the line.
    /// Default: none is marked.
    pub fn mark_above(&mut self, bytes: usize) -> &mut Self {
        self.mark_above = Some(bytes);
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
        self.loss = LossModel::Uniform(checked(probability));
        self
    }

    /// Loss in runs after Gilbert and Elliott, in place of [`loss`](Self::loss): `share` of all packets are lost, in runs of
    /// `mean` packets on average.
    ///
    /// # Panics
    ///
    /// If `share` is not within 0 to 1 (1 excluded), or `mean` is below 1.
    pub fn loss_bursts(&mut self, share: f64, mean: f64) -> &mut Self {
        assert!((0.0..1.0).contains(&share), "the lost share lies between 0 and 1, not at {share}");
        assert!(mean >= 1.0, "a run of losses has one packet at least, not {mean} on average");
        self.loss = LossModel::bursts(share, mean);
        self
    }

    /// Probability, 0 to 1, that a packet which is not lost arrives twice. Default: 0.
    pub fn duplicate(&mut self, probability: f64) -> &mut Self {
        self.duplicate = checked(probability);
        self
    }

    /// Probability, 0 to 1, that a packet is held back by up to `hold`, so that later ones overtake it. Default: 0.
    pub fn reorder(&mut self, probability: f64, hold: Duration) -> &mut Self {
        self.late(probability, Duration::from_nanos(1).min(hold), hold)
    }

    /// Probability, 0 to 1, that a packet comes late by a time between `least` and `most`, while those behind it keep to
    /// theirs. In place of [`reorder`](Self::reorder), which it generalises. Default: 0.
    ///
    /// # Panics
    ///
    /// If `least` is more than `most`.
    pub fn late(&mut self, probability: f64, least: Duration, most: Duration) -> &mut Self {
        assert!(least <= most, "late by {least:?} at the least cannot be more than {most:?} at the most");
        self.reorder = checked(probability);
        self.hold = (least, most);
        self
    }

    /// The line pauses: from `at` after the start of the run on, for `length`, no packet begins to leave. What comes meanwhile
    /// waits in the queue, within its bound, and leaves afterwards at the line's rate. Default: none.
    pub fn stall(&mut self, at: Duration, length: Duration) -> &mut Self {
        self.stall = (at, length);
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
    /// Marked CE.
    pub marked: u64,
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
    mark: Mark,
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
        let stall_end = config.stall.0.saturating_add(config.stall.1);
        let hold = (crate::nanos(config.hold.0), crate::nanos(config.hold.1));
        Self {
            queue: Queue::new(config.queue),
            rate: Rate::new(config.rate, (crate::nanos(config.stall.0), crate::nanos(stall_end))),
            mark: Mark::new(config.mark_above),
            loss: Loss::new(config.loss, stream(1), stream(6)),
            duplicate: Duplicate::new(config.duplicate, stream(2)),
            delay: Delay::new(crate::nanos(config.delay), config.jitter, stream(3)),
            reorder: Reorder::new(config.reorder, hold, stream(4), stream(5)),
            stats: LinkStats::default(),
        }
    }

    /// Sends an IP packet of `len` bytes at `now`, which must not lie before the `now` of an earlier call.
    pub fn send(&mut self, now: Instant, len: usize) -> Fate {
        self.carry(now, len, false)
    }

    /// Sends a packet; one that is `doomed` is lost on the wire, whatever chance says.
    pub(crate) fn carry(&mut self, now: Instant, len: usize, doomed: bool) -> Fate {
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
        self.mark.on_packet(bytes);
        self.stats.max_queue_bytes = self.stats.max_queue_bytes.max(bytes);
        self.stats.max_queue_packets = self.stats.max_queue_packets.max(packets);
        if self.loss.loses() || doomed {
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

    /// The ECN field with which the packet that was sent last leaves, if it came with `ecn`.
    pub fn mark(&mut self, ecn: Ecn) -> Ecn {
        let field = self.mark.field(ecn);
        self.stats.marked += u64::from(field != ecn);
        field
    }

    /// Bytes and packets that wait for the line at `now`, which must not lie before the `now` of an earlier call.
    pub fn waiting(&mut self, now: Instant) -> (usize, usize) {
        self.queue.advance(now.as_nanos());
        self.queue.depth()
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
