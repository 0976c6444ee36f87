//! Running a scenario.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use netstack_tcp::{Connection, Instant, MAX_PAYLOAD, TcpConfig, TcpStats};
use netstack_wire::SeqNum;

use super::ledger::Ledger;
use super::outcome::{FlowOutcome, Outcome, QueueSample, Sample};
use super::{FlowPlan, Load, MTU, Scenario};
use crate::heap::{
    App, EndId, EndpointConfig, FlowConfig, Network, NetworkConfig, Open, Receiver, Requester, Responder,
    Sender, Side, Socket,
};
use crate::{LinkConfig, SimRng};

/// Places of the links.
const BOTTLENECK: usize = 0;
const BACK: usize = 1;
const FIRST_OTHER: usize = 2;

impl Scenario {
    /// Runs it; the same `seed` gives the same run.
    pub fn run(&self, seed: u64) -> Outcome {
        let mut network = Network::new(
            self.network(seed),
            self.flows.iter().map(apps).collect(),
            Ledger::new(self.flows.len()),
        );
        let mut flows: Vec<_> = self.flows.iter().map(|_| Watched::default()).collect();
        let mut queue = Vec::new();
        let mut at = Duration::ZERO;
        loop {
            let goes_on = network.run_until(Instant::from_duration(at));
            for (flow, watched) in flows.iter_mut().enumerate() {
                watched.sample(at, &network, flow);
            }
            queue.push(QueueSample { at, bytes: network.link_waiting(BOTTLENECK).0 });
            if !goes_on || at >= self.duration || !self.unfinished(&network) {
                break;
            }
            at = (at + self.interval).min(self.duration);
        }
        Outcome {
            flows: flows.into_iter().enumerate().map(|(id, watched)| watched.outcome(&network, id)).collect(),
            queue,
            bottleneck: network.link_stats(BOTTLENECK),
            ended: at,
            trace: network.trace(),
            capacity: self.capacity(),
        }
    }

    /// Whether any flow has something left to deliver, or to hear about.
    fn unfinished(&self, network: &Net) -> bool {
        self.flows.iter().enumerate().any(|(flow, plan)| {
            let undelivered = match plan.load {
                Load::Bulk => true,
                Load::Bytes(bytes) => network.app_b(flow).received() < bytes,
                Load::Exchange { count, .. } => network.app_b(flow).latencies().len() < count,
            };
            undelivered || sender(network, flow).is_some_and(|connection| connection.send_queued() > 0)
        })
    }

    fn network(&self, seed: u64) -> NetworkConfig {
        let mut links = vec![self.bottleneck.clone(), self.back.clone()];
        links.extend(self.beyond.iter().cloned());
        let flows =
            self.flows.iter().enumerate().map(|(id, plan)| self.flow(seed, id, plan, &mut links)).collect();
        NetworkConfig { seed, links, flows, victims: self.victims.clone() }
    }

    fn flow(&self, seed: u64, id: usize, plan: &FlowPlan, links: &mut Vec<LinkConfig>) -> FlowConfig {
        let beyond = FIRST_OTHER..FIRST_OTHER + self.beyond.len();
        let mut a_to_b = Vec::with_capacity(2 + beyond.len());
        if let Some(access) = &plan.access {
            a_to_b.push(links.len());
            links.push(access.clone());
        }
        a_to_b.push(BOTTLENECK);
        a_to_b.extend(beyond);
        let port = 40_000 + id as u16;
        let a = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), port);
        let b = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 7);
        let mut rng = SimRng::new(seed, 1 << 32 | id as u64);
        let mut end = |local, remote, open, tcp: &Arc<TcpConfig>| EndpointConfig {
            local,
            remote,
            open,
            iss: SeqNum(rng.next_u64() as u32),
            ts_offset: 0,
            mtu: MTU,
            max_payload: MAX_PAYLOAD,
            turn_delay: Duration::ZERO,
            merge: false,
            tick: self.tick,
            tcp: Arc::clone(tcp),
        };
        FlowConfig {
            a: end(a, b, Open::Active(Instant::from_duration(plan.start)), &plan.sender),
            b: end(b, a, Open::Passive, &plan.receiver),
            a_to_b,
            b_to_a: vec![BACK],
        }
    }
}

