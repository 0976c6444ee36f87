//! Sequence numbers, counted from each side's first.

use netstack_sim::record::TcpSegment;
use netstack_wire::tcp::TcpFlags;

use super::Seg;

/// What is known of the numbers of both sides.
#[derive(Debug)]
pub(super) struct Numbers {
    sides: [Side; 2],
}

#[derive(Debug, Default)]
struct Side {
    /// A number and what it is relatively: the last one placed.
    last: Option<(u32, i64)>,
    /// The end of what was sent.
    max: Option<i64>,
    /// Whether it has sent a SYN, ACK: its first, after a bare SYN, is none that is sent again (RFC 9293, figure 7).
    syn_acked: bool,
    /// Shift of the windows it announces; `None` until its SYN was seen.
    shift: Option<u8>,
}

impl Side {
    fn place(&mut self, number: u32, first: i64) -> i64 {
        let (last, relative) = *self.last.get_or_insert((number, first));
        // Numbers of a connection that are in use lie within half the space of each other.
        let placed = relative + i64::from(number.wrapping_sub(last).cast_signed());
        if placed > relative {
            self.last = Some((number, placed));
        }
        placed
    }
}

impl Numbers {
    /// Counts from these numbers; where there is none, from one before the first that is seen.
    pub(super) fn new(initial: [Option<u32>; 2]) -> Self {
        let side = |initial: Option<u32>| Side { last: initial.map(|number| (number, 0)), ..Side::default() };
        Self { sides: initial.map(side) }
    }

    /// Sequence number, acknowledgment number and SACK blocks of a segment of `from`, relatively. One that is `stray` belongs to
    /// another connection of the same name, and tells nothing about this one.
    pub(super) fn place(
        &mut self,
        from: usize,
        segment: &TcpSegment,
        stray: bool,
    ) -> (i64, Option<i64>, Vec<(i64, i64)>) {
        let syn = segment.flags.contains(TcpFlags::SYN);
        if syn && !stray {
            let side = &mut self.sides[from];
            side.shift = segment.wscale.or(side.shift);
        }
        let seq = self.sides[from].place(segment.seq, i64::from(!syn));
        let peer = &mut self.sides[1 - from];
        let ack = segment.flags.contains(TcpFlags::ACK).then(|| peer.place(segment.ack, 1));
        let sack =
            segment.sack.iter().map(|&(left, right)| (peer.place(left, 1), peer.place(right, 1))).collect();
        (seq, ack, sack)
    }

    /// The window that a segment announces, octets.
    pub(super) fn window(&self, from: usize, segment: &TcpSegment) -> u64 {
        let both = self.sides[from].shift.zip(self.sides[1 - from].shift);
        let shift = match both {
            Some((own, _)) if !segment.flags.contains(TcpFlags::SYN) => own.min(14),
            _ => 0,
        };
        u64::from(segment.window) << shift
    }

    /// Whether any of it was sent before; remembers it.
    pub(super) fn sent_before(&mut self, segment: &Seg) -> bool {
        if segment.note.is_some() {
            return false;
        }
        if segment.flags.contains(TcpFlags::RST) {
            // What comes after a reset begins anew.
            for side in &mut self.sides {
                (side.max, side.syn_acked) = (None, false);
            }
            return false;
        }
        let side = &mut self.sides[segment.from];
        if segment.flags.contains(TcpFlags::SYN | TcpFlags::ACK)
            && !std::mem::replace(&mut side.syn_acked, true)
        {
            side.max = None;
        }
        let max = &mut side.max;
        let before = segment.end() > segment.seq && max.is_some_and(|max| segment.seq < max);
        *max = Some(max.unwrap_or(i64::MIN).max(segment.end()));
        before
    }
}
