//! One connection, and everything that may happen to it: any segments, any times, any calls of its owner.
//!
//! The two byte streams are known: the peer's octets tell their place in its sequence space, ours their place in ours. So
//! what is read has to be the peer's stream from its start, and what leaves has to be ours at the place that its sequence
//! number names, however often it is sent.

use core::time::Duration;
use std::sync::Arc;

use arbitrary::Unstructured;
use bytes::Bytes;
use netstack_tcp::testing::{pattern, wire_segments};
use netstack_tcp::{
    Connection, FourTuple, IcmpNotice, Instant, Opening, Segment, State, SynRecord, TcpConfig,
};
use netstack_wire::tcp::{SackBlock, TcpFlags, TcpHeader, TcpOptions, Timestamps};
use netstack_wire::{Ecn, SeqNum};

use super::call;

const ISS: SeqNum = SeqNum(0xffff_8000);
const IRS: SeqNum = SeqNum(0xffff_c000);

/// Steps of one run.
const STEPS: usize = 400;

/// Segments that one input may bring forth: a window's worth of the smallest.
const BURST: usize = 20_000;

struct World {
    connection: Connection,
    now: Instant,
    /// Octets written, and read.
    written: u32,
    read: u32,
    /// The furthest right edge announced, and the newest acknowledgment number.
    edge: Option<SeqNum>,
    acked: Option<SeqNum>,
    /// The furthest octet sent.
    highest: SeqNum,
    /// What is still unread of what was fetched.
    unread: usize,
    reads: bool,
}

/// Whatever happens to it, a connection keeps to its invariants, and gives out and sends nothing but the streams.
pub fn connection(data: &[u8]) {
    let _ = run(&mut Unstructured::new(data));
}

fn run(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let mut world = World::new(input)?;
    world.collect();
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        let batch = world.step(input)?;
        world.read();
        if !batch {
            world.collect();
        }
    }
    world.collect();
    world.connection.abort();
    world.collect();
    assert_eq!(world.connection.state(), State::Closed);
    assert_eq!(world.connection.poll_timeout(), None, "what is over waits for nothing");
    assert_eq!(world.connection.out_of_order_memory(), 0);
    assert_eq!(world.connection.send_memory(), 0);
    Ok(())
}

impl World {
    fn new(input: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        let config: Arc<TcpConfig> = Arc::new(call::config(input)?);
        let kind: u8 = input.arbitrary()?;
        let (local, remote) = (([192, 0, 2, 1], 7).into(), ([192, 0, 2, 2], 50_000).into());
        let tuple = FourTuple::new(local, remote);
        let mtu = [1500, 68, 576, 65_535][usize::from(kind >> 2 & 3)];
        let opening = Opening { tuple, iss: ISS, ts_offset: 77, mtu };
        let now = Instant::from_nanos(1_000_000_000);
        let options = TcpOptions {
            mss: Some([1460, 536, 1, 9000][usize::from(kind >> 4 & 3)]),
            window_scale: (kind & 64 == 0).then_some(kind >> 5),
            sack_permitted: kind & 128 == 0,
            timestamps: (kind & 32 == 0).then_some(Timestamps { val: 1000, ecr: 0 }),
            ..TcpOptions::default()
        };
        let syn = TcpHeader { seq: IRS, flags: TcpFlags::SYN, window: 8192, options, ..TcpHeader::default() };
        let mut world = Self {
            connection: match kind & 3 {
                0 => Connection::connect(now, opening, config),
                _ => {
                    let record = SynRecord::from_segment(tuple, &bare(syn), now);
                    Connection::accept(now, &record, opening, config)
                }
            },
            now,
            written: 0,
            read: 0,
            edge: None,
            acked: None,
            highest: ISS,
            unread: 0,
            reads: true,
        };
        world.collect();
        if kind & 2 != 0 {
            let ack = TcpHeader {
                seq: IRS + 1,
                ack: ISS + 1,
                flags: TcpFlags::ACK,
                window: 8192,
                options: TcpOptions {
                    timestamps: options.timestamps.map(|_| Timestamps { val: 1001, ecr: 1077 }),
                    ..TcpOptions::default()
                },
                ..TcpHeader::default()
            };
            world.connection.handle_segment(now, bare(ack));
        }
        Ok(world)
    }

