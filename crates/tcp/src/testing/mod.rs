//! Harnesses in virtual time: a scripted peer for one connection ([`Script`]), and two connections back to back
//! ([`Pair`]); a controller that stays out of the way ([`FixedWindow`]).

mod fixed;
mod notation;
mod pair;
mod script;

pub use fixed::FixedWindow;
pub use notation::{Line, pattern};
pub use pair::{Fate, Flight, Pair, Side};
pub use script::Script;

use bytes::Bytes;
use netstack_wire::SeqNum;
use netstack_wire::tcp::TcpFlags;

use crate::segment::{Segment, Transmit};

/// Cuts a transmission into the segments that go over the wire, each as its receiver gets it.
#[must_use]
pub fn wire_segments(transmit: &Transmit, payload: &[Bytes]) -> Vec<Segment> {
    let whole: Bytes = match payload {
        [one] => one.clone(),
        many => many.iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<u8>>().into(),
    };
    assert_eq!(whole.len(), transmit.payload_len, "the slices hold what the header says");
    let size = if transmit.gso_size == 0 { whole.len().max(1) } else { usize::from(transmit.gso_size) };
    let count = whole.len().div_ceil(size).max(1);
    (0..count)
        .map(|index| {
            let (start, end) = (index * size, ((index + 1) * size).min(whole.len()));
            let mut header = transmit.header;
            header.seq += start as u32;
            if index > 0 {
                header.flags = header.flags.without(TcpFlags::CWR);
            }
            if index + 1 < count {
                header.flags = header.flags.without(TcpFlags::FIN).without(TcpFlags::PSH);
            }
            if header.flags.contains(TcpFlags::URG) {
                header.urgent = header.urgent.saturating_sub(start as u16);
            }
            Segment { header, payload: whole.slice(start..end), ecn: transmit.ecn, gso_size: 0 }
        })
        .collect()
}

/// `seq` counted from `base`.
fn relative(seq: SeqNum, base: SeqNum) -> u32 {
    seq.distance_from(base)
}
