//! Two stacks over a device in memory that takes super-segments, one flow: the application's `write_all` to `read`, with all
//! that lies between. The goal is 40 Gbit/s.
//!
//! ```sh
//! cargo bench -p netstack-bench --bench stack
//! ```

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio_netstack::{Stack, TcpListener, TcpStream, device};

/// Bytes per iteration.
const BYTES: usize = 256 << 20;

/// What one call writes or reads.
const CALL: usize = 256 << 10;

/// Both ends of an open connection, and their stacks.
async fn connected() -> (TcpStream, TcpStream) {
    let all = device::Offloads::ALL;
    let caps = device::Capabilities::ip(1500).with_tx(all).with_rx(all);
    let (left, right) = device::memory::pair(caps.clone(), caps);
    let prefix = |text: &str| text.parse().expect("a prefix");
    let build = |device, address| {
        Stack::builder().device(device).address(prefix(address)).build().expect("a device and an address")
    };
    let (server, client) = (build(left, "192.0.2.1/24"), build(right, "192.0.2.2/24"));
    let listener = TcpListener::bind(&server, ([192, 0, 2, 1], 7)).await.expect("the port is free");
    let connect = TcpStream::connect(&client, ([192, 0, 2, 1], 7));
    let (connected, accepted) = tokio::join!(connect, listener.accept());
    (connected.expect("nothing is lost"), accepted.expect("nothing is lost").0)
}

/// Moves [`BYTES`] from one end to the other, each end in a task of its own.
async fn transfer(mut from: TcpStream, mut to: TcpStream) -> (TcpStream, TcpStream) {
    let writer = tokio::spawn(async move {
        let data = vec![0x5a; CALL];
        for _ in 0..BYTES / CALL {
            from.write_all(&data).await.expect("the connection is open");
        }
        from
    });
    let reader = tokio::spawn(async move {
        let mut buffer = vec![0; CALL];
        let mut got = 0;
        while got < BYTES {
            got += to.read(&mut buffer).await.expect("the connection is open");
        }
        to
    });
    (writer.await.expect("no panic"), reader.await.expect("no panic"))
}

fn stack(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stack to stack");
    group.throughput(Throughput::Bytes(BYTES as u64)).sample_size(10);
    for (name, workers) in [("current thread", 0), ("2 workers", 2)] {
        group.bench_function(BenchmarkId::new("1 flow", name), |bencher| {
            let runtime = runtime(workers);
            let mut ends = Some(runtime.block_on(connected()));
            bencher.iter(|| {
                let (from, to) = ends.take().expect("given back by the run before");
                ends = Some(runtime.block_on(transfer(from, to)));
            });
        });
    }
    group.finish();
}

/// A runtime with so many workers; 0 is one on the current thread.
fn runtime(workers: usize) -> Runtime {
    let mut builder = match workers {
        0 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if workers > 0 {
        builder.worker_threads(workers);
    }
    builder.enable_all().build().expect("a runtime")
}

criterion_group!(benches, stack);
criterion_main!(benches);
