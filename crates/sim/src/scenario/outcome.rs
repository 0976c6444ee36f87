//! What a run gave.

use std::time::Duration;

use netstack_tcp::TcpStats;

use super::Scenario;
use crate::{LinkStats, Trace};

/// What a flow looked like at an instant.
#[derive(Copy, Clone, Debug, Default)]
pub struct Sample {
    /// Time since the start of the run.
    pub at: Duration,
    /// Bytes that B's application has read.
    pub delivered: u64,
    /// Congestion window of A, bytes; 0 while there is no connection.
    pub cwnd: u32,
    /// Slow-start threshold of A, bytes; `None` while unset.
    pub ssthresh: Option<u32>,
    /// Smoothed round-trip time of A.
    pub srtt: Option<Duration>,
    /// Bytes of A in flight.
    pub flight: u32,
    /// Whether A is in fast recovery.
    pub in_recovery: bool,
    /// Least round-trip time of A.
    pub min_rtt: Option<Duration>,
    /// How long A waits for what may have been overtaken.
    pub reordering_window: Duration,
}

impl Sample {
    /// The reordering window in quarters of the least round trip, to the nearest: RFC 8985's multiplier while reordering
    /// has been seen and no cap is in force, 0 while none is waited for.
    pub fn reordering_quarters(&self) -> u32 {
        let least = self.min_rtt.map_or(0.0, |rtt| rtt.as_secs_f64());
        if least > 0.0 { (self.reordering_window.as_secs_f64() * 4.0 / least).round() as u32 } else { 0 }
    }
}

/// What waited in front of the bottleneck's line at an instant.
#[derive(Copy, Clone, Debug)]
pub struct QueueSample {
    /// Time since the start of the run.
    pub at: Duration,
    /// Bytes of IP packets.
    pub bytes: usize,
}

/// What one flow did.
#[derive(Clone, Debug)]
pub struct FlowOutcome {
    /// One each [`interval`](Scenario::interval).
    pub samples: Vec<Sample>,
    /// Bytes that B's application has read.
    pub delivered: u64,
    /// Whether those bytes were the bytes written. Always true of an exchange, whose bytes are counted only.
    pub intact: bool,
    /// Longest time without progress at B's application, once there was any.
    pub longest_gap: Duration,
    /// Payload bytes that A sent, resent ones included.
    pub sent: u64,
    /// Payload bytes that A sent again.
    pub resent: u64,
    /// Payload bytes of A that a link lost, in a full queue or on the wire.
    pub lost: u64,
    /// Each measured round trip of data sent once, with the time of its end: until the ACK that covers it is there.
    pub rtts: Vec<(Duration, Duration)>,
    /// When the slow-start threshold was lowered, its first setting included.
    pub lowered: Vec<Duration>,
    /// How long each exchange took.
    pub latencies: Vec<Duration>,
    /// The counters of A's connection as last seen.
    pub stats: TcpStats,
}

/// What a run gave.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// In the order of [`Scenario::flows`].
    pub flows: Vec<FlowOutcome>,
    /// The bottleneck's queue, one each [`interval`](Scenario::interval).
    pub queue: Vec<QueueSample>,
    /// What the bottleneck did.
    pub bottleneck: LinkStats,
    /// When the run ended.
    pub ended: Duration,
    /// Hash of all that was sent.
    pub trace: Trace,
    pub(super) capacity: f64,
}

impl Outcome {
    /// Bytes that a flow delivered between two instants, to the nearest sample before each.
    pub fn delivered(&self, flow: usize, from: Duration, to: Duration) -> u64 {
        self.delivered_by(flow, to) - self.delivered_by(flow, from)
    }

    fn delivered_by(&self, flow: usize, at: Duration) -> u64 {
        let samples = &self.flows[flow].samples;
        let after = samples.partition_point(|sample| sample.at <= at);
        after.checked_sub(1).map_or(0, |last| samples[last].delivered)
    }

    /// What a flow delivered between two instants, as a share of what the bottleneck can carry as payload in that time.
    pub fn share(&self, flow: usize, from: Duration, to: Duration) -> f64 {
        self.delivered(flow, from, to) as f64 / (self.capacity * to.saturating_sub(from).as_secs_f64())
    }

    /// Payload bytes resent by all flows.
    pub fn resent(&self) -> u64 {
        self.flows.iter().map(|flow| flow.resent).sum()
    }

    /// Payload bytes of all flows that a link lost.
    pub fn lost(&self) -> u64 {
        self.flows.iter().map(|flow| flow.lost).sum()
    }

    /// Payload bytes sent by all flows.
    pub fn sent(&self) -> u64 {
        self.flows.iter().map(|flow| flow.sent).sum()
    }

    /// The median of the bottleneck's queue, bytes.
    pub fn median_queue(&self) -> usize {
        let mut bytes: Vec<_> = self.queue.iter().map(|sample| sample.bytes).collect();
        percentile(&mut bytes, 50.0).unwrap_or(0)
    }

    /// Jain's index of fairness of what the flows delivered between two instants (Jain, Chiu, Hawe 1984): 1 when all have the
    /// same, `1 / n` when one of `n` has everything.
    pub fn fairness(&self, from: Duration, to: Duration) -> f64 {
        let shares: Vec<_> =
            (0..self.flows.len()).map(|flow| self.delivered(flow, from, to) as f64).collect();
        let sum: f64 = shares.iter().sum();
        let squares: f64 = shares.iter().map(|share| share * share).sum();
        if squares == 0.0 { 0.0 } else { sum * sum / (shares.len() as f64 * squares) }
    }
}

impl Scenario {
    /// Bytes in flight that fill the path without any queue.
    pub fn bdp(&self) -> f64 {
        self.rate as f64 / 8.0 * self.rtt.as_secs_f64()
    }
}

/// The value that `percent` of 100 of the values do not exceed (nearest rank); sorts them. `None` if there are none.
pub fn percentile<T: Ord + Copy>(values: &mut [T], percent: f64) -> Option<T> {
    values.sort_unstable();
    // Whole ranks stay whole: 99.9 % of 1,000 is no exact number of the machine.
    let rank = (percent / 100.0 * values.len() as f64 - 1e-9).ceil() as usize;
    values.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests;
