//! The parameters of one case, all drawn from its seed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use netstack_sim::heap::{EndpointConfig, Open, PairConfig};
use netstack_sim::{Jitter, LinkConfig, QueueLimit, SimRng};
use netstack_tcp::{Instant, KeepAlive, TcpConfig};
use netstack_wire::SeqNum;

/// How an application goes about reading or writing.
#[derive(Clone, Debug)]
pub(crate) enum Pace {
    /// At once, in pieces of up to so many bytes.
    Greedy { piece: u64 },
    /// A piece of up to so many bytes, then a pause of up to so long.
    Paced { piece: u64, pause: Duration },
    /// Nothing until so long after the handshake, then greedily.
    Stalled { until: Duration },
}

/// When an application closes, once it has written everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// Shuts its half down at once.
    Shutdown,
    /// Shuts its half down this long after the handshake, or at once if that has passed.
    ShutdownAt(Duration),
    /// Shuts its half down after the peer's end of file.
    AfterEof,
    /// Drops both halves after the peer's end of file.
    DropAfterEof,
    /// Drops both halves this long after the handshake, whatever is unread or unwritten.
    DropAt(Duration),
    /// Resets the connection this long after the handshake.
    AbortAt(Duration),
}

/// What the application on one end does.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) total: u64,
    pub(crate) write: Pace,
    pub(crate) read: Pace,
    pub(crate) close: Close,
}

/// One case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The least round-trip time of a [`clean`](Self::clean) case.
    pub(crate) round_trip: Duration,
    pub(crate) pair: PairConfig,
    pub(crate) a: Script,
    pub(crate) b: Script,
}

/// Cases that must be over this many bytes in one direction: 30 %.
pub(crate) const LARGE: u64 = 256 * 1024;

impl Case {
    /// The case of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = SimRng::new(seed, 0x100);
        let rng = &mut rng;
        let small_buffers = rng.one_in(4);
        let pair = pair(rng, seed, small_buffers);
        let mut a = script(rng);
        let mut b = script(rng);
        sizes(rng, &mut a, &mut b);
        closing(rng, &mut a, &mut b);
        Self { round_trip: Duration::ZERO, pair, a, b }
    }

    /// The case of `seed` in which one application, or both, leaves before the end.
    pub(crate) fn abrupt(seed: u64) -> Self {
        let mut case = Self::new(seed);
        let mut rng = SimRng::new(seed, 0x200);
        let both = rng.one_in(4);
        let first = rng.one_in(2);
        for (script, leaves) in [(&mut case.a, both || first), (&mut case.b, both || !first)] {
            let magnitude = rng.below(22);
            let at = Duration::from_micros(rng.below(1 << magnitude));
            script.close = match (leaves, rng.one_in(2)) {
                (true, true) => Close::DropAt(at),
                (true, false) => Close::AbortAt(at),
                (false, _) => Close::Shutdown,
            };
        }
        // A reset may be lost, and then only silence tells: whoever stays must look.
        let keepalive =
            KeepAlive { idle: Duration::from_secs(60), interval: Duration::from_secs(10), count: 20 };
        for end in [&mut case.pair.a, &mut case.pair.b] {
            let mut tcp = TcpConfig::clone(&end.tcp);
            tcp.keepalive(Some(keepalive)).user_timeout(Some(Duration::from_secs(600)));
            tcp.syn_timeout(Duration::from_secs(180)).syn_ack_timeout(Duration::from_secs(180));
            end.tcp = Arc::new(tcp);
        }
        case
    }

    /// The case of `seed` over links that only delay, with default timers and applications that never pause.
    pub(crate) fn clean(seed: u64) -> Self {
        let mut case = Self::new(seed);
        let mut rng = SimRng::new(seed, 0x300);
        let delay = Duration::from_micros([10, 300, 5_000, 50_000][rng.below(4) as usize]);
        case.round_trip = 2 * delay;
        for link in [&mut case.pair.a_to_b, &mut case.pair.b_to_a] {
            *link = LinkConfig::new();
            link.delay(delay);
        }
        case.pair.b.open = Open::Passive;
        let defaults = TcpConfig::new();
        for end in [&mut case.pair.a, &mut case.pair.b] {
            let mut tcp = defaults.clone();
            let old = &end.tcp;
            tcp.recv_buffer(old.recv_buffer_size()).send_buffer(old.send_buffer_size());
            tcp.nodelay(rng.one_in(2)).timestamps(!rng.one_in(4)).sack(!rng.one_in(4));
            end.tcp = Arc::new(tcp);
            end.turn_delay = Duration::ZERO;
        }
        for script in [&mut case.a, &mut case.b] {
            script.read = Pace::Greedy { piece: u64::MAX };
            script.write = Pace::Greedy { piece: u64::MAX };
            script.close = Close::Shutdown;
        }
        case
    }

    /// The same case with half the bytes; `None` if there is nothing left to halve.
    pub(crate) fn halved(&self) -> Option<Self> {
        let mut half = self.clone();
        half.a.total /= 2;
        half.b.total /= 2;
        (half.a.total + half.b.total < self.a.total + self.b.total).then_some(half)
    }
}

