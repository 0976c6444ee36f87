//! Datagrams, for the raw peer.

use std::net::SocketAddr;

use bytes::Bytes;
use netstack_wire::Protocol;
use netstack_wire::icmp::{IcmpMessage, v4, v6};
use netstack_wire::ip::{self, IpHeader};
use netstack_wire::udp::{self, HEADER_LEN, UdpHeader};

use super::icmp_about;

/// A packet with a finished datagram.
pub(crate) fn datagram(src: SocketAddr, dst: SocketAddr, data: &[u8]) -> Vec<u8> {
    let header = UdpHeader::for_payload((src.ip(), src.port()), (dst.ip(), dst.port()), data).unwrap();
    datagram_with(src, dst, &header, data)
}

/// A packet with a header as it is given.
pub(crate) fn datagram_with(src: SocketAddr, dst: SocketAddr, header: &UdpHeader, data: &[u8]) -> Vec<u8> {
    let ip = IpHeader::new(src.ip(), dst.ip(), Protocol::UDP, HEADER_LEN + data.len());
    let mut packet = vec![0; ip.header_len() + HEADER_LEN];
    let start = ip.emit(&mut packet);
    header.emit(&mut packet[start..]);
    packet.extend_from_slice(data);
    packet
}

/// A datagram that the stack sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenDatagram {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) data: Bytes,
}

/// Reads a packet that the stack sent.
pub(crate) fn parse_datagram(packet: &[u8]) -> SeenDatagram {
    let ip = ip::parse(packet).unwrap();
    assert_eq!(ip.protocol, Protocol::UDP, "{ip:?}");
    let (header, data) = UdpHeader::parse(ip.payload).unwrap();
    assert_ne!(header.checksum, 0, "a datagram without a checksum");
    assert!(udp::checksum_ok(ip.src, ip.dst, &header, data), "checksum of what we send");
    SeenDatagram {
        from: SocketAddr::new(ip.src, header.src_port),
        to: SocketAddr::new(ip.dst, header.dst_port),
        data: Bytes::copy_from_slice(data),
    }
}

/// The code of an ICMP "destination unreachable"; `None` for anything else.
pub(crate) fn unreachable_code(packet: &[u8]) -> Option<u8> {
    let ip = ip::parse(packet).ok()?;
    let message = match (ip.src, ip.dst) {
        (std::net::IpAddr::V6(src), std::net::IpAddr::V6(dst)) => IcmpMessage::parse_v6(src, dst, ip.payload),
        _ => IcmpMessage::parse_v4(ip.payload),
    };
    match message.ok()? {
        IcmpMessage::Unreachable { code, .. } => Some(code),
        _ => None,
    }
}

/// The ICMP error with `code` (of "destination unreachable") about a packet that the stack sent.
pub(crate) fn unreachable(code: u8, quoted: &[u8]) -> Vec<u8> {
    let peer = ip::parse(quoted).unwrap().dst;
    icmp_about(quoted, peer, |quoted| IcmpMessage::Unreachable { code, quoted })
}

/// The code of "port unreachable".
pub(crate) fn port_unreachable(v6: bool) -> u8 {
    if v6 { v6::PORT_UNREACHABLE } else { v4::PORT_UNREACHABLE }
}
