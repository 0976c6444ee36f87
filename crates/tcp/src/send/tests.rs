//! The send buffer against a plain vector, and recovery's books.

use bytes::Bytes;
use netstack_wire::SeqNum;
use netstack_wire::tcp::SackBlock;
use proptest::prelude::*;

use super::buffer::SendBuffer;
use super::{AckKind, Recovery};
use crate::segment::MAX_SLICES;

#[derive(Debug, Clone)]
enum Op {
    Push(usize),
    /// Parts of what is held, in thousandths.
    Release(u32),
    Slices(u32, u32),
    Clear,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0..400_usize).prop_map(Op::Push),
        3 => (0..=1000_u32).prop_map(Op::Release),
        6 => (0..=1000_u32, 0..5_000_u32).prop_map(|(offset, len)| Op::Slices(offset, len)),
        1 => Just(Op::Clear),
    ];
    proptest::collection::vec(op, 1..300)
}

fn share(of: u32, thousandths: u32) -> u32 {
    (u64::from(of) * u64::from(thousandths) / 1000) as u32
}

proptest! {
    /// What slices give is what was written, in order, whatever was released before.
    #[test]
    fn the_buffer_is_a_queue_of_octets(ops in ops()) {
        // req: S-ACK-4
        let mut buffer = SendBuffer::default();
        let mut model: Vec<u8> = Vec::new();
        let mut next = 0_u32;
        for op in ops {
            match op {
                Op::Push(len) => {
                    let data: Vec<u8> = (next..next + len as u32).map(|at| (at % 251) as u8).collect();
                    next += len as u32;
                    model.extend_from_slice(&data);
                    buffer.push(data.into());
                }
                Op::Release(part) => {
                    let count = share(buffer.len(), part);
                    buffer.release(count);
                    model.drain(..count as usize);
                }
                Op::Slices(part, len) => {
                    let offset = share(buffer.len(), part);
                    let mut out = vec![Bytes::from_static(b"kept")];
                    let taken = buffer.slices(offset, len, &mut out);
                    prop_assert_eq!(&out[0], &b"kept"[..], "what was there stays");
                    prop_assert!(out.len() <= 1 + MAX_SLICES);
                    prop_assert!(out[1..].iter().all(|slice| !slice.is_empty()));
                    let seen: Vec<u8> = out[1..].concat();
                    prop_assert_eq!(seen.len(), taken as usize);
                    let held = &model[offset as usize..];
                    prop_assert_eq!(&seen[..], &held[..seen.len()]);
                    let wanted = held.len().min(len as usize);
                    prop_assert!(seen.len() == wanted || out.len() == 1 + MAX_SLICES, "{} of {wanted}", seen.len());
                }
                Op::Clear => {
                    buffer.clear();
                    model.clear();
                }
            }
            prop_assert_eq!(buffer.len() as usize, model.len());
        }
    }

    /// However the calls come, inflation and counters stay in their bounds, and recovery ends with the ACK of its point.
    #[test]
    fn recovery_never_overflows(calls in proptest::collection::vec((0..4_u8, 1..50_000_u32), 1..400), iss in any::<u32>()) {
        let mss = 65_000;
        let (mut una, mut max) = (SeqNum(iss), SeqNum(iss) + 1);
        let mut recovery = Recovery::new(SeqNum(iss));
        for (call, octets) in calls {
            match call {
                0 if recovery.on_duplicate(una, mss) => recovery.enter(max, mss),
                0 => {}
                1 => max += octets,
                2 => {
                    let acked = octets.min(max.distance_from(una));
                    if acked == 0 {
                        continue;
                    }
                    una += acked;
                    let was_active = recovery.is_active();
                    let kind = recovery.on_new_ack(una, acked, mss);
                    prop_assert_eq!(kind == AckKind::Ordinary, !was_active);
                    prop_assert!(una != max || kind != AckKind::Partial, "all is acknowledged");
                }
                _ => recovery.on_timeout(max),
            }
            if !recovery.is_active() {
                prop_assert!(recovery.allowance(mss, true) <= 2 * mss);
                prop_assert_eq!(recovery.allowance(mss, false), 0);
            }
        }
    }
}

#[test]
fn an_empty_buffer_holds_no_storage_and_keeps_its_place() {
    let mut buffer = SendBuffer::default();
    buffer.push(Bytes::new());
    assert_eq!(buffer.len(), 0);
    for _ in 0..200 {
        buffer.push(Bytes::from_static(b"octets"));
    }
    buffer.release(1_200);
    assert_eq!(buffer.len(), 0);
    assert!(format!("{buffer:?}").contains("chunks: []"));
    buffer.push(Bytes::from_static(b"more"));
    let mut out = Vec::new();
    assert_eq!(buffer.slices(1, 2, &mut out), 2);
    assert_eq!(out.concat(), b"or");
}

#[test]
fn a_block_is_news_once() {
    // req: R3042-3
    let mut recovery = Recovery::new(SeqNum(7));
    let block = SackBlock { left: SeqNum(100), right: SeqNum(200) };
    assert!(recovery.is_news(block));
    assert!(!recovery.is_news(block));
    assert!(recovery.is_news(SackBlock { right: SeqNum(300), ..block }));
}
