//! Cost per segment of the state machine itself: one connection sends full segments with timestamps to another, which
//! acknowledges every second one; both ends' work is in the figure, nothing else is.
//!
//! ```sh
//! cargo bench -p netstack-bench --bench segments
//! ```

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use netstack_tcp::{
    Connection, FourTuple, Instant, MAX_PAYLOAD, Opening, Segment, State, SynRecord, TcpConfig,
};
use netstack_wire::SeqNum;

/// Segments moved per iteration.
const SEGMENTS: u64 = 1024;

/// Segments that are written at once.
const CHUNK: u64 = 16;

/// Payload of a full segment at MTU 1500 with timestamps.
const FULL: usize = 1448;

/// Two ends without a link between them.
struct Ends {
    sender: Connection,
    receiver: Connection,
    now: Instant,
    slices: Vec<Bytes>,
    chunk: Bytes,
}

impl Ends {
    fn new() -> Self {
        let mut config = TcpConfig::new();
        config.nodelay(true).quick_acks(0);
        let config = Arc::new(config);
        let tuple = FourTuple::new(([192, 0, 2, 1], 50_000).into(), ([192, 0, 2, 2], 7).into());
        let now = Instant::from_duration(Duration::from_secs(1));
        let opening = |tuple, iss| Opening { tuple, iss: SeqNum(iss), ts_offset: 0, mtu: 1500 };
        let mut sender = Connection::connect(now, opening(tuple, 1), Arc::clone(&config));
        let mut slices = Vec::new();
        let syn = take(&mut sender, now, &mut slices, MAX_PAYLOAD).expect("a SYN is due");
        let record = SynRecord::from_segment(tuple.flipped(), &syn, now);
        let receiver = Connection::accept(now, &record, opening(tuple.flipped(), 2), config);
        let chunk = Bytes::from(vec![0x5a; CHUNK as usize * FULL]);
        let mut ends = Self { sender, receiver, now, slices, chunk };
        ends.exchange(MAX_PAYLOAD);
        assert_eq!(ends.sender.state(), State::Established);
        ends
    }

    /// Delivers what both ends have to say; `max` bounds a transmission's payload. Counts segments with payload.
    fn exchange(&mut self, max: usize) -> u64 {
        let mut moved = 0;
        loop {
            let mut quiet = true;
            // Two at a time: the receiver has its ACK ready after the second.
            for _ in 0..2 {
                if let Some(segment) = take(&mut self.sender, self.now, &mut self.slices, max) {
                    moved += u64::from(!segment.payload.is_empty());
                    self.receiver.handle_segment(self.now, segment);
                    quiet = false;
                }
            }
            while let Some(data) = self.receiver.read() {
                black_box(&data);
            }
            self.receiver.set_unread(0);
            while let Some(segment) = take(&mut self.receiver, self.now, &mut self.slices, max) {
                self.sender.handle_segment(self.now, segment);
                quiet = false;
            }
            if quiet {
                return moved;
            }
        }
    }

    /// Moves `count` full segments, a multiple of what a chunk holds: no more are written, however much the send buffer
    /// takes.
    fn run(&mut self, count: u64) {
        let (mut written, mut moved) = (0, 0);
        while moved < count {
            while written < count && self.sender.send_space() >= self.chunk.len() {
                self.sender.write(self.chunk.clone()).expect("the connection is open");
                written += CHUNK;
            }
            self.now += Duration::from_micros(100);
            moved += self.exchange(FULL);
        }
        assert_eq!(moved, count, "full segments, each once");
    }
}

/// What `connection` sends next, as its peer gets it.
fn take(connection: &mut Connection, now: Instant, slices: &mut Vec<Bytes>, max: usize) -> Option<Segment> {
    let transmit = connection.poll_transmit(now, slices, max)?;
    let payload = match slices.as_slice() {
        [] => Bytes::new(),
        [one] => one.clone(),
        many => many.concat().into(),
    };
    Some(Segment { header: transmit.header, payload, ecn: transmit.ecn, gso_size: transmit.gso_size })
}

fn segments(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("connection");
    group.throughput(Throughput::Elements(SEGMENTS));
    let mut ends = Ends::new();
    ends.run(10 * SEGMENTS);
    group.bench_function("full segments, an ACK per two", |bencher| bencher.iter(|| ends.run(SEGMENTS)));
    let stats = ends.receiver.info().stats;
    assert!(stats.out_of_order == 0 && stats.unacceptable == 0, "nothing was lost or odd: {stats:?}");
    group.finish();
}

criterion_group!(benches, segments);
criterion_main!(benches);