    /// One thing happens; whether more follows before the connection is polled.
    fn step(&mut self, input: &mut Unstructured<'_>) -> arbitrary::Result<bool> {
        let [kind, amount]: [u8; 2] = input.arbitrary()?;
        let connection = &mut self.connection;
        let size = usize::from(amount) << (kind >> 5);
        match kind & 31 {
            0..=11 => {
                let segment = self.segment(input)?;
                self.connection.handle_segment(self.now, segment);
                return Ok(kind & 32 != 0);
            }
            12..=15 => self.pass(None),
            16..=17 => self.pass(Some(Duration::from_millis(size as u64))),
            18..=21 => self.write(size),
            22 => self.reads = amount & 1 == 0,
            23 => connection.shutdown_write(),
            24 if amount > 200 => connection.close(self.now),
            25 if amount > 240 => connection.abort(),
            26 => {
                let seq = self.highest - u32::from(amount) * 7;
                connection.handle_too_big(self.now, seq, input.arbitrary()?);
            }
            27 => {
                let notice = [IcmpNotice::HostUnreachable, IcmpNotice::TimeExceeded, IcmpNotice::Prohibited];
                connection.handle_icmp(ISS + u32::from(amount >> 4), notice[usize::from(amount) % 3]);
            }
            28 => connection.set_recv_limit(size),
            29 => {
                connection.discard_out_of_order();
            }
            30 => connection.set_link_mtu(68 + (size as u16).min(60_000)),
            _ => {
                connection.set_nodelay(amount & 1 == 0);
                connection.set_quickack(amount & 2 == 0);
                connection.set_user_timeout((amount & 4 == 0).then_some(Duration::from_secs(5)));
                connection.mark_urgent();
                connection.set_path_mtu(self.now, 68 + u16::from(amount) * 8);
            }
        }
        Ok(false)
    }

    /// Time passes: to the next deadline, or so much of it.
    fn pass(&mut self, time: Option<Duration>) {
        match (time, self.connection.poll_timeout()) {
            (Some(time), _) => self.now += time,
            (None, Some(due)) => self.now = self.now.max(due),
            (None, None) => return,
        }
        self.connection.handle_timeout(self.now);
    }

    fn write(&mut self, octets: usize) {
        let len = octets.min(self.connection.send_space()) as u32;
        let data = pattern(self.written, self.written + len);
        if self.connection.write(data).is_ok() {
            self.written += len;
        }
    }

    fn segment(&mut self, input: &mut Unstructured<'_>) -> arbitrary::Result<Segment> {
        let [shape, near, ack, len, window]: [u8; 5] = input.arbitrary()?;
        let flags: u16 = if shape & 3 == 0 { input.arbitrary()? } else { TcpFlags::ACK.bits() };
        let mut flags = TcpFlags::from_bits(flags);
        if shape & 12 == 4 {
            flags |= TcpFlags::FIN;
        }
        let next = IRS + 1 + self.read + self.connection.info().unread;
        let mut seq = match shape >> 4 & 7 {
            0 => SeqNum(input.arbitrary()?),
            1 => next - u32::from(near),
            2 | 3 => next + u32::from(near) * 23,
            _ => next,
        };
        if self.connection.state() == State::SynSent && flags.contains(TcpFlags::SYN) {
            // The streams are counted from here.
            seq = IRS;
        }
        let ack = match ack >> 6 {
            0 => SeqNum(input.arbitrary()?),
            1 => ISS + u32::from(ack & 63) * 50,
            2 => self.highest - u32::from(ack & 63),
            _ => self.highest,
        };
        let mut options = TcpOptions::default();
        if shape & 128 != 0 {
            let [val, ecr, sacks]: [u8; 3] = input.arbitrary()?;
            options.timestamps = (val & 3 != 0)
                .then_some(Timestamps { val: 1000 + u32::from(val) * 16, ecr: 1077 + u32::from(ecr) * 64 });
            for _ in 0..sacks & 3 {
                let [left, right]: [u8; 2] = input.arbitrary()?;
                let left = self.highest - u32::from(left) * 90;
                options.sack.push(SackBlock { left, right: left + u32::from(right) * 30 });
            }
            options.mss = (sacks & 64 != 0).then_some(u16::from(val) * 8);
            options.window_scale = (sacks & 128 != 0).then_some(ecr);
        }
        let len = u32::from(len) * if window & 1 == 0 { 1 } else { 8 };
        let start = seq.distance_from(IRS + 1).wrapping_add(u32::from(flags.contains(TcpFlags::SYN)));
        let header = TcpHeader {
            src_port: 50_000,
            dst_port: 7,
            seq,
            ack,
            flags,
            window: u16::from(window) << 8 >> (shape >> 5 & 7),
            urgent: u16::from(near),
            options,
        };
        let ecn = Ecn::from_bits(window >> 1);
        Ok(Segment {
            header,
            payload: pattern(start, start.wrapping_add(len)),
            ecn,
            gso_size: u16::from(near & 1) * 536,
        })
    }

