//! What holds whatever arrives, whatever the owner does, and whatever the time (pitfalls 27, 30, 39).

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use netstack_wire::tcp::{FastOpenCookie, SackBlock, TcpFlags, TcpHeader, TcpOptions, Timestamps};
use netstack_wire::{Ecn, SeqNum};
use proptest::prelude::*;

use super::cases;
use crate::config::{KeepAlive, TcpConfig};
use crate::connection::{Connection, Opening};
use crate::fast_open::{FastOpenAnswer, FastOpenOffer};
use crate::info::TcpInfo;
use crate::negotiate::SynRecord;
use crate::segment::{Segment, Transmit};
use crate::state::{IcmpNotice, State};
use crate::testing::{Script, wire_segments};
use crate::time::Instant;

/// A segment in numbers that are placed when it arrives.
#[derive(Debug, Clone)]
struct Forged {
    flags: u16,
    /// Which number `seq` and `ack` count from, see [`Run::forge`].
    bases: (u8, u8),
    seq: i32,
    ack: i32,
    len: usize,
    window: u16,
    urgent: u16,
    ts: Option<(i32, i32)>,
    blocks: Vec<(i32, i32)>,
    options: u8,
    gso: u16,
}

#[derive(Debug, Clone)]
enum Step {
    Arrive(Forged),
    /// A well-formed answer: acknowledges a share of what is outstanding, brings the next octets.
    Answer(u8, usize, u16),
    Wait(u64),
    ToDeadline,
    Write(usize),
    Consume(usize),
    Shutdown,
    Close,
    Abort,
    Nodelay(bool),
    KeepAlive(bool),
    Urgent,
    Icmp,
}

