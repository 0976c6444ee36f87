//! Transfers over one link, measured.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use netstack_sim::heap::{EndpointConfig, FlowConfig, Network, NetworkConfig, Open, Receiver, Sender};
use netstack_sim::record::{Log, Recording};
use netstack_sim::scenario::percentile;
use netstack_sim::{Jitter, JitterDistribution, LinkConfig, QueueLimit, SimRng};
use netstack_tcp::congestion::{CongestionControl, Pacing};
use netstack_tcp::{EcnPolicy, Instant, MAX_PAYLOAD, TcpConfig};
use netstack_wire::SeqNum;

use crate::flow::Flow;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// Rate of the link in both directions, bits per second; `None` for no limit.
    pub rate: Option<u64>,
    /// Propagation delay, one way.
    pub delay: Duration,
    /// Random delay beside it, in the direction of the data.
    pub jitter: Duration,
    /// How that is spread.
    pub distribution: JitterDistribution,
    /// Whether packets overtake each other by it.
    pub jitter_reorders: bool,
    /// Share of packets that are lost in the direction of the data.
    pub loss: f64,
    /// Mean length of a run of losses; 1 for each by itself.
    pub burst: f64,
    /// Share of packets that are lost on the way back.
    pub loss_back: f64,
    /// Share of packets that arrive twice.
    pub duplicate: f64,
    /// Share of packets that are held back by up to the delay, so that others overtake them.
    pub reorder: f64,
    /// What may wait in front of the line, octets; `None` for one bandwidth-delay product.
    pub queue: Option<u64>,
    /// Packets that ask for it are marked above so many waiting octets.
    pub mark_above: Option<u64>,
    /// IP MTU.
    pub mtu: u16,
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
    /// Connections, which start 10 ms after each other.
    pub flows: usize,
    /// Octets that each transfers.
    pub bytes: u64,
    /// Congestion control of the senders.
    pub congestion: CongestionControl,
    /// Whether the senders pace.
    pub pacing: Pacing,
    /// Seed of everything random.
    pub seed: u64,
    /// When to give up, in virtual time.
    pub limit: Duration,
    /// Whether the log keeps the payload of the packets, for a capture.
    pub keep_payload: bool,
}

