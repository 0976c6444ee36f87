use std::net::IpAddr;
use std::num::NonZeroU16;

use bytes::Bytes;
use netstack_wire::ip::IpHeader;
use netstack_wire::tcp::{TcpFlags, TcpHeader, TcpOptions, Timestamps};
use netstack_wire::{Ecn, Protocol, SeqNum, ip, tcp};
use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::memory::{pair, pair_with_depth};
use crate::testing::{conformance, packet};
use crate::{Checksum, Gso, GsoKind, Meta, RxFrame, segment_received};

const NONE: Capabilities = Capabilities::ip(1500);

fn make(caps: Capabilities) -> impl FnMut(usize) -> (Box<dyn Device>, Box<dyn Device>) {
    move |slots| {
        let (a, b) = pair_with_depth(caps.clone(), caps.clone(), slots);
        (Box::new(Coalescing::new(a)), Box::new(Coalescing::new(b)))
    }
}

#[tokio::test(start_paused = true)]
async fn conforms_without_offloads_below() {
    conformance(make(NONE)).await;
}

#[tokio::test(start_paused = true)]
async fn conforms_above_a_device_with_offloads_and_several_queues() {
    conformance(make(NONE.with_tx(Offloads::ALL).with_rx(Offloads::ALL).with_queues(2))).await;
}

/// A segment that can be told from the one before it in each way that counts.
#[derive(Clone, Debug)]
struct Spec {
    v6: bool,
    port: u16,
    seq: u32,
    len: usize,
    flags: TcpFlags,
    ack: u32,
    window: u16,
    ts: u32,
    ecn: Ecn,
    ttl: u8,
    id: u16,
    dont_fragment: bool,
    broken: bool,
}

impl Spec {
    /// A full segment of a stream.
    fn plain(seq: u32) -> Self {
        Self {
            v6: false,
            port: 9,
            seq,
            len: 100,
            flags: TcpFlags::ACK,
            ack: 1,
            window: 500,
            ts: 7,
            ecn: Ecn::NotEct,
            ttl: 64,
            id: 0,
            dont_fragment: true,
            broken: false,
        }
    }

    fn addresses(&self) -> (IpAddr, IpAddr) {
        packet::addresses(self.v6)
    }