fn forged() -> impl Strategy<Value = Forged> {
    let near = || prop_oneof![6 => -3..=3_i32, 3 => -4_000..4_000_i32, 1 => any::<i32>()];
    let flags =
        prop_oneof![4 => Just(0x10), 2 => Just(0x18), 2 => Just(0x11), 1 => Just(0x04), 3 => 0..0x40_u16];
    let head = (flags, (0..5_u8, 0..5_u8), near(), near(), prop_oneof![Just(0), 1..4_000_usize]);
    let window = prop_oneof![Just(0), 0..20_u16, any::<u16>()];
    let ts = proptest::option::of((near(), near()));
    let blocks = proptest::collection::vec((near(), near()), 0..4);
    let rest = (window, any::<u16>(), ts, blocks, any::<u8>(), prop_oneof![3 => Just(0), 1 => 1..1_500_u16]);
    (head, rest).prop_map(|((flags, bases, seq, ack, len), (window, urgent, ts, blocks, options, gso))| {
        Forged { flags, bases, seq, ack, len, window, urgent, ts, blocks, options, gso }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => forged().prop_map(Step::Arrive),
        25 => (any::<u8>(), 0..3_000_usize, prop_oneof![Just(0), Just(500), Just(0xffff)])
            .prop_map(|(share, len, window)| Step::Answer(share, len, window)),
        8 => (0..500_u64).prop_map(Step::Wait),
        1 => (0..100_000_000_u64).prop_map(Step::Wait),
        8 => Just(Step::ToDeadline),
        12 => (1..20_000_usize).prop_map(Step::Write),
        12 => (0..20_000_usize).prop_map(Step::Consume),
        2 => Just(Step::Shutdown),
        1 => Just(Step::Close),
        1 => Just(Step::Abort),
        1 => any::<bool>().prop_map(Step::Nodelay),
        1 => any::<bool>().prop_map(Step::KeepAlive),
        1 => Just(Step::Urgent),
        1 => Just(Step::Icmp),
    ]
}

/// The octet of either stream at a sequence number.
fn octet(seq: SeqNum) -> u8 {
    (seq.0.wrapping_mul(0x9e37_79b1) >> 24) as u8
}

fn text(seq: SeqNum, len: usize) -> Bytes {
    (0..len as u32).map(|at| octet(seq + at)).collect::<Vec<u8>>().into()
}

/// One connection, its owner, and what was seen of it.
struct Run {
    connection: Connection,
    /// It took the text of the peer's SYN.
    early: bool,
    config: TcpConfig,
    now: Instant,
    iss: SeqNum,
    /// Where the peer's text begins, once its SYN was taken.
    first: Option<SeqNum>,
    /// One above the highest sequence number that left.
    max: SeqNum,
    /// The highest right edge announced, as the peer computes it.
    edge: Option<SeqNum>,
    fetched: u32,
    unread: usize,
    written: u32,
    ended: bool,
    resets_after_end: usize,
}

impl Run {
    fn start(mode: u8, iss: SeqNum, irs: SeqNum, config: TcpConfig) -> Self {
        let opening = Opening { tuple: Script::tuple(), iss, ts_offset: 77, mtu: 1500 };
        let (now, shared) = (Instant::from_nanos(1_000_000_000), Arc::new(config.clone()));
        let early = mode & 0x60 == 0x60;
        let record = SynRecord {
            tuple: opening.tuple,
            irs,
            window: 0xffff,
            mss: Some(1460),
            window_scale: (mode & 4 != 0).then_some(7),
            ts_val: (mode & 8 != 0).then_some(5_000),
            sack_permitted: mode & 16 != 0,
            ecn_flags: TcpFlags::empty(),
            ecn: Ecn::NotEct,
            fast_open: if early { FastOpenAnswer::Accepted(None) } else { FastOpenAnswer::Ignored },
            received_at: now,
        };
        let active = mode & 3 == 0;
        let connection = if active {
            Connection::connect(now, opening, shared)
        } else {
            Connection::accept(now, &record, opening, shared)
        };
        let mut run = Self {
            early: early && !active,
            connection,
            config,
            now,
            iss,
            first: (!active).then(|| irs + 1),
            max: iss,
            edge: None,
            fetched: 0,
            unread: 0,
            written: 0,
            ended: false,
            resets_after_end: 0,
        };
        if early {
            run.open_early(mode, irs);
        }
        run.poll();
        if mode & 3 > 1 {
            run.step(&Step::Answer(255, 0, 0xffff));
        }
        run
    }

    /// Opens fast: with text on our SYN, or on the peer's.
    fn open_early(&mut self, mode: u8, irs: SeqNum) {
        let len = usize::from(mode) * 10;
        if self.early {
            let mut syn = self.segment(irs, SeqNum(0), TcpFlags::SYN, len, 0xffff, |_| {});
            if mode & 8 != 0 {
                syn.header.options.timestamps = Some(Timestamps { val: 5_000, ecr: 0 });
            }
            self.connection.handle_segment(self.now, syn);
        } else {
            let cookie = FastOpenCookie::new(&[1; 8]);
            self.connection.open_fast(&FastOpenOffer { cookie, mss: Some(1460) });
            self.connection.write(text(self.iss + 1, len)).expect("the sending half is open");
            self.written = len as u32;
        }
    }

    fn info(&self) -> TcpInfo {
        self.connection.info()
    }

    fn una(&self) -> SeqNum {
        // An end that opens early has no place for its SYN in the books.
        let handshake = u32::from(self.early || self.connection.state().is_synchronized());
        self.iss + handshake + self.info().stats.bytes_acked as u32
    }

    fn rcv_nxt(&self) -> SeqNum {
        self.first.unwrap_or(SeqNum(0x8000)) + self.fetched + u32::from(self.connection.peer_closed())
    }

    fn forge(&self, forged: &Forged) -> Segment {
        let pick = |base: u8, offset: i32| {
            let base = match base {
                0 => self.rcv_nxt(),
                1 => self.rcv_nxt() + self.connection.right_edge_room() as u32,
                2 => self.una(),
                3 => self.max,
                _ => SeqNum(0),
            };
            base + offset as u32
        };
        let (seq, ack) = (pick(forged.bases.0, forged.seq), pick(forged.bases.1.max(2), forged.ack));
        let mut options = TcpOptions::default();
        if forged.options & 1 != 0 {
            options.mss = Some(forged.urgent);
            options.window_scale = Some(forged.options);
            options.sack_permitted = forged.options & 2 != 0;
        }
        options.timestamps = forged.ts.map(|(val, ecr)| Timestamps {
            val: 5_000_u32.wrapping_add(val as u32),
            ecr: 1_077_u32.wrapping_add(ecr as u32),
        });
        for (left, right) in &forged.blocks {
            options
                .sack
                .push(SackBlock { left: self.una() + *left as u32, right: self.una() + *right as u32 });
        }
        let flags = TcpFlags::from_bits(forged.flags);
        self.segment(seq, ack, flags, forged.len, forged.window, |header| {
            header.urgent = forged.urgent;
            header.options = options;
        })
        .with_gso(forged.gso)
    }

    fn segment(
        &self,
        seq: SeqNum,
        ack: SeqNum,
        flags: TcpFlags,
        len: usize,
        window: u16,
        more: impl FnOnce(&mut TcpHeader),
    ) -> Segment {
        let tuple = self.connection.tuple();
        let mut header = TcpHeader {
            src_port: tuple.remote().port(),
            dst_port: tuple.local().port(),
            seq,
            ack,
            flags,
            window,
            urgent: 0,
            options: TcpOptions::default(),
        };
        more(&mut header);
        let start = seq + u32::from(flags.contains(TcpFlags::SYN));
        Segment { header, payload: text(start, len), ecn: Ecn::NotEct, gso_size: 0 }
    }

    fn answer(&self, share: u8, len: usize, window: u16) -> Segment {
        let opening = self.connection.state() == State::SynSent;
        let flags = if opening { TcpFlags::SYN | TcpFlags::ACK } else { TcpFlags::ACK };
        let seq = if opening { SeqNum(0xffff_ff00) } else { self.rcv_nxt() };
        let outstanding = self.max.distance_from(self.una());
        let acked = (u64::from(outstanding) * (u64::from(share) + 1) / 256) as u32;
        let len = len.min(self.connection.right_edge_room());
        self.segment(seq, self.una() + acked, flags, len, window, |_| {})
    }

    /// Takes a step and checks what follows from it.
    fn step(&mut self, step: &Step) {
        match step {
            Step::Arrive(forged) => self.arrive(self.forge(forged)),
            Step::Answer(share, len, window) => self.arrive(self.answer(*share, *len, *window)),
            Step::Wait(millis) => self.now += Duration::from_millis(*millis),
            Step::ToDeadline => self.now = self.connection.poll_timeout().unwrap_or(self.now).max(self.now),
            Step::Write(len) => {
                let start = self.iss + 1 + self.written;
                let len = (*len).min(self.connection.send_space());
                if self.connection.write(text(start, len)).is_ok() {
                    self.written += len as u32;
                }
            }
            Step::Consume(octets) => self.unread -= (*octets).min(self.unread),
            Step::Shutdown => self.connection.shutdown_write(),
            Step::Close => self.connection.close(self.now),
            Step::Abort => self.connection.abort(),
            Step::Nodelay(on) => self.connection.set_nodelay(*on),
            Step::KeepAlive(on) => {
                let keepalive = KeepAlive { idle: Duration::from_secs(5), ..KeepAlive::default() };
                self.connection.set_keepalive(self.now, on.then_some(keepalive));
            }
            Step::Urgent => self.connection.mark_urgent(),
            Step::Icmp => self.connection.handle_icmp(self.una(), IcmpNotice::HostUnreachable),
        }
        self.connection.handle_timeout(self.now);
        self.poll();
        self.fetch();
        self.poll();
        let next = self.connection.poll_timeout();
        assert!(next.is_none_or(|at| at > self.now), "a deadline that has passed would spin");
        while self.connection.poll_event().is_some() {}
    }

    fn arrive(&mut self, segment: Segment) {
        let (opening, seq) = (self.connection.state() == State::SynSent, segment.header.seq);
        self.connection.handle_segment(self.now, segment);
        if opening && !matches!(self.connection.state(), State::SynSent | State::Closed) {
            self.first = Some(seq + 1);
        }
        let empty = self.poll();
        assert!(empty <= 1, "{empty} ACKs for one segment");
    }

    fn fetch(&mut self) {
        while let Some(data) = self.connection.read() {
            let start = self.first.expect("text comes after a SYN") + self.fetched;
            assert_eq!(data, text(start, data.len()), "the stream is exact");
            self.fetched += data.len() as u32;
            self.unread += data.len();
        }
        self.connection.set_unread(self.unread);
    }

    /// Lets everything leave that wants to; how many segments were ACKs and nothing else.
    fn poll(&mut self) -> usize {
        let (mut payload, mut empty) = (Vec::new(), 0);
        for count in 0.. {
            assert!(count < 2_000, "poll_transmit never ends");
            let before = self.info();
            let Some(transmit) = self.connection.poll_transmit(self.now, &mut payload, usize::MAX) else {
                break;
            };
            for segment in wire_segments(&transmit, &payload) {
                assert!(segment.header.header_len() + segment.payload.len() <= 1480, "within the MTU");
                let start = segment.header.seq + u32::from(segment.header.flags.contains(TcpFlags::SYN));
                assert_eq!(segment.payload, text(start, segment.payload.len()), "the octets of their place");
            }
            empty += usize::from(transmit.payload_len == 0 && transmit.header.flags == TcpFlags::ACK);
            self.check(&before, &transmit);
        }
        self.ended |= self.connection.close_reason().is_some();
        empty
    }

    fn check(&mut self, before: &TcpInfo, transmit: &Transmit) {
        let header = &transmit.header;
        if self.ended || self.connection.close_reason().is_some() {
            assert_eq!(header.flags, TcpFlags::RST, "after the end only a RST");
            self.resets_after_end += 1;
            assert_eq!(self.resets_after_end, 1, "and only one");
        }
        if header.flags.contains(TcpFlags::RST) {
            assert_eq!(transmit.payload_len, 0);
            return;
        }
        if before.state == State::TimeWait {
            assert_eq!((header.flags, transmit.payload_len), (TcpFlags::ACK, 0));
        }
        self.check_edge(header);
        self.check_flight(before, transmit);
    }

    /// Our right edge never moves left but by the rounding of the field, and promises what the buffer holds.
    fn check_edge(&mut self, header: &TcpHeader) {
        if !header.flags.contains(TcpFlags::ACK) {
            return;
        }
        let syn = header.flags.contains(TcpFlags::SYN);
        let shift = if syn { 0 } else { self.info().rcv_wscale };
        let window = u32::from(header.window) << shift;
        let edge = header.ack + window;
        if let Some(largest) = self.edge.filter(|largest| edge.before(*largest)) {
            let back = largest.distance_from(edge);
            assert!(back < 1 << self.info().rcv_wscale, "the edge moved left by {back}: {header:?}");
        }
        self.edge = Some(self.edge.map_or(edge, |largest| largest.max(edge)));
        let held = self.unread.max(self.info().unread as usize);
        assert!(
            held + window as usize <= self.config.recv_buffer_size() + 1,
            "{held} held, {window} announced"
        );
    }

    /// No more is in flight than the window of congestion control allows, but for limited transmit, probes and first
    /// retransmissions; nothing new beyond the peer's window.
    fn check_flight(&mut self, before: &TcpInfo, transmit: &Transmit) {
        let after = self.info();
        let header = &transmit.header;
        let fin = u32::from(header.flags.contains(TcpFlags::FIN));
        let syn = u32::from(header.flags.contains(TcpFlags::SYN));
        let end = header.seq + transmit.payload_len as u32 + fin + syn;
        let again = header.seq.before(self.max);
        self.max = self.max.max(end);
        if after.in_flight <= before.in_flight || syn > 0 {
            return;
        }
        let room = before.snd_wnd;
        assert!(
            again || end.distance_from(self.una()) <= room,
            "{end:?} sent, una {:?}, window {room}",
            self.una()
        );
        let cwnd = before.cwnd.max(before.mss);
        if transmit.payload_len == 0 {
            // A FIN alone adds nothing that the congestion window could hold back.
            return;
        }
        // A tail loss probe, and the first retransmission of a recovery, are a segment each that no window holds back.
        let single = after.in_flight - before.in_flight <= before.mss + fin
            && (again || after.stats.tail_probes > before.stats.tail_probes);
        assert!(
            single || after.in_flight <= cwnd + 2 * before.mss + fin,
            "{} in flight, cwnd {}",
            after.in_flight,
            before.cwnd
        );
    }
}

impl Segment {
    fn with_gso(mut self, size: u16) -> Self {
        if usize::from(size) < self.payload.len() {
            self.gso_size = size;
        }
        self
    }
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn arbitrary_segments_timers_and_calls_break_nothing(
        steps in proptest::collection::vec(step(), 1..150),
        mode in any::<u8>(),
        iss in prop_oneof![(0..131_072_u32).prop_map(|at| at.wrapping_sub(65_536)), any::<u32>()],
        irs in prop_oneof![(0..131_072_u32).prop_map(|at| at.wrapping_sub(65_536)), any::<u32>()],
        buffers in prop_oneof![Just(4_096_usize), Just(65_535), Just(100_001), Just(1 << 20)],
    ) {
        // req: SHLD-14, R5681-8, R5681-19, R2018-9, S-SEQ-7, S-RST-6
        let mut config = TcpConfig::new();
        config.recv_buffer(buffers).send_buffer(buffers).quick_acks(mode);
        let mut run = Run::start(mode, SeqNum(iss), SeqNum(irs), config);
        for step in &steps {
            run.step(step);
        }
        // Whatever state that left behind, the owner's abort ends it, and then nothing leaves (pitfall 39).
        run.step(&Step::Abort);
        prop_assert!(run.connection.close_reason().is_some());
        prop_assert_eq!(run.connection.poll_timeout(), None);
        let sent = run.info().stats.segments_sent;
        for step in steps.iter().take(50) {
            run.step(step);
        }
        prop_assert_eq!(run.info().stats.segments_sent, sent);
    }
}
