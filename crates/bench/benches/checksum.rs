//! The Internet checksum beside a `memcpy` of the same octets, both in cache.
//!
//! The targets: at most 4 times a `memcpy` at 1,460 octets, 2.5 times at 64 KiB.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use netstack_wire::checksum;

/// A bare header, a full segment at MTU 1500, a super-segment.
const SIZES: [usize; 3] = [40, 1_460, 65_536];

fn checksum_and_memcpy(c: &mut Criterion) {
    let mut group = c.benchmark_group("checksum");
    for size in SIZES {
        let data: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
        let mut copy = vec![0u8; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("memcpy", size), |b| {
            b.iter(|| {
                copy.copy_from_slice(black_box(&data));
                black_box(&mut copy);
            });
        });
        group.bench_function(BenchmarkId::new("checksum", size), |b| {
            b.iter(|| checksum::checksum(black_box(&data)));
        });
    }
    group.finish();
}

criterion_group!(benches, checksum_and_memcpy);
criterion_main!(benches);
