//! What the one timer of a connection costs: the runtime's, armed and given up among many others, and fired; and the
//! state machine's, armed by a segment that leaves and stopped by its ACK.
//!
//! ```sh
//! cargo bench -p netstack-bench --bench timers
//! ```

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use netstack_tcp::{Connection, FourTuple, Instant, MAX_PAYLOAD, Opening, Segment, SynRecord, TcpConfig};
use netstack_wire::SeqNum;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Sleep, advance, sleep};

const COUNTS: [usize; 3] = [1, 1_000, 100_000];

/// What a retransmission timer waits.
const RTO: Duration = Duration::from_millis(200);

type Armed = Pin<Box<Sleep>>;

/// Arms a timer as a connection's task does.
async fn arm(after: Duration) -> Armed {
    let mut timer = Box::pin(sleep(after));
    poll_fn(|cx| {
        assert!(timer.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    timer
}

/// Arms as many timers, spread over a retransmission timeout.
async fn arm_all(count: usize) -> Vec<Armed> {
    let mut timers = Vec::with_capacity(count);
    for number in 0..count {
        timers.push(arm(RTO + RTO.mul_f64(number as f64 / count as f64)).await);
    }
    timers
}

/// Time stands still but where the benchmark moves it.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

fn tokio_timers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timers");
    group.sample_size(10);
    for count in COUNTS {
        let runtime = runtime();
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("armed and given up among", count), |bencher| {
            let others = runtime.block_on(arm_all(count));
            bencher.iter(|| runtime.block_on(arm(RTO)));
            drop(others);
        });
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("armed and fired", count), |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    let timers = arm_all(count).await;
                    advance(2 * RTO).await;
                    for timer in timers {
                        timer.await;
                    }
                });
            });
        });
    }
    group.finish();
}

/// What `connection` sends next, as its peer gets it.
fn take(connection: &mut Connection, now: Instant) -> Option<Segment> {
    let mut slices = Vec::new();
    let transmit = connection.poll_transmit(now, &mut slices, MAX_PAYLOAD)?;
    let payload = slices.pop().unwrap_or_default();
    Some(Segment { header: transmit.header, payload, ecn: transmit.ecn, gso_size: transmit.gso_size })
}

fn connection_timers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timers");
    group.throughput(Throughput::Elements(1));
    let mut config = TcpConfig::new();
    config.nodelay(true);
    let config = Arc::new(config);
    let tuple = FourTuple::new(([192, 0, 2, 1], 50_000).into(), ([192, 0, 2, 2], 7).into());
    let mut now = Instant::from_duration(Duration::from_secs(1));
    let opening = |tuple, iss| Opening { tuple, iss: SeqNum(iss), ts_offset: 0, mtu: 1500 };
    let mut sender = Connection::connect(now, opening(tuple, 1), Arc::clone(&config));
    let syn = take(&mut sender, now).expect("a SYN is due");
    let record = SynRecord::from_segment(tuple.flipped(), &syn, now);
    let mut receiver = Connection::accept(now, &record, opening(tuple.flipped(), 2), config);
    let mut exchange = |now, sender: &mut Connection| {
        for _ in 0..2 {
            while let Some(segment) = take(&mut receiver, now) {
                sender.handle_segment(now, segment);
            }
            while let Some(segment) = take(sender, now) {
                receiver.handle_segment(now, segment);
            }
            while receiver.read().is_some() {}
            receiver.set_unread(0);
            // Its own timer: the delayed ACK.
            if let Some(deadline) = receiver.poll_timeout() {
                receiver.handle_timeout(deadline);
            }
        }
    };
    exchange(now, &mut sender);
    let byte = Bytes::from_static(b"x");
    group.bench_function("retransmission timer armed and stopped, with its segment and ACK", |bencher| {
        bencher.iter(|| {
            now += Duration::from_millis(1);
            sender.write(byte.clone()).expect("the connection is open");
            exchange(now, &mut sender);
        });
    });
    group.finish();
}

criterion_group!(benches, tokio_timers, connection_timers);
criterion_main!(benches);