impl Default for Experiment {
    /// 1 MiB over a link of 20 Mbit/s and 25 ms, one flow, seed 1.
    fn default() -> Self {
        Self {
            rate: Some(20_000_000),
            delay: Duration::from_millis(25),
            jitter: Duration::ZERO,
            distribution: JitterDistribution::default(),
            jitter_reorders: false,
            loss: 0.0,
            burst: 1.0,
            loss_back: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            queue: None,
            mark_above: None,
            mtu: 1500,
            ipv6: false,
            flows: 1,
            bytes: 1 << 20,
            congestion: CongestionControl::default(),
            pacing: Pacing::default(),
            seed: 1,
            limit: Duration::from_secs(3_600),
            keep_payload: true,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Everything that happened.
    pub log: Log,
    /// The connections.
    pub flows: Vec<Flow>,
    /// What each of them did.
    pub results: Vec<FlowResult>,
}

/// What one connection did.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowResult {
    /// Octets that the receiving application read.
    pub delivered: u64,
    /// Whether that was all, and as it was sent.
    pub complete: bool,
    /// From the SYN to the last octet.
    pub took: Duration,
    /// Segments with data that were sent, those sent again included.
    pub segments: u64,
    /// Segments with data that were sent again.
    pub resent: u64,
    /// Segments with data that the link lost or dropped.
    pub lost: u64,
    /// Percentiles 50, 95 and 99 of the round trips of segments, and the longest; `None` if none was measured.
    pub round_trips: Option<[Duration; 4]>,
    /// How long the sender was in each state, in the order of its life.
    pub states: Vec<(String, Duration)>,
}

impl FlowResult {
    /// Octets per second, from the SYN on.
    pub fn goodput(&self) -> f64 {
        let seconds = self.took.as_secs_f64();
        if seconds > 0.0 { self.delivered as f64 / seconds } else { 0.0 }
    }
}

/// Between two looks at the progress.
const SLICE: Duration = Duration::from_millis(20);
const STAGGER: Duration = Duration::from_millis(10);

impl Experiment {
    /// Does it, and tells `progress` again and again how many octets have been delivered.
    pub fn run(&self, mut progress: impl FnMut(u64)) -> Outcome {
        let config = self.network();
        let apps = (0..self.flows).map(|_| (Sender::new(self.bytes), Receiver::checking())).collect();
        let mut recording = Recording::new(&config).link_names(["data", "ACKs"]);
        if !self.keep_payload {
            recording = recording.headers_only();
        }
        let mut network = Network::new(config, apps, recording);
        let mut at = Duration::ZERO;
        let mut finished = false;
        while !finished && at < self.limit {
            at = (at + SLICE).min(self.limit);
            // Once everything is there only the quiet of TIME-WAIT is left.
            let delivered = (0..self.flows).map(|flow| network.app_b(flow).received()).sum::<u64>();
            finished = if delivered >= self.bytes * self.flows as u64 {
                !network.run_until(Instant::from_duration(self.limit))
            } else {
                !network.run_until(Instant::from_duration(at))
            };
            finished |= network.now() >= Instant::from_duration(self.limit);
            progress(delivered);
        }
        let received: Vec<_> = (0..self.flows)
            .map(|flow| (network.app_b(flow).received(), network.app_b(flow).is_intact()))
            .collect();
        let log = network.into_observer().into_log();
        let flows = Flow::all(&log);
        let results =
            flows.iter().zip(received).map(|(flow, received)| self.result(flow, received)).collect();
        Outcome { log, flows, results }
    }

