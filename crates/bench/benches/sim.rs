//! How many data segments of 1,448 octets per second one core takes from `Connection` through queue and link to
//! `Connection`, ACKs not counted. The goal is a million.

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use netstack_sim::QueueLimit;
use netstack_sim::heap::{Pair, PairConfig, Receiver, Sender};
use netstack_tcp::TcpConfig;

const SEGMENTS: u64 = 100_000;
const MSS: u64 = 1_448;

/// Both ends with large windows, 10 ms apart; `rate` in bits per second.
fn config(rate: Option<u64>, loss: f64) -> PairConfig {
    let mut config = PairConfig::new(1);
    let mut tcp = TcpConfig::new();
    tcp.recv_buffer(4 << 20).send_buffer(4 << 20);
    config.a.tcp = Arc::new(tcp);
    config.b.tcp = Arc::clone(&config.a.tcp);
    config.a_to_b.delay(Duration::from_millis(5)).loss(loss).queue(QueueLimit::Bytes(4 << 20));
    config.b_to_a.delay(Duration::from_millis(5));
    if let Some(rate) = rate {
        config.a_to_b.rate(rate);
    }
    config
}

fn segments(c: &mut Criterion) {
    let mut group = c.benchmark_group("heap/segments");
    group.throughput(Throughput::Elements(SEGMENTS)).sample_size(10);
    for (name, rate, loss) in [
        ("unlimited", None, 0.0),
        ("1 Gbit/s", Some(1_000_000_000), 0.0),
        ("1 Gbit/s, 0.1 % lost", Some(1_000_000_000), 0.001),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut pair =
                    Pair::new(config(rate, loss), Sender::new(SEGMENTS * MSS), Receiver::new(), ());
                pair.run();
                assert_eq!(pair.app_b().received(), SEGMENTS * MSS);
                pair.trace().hash()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, segments);
criterion_main!(benches);
