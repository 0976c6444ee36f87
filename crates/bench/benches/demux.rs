//! What it costs to find a segment's connection among many, through the whole of a stack's receiving side: a segment
//! without data to one connection after the other (parsed, found, handled by the connection's task), and one that belongs
//! to nobody (parsed, looked for, dropped).
//!
//! ```sh
//! cargo bench -p netstack-bench --bench demux
//! ```
//!
//! A million connections need about 2 GB and some seconds to open; a filter such as `demux/.*/1000$` leaves them out.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use netstack_bench::peer::Crowd;
use tokio::runtime::Runtime;
use tokio_netstack::TcpConfig;

const COUNTS: [usize; 4] = [1, 1_000, 100_000, 1_000_000];

/// Segments per iteration: no more than the device holds.
const SEGMENTS: u64 = 256;

fn crowd(runtime: &Runtime, count: usize) -> Crowd {
    runtime.block_on(Crowd::new(TcpConfig::new(), count)).expect("nothing is lost in memory")
}

/// An ACK that says nothing new, to one connection after the other, until their tasks have handled all of them.
async fn hit(crowd: &mut Crowd) {
    let before = crowd.stack.counters();
    for _ in 0..SEGMENTS {
        let index = crowd.turn();
        crowd.peer.answer(index, 0).await.expect("the device has room");
    }
    let turns = SEGMENTS.min(crowd.streams.len() as u64);
    loop {
        let now = crowd.stack.counters();
        let arrived = now.rx_segments - before.rx_segments;
        if arrived == SEGMENTS && now.actor_turns - before.actor_turns >= turns {
            break;
        }
        tokio::task::yield_now().await;
    }
}

/// A reset for a connection that there is not.
async fn miss(crowd: &mut Crowd) {
    let dropped = crowd.stack.counters().drop_no_connection;
    for port in 0..SEGMENTS {
        crowd.peer.stray(port as u16).expect("the device has room");
    }
    while crowd.stack.counters().drop_no_connection < dropped + SEGMENTS {
        tokio::task::yield_now().await;
    }
}

fn demux(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("demux");
    group.throughput(Throughput::Elements(SEGMENTS)).sample_size(10);
    for count in COUNTS {
        let runtime = runtime();
        let mut made = None;
        group.bench_function(BenchmarkId::new("found", count), |bencher| {
            let crowd = made.get_or_insert_with(|| crowd(&runtime, count));
            bencher.iter(|| runtime.block_on(hit(crowd)));
        });
        group.bench_function(BenchmarkId::new("nobody's", count), |bencher| {
            let crowd = made.get_or_insert_with(|| crowd(&runtime, count));
            bencher.iter(|| runtime.block_on(miss(crowd)));
        });
    }
    group.finish();
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

criterion_group!(benches, demux);
criterion_main!(benches);