    fn network(&self) -> NetworkConfig {
        let mut there = LinkConfig::new();
        let mut back = LinkConfig::new();
        for link in [&mut there, &mut back] {
            link.delay(self.delay);
            if let Some(rate) = self.rate {
                let bdp = rate as f64 / 8.0 * 2.0 * self.delay.as_secs_f64();
                let least = 16 * u64::from(self.mtu);
                let queue = self.queue.unwrap_or_else(|| (bdp as u64).max(least));
                link.rate(rate).queue(QueueLimit::Bytes(usize::try_from(queue).unwrap_or(usize::MAX)));
            }
        }
        let jitter = if self.jitter_reorders { Jitter::Reordering } else { Jitter::Ordered };
        there.jitter(jitter(self.jitter)).distribution(self.distribution);
        there.duplicate(self.duplicate).reorder(self.reorder, self.delay);
        if self.burst > 1.0 {
            there.loss_bursts(self.loss, self.burst);
        } else {
            there.loss(self.loss);
        }
        if let Some(bytes) = self.mark_above {
            there.mark_above(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        back.loss(self.loss_back);
        let flows = (0..self.flows).map(|flow| self.flow(flow)).collect();
        NetworkConfig { seed: self.seed, links: vec![there, back], flows, victims: Vec::new() }
    }

    fn flow(&self, flow: usize) -> FlowConfig {
        let (a, b): (IpAddr, IpAddr) = if self.ipv6 {
            let host = |last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
            (host(1).into(), host(2).into())
        } else {
            (Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::new(192, 0, 2, 2).into())
        };
        // Ephemeral ports, in a row.
        let port = 40_000_u16.wrapping_add(flow as u16);
        let (a, b) = (SocketAddr::new(a, port), SocketAddr::new(b, 5_001));
        let mut tcp = TcpConfig::new();
        tcp.congestion(self.congestion.clone()).pacing(self.pacing);
        if self.mark_above.is_some() {
            tcp.ecn(EcnPolicy::On);
        }
        let tcp = Arc::new(tcp);
        let mut rng = SimRng::new(self.seed, 1 << 32 | flow as u64);
        let mut end = |local, remote, open| EndpointConfig {
            local,
            remote,
            open,
            iss: SeqNum(rng.next_u64() as u32),
            ts_offset: 0,
            mtu: self.mtu,
            max_payload: MAX_PAYLOAD,
            turn_delay: Duration::ZERO,
            merge: false,
            tick: Duration::ZERO,
            tcp: Arc::clone(&tcp),
        };
        let start = Instant::from_duration(STAGGER * u32::try_from(flow).unwrap_or(u32::MAX));
        FlowConfig {
            a: end(a, b, Open::Active(start)),
            b: end(b, a, Open::Passive),
            a_to_b: vec![0],
            b_to_a: vec![1],
        }
    }

    fn result(&self, flow: &Flow, (delivered, intact): (u64, bool)) -> FlowResult {
        let data = || flow.segments.iter().filter(|segment| segment.from == 0 && segment.len > 0);
        let first = flow.segments.first().map_or(0, |segment| segment.t);
        let last = data().filter_map(|segment| segment.arrives).max().unwrap_or(first);
        let mut trips: Vec<u64> = flow.round_trips[0].iter().map(|&(_, trip)| trip).collect();
        let mut of = |percent| percentile(&mut trips, percent).map(Duration::from_nanos);
        let round_trips = match [50.0, 95.0, 99.0, 100.0].map(&mut of) {
            [Some(half), Some(most), Some(nearly), Some(all)] => Some([half, most, nearly, all]),
            _ => None,
        };
        FlowResult {
            delivered,
            complete: intact && delivered == self.bytes,
            took: Duration::from_nanos(last - first),
            segments: data().count() as u64,
            resent: data().filter(|segment| segment.retransmission).count() as u64,
            lost: data().filter(|segment| segment.is_lost()).count() as u64,
            round_trips,
            states: times(flow),
        }
    }
}

/// How long side 0 was in each state but the first and the last.
fn times(flow: &Flow) -> Vec<(String, Duration)> {
    let states = &flow.states[0];
    let mut times: Vec<(String, Duration)> = Vec::new();
    for pair in states.windows(2).skip(1) {
        let (from, name) = &pair[0];
        let length = Duration::from_nanos(pair[1].0 - from);
        match times.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += length,
            None => times.push((name.to_string(), length)),
        }
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lossy_transfer_is_complete_and_counted() {
        let experiment = Experiment { loss: 0.02, bytes: 300_000, seed: 7, ..Experiment::default() };
        let mut seen = Vec::new();
        let outcome = experiment.run(|delivered| seen.push(delivered));
        let result = &outcome.results[0];
        assert!(result.complete);
        assert_eq!(result.delivered, 300_000);
        assert!(result.lost > 0 && result.resent >= result.lost);
        let [half, .., most] = result.round_trips.unwrap();
        assert!(half >= Duration::from_millis(50) && most >= half);
        assert!(seen.is_sorted() && seen.len() > 2);
        let names: Vec<_> = result.states.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT"]);
        assert_eq!(result.states.last().unwrap().1, Duration::from_secs(60));
    }

    #[test]
    fn one_that_cannot_be_finished_ends_at_its_limit() {
        let experiment = Experiment { loss: 1.0, limit: Duration::from_secs(10), ..Experiment::default() };
        let outcome = experiment.run(|_| {});
        assert!(!outcome.results[0].complete);
        assert_eq!(outcome.results[0].round_trips, None);
    }

    #[test]
    fn the_same_seed_gives_the_same_lines_to_the_octet() {
        let lines = |seed| {
            let experiment = Experiment {
                loss: 0.01,
                jitter: Duration::from_millis(2),
                bytes: 100_000,
                flows: 2,
                seed,
                ipv6: true,
                ..Experiment::default()
            };
            let mut lines = Vec::new();
            experiment.run(|_| {}).log.write_json(&mut lines).unwrap();
            lines
        };
        assert_eq!(lines(1), lines(1));
        assert_ne!(lines(1), lines(2));
    }
}