fn sizes(rng: &mut SimRng, a: &mut Script, b: &mut Script) {
    if rng.below(100) < 31 {
        let large = LARGE + 1 + rng.below(LARGE);
        let other = if rng.one_in(2) { large } else { rng.below(20_000) };
        (a.total, b.total) = if rng.one_in(2) { (large, other) } else { (other, large) };
        return;
    }
    for script in [a, b] {
        script.total = match rng.below(4) {
            0 => 0,
            1 => rng.below(100),
            2 => rng.below(20_000),
            _ => rng.below(150_000),
        };
    }
}

fn closing(rng: &mut SimRng, a: &mut Script, b: &mut Script) {
    let at = Duration::from_millis(rng.below(3_000));
    match rng.below(8) {
        0 => a.close = Close::AfterEof,
        1 => b.close = Close::AfterEof,
        2 => a.close = Close::DropAfterEof,
        3 => b.close = Close::DropAfterEof,
        // Both at one instant after little data: the FINs cross.
        4 => {
            a.close = Close::ShutdownAt(at);
            b.close = Close::ShutdownAt(at);
        }
        5 => a.close = Close::ShutdownAt(at),
        _ => {}
    }
}

fn script(rng: &mut SimRng) -> Script {
    let write = match rng.below(5) {
        0 => Pace::Greedy { piece: 1 + rng.below(200) },
        1 => {
            Pace::Paced { piece: 4_000 + rng.below(30_000), pause: Duration::from_micros(rng.below(30_000)) }
        }
        2 => Pace::Stalled { until: Duration::from_millis(rng.below(500)) },
        _ => Pace::Greedy { piece: 1 + rng.below(65_536) },
    };
    let read = match rng.below(5) {
        0 => Pace::Greedy { piece: 1 + rng.below(500) },
        1 => {
            Pace::Paced { piece: 2_000 + rng.below(20_000), pause: Duration::from_micros(rng.below(30_000)) }
        }
        2 => Pace::Stalled { until: Duration::from_millis(rng.below(4_000)) },
        _ => Pace::Greedy { piece: u64::MAX },
    };
    Script { seed: rng.next_u64(), total: 0, write, read, close: Close::Shutdown }
}

fn pair(rng: &mut SimRng, seed: u64, small_buffers: bool) -> PairConfig {
    let mut pair = PairConfig::new(seed);
    if rng.one_in(8) {
        let [a, b] = [1, 2].map(|host| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, host]));
        let (a, b) = (SocketAddr::new(a, 40_000), SocketAddr::new(b, 7));
        (pair.a.local, pair.a.remote, pair.b.local, pair.b.remote) = (a, b, b, a);
    }
    let mtu = [1500, 1500, 1500, 576, 1280, 9000, 65_535, 128][rng.below(8) as usize];
    end(rng, &mut pair.a, mtu, small_buffers);
    end(rng, &mut pair.b, mtu, small_buffers);
    let delay = Duration::from_micros([0, 50, 1_000, 10_000, 40_000, 150_000][rng.below(6) as usize]);
    pair.a_to_b = link(rng, delay);
    pair.b_to_a = if rng.one_in(2) { pair.a_to_b.clone() } else { link(rng, delay) };
    if rng.one_in(8) && !delay.is_zero() {
        // Both SYNs are under way before the first arrives.
        pair.b.open = Open::Active(Instant::from_nanos(rng.below(delay.as_nanos().min(40_000) as u64)));
    }
    pair
}

