//! One connection and a scripted peer, in the manner of packetdrill: inject this segment, expect that one.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use netstack_wire::SeqNum;
use netstack_wire::tcp::Timestamps;

use super::{Line, pattern, wire_segments};
use crate::config::TcpConfig;
use crate::connection::{Connection, Opening};
use crate::event::Event;
use crate::fast_open::{FastOpenAnswer, FastOpenOffer};
use crate::negotiate::SynRecord;
use crate::segment::Segment;
use crate::state::State;
use crate::time::Instant;
use crate::tuple::FourTuple;

/// Where the peer's timestamp clock starts.
const PEER_TS_START: u32 = 1_000_000;

/// A connection whose peer is the test. Sequence numbers are relative: 0 is the SYN, 1 the first octet of text.
///
/// ```
/// use netstack_tcp::TcpConfig;
/// use netstack_tcp::testing::Script;
///
/// let mut script = Script::connect(&TcpConfig::new());
/// script.expect("S 0:0(0)");
/// script.inject("S. 0:0(0) ack 1 <mss 1460>");
/// script.expect(". 1:1(0) ack 1");
/// script.write(5);
/// script.expect("P. 1:6(5) ack 1");
/// script.expect_nothing();
/// ```
#[derive(Debug)]
pub struct Script {
    /// The connection under test.
    pub connection: Connection,
    now: Instant,
    iss: SeqNum,
    irs: SeqNum,
    /// Segments of the wire that left and were not yet expected, with their times.
    sent: VecDeque<(Instant, Segment)>,
    /// Octets written so far, for the stream's pattern.
    written: u32,
    /// Octets read so far.
    read: u32,
    /// The newest TSval seen from the connection.
    ts_ecr: u32,
    /// The peer puts timestamps on each segment once the connection uses them.
    pub auto_timestamps: bool,
    /// Octets are consumed as soon as they can be read.
    pub auto_read: bool,
}

impl Script {
    /// The initial sequence number of connections made here, close to the wrap.
    pub const ISS: SeqNum = SeqNum(0xffff_fff0);
    /// The peer's initial sequence number.
    pub const IRS: SeqNum = SeqNum(0xffff_ff00);

    /// The tuple of the connection under test.
    #[must_use]
    pub fn tuple() -> FourTuple {
        FourTuple::new(([192, 0, 2, 2], 7).into(), ([192, 0, 2, 1], 50_000).into())
    }

    fn opening() -> Opening {
        Opening { tuple: Self::tuple(), iss: Self::ISS, ts_offset: 0, mtu: 1500 }
    }

    fn over(connection: Connection) -> Self {
        let mut script = Self {
            connection,
            now: Instant::from_nanos(1_000_000_000),
            iss: Self::ISS,
            irs: Self::IRS,
            sent: VecDeque::new(),
            written: 1,
            read: 1,
            ts_ecr: 0,
            auto_timestamps: true,
            auto_read: true,
        };
        script.collect();
        script
    }

    /// A connection in SYN-SENT; its SYN is the first thing to expect.
    #[must_use]
    pub fn connect(config: &TcpConfig) -> Self {
        Self::connect_with(config, Self::opening())
    }

