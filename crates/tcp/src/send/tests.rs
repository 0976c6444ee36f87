//! The send buffer against a plain vector.

use bytes::Bytes;
use proptest::prelude::*;

use super::buffer::SendBuffer;
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
}
