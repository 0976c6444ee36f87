//! Parsing and emitting headers: IPv4 and IPv6 with TCP, without options, with timestamps, and with all that an ACK carries.
//!
//! ```sh
//! cargo bench -p netstack-bench --bench wire
//! ```

use std::hint::black_box;
use std::net::IpAddr;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use netstack_wire::ip::{self, IpHeader};
use netstack_wire::tcp::{SackBlock, TcpFlags, TcpHeader, TcpOptions, Timestamps};
use netstack_wire::{Protocol, SeqNum};

/// Payload behind the headers; neither direction looks at it.
const PAYLOAD: usize = 1_400;

fn options(name: &str) -> TcpOptions {
    let mut options = TcpOptions::default();
    if name != "plain" {
        options.timestamps = Some(Timestamps { val: 1_000_000, ecr: 2_000_000 });
    }
    if name == "SACK" {
        for block in 1..4 {
            let left = SeqNum(block * 10_000);
            options.sack.push(SackBlock { left, right: left + 1448 });
        }
    }
    options
}

fn header(name: &str) -> TcpHeader {
    TcpHeader {
        src_port: 50_000,
        dst_port: 7,
        seq: SeqNum(1),
        ack: SeqNum(2),
        flags: TcpFlags::PSH | TcpFlags::ACK,
        window: 1024,
        options: options(name),
        ..TcpHeader::default()
    }
}

/// Writes both headers to the front of `packet`; returns their length.
fn emit(ip: &IpHeader, tcp: &TcpHeader, packet: &mut [u8]) -> usize {
    let start = ip.emit(packet);
    start + tcp.emit(&mut packet[start..])
}

fn wire(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire");
    group.throughput(Throughput::Elements(1));
    let v4 = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
    let v6 = ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(), [0x2001, 0xdb8, 0, 0, 0, 0, 0, 2].into());
    for (version, (src, dst)) in [("IPv4", v4), ("IPv6", v6)] as [(&str, (IpAddr, IpAddr)); 2] {
        for name in ["plain", "timestamps", "SACK"] {
            let tcp = header(name);
            let ip = IpHeader::new(src, dst, Protocol::TCP, tcp.header_len() + PAYLOAD);
            let mut packet = vec![0; ip.header_len() + tcp.header_len() + PAYLOAD];
            let id = |what| BenchmarkId::new(format!("{what} {version}"), name);
            group.bench_function(id("emit"), |bencher| {
                bencher.iter(|| emit(black_box(&ip), black_box(&tcp), &mut packet));
            });
            emit(&ip, &tcp, &mut packet);
            group.bench_function(id("parse"), |bencher| {
                bencher.iter(|| {
                    let ip = ip::parse(black_box(&packet)).expect("we wrote it");
                    TcpHeader::parse(ip.payload).expect("we wrote it")
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, wire);
criterion_main!(benches);
