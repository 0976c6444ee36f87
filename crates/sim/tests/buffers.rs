//! Buffers that size themselves, over links on the event heap.

use std::sync::Arc;
use std::time::Duration;

use netstack_sim::heap::{App, Pair, PairConfig, Receiver, Sender, Side, Socket};
use netstack_sim::{LinkConfig, QueueLimit};
use netstack_tcp::{Instant, TcpConfig, TcpInfo};

const MS: Duration = Duration::from_millis(1);

fn at(time: Duration) -> Instant {
    Instant::from_duration(time)
}

/// A sends to B over a line of `rate` bits per second with a round trip of `rtt` and a queue of one bandwidth-delay product.
fn link(tcp: TcpConfig, rate: u64, rtt: Duration) -> PairConfig {
    let mut config = PairConfig::new(1);
    let tcp = Arc::new(tcp);
    config.a.tcp = Arc::clone(&tcp);
    config.b.tcp = tcp;
    let bdp = (rate / 8) as f64 * rtt.as_secs_f64();
    config.a_to_b.rate(rate).delay(rtt / 2).queue(QueueLimit::Bytes(bdp as usize));
    config.b_to_a = LinkConfig::new();
    config.b_to_a.delay(rtt / 2);
    config
}

fn limits(octets: usize) -> TcpConfig {
    let mut config = TcpConfig::new();
    config.recv_buffer_limit(octets).send_buffer_limit(octets);
    config
}

fn info<A: App, B: App>(pair: &Pair<A, B, ()>, side: Side) -> TcpInfo {
    pair.endpoint(side).connection().expect("it is open").info()
}

/// Reads so many bytes in each millisecond.
struct Slow(usize);

impl App for Slow {
    fn poll(&mut self, socket: &mut Socket<'_>) -> Option<Instant> {
        let millis = socket.now().as_nanos() / 1_000_000;
        if socket.now().as_nanos() % 1_000_000 == 0 {
            let mut left = self.0;
            while left > 0
                && let Some(piece) = socket.read(left)
            {
                left -= piece.len();
            }
        }
        Some(at(MS * (millis + 1) as u32))
    }
}

/// Reads nothing.
struct Deaf;

impl App for Deaf {
    fn poll(&mut self, _: &mut Socket<'_>) -> Option<Instant> {
        None
    }
}

/// Runs for `seconds` and looks each 10 ms at what bounds the sender: not the peer's window, nor an empty send buffer below
/// its limit. Gives the bytes that arrived.
fn run_unbound(config: PairConfig, seconds: u32) -> u64 {
    let limit = config.a.tcp.send_buffer_size() as u32;
    let mut pair = Pair::new(config, Sender::endless(), Receiver::new(), ());
    for step in 11..100 * seconds {
        pair.run_until(at(10 * MS * step));
        let (a, b) = (info(&pair, Side::A), info(&pair, Side::B));
        let room = a.snd_wnd >= a.cwnd.min(limit / 2);
        assert!(room, "step {step}: cwnd {}, window {}, buffer {}", a.cwnd, a.snd_wnd, b.recv_buffer);
        assert!(a.unsent > 0 || a.send_buffer == limit, "step {step}: cwnd {}, nothing to send", a.cwnd);
    }
    pair.app_b().received()
}

#[test]
fn a_long_fat_pipe_is_never_bound_by_a_buffer() {
    // req: SHLD-14
    let received = run_unbound(link(limits(32 << 20), 1_000_000_000, 100 * MS), 3);
    // How fast it is beyond that is the congestion controller's business; 1 MiB of window would be 30 MB.
    assert!(received > 45_000_000, "{received} bytes in 3 s");
}

#[test]
fn the_default_limits_hold_what_100_megabits_over_100_milliseconds_ask_for() {
    run_unbound(link(TcpConfig::new(), 100_000_000, 100 * MS), 6);
}

#[test]
fn a_connection_without_timestamps_is_not_bound_either() {
    let mut tcp = limits(32 << 20);
    tcp.timestamps(false);
    run_unbound(link(tcp, 200_000_000, 50 * MS), 4);
}

#[test]
fn a_slow_readers_window_does_not_grow() {
    let config = link(limits(32 << 20), 1_000_000_000, 20 * MS);
    // 1 MB/s: 20 KB in a round trip.
    let mut pair = Pair::new(config, Sender::endless(), Slow(1_000), ());
    pair.run_until(at(5_000 * MS));
    let buffer = info(&pair, Side::B).recv_buffer;
    assert!(buffer <= 128 << 10, "{buffer}");
    assert!(pair.endpoint(Side::B).unread() <= buffer as usize);
    let config = link(limits(32 << 20), 1_000_000_000, 20 * MS);
    let mut pair = Pair::new(config, Sender::endless(), Deaf, ());
    pair.run_until(at(5_000 * MS));
    assert_eq!(info(&pair, Side::B).recv_buffer, 64 << 10);
}

#[test]
fn a_thin_pipe_takes_little_from_its_writer() {
    let config = link(limits(32 << 20), 1_000_000, 50 * MS);
    let mut pair = Pair::new(config, Sender::endless(), Receiver::new(), ());
    for step in 1..=100_u32 {
        pair.run_until(at(100 * MS * step));
        let queued = pair.endpoint(Side::A).connection().expect("it is open").send_queued();
        let cwnd = info(&pair, Side::A).cwnd as usize;
        assert!(queued <= (4 * cwnd).max(128 << 10), "{queued} with a window of {cwnd}");
    }
}

#[test]
fn an_idle_connection_holds_nothing() {
    let config = link(limits(32 << 20), 100_000_000, 20 * MS);
    let mut pair = Pair::new(config, Burst(4 << 20), Receiver::new(), ());
    pair.run_until(at(20_000 * MS));
    assert_eq!(pair.app_b().received(), 4 << 20);
    let (a, b) = (info(&pair, Side::A), info(&pair, Side::B));
    assert_eq!((a.unsent, a.in_flight, b.unread), (0, 0, 0));
    assert_eq!(pair.endpoint(Side::A).connection().expect("it is open").send_queued(), 0);
}

/// Writes so much, and leaves the connection open.
struct Burst(usize);

impl App for Burst {
    fn poll(&mut self, socket: &mut Socket<'_>) -> Option<Instant> {
        while self.0 > 0 && socket.writable() > 0 {
            let piece = vec![7; self.0.min(socket.writable())];
            self.0 -= socket.write(piece.into());
        }
        None
    }
}

#[test]
fn fixed_sizes_stay_as_they_are() {
    let mut tcp = TcpConfig::new();
    tcp.recv_buffer(200_000).send_buffer(300_000);
    let mut pair = Pair::new(link(tcp, 1_000_000_000, 50 * MS), Sender::endless(), Receiver::new(), ());
    pair.run_until(at(3_000 * MS));
    assert_eq!(info(&pair, Side::B).recv_buffer, 200_000);
    assert_eq!(info(&pair, Side::A).send_buffer, 300_000);
}
