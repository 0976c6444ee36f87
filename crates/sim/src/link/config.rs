//! What a link is told to do.

use std::time::Duration;

use netstack_wire::ipv4;

use crate::impair::{Discipline, Jitter, JitterDistribution, LossModel, QueueLimit};

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
    pub(super) rate: Option<u64>,
    pub(super) queue: QueueLimit,
    pub(super) discipline: Discipline,
    pub(super) mark_above: Option<usize>,
    pub(super) delay: Duration,
    pub(super) jitter: Jitter,
    pub(super) distribution: JitterDistribution,
    pub(super) loss: LossModel,
    pub(super) duplicate: f64,
    pub(super) reorder: f64,
    /// Least and longest hold.
    pub(super) hold: (Duration, Duration),
    /// Start and length.
    pub(super) stall: (Duration, Duration),
    pub(super) corrupt: f64,
    mtu: Option<usize>,
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

    /// Takes the limit of the [`rate`](Self::rate) away.
    pub fn unlimited(&mut self) -> &mut Self {
        self.rate = None;
        self
    }

    /// Bound of the queue in front of the line; it fills only if there is a [`rate`](Self::rate). Default: unbounded.
    pub fn queue(&mut self, limit: QueueLimit) -> &mut Self {
        self.queue = limit;
        self
    }

    /// Which of the packets that wait is next, and which are dropped or marked before the queue is full. Default: first in,
    /// first out, nothing dropped.
    pub fn discipline(&mut self, discipline: Discipline) -> &mut Self {
        self.discipline = discipline;
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

    /// Random delay beside the propagation delay. Default: none.
    pub fn jitter(&mut self, jitter: Jitter) -> &mut Self {
        self.jitter = jitter;
        self
    }

    /// How the [`jitter`](Self::jitter) is spread. Default: uniform, on top of the propagation delay.
    ///
    /// ```
    /// use std::time::Duration;
    /// use netstack_sim::{Jitter, JitterDistribution, LinkConfig};
    ///
    /// // 40 ms on average with a standard deviation of 5 ms and a long tail, in order: `tc qdisc ... netem delay 40ms 5ms
    /// // distribution pareto`.
    /// let mut mobile = LinkConfig::new();
    /// mobile.delay(Duration::from_millis(40)).jitter(Jitter::Ordered(Duration::from_millis(5)));
    /// mobile.distribution(JitterDistribution::Pareto);
    /// ```
    pub fn distribution(&mut self, distribution: JitterDistribution) -> &mut Self {
        self.distribution = distribution;
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

    /// Probability, 0 to 1, that a packet which is not lost arrives with one bit flipped. Default: 0.
    pub fn corrupt(&mut self, probability: f64) -> &mut Self {
        self.corrupt = checked(probability);
        self
    }

    /// Longest packet that the link carries, in bytes. A host knows the MTU of its own link; a router answers what is too
    /// long for the next one with ICMP. Packets on the event heap are bounded by their endpoints alone. Default: 1,500.
    ///
    /// # Panics
    ///
    /// If `bytes` is below 68, which every IPv4 link takes.
    pub fn mtu(&mut self, bytes: usize) -> &mut Self {
        const LEAST: usize = ipv4::MIN_MTU as usize;
        assert!(bytes >= LEAST, "an IPv4 link carries packets of {LEAST} bytes at least, not of {bytes}");
        self.mtu = Some(bytes);
        self
    }

    /// The MTU; 1,500 if none was set.
    pub(crate) fn longest(&self) -> usize {
        self.mtu.unwrap_or(1_500)
    }

    /// The line pauses: from `at` after the start of the run on, for `length`, no packet begins to leave. What comes meanwhile
    /// waits in the queue, within its bound, and leaves afterwards at the line's rate. Default: none.
    pub fn stall(&mut self, at: Duration, length: Duration) -> &mut Self {
        self.stall = (at, length);
        self
    }
}

fn checked(probability: f64) -> f64 {
    assert!((0.0..=1.0).contains(&probability), "a probability lies between 0 and 1, not at {probability}");
    probability
}