fn end(rng: &mut SimRng, end: &mut EndpointConfig, mtu: u16, small_buffers: bool) {
    let mut tcp = TcpConfig::new();
    let (receive, send) =
        if small_buffers { (4_096, 4_096) } else { (4_096 << rng.below(9), 4_096 << rng.below(9)) };
    tcp.recv_buffer(receive).send_buffer(send);
    tcp.timestamps(!rng.one_in(4)).sack(!rng.one_in(4)).window_scaling(!rng.one_in(4));
    tcp.nodelay(rng.one_in(2));
    tuning(rng, &mut tcp);
    // Losses follow each other without end in some case out of ten thousand: nobody may give up.
    let day = Duration::from_secs(24 * 3_600);
    tcp.user_timeout(Some(day)).syn_timeout(day).syn_ack_timeout(day).time_wait(Duration::from_secs(900));
    end.tcp = Arc::new(tcp);
    end.mtu = mtu;
    end.ts_offset = rng.next_u64() as u32;
    end.iss = if rng.one_in(2) {
        SeqNum(0u32.wrapping_sub(1 + rng.below(65_536) as u32))
    } else {
        SeqNum(rng.next_u64() as u32)
    };
    if rng.one_in(3) {
        end.turn_delay = Duration::from_micros([1, 50, 1_000, 20_000][rng.below(4) as usize]);
        end.merge = rng.one_in(2);
    }
    if rng.one_in(2) {
        end.max_payload = usize::from(mtu) + rng.below(20_000) as usize;
    }
}

/// Settings that change how soon things happen, not what.
fn tuning(rng: &mut SimRng, tcp: &mut TcpConfig) {
    if rng.one_in(3) {
        tcp.ack_delay(Duration::from_millis(rng.below(400))).quick_acks(rng.below(20) as u8);
    }
    if rng.one_in(3) {
        tcp.min_rto(Duration::from_millis(1 << rng.below(11)));
    }
    if rng.one_in(6) {
        tcp.mss(88 + rng.below(1_400) as u16);
    }
    if rng.one_in(6) {
        let second = Duration::from_secs(1);
        tcp.keepalive(Some(KeepAlive { idle: second, interval: second, count: u8::MAX }));
    }
}

fn link(rng: &mut SimRng, delay: Duration) -> LinkConfig {
    let mut link = LinkConfig::new();
    link.delay(delay);
    let permille = |rng: &mut SimRng, limit: u64| rng.below(limit + 1) as f64 / 1000.0;
    match rng.below(4) {
        0 => {}
        1 | 2 => _ = link.loss(permille(rng, 50)),
        _ => _ = link.loss(permille(rng, 200)),
    }
    if rng.one_in(3) {
        link.duplicate(permille(rng, 100));
    }
    if rng.one_in(3) {
        link.reorder(permille(rng, 200), delay * (1 + rng.below(3) as u32));
    }
    match rng.below(4) {
        0 => _ = link.jitter(Jitter::Reordering(delay / 2)),
        1 => _ = link.jitter(Jitter::Ordered(delay)),
        _ => {}
    }
    if rng.one_in(3) {
        link.rate(500_000 << rng.below(11));
        match rng.below(3) {
            0 => _ = link.queue(QueueLimit::Packets(2 + rng.below(100) as usize)),
            1 => _ = link.queue(QueueLimit::Bytes(20_000 + rng.below(100_000) as usize)),
            _ => {}
        }
    }
    link
}
