//! Routers: the next link for each packet, hop limits, and the ICMP errors that hosts hear from them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;
use netstack_wire::icmp::{self, IcmpMessage};
use netstack_wire::ip::{self, IpHeader, IpPacket};
use tokio_netstack::IpNetwork;

use super::packet::{datagram, fragments, icmp_of, take_hop};

/// A router (RFC 1812; RFC 8200 for IPv6): forwards between its links, and keeps no state of what passes.
#[derive(Debug, Default)]
pub(crate) struct Router {
    pub(super) addresses: Vec<IpAddr>,
    /// Networks whose way was laid down, each with the direction of a link that leads there.
    pub(super) routes: Vec<(IpNetwork, usize)>,
    /// The shortest way to each address of the network.
    pub(super) shortest: BTreeMap<IpAddr, usize>,
}

impl Router {
    /// What becomes of a packet that has arrived: the packets to send, and by which direction. `mtu` tells what a direction
    /// takes.
    pub(super) fn forward(&self, bytes: Bytes, mtu: impl Fn(usize) -> usize) -> Option<(usize, Vec<Bytes>)> {
        let packet = ip::parse(&bytes).ok()?;
        if self.addresses.contains(&packet.dst) {
            return self.answer(&packet);
        }
        if packet.hop_limit <= 1 {
            return self.complain(&bytes, &packet, |quoted| IcmpMessage::TimeExceeded { code: 0, quoted });
        }
        let Some(way) = self.way_to(packet.dst) else {
            return self.complain(&bytes, &packet, |quoted| IcmpMessage::Unreachable { code: 0, quoted });
        };
        let mtu = mtu(way);
        if packet.total_len <= mtu {
            return Some((way, vec![take_hop(bytes)]));
        }
        if packet.dont_fragment {
            let mtu = mtu as u32;
            return self.complain(&bytes, &packet, |quoted| IcmpMessage::TooBig { mtu, quoted });
        }
        let bytes = take_hop(bytes);
        let packet = ip::parse(&bytes).ok()?;
        Some((way, fragments(&bytes, &packet, mtu)))
    }

    /// The direction that leads to `dst`: the longest prefix of those laid down, else the shortest way.
    fn way_to(&self, dst: IpAddr) -> Option<usize> {
        let laid = self.routes.iter().filter(|(network, _)| network.contains(dst));
        let best = laid.max_by_key(|(network, _)| network.prefix_len());
        best.map(|(_, way)| *way).or_else(|| self.shortest.get(&dst).copied())
    }

    /// Answers an echo request to the router itself; it takes nothing else.
    fn answer(&self, packet: &IpPacket<'_>) -> Option<(usize, Vec<Bytes>)> {
        if packet.protocol != icmp_of(packet.dst.is_ipv6()) {
            return None;
        }
        let IcmpMessage::EchoRequest { id, seq, data } = read(packet)? else { return None };
        let way = self.way_to(packet.src)?;
        Some((way, vec![message(packet.dst, packet.src, &IcmpMessage::EchoReply { id, seq, data })]))
    }

    /// An ICMP error about `packet`, unless it is one itself or not the first piece (RFC 1812 4.3.2.7, RFC 4443 2.4).
    fn complain(
        &self,
        bytes: &Bytes,
        packet: &IpPacket<'_>,
        error: impl FnOnce(&[u8]) -> IcmpMessage<'_>,
    ) -> Option<(usize, Vec<Bytes>)> {
        let v6 = packet.src.is_ipv6();
        let is_piece = packet.fragment.is_some_and(|fragment| fragment.offset > 0);
        let is_error = packet.protocol == icmp_of(v6)
            && !matches!(read(packet), Some(IcmpMessage::EchoRequest { .. } | IcmpMessage::EchoReply { .. }));
        if is_piece || is_error {
            return None;
        }
        let own = *self.addresses.iter().find(|address| address.is_ipv6() == v6)?;
        let way = self.way_to(packet.src)?;
        let quoted = &bytes[..bytes.len().min(if v6 { icmp::v6::MAX_QUOTE } else { icmp::v4::MAX_QUOTE })];
        Some((way, vec![message(own, packet.src, &error(quoted))]))
    }
}

fn read<'a>(packet: &IpPacket<'a>) -> Option<IcmpMessage<'a>> {
    match (packet.src, packet.dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => IcmpMessage::parse_v6(src, dst, packet.payload).ok(),
        _ => IcmpMessage::parse_v4(packet.payload).ok(),
    }
}

fn message(src: IpAddr, dst: IpAddr, message: &IcmpMessage<'_>) -> Bytes {
    let header = IpHeader::new(src, dst, icmp_of(src.is_ipv6()), message.wire_len());
    debug_assert!(message.wire_len() >= icmp::HEADER_LEN);
    datagram(&header, |payload| {
        match (src, dst) {
            (IpAddr::V6(src), IpAddr::V6(dst)) => message.emit_v6(src, dst, payload),
            _ => message.emit_v4(payload),
        };
    })
}
