//! Congestion marks: a packet that finds much waiting for the line, and bears ECT, leaves with CE (RFC 3168 5).

use netstack_wire::{Ecn, checksum, ipv4};

/// Marks by the length of the queue alone.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// Bytes that wait, the packet's own counted; with more it is marked.
    above: Option<usize>,
    /// The packet that came last found more.
    due: bool,
}

impl Mark {
    pub(crate) fn new(above: Option<usize>) -> Self {
        Self { above, due: false }
    }

    /// A packet came, and `waiting` bytes wait now.
    pub(crate) fn on_packet(&mut self, waiting: usize) {
        self.due = self.above.is_some_and(|above| waiting > above);
    }

    /// What becomes of that packet's ECN field.
    pub(crate) fn field(&self, ecn: Ecn) -> Ecn {
        if self.due && ecn != Ecn::NotEct { Ecn::Ce } else { ecn }
    }
}

/// Writes CE into the IP header of `packet`.
pub(crate) fn write_ce(packet: &mut [u8]) {
    match packet.first().map(|first| first >> 4) {
        Some(4) if packet.len() >= ipv4::MIN_HEADER_LEN => {
            packet[1] |= Ecn::Ce.bits();
            sum_v4_header(packet);
        }
        Some(6) if packet.len() >= 2 => packet[1] |= Ecn::Ce.bits() << 4,
        _ => {}
    }
}

/// Computes the checksum of the IPv4 header of `packet`, which holds one at least.
pub(crate) fn sum_v4_header(packet: &mut [u8]) {
    let len = usize::from(packet[0] & 0x0f) * 4;
    let field = ipv4::CHECKSUM_OFFSET..ipv4::CHECKSUM_OFFSET + 2;
    packet[field.clone()].fill(0);
    let sum = checksum::checksum(&packet[..len.min(packet.len())]);
    packet[field].copy_from_slice(&sum.to_be_bytes());
}
