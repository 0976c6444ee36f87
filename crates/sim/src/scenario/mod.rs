//! Flows through one bottleneck, observed: what loss recovery and congestion control are measured on.
//!
//! A [`Scenario`] says what the path does, which flows cross it and for how long; [`Scenario::run`] gives an [`Outcome`]: what
//! each flow delivered, resent and lost, its windows and times as they went, and the queue. All flows share one bottleneck; data
//! goes from A to B, and each flow may have an access link of its own in front of it.

mod ledger;
mod outcome;
mod run;

use std::sync::Arc;
use std::time::Duration;

use netstack_tcp::TcpConfig;

use crate::heap::Victim;
use crate::{LinkConfig, QueueLimit};

pub use outcome::{FlowOutcome, Outcome, QueueSample, Sample, percentile};

/// IP MTU of every device.
pub const MTU: u16 = 1500;
/// Payload of a full packet: the MTU less the IPv4 header, the TCP header and the timestamps.
pub const PAYLOAD: u64 = 1448;

/// What a flow carries.
#[derive(Clone, Debug)]
pub enum Load {
    /// Bytes from A to B as fast as they go, to the end of the run.
    Bulk,
    /// So many bytes from A to B.
    Bytes(u64),
    /// B asks, A answers, one exchange after another.
    Exchange {
        /// Exchanges.
        count: usize,
        /// Bytes of a request.
        request: usize,
        /// Bytes of a response.
        response: usize,
        /// Rest before each request and before B's end of file.
        pause: Duration,
    },
}

/// One flow of a [`Scenario`].
#[derive(Clone, Debug)]
pub struct FlowPlan {
    /// Protocol settings of A, which sends the data.
    pub sender: Arc<TcpConfig>,
    /// Protocol settings of B.
    pub receiver: Arc<TcpConfig>,
    /// When A opens the connection, after the start of the run.
    pub start: Duration,
    /// What it carries.
    pub load: Load,
    /// The link between A and the bottleneck; `None` for a perfect wire.
    pub access: Option<LinkConfig>,
}

impl FlowPlan {
    /// A bulk flow from the start on, both ends with the settings of `tcp`.
    pub fn bulk(tcp: &Arc<TcpConfig>) -> Self {
        Self {
            sender: Arc::clone(tcp),
            receiver: Arc::clone(tcp),
            start: Duration::ZERO,
            load: Load::Bulk,
            access: None,
        }
    }
}

/// A dumbbell: flows that share a bottleneck in the direction of the data, and a way back.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use netstack_sim::scenario::{FlowPlan, Scenario};
/// use netstack_tcp::TcpConfig;
///
/// // 10 Mbit/s, 40 ms round trip, a queue of one bandwidth-delay product.
/// let mut scenario = Scenario::new(10_000_000, Duration::from_millis(40), 1.0);
/// scenario.flows.push(FlowPlan::bulk(&Arc::new(TcpConfig::new())));
/// scenario.duration = Duration::from_secs(5);
/// let outcome = scenario.run(1);
/// assert!(outcome.share(0, Duration::ZERO, scenario.duration) > 0.5);
/// ```
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Rate of the bottleneck, bits per second of whole IP packets.
    pub rate: u64,
    /// Round-trip time without any queue.
    pub rtt: Duration,
    /// The bottleneck: rate, queue, half the round trip, and what befalls data.
    pub bottleneck: LinkConfig,
    /// Links behind the bottleneck, in order; none by default.
    pub beyond: Vec<LinkConfig>,
    /// The way back: half the round trip, and what befalls ACKs and requests.
    pub back: LinkConfig,
    /// The flows.
    pub flows: Vec<FlowPlan>,
    /// Packets that are lost whatever chance says.
    pub victims: Vec<Victim>,
    /// Length of the run; it ends sooner when nothing is left to happen.
    pub duration: Duration,
    /// Time between two samples.
    pub interval: Duration,
    /// Step of the clock that every connection sees; zero for the exact time.
    pub tick: Duration,
}

impl Scenario {
    /// A bottleneck of `rate` bits per second, a round trip of `rtt` in equal halves, and a queue of `queue` bandwidth-delay
    /// products; no flow yet, 60 s long, a sample each 10 ms.
    pub fn new(rate: u64, rtt: Duration, queue: f64) -> Self {
        let bdp = rate as f64 / 8.0 * rtt.as_secs_f64();
        let mut bottleneck = LinkConfig::new();
        bottleneck.rate(rate).delay(rtt / 2).queue(QueueLimit::Bytes((bdp * queue) as usize));
        let mut back = LinkConfig::new();
        back.delay(rtt / 2);
        Self {
            rate,
            rtt,
            bottleneck,
            beyond: Vec::new(),
            back,
            flows: Vec::new(),
            victims: Vec::new(),
            duration: Duration::from_secs(60),
            interval: Duration::from_millis(10),
            tick: Duration::ZERO,
        }
    }

    /// What the bottleneck can carry as payload in full packets, bytes per second.
    pub fn capacity(&self) -> f64 {
        self.rate as f64 / 8.0 * PAYLOAD as f64 / f64::from(MTU)
    }
}
