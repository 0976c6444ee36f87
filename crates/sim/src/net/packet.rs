//! What a router does to the bytes of a packet.

use bytes::Bytes;
use netstack_wire::ip::{Fragment, IpHeader, IpPacket};
use netstack_wire::{Protocol, ipv4, ipv6};

use crate::impair::sum_v4_header;

/// Makes the length field, and the IPv4 header checksum, right for the length that `packet` has.
pub(super) fn set_len(packet: &mut [u8]) {
    match packet.first().map(|first| first >> 4) {
        Some(4) if packet.len() >= ipv4::MIN_HEADER_LEN => {
            let len = packet.len().min(usize::from(u16::MAX)) as u16;
            packet[2..4].copy_from_slice(&len.to_be_bytes());
            sum_v4_header(packet);
        }
        Some(6) if packet.len() >= ipv6::HEADER_LEN => {
            let len = (packet.len() - ipv6::HEADER_LEN).min(usize::from(u16::MAX)) as u16;
            packet[4..6].copy_from_slice(&len.to_be_bytes());
        }
        _ => {}
    }
}

/// Takes one hop off the TTL or hop limit of a packet that was parsed and has one to spare.
pub(super) fn take_hop(packet: Bytes) -> Bytes {
    let mut packet = Vec::from(packet);
    if packet[0] >> 4 == 4 {
        packet[8] -= 1;
        sum_v4_header(&mut packet);
    } else {
        packet[7] -= 1;
    }
    packet.into()
}

/// Cuts an IPv4 packet into fragments of at most `mtu` bytes (RFC 791 3.2). Options are not copied.
pub(super) fn fragments(bytes: &Bytes, packet: &IpPacket<'_>, mtu: usize) -> Vec<Bytes> {
    let whole = Fragment { offset: 0, more: false, id: u32::from(u16::from_be_bytes([bytes[4], bytes[5]])) };
    let place = packet.fragment.unwrap_or(whole);
    let size = mtu.saturating_sub(ipv4::MIN_HEADER_LEN) & !7;
    let count = packet.payload.len().div_ceil(size);
    let pieces = packet.payload.chunks(size).enumerate();
    pieces
        .map(|(index, piece)| {
            let fragment = Fragment {
                offset: place.offset + (index * size) as u16,
                more: place.more || index + 1 < count,
                id: place.id,
            };
            let header = IpHeader {
                hop_limit: packet.hop_limit,
                dscp: packet.dscp,
                ecn: packet.ecn,
                dont_fragment: false,
                fragment: Some(fragment),
                ..IpHeader::new(packet.src, packet.dst, packet.protocol, piece.len())
            };
            datagram(&header, |payload| payload.copy_from_slice(piece))
        })
        .collect()
}

/// A packet of `header` and the payload that `fill` writes.
pub(super) fn datagram(header: &IpHeader, fill: impl FnOnce(&mut [u8])) -> Bytes {
    let mut packet = vec![0; header.header_len() + header.payload_len];
    let len = header.emit(&mut packet);
    fill(&mut packet[len..]);
    packet.into()
}

/// The protocol of ICMP in a packet of this kind.
pub(super) fn icmp_of(v6: bool) -> Protocol {
    if v6 { Protocol::ICMPV6 } else { Protocol::ICMP }
}