    fn read(&mut self) {
        while let Some(data) = self.connection.read() {
            assert_eq!(data, pattern(self.read, self.read + data.len() as u32), "octets from {}", self.read);
            self.read += data.len() as u32;
            self.unread += data.len();
        }
        if self.reads {
            self.unread = 0;
        }
        self.connection.set_unread(self.unread);
    }

    /// What leaves, and what must hold of it.
    fn collect(&mut self) {
        let mut payload: Vec<Bytes> = Vec::new();
        let mut count = 0;
        while let Some(transmit) = self.connection.poll_transmit(self.now, &mut payload, usize::MAX) {
            assert!(payload.len() <= netstack_tcp::MAX_SLICES);
            for segment in wire_segments(&transmit, &payload) {
                self.judge(&segment);
                count += 1;
            }
            assert!(count < BURST, "poll_transmit never ends");
        }
        while self.connection.poll_event().is_some() {}
        let due = self.connection.poll_timeout();
        assert!(
            due.is_none_or(|due| due > self.now)
                || self.connection.state() == State::Closed
                || self.settles(),
            "a deadline that has passed stays: {:?}",
            self.connection
        );
    }

    /// A deadline that has passed is acted upon, and gone.
    fn settles(&mut self) -> bool {
        for _ in 0..8 {
            self.connection.handle_timeout(self.now);
            let mut payload = Vec::new();
            while let Some(transmit) = self.connection.poll_transmit(self.now, &mut payload, usize::MAX) {
                for segment in wire_segments(&transmit, &payload) {
                    self.judge(&segment);
                }
            }
            if self.connection.poll_timeout().is_none_or(|due| due > self.now) {
                return true;
            }
        }
        false
    }

    fn judge(&mut self, segment: &Segment) {
        let header = &segment.header;
        if header.flags.contains(TcpFlags::RST) {
            return;
        }
        let start = header.seq.distance_from(ISS + 1);
        if !segment.payload.is_empty() {
            assert_eq!(
                segment.payload,
                pattern(start, start + segment.payload.len() as u32),
                "our stream at {start}"
            );
            assert!(
                start as usize + segment.payload.len() <= self.written as usize,
                "nothing is sent but what was written"
            );
        }
        let end = header.seq + segment.len();
        if end.after(self.highest) {
            self.highest = end;
        }
        if header.flags.contains(TcpFlags::SYN) || !header.flags.contains(TcpFlags::ACK) {
            return;
        }
        assert!(
            self.acked.is_none_or(|acked| !header.ack.before(acked)),
            "an acknowledgment is never taken back"
        );
        self.acked = Some(header.ack);
        let shift = self.connection.info().rcv_wscale;
        let edge = header.ack + (u32::from(header.window) << shift);
        // Rounded down to what the window field can say (RFC 7323 2.4).
        let edge = edge + ((1 << shift) - 1);
        assert!(
            self.edge.is_none_or(|before| !edge.before(before)),
            "the right edge {edge:?} moves left from {:?}, scale {shift}, {:?}",
            self.edge,
            self.connection
        );
        let edge = edge - ((1 << shift) - 1);
        self.edge = Some(edge);
    }
}

fn bare(header: TcpHeader) -> Segment {
    Segment { header, payload: Bytes::new(), ecn: Ecn::NotEct, gso_size: 0 }
}
