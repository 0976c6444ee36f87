//! Cost of an ACK by how much is in flight: a hole at SND.UNA, and above it every second segment arrives, each told by an
//! ACK with a SACK block of its own. If an ACK cost more the more is in flight, the curve would show it.
//!
//! ```sh
//! cargo bench -p netstack-bench --bench scoreboard
//! ```

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use netstack_tcp::testing::FixedWindow;
use netstack_tcp::{Connection, FourTuple, Instant, MAX_PAYLOAD, Opening, Segment, SynRecord, TcpConfig};
use netstack_wire::tcp::{SackBlock, TcpFlags, TcpHeader, TcpOptions};
use netstack_wire::{Ecn, SeqNum};

/// Payload of a full segment.
const FULL: u32 = 1460;

/// ACKs measured in one go.
const ACKS: u32 = 40;

/// A window that takes all there is: only the scoreboard is in question.
const WINDOW: u32 = (1 << 29) / FULL;

/// A sender with `count` segments in flight, of which every second one from the third on is SACKed up to the last few.
struct Sender {
    connection: Connection,
    tuple: FourTuple,
    now: Instant,
    next: u32,
}

impl Sender {
    fn new(count: u32) -> Self {
        let mut config = TcpConfig::new();
        config.timestamps(false).send_buffer(1 << 29).mss(FULL as u16);
        config.congestion(FixedWindow::control(WINDOW));
        let tuple = FourTuple::new(([192, 0, 2, 1], 50_000).into(), ([192, 0, 2, 2], 7).into());
        let now = Instant::from_duration(Duration::from_secs(1));
        let record = SynRecord {
            tuple,
            irs: SeqNum(0),
            window: 0xffff,
            mss: Some(FULL as u16),
            window_scale: Some(14),
            ts_val: None,
            sack_permitted: true,
            fast_open: netstack_tcp::FastOpenAnswer::Ignored,
            received_at: now,
            ecn: Ecn::NotEct,
            ecn_flags: TcpFlags::empty(),
        };
        let opening = Opening { tuple, iss: SeqNum(0), ts_offset: 0, mtu: 1500 };
        let connection = Connection::accept(now, &record, opening, Arc::new(config));
        let mut sender = Self { connection, tuple, now, next: 2 };
        sender.drain();
        sender.arrive(&[]);
        sender.now += Duration::from_millis(1);
        let chunk = Bytes::from(vec![0x5a; 40 * FULL as usize]);
        for _ in 0..(count + 2 * ACKS).div_ceil(40) {
            sender.connection.write(chunk.clone()).expect("the connection is open");
            sender.now += Duration::from_micros(1);
            sender.drain();
        }
        sender.now += Duration::from_millis(100);
        while sender.next < count {
            sender.sack_next();
        }
        sender
    }

    fn drain(&mut self) {
        let mut payload = Vec::new();
        while self.connection.poll_transmit(self.now, &mut payload, MAX_PAYLOAD).is_some() {}
    }

    /// The peer acknowledges the SYN, and reports `blocks`.
    fn arrive(&mut self, blocks: &[SackBlock]) {
        let mut options = TcpOptions::default();
        for block in blocks {
            options.sack.push(*block);
        }
        let header = TcpHeader {
            src_port: self.tuple.remote().port(),
            dst_port: self.tuple.local().port(),
            seq: SeqNum(1),
            ack: SeqNum(1),
            flags: TcpFlags::ACK,
            window: 0xffff,
            urgent: 0,
            options,
        };
        let segment = Segment { header, payload: Bytes::new(), ecn: Ecn::NotEct, gso_size: 0 };
        self.connection.handle_segment(self.now, segment);
    }

    /// One more segment arrives behind a gap; three blocks, the newest first.
    fn sack_next(&mut self) {
        let block =
            |index: u32| SackBlock { left: SeqNum(1 + index * FULL), right: SeqNum(1 + (index + 1) * FULL) };
        let newest = self.next;
        let blocks =
            [block(newest), block(newest.saturating_sub(2).max(2)), block(newest.saturating_sub(4).max(2))];
        self.arrive(&blocks);
        self.next += 2;
    }
}

fn acks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ACK with a new SACK block");
    group.throughput(Throughput::Elements(u64::from(ACKS))).sample_size(10);
    for count in [100, 1_000, 10_000, 100_000] {
        group.bench_with_input(BenchmarkId::from_parameter(count), &count, |bencher, count| {
            let measured = |mut sender: Sender| {
                for _ in 0..ACKS {
                    sender.sack_next();
                }
                sender
            };
            bencher.iter_batched(|| Sender::new(*count), measured, BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, acks);
criterion_main!(benches);
