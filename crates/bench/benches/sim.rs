//! What the simulator costs: data segments of 1,448 octets per second of one core, ACKs not counted, with and without Tokio;
//! how the cost of a segment grows with the number of flows; and an hour of idle connections. Prints each beside its goal.
//!
//! The cases are run in turn, five rounds; the middle of each is printed, and the lowest and the highest behind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use netstack_sim::heap::{FlowConfig, Network, NetworkConfig, Pair, PairConfig, Receiver, Sender};
use netstack_sim::{LinkConfig, QueueLimit, net};
use netstack_tcp::{Instant, KeepAlive, TcpConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::{TcpListener, TcpStream};

const ROUNDS: usize = 5;
const SEGMENTS: u64 = 200_000;
/// Of all flows of a line together: a thousand for each of a thousand, so that it is not their beginning that is measured.
const SHARED_SEGMENTS: u64 = 1_000_000;
const MSS: u64 = 1_448;
const DELAY: Duration = Duration::from_millis(5);
const IDLE: usize = 10_000;
/// Twelve probes an hour on each connection, and as many answers.
const IDLE_PACKETS: u64 = 240_000;

/// One flow without Tokio, with large windows, 10 ms round trip; the rate in bits per second.
fn heap(rate: Option<u64>, loss: f64) -> Duration {
    let mut config = PairConfig::new(1);
    let mut tcp = TcpConfig::new();
    tcp.recv_buffer(4 << 20).send_buffer(4 << 20);
    config.a.tcp = Arc::new(tcp);
    config.b.tcp = Arc::clone(&config.a.tcp);
    config.a_to_b.delay(DELAY).loss(loss).queue(QueueLimit::Bytes(4 << 20));
    config.b_to_a.delay(DELAY);
    if let Some(rate) = rate {
        config.a_to_b.rate(rate);
    }
    let mut pair = Pair::new(config, Sender::new(SEGMENTS * MSS), Receiver::new(), ());
    let start = Clock::now();
    pair.run();
    let took = start.elapsed();
    assert_eq!(pair.app_b().received(), SEGMENTS * MSS);
    took
}

/// `flows` flows that share a line of 1 Gbit/s and carry the segments together, without Tokio.
fn shared(flows: u64) -> Duration {
    let mut tcp = TcpConfig::new();
    tcp.recv_buffer(128 << 10).send_buffer(128 << 10);
    let (network, segments) = crowd(flows as usize, tcp);
    let apps = (0..flows).map(|_| (Sender::new(segments * MSS), Receiver::new())).collect();
    let mut network = Network::new(network, apps, ());
    let start = Clock::now();
    network.run();
    let took = start.elapsed();
    let received: u64 = (0..flows).map(|flow| network.app_b(flow as usize).received()).sum();
    assert_eq!(received, segments * flows * MSS);
    took
}

/// Flows over one shared line, and the segments that each has to carry.
fn crowd(flows: usize, tcp: TcpConfig) -> (NetworkConfig, u64) {
    let tcp = Arc::new(tcp);
    let ends = PairConfig::new(1);
    let flow = |port: usize| {
        let mut flow = FlowConfig { a: ends.a.clone(), b: ends.b.clone(), a_to_b: vec![0], b_to_a: vec![1] };
        flow.a.local.set_port(20_000 + port as u16);
        flow.b.remote = flow.a.local;
        (flow.a.tcp, flow.b.tcp) = (Arc::clone(&tcp), Arc::clone(&tcp));
        flow
    };
    let mut line = LinkConfig::new();
    line.rate(1_000_000_000).delay(DELAY);
    let links = vec![line.clone(), line];
    let config = NetworkConfig { seed: 1, links, flows: (0..flows).map(flow).collect(), victims: Vec::new() };
    (config, SHARED_SEGMENTS / flows as u64)
}

/// An hour of idle connections with keep-alive on one side, without Tokio.
fn idle() -> Duration {
    let mut tcp = TcpConfig::new();
    tcp.recv_buffer(4_096).send_buffer(4_096);
    let (mut config, _) = crowd(IDLE, tcp.clone());
    let minutes = Duration::from_secs(300);
    tcp.keepalive(Some(KeepAlive { idle: minutes, interval: Duration::from_secs(75), count: 9 }));
    let tcp = Arc::new(tcp);
    for flow in &mut config.flows {
        flow.a.tcp = Arc::clone(&tcp);
    }
    let apps = (0..IDLE).map(|_| (Open, Open)).collect();
    let mut network = Network::new(config, apps, ());
    let at = |seconds| Instant::from_duration(Duration::from_secs(seconds));
    network.run_until(at(10));
    let before = network.trace().packets();
    let start = Clock::now();
    network.run_until(at(10 + 3_600));
    let took = start.elapsed();
    assert_eq!(network.trace().packets() - before, IDLE_PACKETS, "packets in the hour");
    took
}

/// Keeps its connection open and does nothing.
struct Open;

impl netstack_sim::heap::App for Open {
    fn poll(&mut self, _: &mut netstack_sim::heap::Socket<'_>) -> Option<Instant> {
        None
    }
}

/// One flow between whole stacks under Tokio, over a link of `rate` bits per second.
fn stacks(rate: Option<u64>) -> Duration {
    let server_addr: SocketAddr = ([192, 0, 2, 2], 7).into();
    net::block_on(async move {
        let mut net = net::Builder::new(1);
        let mut tcp = TcpConfig::new();
        tcp.recv_buffer(4 << 20).send_buffer(4 << 20);
        net.tcp(tcp);
        let client = net.host("client", &["192.0.2.1"]);
        let server = net.host("server", &["192.0.2.2"]);
        let mut line = LinkConfig::new();
        line.delay(DELAY).queue(QueueLimit::Bytes(8 << 20));
        if let Some(rate) = rate {
            line.rate(rate);
        }
        net.link(client, server, &line);
        let net = net.build().expect("the network is sound");
        let listener = TcpListener::bind(&net.stack(server), server_addr).await.expect("the port is free");
        let mut stream =
            TcpStream::connect(&net.stack(client), server_addr).await.expect("the server listens");
        let (mut accepted, _) = listener.accept().await.expect("the client has connected");
        let start = Clock::now();
        let sender = tokio::spawn(async move {
            let piece = vec![0; 64 * 1_448];
            let mut left = SEGMENTS * MSS;
            while left > 0 {
                let len = left.min(piece.len() as u64);
                stream.write_all(&piece[..len as usize]).await.expect("the server reads");
                left -= len;
            }
            stream.shutdown().await.expect("the connection is up");
            stream
        });
        let mut buf = vec![0; 1 << 18];
        let mut received = 0;
        loop {
            match accepted.read(&mut buf).await.expect("the client sends") {
                0 => break,
                n => received += n as u64,
            }
        }
        let took = start.elapsed();
        assert_eq!(received, SEGMENTS * MSS);
        drop(sender.await);
        took
    })
}

/// The lowest, the middle and the highest, in units of `scale` per second or seconds.
fn spread(times: &[Duration], value: impl Fn(f64) -> f64) -> [f64; 3] {
    let mut values: Vec<f64> = times.iter().map(|time| value(time.as_secs_f64())).collect();
    values.sort_unstable_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

/// What is run.
struct Case {
    name: &'static str,
    run: fn() -> Duration,
    /// What is counted in a second: segments, of which a run carries so many; 0 for seconds.
    segments: u64,
    /// At least so many segments per second, or at most so many seconds.
    goal: Option<f64>,
}

impl Case {
    fn rate(name: &'static str, segments: u64, goal: Option<f64>, run: fn() -> Duration) -> Self {
        Self { name, run, segments, goal }
    }

    fn report(&self, times: &[Duration]) -> String {
        let Self { name, segments, goal, .. } = self;
        if *segments == 0 {
            let [low, middle, high] = spread(times, |seconds| seconds);
            let goal = goal.map_or_else(String::new, |goal| format!("; goal {goal} at most"));
            return format!("{name}: {middle:.2} s ({low:.2} to {high:.2}{goal})");
        }
        let [low, middle, high] = spread(times, |seconds| *segments as f64 / seconds);
        let goal = goal.map_or_else(String::new, |goal| format!("; goal {goal:.0}"));
        format!("{name}: {middle:.0} segments/s ({low:.0} to {high:.0}{goal})")
    }
}

/// The places of the two cases whose costs are compared.
const ONE_FLOW: usize = 3;
const MANY_FLOWS: usize = 4;

fn cases() -> [Case; 8] {
    let rate = Case::rate;
    [
        rate("event heap, no limit", SEGMENTS, Some(1e6), || heap(None, 0.0)),
        rate("event heap, 1 Gbit/s", SEGMENTS, Some(1e6), || heap(Some(1_000_000_000), 0.0)),
        rate("event heap, 1 Gbit/s, 0.1 % lost", SEGMENTS, Some(1e6), || heap(Some(1_000_000_000), 0.001)),
        rate("event heap, 1 flow of 128 KiB", SHARED_SEGMENTS, None, || shared(1)),
        rate("event heap, 1,000 flows of 128 KiB", SHARED_SEGMENTS, None, || shared(1_000)),
        rate("whole stacks under Tokio, no limit", SEGMENTS, Some(3e5), || stacks(None)),
        rate("whole stacks under Tokio, 1 Gbit/s", SEGMENTS, Some(3e5), || stacks(Some(1_000_000_000))),
        Case {
            name: "an hour of 10,000 idle connections, 240,000 packets",
            run: idle,
            segments: 0,
            goal: Some(2.0),
        },
    ]
}

fn main() {
    let cases = cases();
    let mut times = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for (case, times) in cases.iter().zip(&mut times) {
            times.push((case.run)());
        }
    }
    for (case, times) in cases.iter().zip(&times) {
        println!("{}", case.report(times));
    }
    // Of the same round, so that a disturbance is in both.
    let rounds = times[ONE_FLOW].iter().zip(&times[MANY_FLOWS]);
    let ratios: Vec<Duration> = rounds.map(|(one, many)| many.div_f64(one.as_secs_f64())).collect();
    let [low, middle, high] = spread(&ratios, |ratio| ratio);
    println!("cost of a segment, 1,000 flows against 1: {middle:.2} ({low:.2} to {high:.2}; goal 2 at most)");
}
