use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use netstack_tcp::{CloseReason, Instant, Segment, State, TcpConfig};
use netstack_wire::tcp::TcpFlags;

use super::{Pair, PairConfig, Side};
use crate::heap::{App, EndId, Endpoint, Observer, Open, Receiver, Sender, Socket};
use crate::{Fate, Jitter, QueueLimit};

const MS: u64 = 1_000_000;

/// Remembers when each wire segment was sent and by whom.
#[derive(Default)]
struct Sent(Vec<(Instant, Side, TcpFlags, usize)>);

impl Observer for Sent {
    fn sent(&mut self, now: Instant, from: EndId, _hops: usize, segment: &Segment, _fate: Fate) {
        self.0.push((now, from.side, segment.header.flags, segment.payload.len()));
    }
}

fn noisy(seed: u64) -> PairConfig {
    let mut config = PairConfig::new(seed);
    config.a_to_b.rate(50_000_000).delay(Duration::from_millis(10)).loss(0.02).duplicate(0.02);
    config.a_to_b.reorder(0.05, Duration::from_millis(5)).queue(QueueLimit::Bytes(100_000));
    config.b_to_a.delay(Duration::from_millis(10)).jitter(Jitter::Reordering(Duration::from_millis(2)));
    config
}

#[test]
fn a_transfer_over_a_perfect_wire_arrives_and_closes() {
    let mut pair = Pair::new(PairConfig::new(1), Sender::new(1_000_000), Receiver::new(), ());
    pair.run();
    assert_eq!(pair.app_b().received(), 1_000_000);
    for side in [Side::A, Side::B] {
        assert_eq!(pair.endpoint(side).state(), Some(State::Closed));
        assert_eq!(pair.endpoint(side).close_reason(), Some(CloseReason::Normal));
        assert_eq!(pair.link_stats(side).lost, 0);
    }
    // A closed first and rested in TIME-WAIT; nothing else takes time.
    assert_eq!(pair.now(), Instant::from_duration(TcpConfig::new().time_wait_length()));
}

#[test]
fn the_handshake_takes_one_round_trip_to_the_nanosecond() {
    let mut config = PairConfig::new(1);
    config.a_to_b.delay(Duration::from_nanos(10_000_001));
    config.b_to_a.delay(Duration::from_nanos(20_000_002));
    let mut pair = Pair::new(config, Sender::new(1), Receiver::new(), Sent::default());
    pair.run();
    let sent = &pair.observer().0;
    assert_eq!((sent[0].0, sent[0].1, sent[0].2), (Instant::ZERO, Side::A, TcpFlags::SYN));
    assert_eq!(sent[1].0, Instant::from_nanos(10_000_001));
    assert_eq!(sent[1].2, TcpFlags::SYN | TcpFlags::ACK);
    assert_eq!((sent[2].0, sent[2].1), (Instant::from_nanos(30_000_003), Side::A));
}

#[test]
fn no_wire_segment_is_longer_than_the_mtu_allows() {
    let mut pair = Pair::new(PairConfig::new(1), Sender::new(500_000), Receiver::new(), Sent::default());
    pair.run();
    let longest = pair.observer().0.iter().map(|sent| sent.3).max();
    // 1,500 less the IP header, the TCP header and the timestamps.
    assert_eq!(longest, Some(1_448));
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| {
        let mut pair = Pair::new(noisy(seed), Sender::new(500_000), Receiver::new(), ());
        pair.run();
        assert_eq!(pair.app_b().received(), 500_000);
        let stats = pair.link_stats(Side::A);
        assert!(stats.lost > 0 && stats.duplicated > 0 && stats.held_back > 0);
        pair.trace()
    };
    assert_eq!(trace(3), trace(3));
    assert_ne!(trace(3), trace(4));
}

#[test]
fn goodput_stays_below_the_rate_of_the_line_and_comes_near_it() {
    let mut config = PairConfig::new(1);
    config.a_to_b.rate(100_000_000).delay(Duration::from_millis(1));
    config.b_to_a.delay(Duration::from_millis(1));
    let mut pair = Pair::new(config, Sender::new(10_000_000), Receiver::new(), ());
    while pair.app_b().received() < 10_000_000 && pair.step().is_some() {}
    let seconds = pair.now().as_nanos() as f64 / 1e9;
    let ideal = 10_000_000.0 * 8.0 / 1e8 * 1_500.0 / 1_448.0;
    assert!((ideal..ideal * 1.1).contains(&seconds), "{seconds} s, {ideal} at the least");
}

#[test]
fn a_port_that_nobody_listens_on_refuses() {
    let mut config = PairConfig::new(1);
    config.b.open = Open::Active(Instant::from_nanos(60_000 * MS));
    config.a_to_b.delay(Duration::from_millis(5));
    config.b_to_a.delay(Duration::from_millis(5));
    let mut pair = Pair::new(config, Sender::new(1), Receiver::new(), ());
    assert!(pair.run_until(Instant::from_nanos(20 * MS)));
    assert_eq!(pair.endpoint(Side::A).close_reason(), Some(CloseReason::Refused));
    assert_eq!(pair.endpoint(Side::B).state(), None);
    assert_eq!(pair.now(), Instant::from_nanos(20 * MS));
}

/// Writes a few bytes at fixed instants; keeps what it is told.
#[derive(Default)]
struct Clockwork {
    written: Vec<Instant>,
}

impl App for Clockwork {
    fn poll(&mut self, socket: &mut Socket<'_>) -> Option<Instant> {
        let next = Instant::from_nanos(100 * MS * (self.written.len() as u64 + 1));
        if self.written.len() == 5 {
            socket.shutdown();
            return None;
        }
        if socket.now() < next {
            return Some(next);
        }
        assert_eq!(socket.write(Bytes::from_static(b"tick")), 4);
        self.written.push(socket.now());
        Some(next + Duration::from_millis(100))
    }
}

#[test]
fn an_application_is_called_at_the_instant_it_asked_for() {
    let mut pair = Pair::new(PairConfig::new(1), Clockwork::default(), Receiver::new(), ());
    pair.run();
    let expected: Vec<_> = (1..=5).map(|n| Instant::from_nanos(n * 100 * MS)).collect();
    assert_eq!(pair.app_a().written, expected);
    assert_eq!(pair.app_b().received(), 20);
}

/// Sees the unread bytes of an endpoint whose application never reads.
#[derive(Default)]
struct Unread(usize);

impl Observer for Unread {
    fn turned(&mut self, _now: Instant, end: EndId, endpoint: &Endpoint) {
        if end.side == Side::B {
            self.0 = self.0.max(endpoint.unread());
        }
    }
}

struct Deaf;

impl App for Deaf {
    fn poll(&mut self, _socket: &mut Socket<'_>) -> Option<Instant> {
        None
    }
}

#[test]
fn a_reader_that_never_reads_bounds_what_is_held_for_it() {
    let mut config = PairConfig::new(1);
    let mut tcp = TcpConfig::new();
    tcp.recv_buffer(16 * 1024);
    config.b.tcp = Arc::new(tcp);
    config.a_to_b.delay(Duration::from_millis(1));
    config.b_to_a.delay(Duration::from_millis(1));
    let mut pair = Pair::new(config, Sender::new(1_000_000), Deaf, Unread::default());
    // A sends window probes for ever.
    assert!(pair.run_until(Instant::from_nanos(600_000 * MS)));
    let held = pair.observer().0;
    assert!((12 * 1024..=16 * 1024).contains(&held), "{held} bytes unread");
}