    fn frame(&self) -> RxFrame {
        let (src, dst) = self.addresses();
        let payload: Vec<u8> = (0..self.len).map(|i| (self.seq as usize + i) as u8).collect();
        let header = TcpHeader {
            src_port: 40_000,
            dst_port: self.port,
            seq: SeqNum(self.seq),
            ack: SeqNum(self.ack),
            flags: self.flags,
            window: self.window,
            urgent: 0,
            options: TcpOptions {
                timestamps: Some(Timestamps { val: self.ts, ecr: 2 }),
                ..TcpOptions::default()
            },
        };
        let mut ip = IpHeader::new(src, dst, Protocol::TCP, header.header_len() + self.len);
        (ip.ecn, ip.hop_limit) = (self.ecn, self.ttl);
        let mut data = vec![0; 200 + self.len];
        let ip_len = ip.emit(&mut data);
        let tcp_len = header.emit(&mut data[ip_len..]);
        data.truncate(ip_len + tcp_len);
        tcp::write_checksum(src, dst, &mut data[ip_len..], std::iter::once(&payload[..]));
        data[ip_len + 16] ^= u8::from(self.broken);
        if !self.v6 {
            data[4..6].copy_from_slice(&self.id.to_be_bytes());
            data[6] = if self.dont_fragment { 0x40 } else { 0 };
            data[10..12].fill(0);
            let sum = netstack_wire::checksum::checksum(&data[..20]);
            data[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        data.extend(payload);
        RxFrame { data: data.into(), meta: Meta::default(), at: Instant::now() }
    }
}

fn coalesced(specs: &[Spec]) -> Vec<RxFrame> {
    let (device, _peer) = pair(NONE, NONE);
    let (mut queues, _tx) = Box::new(device).split().unwrap();
    let inner = queues.remove(0);
    let mut rx =
        CoalescingRx { inner, read: RxBatch::with_limits(1000, usize::MAX), runs: Vec::new(), ended: None };
    specs.iter().for_each(|spec| rx.read.push(spec.frame()));
    rx.coalesce();
    rx.runs.into_iter().map(Run::into_frame).collect()
}

/// How many segments each frame holds.
fn shape(specs: &[Spec]) -> Vec<usize> {
    let frames = coalesced(specs);
    frames.iter().map(|frame| segment_received(&frame.data, frame.meta).unwrap().count()).collect()
}

/// Segments of 100 bytes in order.
fn stream(n: u32) -> Vec<Spec> {
    (0..n).map(|i| Spec::plain(i * 100)).collect()
}

#[test]
fn segments_in_order_become_one_that_says_how_it_was_cut() {
    for v6 in [false, true] {
        let mut specs = stream(5);
        specs.iter_mut().for_each(|spec| spec.v6 = v6);
        specs[4].len = 30;
        let [frame] = coalesced(&specs).try_into().unwrap();
        let kind = if v6 { GsoKind::Tcp6 } else { GsoKind::Tcp4 };
        assert_eq!(frame.meta.gso, Some(Gso { kind, size: NonZeroU16::new(100).unwrap(), ecn: false }));
        let packet = ip::parse(&frame.data).unwrap();
        assert_eq!(packet.total_len, frame.data.len());
        let (header, len) = TcpHeader::parse(packet.payload).unwrap();
        assert_eq!((header.seq, packet.payload.len() - len), (SeqNum(0), 430));
        // It can be finished again, for whoever cannot take it as it is.
        let pieces: Vec<Bytes> = segment_received(&frame.data, frame.meta).unwrap().collect();
        let sent: Vec<Bytes> = specs.iter().map(|spec| spec.frame().data).collect();
        assert_eq!(pieces, sent);
    }
}

#[test]
fn what_a_receiver_can_tell_apart_stays_apart() {
    assert_eq!(shape(&stream(4)), [4]);
    // Each in the third of four segments; what it joins and what joins it.
    type Change = fn(&mut Spec);
    let cases: [(&str, Change, &[usize]); 17] = [
        ("PSH ends a run", |s| s.flags |= TcpFlags::PSH, &[3, 1]),
        ("a short segment ends a run", |s| s.len = 40, &[3, 1]),
        ("a longer segment begins anew", |s| s.len = 101, &[2, 1, 1]),
        ("FIN", |s| s.flags |= TcpFlags::FIN, &[2, 1, 1]),
        ("ECE among others", |s| s.flags |= TcpFlags::ECE, &[2, 1, 1]),
        ("AE among others", |s| s.flags |= TcpFlags::AE, &[2, 1, 1]),
        ("CWR", |s| s.flags |= TcpFlags::CWR, &[2, 1, 1]),
        ("URG", |s| s.flags |= TcpFlags::URG, &[2, 1, 1]),
        ("no text", |s| s.len = 0, &[2, 1, 1]),
        ("another ACK", |s| s.ack = 2, &[2, 1, 1]),
        ("another window", |s| s.window = 501, &[2, 1, 1]),
        ("another timestamp", |s| s.ts = 8, &[2, 1, 1]),
        ("CE among others", |s| s.ecn = Ecn::Ce, &[2, 1, 1]),
        ("another TTL", |s| s.ttl = 63, &[2, 1, 1]),
        ("a gap", |s| s.seq += 1, &[2, 1, 1]),
        ("another DF", |s| s.dont_fragment = false, &[2, 1, 1]),
        ("a jump of the identification", |s| s.id = 5, &[2, 1, 1]),
    ];
    for (what, change, expected) in cases {
        let mut specs = stream(4);
        change(&mut specs[2]);
        assert_eq!(shape(&specs), expected, "{what}");
    }
    // A broken checksum: passed on for the stack to count, and nothing goes past it.
    let mut specs = stream(4);
    specs[2].broken = true;
    let frames = coalesced(&specs);
    assert_eq!(frames.len(), 3);
    assert_eq!((frames[1].meta, &frames[1].data), (Meta::default(), &specs[2].frame().data));
}

/// Accurate ECN repeats its counter in every segment: as long as no mark comes, AE and ECE with the counter's first value.
#[test]
fn segments_with_the_same_ecn_flags_grow_together() {
    for flags in [TcpFlags::AE | TcpFlags::ECE, TcpFlags::AE, TcpFlags::ECE] {
        let mut specs = stream(4);
        specs.iter_mut().for_each(|spec| spec.flags |= flags);
        assert_eq!(shape(&specs), [4], "{flags:?}");
        let sent: Vec<Bytes> = specs.iter().map(|spec| spec.frame().data).collect();
        let [frame] = coalesced(&specs).try_into().unwrap();
        let pieces: Vec<Bytes> = segment_received(&frame.data, frame.meta).unwrap().collect();
        assert_eq!(pieces, sent, "{flags:?}");
    }
    let mut specs = stream(4);
    specs.iter_mut().for_each(|spec| spec.flags |= TcpFlags::CWR);
    assert_eq!(shape(&specs), [1; 4], "a cut would keep CWR on the first alone");
}

#[test]
fn identifications_go_up_or_stay() {
    let ids = |ids: [u16; 4], dont_fragment| {
        let mut specs = stream(4);
        for (spec, id) in specs.iter_mut().zip(ids) {
            (spec.id, spec.dont_fragment) = (id, dont_fragment);
        }
        shape(&specs)
    };
    assert_eq!(ids([9, 10, 11, 12], false), [4]);
    assert_eq!(ids([65_534, 65_535, 0, 1], true), [4]);
    assert_eq!(ids([7, 7, 7, 7], true), [4]);
    assert_eq!(ids([7, 7, 7, 7], false), [1, 1, 1, 1]);
    assert_eq!(ids([7, 8, 8, 9], true), [2, 2]);
}

#[test]
fn flows_grow_side_by_side_up_to_the_longest_packet() {
    let mut specs = Vec::new();
    for i in 0..50 {
        for port in [9, 10] {
            specs.push(Spec { port, len: 1400, ..Spec::plain(i * 1400) });
        }
    }
    let frames = coalesced(&specs);
    assert_eq!(frames.len(), 4);
    assert!(frames.iter().all(|frame| frame.data.len() <= Capabilities::MAX_FRAME));
    assert_eq!(shape(&specs), [46, 46, 4, 4]);
}

#[tokio::test(start_paused = true)]
async fn what_lies_ready_is_read_in_one_call_and_the_end_comes_behind_it() {
    let (device, peer) = pair_with_depth(NONE, NONE, 512);
    let (mut queues, tx) = Box::new(Coalescing::new(device)).split().unwrap();
    let (peer_queues, peer_tx) = Box::new(peer).split().unwrap();
    assert_eq!(tx.capabilities().max_frame, Capabilities::MAX_FRAME);
    for spec in stream(100) {
        let frame = spec.frame();
        let (mut head, payload) = (crate::HeadBuf::new(), [frame.data.slice(52..)]);
        head.extend_from_slice(&frame.data[..52]);
        let frame = TxFrame { head: &mut head, payload: &payload, meta: Meta::default(), flow: 0 };
        peer_tx.try_send(frame, &mut Turn::new()).unwrap();
    }
    drop((peer_queues, peer_tx));
    // Fewer than were sent: what has grown together counts once.
    let mut batch = RxBatch::with_limits(4, usize::MAX);
    std::future::poll_fn(|cx| queues[0].poll_recv(cx, &mut batch)).await.unwrap();
    assert_eq!((batch.len(), batch.bytes(), batch.joined()), (1, 52 + 100 * 100, 99));
    std::future::poll_fn(|cx| queues[0].poll_recv(cx, &mut batch)).await.unwrap_err();
}

/// However much grows together, a call reads a bounded number of frames.
#[tokio::test(start_paused = true)]
async fn a_call_reads_a_bounded_number_of_frames() {
    let (device, peer) = pair_with_depth(NONE, NONE, 512);
    let (mut queues, _tx) = Box::new(Coalescing::new(device)).split().unwrap();
    let (_peer_queues, peer_tx) = Box::new(peer).split().unwrap();
    for spec in stream(300) {
        let (mut head, payload) = (crate::HeadBuf::new(), [spec.frame().data]);
        let frame = TxFrame { head: &mut head, payload: &payload, meta: Meta::default(), flow: 0 };
        peer_tx.try_send(frame, &mut Turn::new()).unwrap();
    }
    let mut reads = Vec::new();
    for _ in 0..3 {
        let mut batch = RxBatch::new();
        std::future::poll_fn(|cx| queues[0].poll_recv(cx, &mut batch)).await.unwrap();
        reads.push(batch.len() + batch.joined());
        batch.clear();
        assert_eq!(batch.joined(), 0);
    }
    assert_eq!(reads, [READS, READS, 300 - 2 * READS]);
}

fn flags() -> impl Strategy<Value = TcpFlags> {
    prop_oneof![
        8 => Just(TcpFlags::ACK),
        2 => Just(TcpFlags::ACK | TcpFlags::PSH),
        1 => Just(TcpFlags::ACK | TcpFlags::AE | TcpFlags::ECE),
        1 => Just(TcpFlags::ACK | TcpFlags::FIN),
        1 => Just(TcpFlags::ACK | TcpFlags::PSH | TcpFlags::ECE),
        1 => Just(TcpFlags::RST),
    ]
}

/// Segments of three flows, mostly in order, mostly alike.
fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let len = prop_oneof![8 => Just(100), 1 => Just(0), 1 => 1..150_usize];
    let rare = prop_oneof![12 => Just(0_u8), 1 => 1..8_u8];
    prop::collection::vec((0..3_u16, len, flags(), rare), 1..80).prop_map(|all| {
        let mut next = [(u32::MAX - 500, 0_u16); 3];
        let segment = |(flow, len, flags, rare): (u16, usize, TcpFlags, u8)| {
            let (seq, id) = &mut next[usize::from(flow)];
            *seq = seq.wrapping_add(if rare == 1 { 3 } else { 0 });
            *id = id.wrapping_add(if rare == 2 { 0 } else { 1 });
            let spec = Spec {
                v6: flow == 2,
                port: 9 + flow,
                len,
                flags,
                ack: 1 + u32::from(rare == 3),
                window: 500 + u16::from(rare == 4),
                ts: 7 + u32::from(rare == 5),
                ecn: if rare == 6 { Ecn::Ce } else { Ecn::Ect0 },
                id: *id,
                broken: rare == 7,
                ..Spec::plain(*seq)
            };
            *seq = seq.wrapping_add(len as u32);
            spec
        };
        all.into_iter().map(segment).collect()
    })
}

proptest! {
    /// Cut again, what comes out is byte for byte what went in: of each flow in its order, and nothing else.
    #[test]
    fn each_flow_is_the_same_as_before(specs in specs()) {
        let out = coalesced(&specs);
        prop_assert!(out.len() <= specs.len());
        let flow_of = |data: &Bytes| {
            let packet = ip::parse(data).unwrap();
            u16::from_be_bytes([packet.payload[2], packet.payload[3]])
        };
        for flow in 9..12 {
            let sent: Vec<Bytes> =
                specs.iter().filter(|spec| spec.port == flow).map(|spec| spec.frame().data).collect();
            let mut got = Vec::new();
            for frame in out.iter().filter(|frame| flow_of(&frame.data) == flow) {
                if frame.meta.gso.is_none() {
                    got.push(frame.data.clone());
                    continue;
                }
                for piece in segment_received(&frame.data, frame.meta).unwrap() {
                    got.push(piece);
                }
            }
            // A cut frame repeats its identification where DF is set.
            let without_id = |data: &Bytes| {
                let mut data = data.to_vec();
                if data[0] >> 4 == 4 {
                    data[4..6].fill(0);
                    data[10..12].fill(0);
                }
                data
            };
            let (sent, got): (Vec<_>, Vec<_>) =
                (sent.iter().map(without_id).collect(), got.iter().map(without_id).collect());
            prop_assert_eq!(sent, got);
        }
    }

    #[test]
    fn any_bytes_pass_unchanged_or_grow(
        frames in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..100), 0..3_u8), 1..10),
    ) {
        let (device, _peer) = pair(NONE, NONE);
        let inner = Box::new(device).split().unwrap().0.remove(0);
        let mut rx = CoalescingRx { inner, read: RxBatch::new(), runs: Vec::new(), ended: None };
        let mut total = 0;
        for (mut data, nibble) in frames {
            if let Some(first) = data.first_mut() {
                *first = [*first, 0x45, 0x60][usize::from(nibble)];
            }
            total += data.len();
            let meta = Meta { checksum: Checksum::Trusted, gso: None };
            rx.read.push(RxFrame { data: data.into(), meta, at: Instant::now() });
        }
        rx.coalesce();
        let out: usize = rx.runs.into_iter().map(|run| run.into_frame().data.len()).sum();
        prop_assert!(out <= total);
    }
}
