//! Losing one packet, picked by what it is.

use netstack_tcp::Segment;
use netstack_wire::SeqNum;
use netstack_wire::tcp::TcpFlags;

use super::EndId;

/// Which packet is lost.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The packet with payload that has this number, counted from 1, retransmissions included.
    Data(u64),
    /// The first packet without payload that acknowledges so many bytes of the stream or more.
    Ack(u32),
}

/// One packet of one end that is lost on the first link of its route, and no other.
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
    /// Packets with payload so far.
    data: u64,
    /// Where the peer's stream begins: what the first ACK of the end acknowledges is the peer's SYN.
    peer_start: Option<SeqNum>,
    done: bool,
}

impl Victim {
    /// Loses the packet that `end` sends and `pick` names.
    pub fn new(end: EndId, pick: Pick) -> Self {
        Self { end, pick, data: 0, peer_start: None, done: false }
    }

    /// Whether this is the packet.
    pub(crate) fn takes(&mut self, from: EndId, segment: &Segment) -> bool {
        if self.done || from != self.end {
            return false;
        }
        let header = &segment.header;
        let has_data = !segment.payload.is_empty();
        self.data += u64::from(has_data);
        self.done = match self.pick {
            Pick::Data(number) => has_data && self.data == number,
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