type Net = Network<AppA, AppB, Ledger>;

fn sender(network: &Net, flow: usize) -> Option<&Connection> {
    network.endpoint(EndId { flow, side: Side::A }).connection()
}

/// A flow as it is being watched.
#[derive(Default)]
struct Watched {
    samples: Vec<Sample>,
    stats: TcpStats,
}

impl Watched {
    fn sample(&mut self, at: Duration, network: &Net, flow: usize) {
        let delivered = network.app_b(flow).received();
        let connection = sender(network, flow);
        let mut sample = Sample { at, delivered, ..Sample::default() };
        if let Some(connection) = connection {
            let info = connection.info();
            sample.cwnd = info.cwnd;
            sample.ssthresh = info.ssthresh;
            sample.srtt = info.srtt;
            sample.flight = info.in_flight;
            sample.in_recovery = info.in_recovery;
            sample.min_rtt = info.min_rtt;
            sample.reordering_window = info.reordering_window;
            self.stats = info.stats;
        }
        self.samples.push(sample);
    }

    fn outcome(self, network: &Net, flow: usize) -> FlowOutcome {
        let account = &network.observer().accounts[flow];
        let app = network.app_b(flow);
        let since_start = |at: Instant| at - Instant::ZERO;
        FlowOutcome {
            samples: self.samples,
            delivered: app.received(),
            intact: app.is_intact(),
            longest_gap: app.longest_gap(),
            sent: account.sent,
            resent: account.resent,
            lost: account.lost,
            rtts: account.rtts.iter().map(|&(at, rtt)| (since_start(at), rtt)).collect(),
            lowered: account.lowered.iter().map(|&at| since_start(at)).collect(),
            latencies: app.latencies().to_vec(),
            stats: self.stats,
        }
    }
}

fn apps(plan: &FlowPlan) -> (AppA, AppB) {
    match plan.load {
        Load::Bulk => (AppA::Sender(Sender::endless()), AppB::Receiver(Receiver::checking())),
        Load::Bytes(bytes) => (AppA::Sender(Sender::new(bytes)), AppB::Receiver(Receiver::checking())),
        Load::Exchange { count, request, response, pause } => (
            AppA::Responder(Responder::new(request, response)),
            AppB::Requester(Requester::new(count, request, response, pause)),
        ),
    }
}

enum AppA {
    Sender(Sender),
    Responder(Responder),
}

impl App for AppA {
    fn poll(&mut self, socket: &mut Socket<'_>) -> Option<Instant> {
        match self {
            Self::Sender(app) => app.poll(socket),
            Self::Responder(app) => app.poll(socket),
        }
    }
}

enum AppB {
    Receiver(Receiver),
    Requester(Requester),
}

impl AppB {
    fn received(&self) -> u64 {
        match self {
            Self::Receiver(app) => app.received(),
            Self::Requester(app) => app.received(),
        }
    }

    fn is_intact(&self) -> bool {
        match self {
            Self::Receiver(app) => app.is_intact(),
            Self::Requester(_) => true,
        }
    }

    fn longest_gap(&self) -> Duration {
        match self {
            Self::Receiver(app) => app.longest_gap(),
            Self::Requester(_) => Duration::ZERO,
        }
    }

    fn latencies(&self) -> &[Duration] {
        match self {
            Self::Receiver(_) => &[],
            Self::Requester(app) => app.latencies(),
        }
    }
}

impl App for AppB {
    fn poll(&mut self, socket: &mut Socket<'_>) -> Option<Instant> {
        match self {
            Self::Receiver(app) => app.poll(socket),
            Self::Requester(app) => app.poll(socket),
        }
    }
}

#[cfg(test)]
mod tests;