    /// The same with an opening of the test's own; sequence numbers stay relative to its `iss`.
    #[must_use]
    pub fn connect_with(config: &TcpConfig, opening: Opening) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let mut script = Self::over(Connection::connect(now, opening, Arc::new(config.clone())));
        script.iss = opening.iss;
        script
    }

    /// A connection in SYN-SENT that opens fast, with `octets` written before its SYN leaves.
    ///
    /// # Panics
    ///
    /// If it cannot be written to.
    #[must_use]
    pub fn connect_fast(config: &TcpConfig, offer: &FastOpenOffer, octets: u32) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let mut connection = Connection::connect(now, Self::opening(), Arc::new(config.clone()));
        connection.open_fast(offer);
        connection.write(pattern(1, 1 + octets)).expect("the sending half is open");
        let mut script = Self::over(connection);
        script.written += octets;
        script
    }

    /// A connection in SYN-RECEIVED, made of the SYN `line`; its SYN-ACK is the first thing to expect.
    #[must_use]
    pub fn listen(config: &TcpConfig, line: &str) -> Self {
        Self::listen_fast(config, FastOpenAnswer::Ignored, line)
    }

    /// The same where the listener has judged the SYN's Fast Open option to be `answer`.
    #[must_use]
    pub fn listen_fast(config: &TcpConfig, answer: FastOpenAnswer, line: &str) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let line: Line = parse(line);
        let tuple = Self::tuple();
        let syn = line.to_segment((tuple.remote().port(), tuple.local().port()), Self::IRS, Self::ISS);
        let record = SynRecord { fast_open: answer, ..SynRecord::from_segment(tuple, &syn, now) };
        let mut connection = Connection::accept(now, &record, Self::opening(), Arc::new(config.clone()));
        if answer.is_accepted() {
            connection.handle_segment(now, syn);
        }
        Self::over(connection)
    }

    /// A connection in ESTABLISHED that the peer opened with MSS 1460, SACK and timestamps, and window scale 0; all that
    /// left is forgotten.
    #[must_use]
    pub fn established(config: &TcpConfig) -> Self {
        let mut script = Self::listen(config, "S 0:0(0) win 65535 <mss 1460,wscale 0,sackOK,ts 1000000 0>");
        script.inject(". 1:1(0) ack 1 win 65535");
        script.drain_events();
        script.sent.clear();
        script
    }

    /// The same without any option but MSS.
    #[must_use]
    pub fn established_plain(config: &TcpConfig) -> Self {
        let mut script = Self::listen(config, "S 0:0(0) win 65535 <mss 1460>");
        script.inject(". 1:1(0) ack 1 win 65535");
        script.drain_events();
        script.sent.clear();
        script
    }

    // ---- The peer ----

    /// The peer's segment `line` arrives now.
    pub fn inject(&mut self, line: &str) {
        let line: Line = parse(line);
        self.inject_line(&line);
    }

    /// Several segments arrive as one batch: nothing is polled in between.
    pub fn inject_batch(&mut self, lines: &[&str]) {
        for line in lines {
            let segment = self.build(&parse(line));
            self.connection.handle_segment(self.now, segment);
        }
        self.collect();
    }

    /// The peer's segment arrives now.
    pub fn inject_line(&mut self, line: &Line) {
        let segment = self.build(line);
        self.inject_segment(segment);
    }

    /// A segment in absolute numbers arrives now.
    pub fn inject_segment(&mut self, segment: Segment) {
        self.connection.handle_segment(self.now, segment);
        self.collect();
    }

    /// The segment that `line` stands for, with timestamps where the connection uses them.
    #[must_use]
    pub fn build(&self, line: &Line) -> Segment {
        let ports = (Self::tuple().remote().port(), self.connection.tuple().local().port());
        let mut segment = line.to_segment(ports, self.irs, self.iss);
        if self.auto_timestamps
            && self.connection.info().timestamps
            && segment.header.options.timestamps.is_none()
        {
            let val = PEER_TS_START + (self.now.as_nanos() / 1_000_000) as u32;
            segment.header.options.timestamps = Some(Timestamps { val, ecr: self.ts_ecr });
        }
        segment
    }

    // ---- The application ----

    /// Writes the next `octets` of the stream's pattern.
    pub fn write(&mut self, octets: u32) {
        let data = pattern(self.written, self.written + octets);
        self.written += octets;
        self.connection.write(data).expect("the sending half is open");
        self.collect();
    }

    /// Reads all that is there and says how many octets; each is compared with the stream's pattern. Consumes them.
    pub fn read(&mut self) -> u32 {
        let mut octets = 0;
        while let Some(data) = self.connection.read() {
            octets += data.len() as u32;
            assert_eq!(data, pattern(self.read, self.read + data.len() as u32), "octets from {}", self.read);
            self.read += data.len() as u32;
        }
        self.connection.set_unread(0);
        octets
    }

    /// Octets read so far.
    #[must_use]
    pub fn octets_read(&self) -> u32 {
        self.read - 1
    }

    /// Says that `octets` of what was fetched are not consumed yet.
    pub fn set_unread(&mut self, octets: usize) {
        self.connection.set_unread(octets);
        self.collect();
    }

    /// Closes the sending half.
    pub fn shutdown_write(&mut self) {
        self.connection.shutdown_write();
        self.collect();
    }

    /// Drops both halves.
    pub fn close(&mut self) {
        self.connection.close(self.now);
        self.collect();
    }

    /// Aborts.
    pub fn abort(&mut self) {
        self.connection.abort();
        self.collect();
    }

    /// Any other command, followed by what it makes leave.
    pub fn command(&mut self, command: impl FnOnce(&mut Connection, Instant)) {
        command(&mut self.connection, self.now);
        self.collect();
    }

    // ---- Time ----

    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Lets time pass, deadline by deadline.
    pub fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.connection.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.connection.handle_timeout(self.now);
            self.collect();
        }
        self.now = end;
    }

    /// Lets milliseconds pass.
    pub fn advance_ms(&mut self, millis: u64) {
        self.advance(Duration::from_millis(millis));
    }

    // ---- What left ----

    /// The next segment that left has to be `line`.
    ///
    /// # Panics
    ///
    /// If it is not, or nothing left.
    #[track_caller]
    pub fn expect(&mut self, line: &str) -> Segment {
        let expected: Line = parse(line);
        let Some((_, segment)) = self.sent.pop_front() else { panic!("expected {expected}, nothing left") };
        let seen = self.line(&segment);
        assert!(expected.matches(&seen), "expected {expected}\n     saw {seen}\n   state {}", self.state());
        segment
    }

    /// As [`expect`](Self::expect), and it left exactly `since` after `start`.
    #[track_caller]
    pub fn expect_after(&mut self, start: Instant, since: Duration, line: &str) -> Segment {
        let at = self.sent.front().map(|(at, _)| *at);
        let segment = self.expect(line);
        assert_eq!(at.map(|at| at - start), Some(since), "when {line} left");
        segment
    }

    /// Nothing more has left.
    #[track_caller]
    pub fn expect_nothing(&mut self) {
        if let Some((_, segment)) = self.sent.front() {
            panic!("unexpected {}", self.line(segment));
        }
    }

    /// The next segment that left, whatever it is.
    pub fn next_sent(&mut self) -> Option<(Instant, Segment)> {
        self.sent.pop_front()
    }

    /// Forgets what left so far.
    pub fn forget_sent(&mut self) {
        self.sent.clear();
    }

    /// `segment` of the connection, in notation.
    #[must_use]
    pub fn line(&self, segment: &Segment) -> Line {
        Line::of(segment, self.iss, self.irs)
    }

    // ---- Facts ----

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        self.connection.state()
    }

    /// The events since the last call.
    pub fn drain_events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.connection.poll_event()).collect()
    }

    /// Polls until nothing more leaves.
    fn collect(&mut self) {
        if self.auto_read {
            self.read();
        }
        let mut payload: Vec<Bytes> = Vec::new();
        while let Some(transmit) = self.connection.poll_transmit(self.now, &mut payload, usize::MAX) {
            if let Some(ts) = transmit.header.options.timestamps {
                self.ts_ecr = ts.val;
            }
            for segment in wire_segments(&transmit, &payload) {
                self.sent.push_back((self.now, segment));
            }
            assert!(self.sent.len() < 100_000, "poll_transmit never ends");
        }
    }
}

fn parse(line: &str) -> Line {
    line.parse().unwrap_or_else(|error| panic!("{line:?}: {error}"))
}
