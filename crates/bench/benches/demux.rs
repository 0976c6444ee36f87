//! What it costs to find a segment's connection among many, through the whole of a stack's receiving side: a segment
//! without data to one connection after the other (parsed, found, handled by the connection's task), and one that belongs
//! to nobody (parsed, looked for, dropped).
//!
//! ```sh
//! cargo bench -p netstack-bench --bench demux
//! ```
//!
//! A million connections need about 2 GB and some seconds to open; a filter such as `demux/.*/1000$` leaves them out.

use std::net::SocketAddr;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use netstack_bench::peer::Peer;
use tokio::runtime::Runtime;
use tokio_netstack::{Stack, TcpListener, TcpStream, device};

const COUNTS: [usize; 4] = [1, 1_000, 100_000, 1_000_000];

/// Segments per iteration: no more than the device holds.
const SEGMENTS: u64 = 256;

/// Steps through any number of connections that it does not divide, so that neighbours in memory do not follow each other.
const STRIDE: usize = 15_485_863;

/// A stack with its peer and open connections between them.
struct Crowd {
    stack: Stack,
    peer: Peer,
    streams: Vec<TcpStream>,
    at: usize,
}

impl Crowd {
    async fn new(count: usize) -> Self {
        let caps = device::Capabilities::ip(1500);
        let (ours, theirs) = device::memory::pair(caps.clone(), caps);
        let address = "192.0.2.1/24".parse().expect("a prefix");
        let stack = Stack::builder().device(ours).address(address).build().expect("a device and an address");
        let server = SocketAddr::from(([192, 0, 2, 1], 7));
        let listener = TcpListener::bind(&stack, server).await.expect("the port is free");
        let mut peer = Peer::new(theirs, server).expect("a device in memory");
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            let (connected, accepted) = tokio::join!(peer.connect(), listener.accept());
            connected.expect("nothing is lost");
            streams.push(accepted.expect("nothing is lost").0);
        }
        Self { stack, peer, streams, at: 0 }
    }

    /// An ACK that says nothing new, to one connection after the other, until their tasks have handled all of them.
    async fn hit(&mut self) {
        let before = self.stack.counters();
        for _ in 0..SEGMENTS {
            self.at = (self.at + STRIDE) % self.streams.len();
            self.peer.answer(self.at, 0).await.expect("the device has room");
        }
        let turns = SEGMENTS.min(self.streams.len() as u64);
        loop {
            let now = self.stack.counters();
            let arrived = now.rx_segments - before.rx_segments;
            if arrived == SEGMENTS && now.actor_turns - before.actor_turns >= turns {
                break;
            }
            tokio::task::yield_now().await;
        }
    }

    /// A reset for a connection that there is not.
    async fn miss(&mut self) {
        let dropped = self.stack.counters().drop_no_connection;
        for port in 0..SEGMENTS {
            self.peer.stray(port as u16).expect("the device has room");
        }
        while self.stack.counters().drop_no_connection < dropped + SEGMENTS {
            tokio::task::yield_now().await;
        }
    }
}

fn demux(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("demux");
    group.throughput(Throughput::Elements(SEGMENTS)).sample_size(10);
    for count in COUNTS {
        let runtime = runtime();
        let mut crowd = None;
        group.bench_function(BenchmarkId::new("found", count), |bencher| {
            let crowd = crowd.get_or_insert_with(|| runtime.block_on(Crowd::new(count)));
            bencher.iter(|| runtime.block_on(crowd.hit()));
        });
        group.bench_function(BenchmarkId::new("nobody's", count), |bencher| {
            let crowd = crowd.get_or_insert_with(|| runtime.block_on(Crowd::new(count)));
            bencher.iter(|| runtime.block_on(crowd.miss()));
        });
    }
    group.finish();
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

criterion_group!(benches, demux);
criterion_main!(benches);
