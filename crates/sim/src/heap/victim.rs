//! Losing or delaying one packet, picked by what it is.

use std::time::Duration;

use netstack_tcp::Segment;
use netstack_wire::SeqNum;
use netstack_wire::tcp::TcpFlags;

use super::EndId;

/// Which packet it befalls.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The packet with payload that has this number, counted from 1, retransmissions included.
    Data(u64),
    /// The first packet without payload that acknowledges so many bytes of the stream or more.
    Ack(u32),
    /// The packet that bears all of these flags and has this number among those that do, counted from 1.
    Flags(TcpFlags, u64),
}

/// One packet of one end that is lost or comes late on the first link of its route, and no other.
///
/// ```
/// use netstack_sim::heap::{EndId, Pick, Side, Victim};
///
/// // The 20th segment of the response, at its first transmission.
/// let tail = Victim::new(EndId { flow: 0, side: Side::A }, Pick::Data(20));
/// ```
#[derive(Clone, Debug)]
pub struct Victim {
    end: EndId,
    pick: Pick,
    /// How much later it arrives; `None` if it is lost.
    hold: Option<Duration>,
    /// Packets of the kind so far.
    count: u64,
    /// Where the peer's stream begins: what the first ACK of the end acknowledges is the peer's SYN.
    peer_start: Option<SeqNum>,
    done: bool,
}

impl Victim {
    /// Loses the packet that `end` sends and `pick` names.
    pub fn new(end: EndId, pick: Pick) -> Self {
        Self { end, pick, hold: None, count: 0, peer_start: None, done: false }
    }

    /// Lets the packet that `end` sends and `pick` names arrive later by `hold` than it would.
    pub fn late(end: EndId, pick: Pick, hold: Duration) -> Self {
        Self { hold: Some(hold), ..Self::new(end, pick) }
    }

    /// How much later the packet arrives; `None` if it is lost.
    pub(crate) fn hold(&self) -> Option<Duration> {
        self.hold
    }

    /// Whether this is the packet.
    pub(crate) fn takes(&mut self, from: EndId, segment: &Segment) -> bool {
        if self.done || from != self.end {
            return false;
        }
        let header = &segment.header;
        let has_data = !segment.payload.is_empty();
        let counts = match self.pick {
            Pick::Data(_) => has_data,
            Pick::Flags(flags, _) => header.flags.contains(flags),
            Pick::Ack(_) => false,
        };
        self.count += u64::from(counts);
        self.done = match self.pick {
            Pick::Data(number) | Pick::Flags(_, number) => counts && self.count == number,
            Pick::Ack(bytes) if header.flags.contains(TcpFlags::ACK) => {
                let start = *self.peer_start.get_or_insert(header.ack);
                segment.is_empty() && header.ack.after_eq(start + bytes)
            }
            Pick::Ack(_) => false,
        };
        self.done
    }
}

#[cfg(test)]
mod tests;
