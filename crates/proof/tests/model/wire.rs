//! What travels between the two ends.

use core::fmt;

use bytes::Bytes;
use netstack_tcp::Segment;
use netstack_wire::tcp::{MAX_HEADER_LEN, TcpFlags, TcpHeader};
use netstack_wire::{Ecn, SeqNum};

/// A segment as it stands on the wire, header and text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Packet(Bytes);

impl Packet {
    pub(crate) fn new(header: &TcpHeader, payload: &[u8]) -> Self {
        let mut octets = [0; MAX_HEADER_LEN];
        let len = header.emit(&mut octets);
        Self([&octets[..len], payload].concat().into())
    }

    pub(crate) fn segment(&self) -> Segment {
        let (header, len) = TcpHeader::parse(&self.0).expect("it was emitted by us");
        Segment { header, payload: self.0.slice(len..), ecn: Ecn::NotEct, gso_size: 0 }
    }

    /// The same with another header.
    pub(crate) fn altered(&self, alter: impl FnOnce(&mut TcpHeader)) -> Self {
        let mut segment = self.segment();
        alter(&mut segment.header);
        Self::new(&segment.header, &segment.payload)
    }

    pub(crate) fn has(&self, flags: TcpFlags) -> bool {
        self.segment().header.flags.contains(flags)
    }

    /// One above the last sequence number that it occupies.
    pub(crate) fn end(&self) -> SeqNum {
        let segment = self.segment();
        segment.header.seq + segment.len()
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Segment { header, payload, .. } = self.segment();
        write!(f, "{:?} seq {} ack {} text {}", header.flags, header.seq.0, header.ack.0, payload.len())
    }
}

/// A packet on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Flight {
    pub(crate) to: usize,
    pub(crate) packet: Packet,
    /// A duplicate, or a packet of an older incarnation: it may come at any time before a TIME-WAIT has passed, or never.
    pub(crate) late: bool,
}
