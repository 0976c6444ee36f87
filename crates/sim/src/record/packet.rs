//! Packets from their octets, and octets for segments that have none.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use netstack_tcp::Segment;
use netstack_wire::ip::{self, IpHeader};
use netstack_wire::tcp::{TcpHeader, write_checksum};
use netstack_wire::{Ecn, Protocol, udp};

use super::entry::{Packet, PacketFate, TcpSegment, Transport};

impl Packet {
    /// A packet from its octets, which begin with the IP header; `size` octets on the wire, of which a capture may have kept
    /// fewer. `None` if they are no IP packet.
    pub fn parse(t: u64, link: usize, data: Bytes, size: usize, fate: PacketFate) -> Option<Self> {
        let whole;
        let octets = if data.len() < size {
            // The parsers want what the length fields promise.
            whole = {
                let mut padded = data.to_vec();
                padded.resize(size.min(MAX_SIZE), 0);
                padded
            };
            &whole[..]
        } else {
            &data[..]
        };
        let packet = ip::parse(octets).ok()?;
        let (src_port, dst_port, transport) = match packet.fragment {
            None => transport(packet.protocol, packet.payload),
            Some(_) => None,
        }
        .unwrap_or((0, 0, Transport::Other { protocol: packet.protocol.0 }));
        let (src, dst) = (SocketAddr::new(packet.src, src_port), SocketAddr::new(packet.dst, dst_port));
        let ce = packet.ecn == Ecn::Ce;
        Some(Self { t, link, hop: 0, src, dst, size, fate, ce, transport, note: None, data })
    }
}

/// An IP packet is no longer, jumbograms aside.
const MAX_SIZE: usize = 65_575;

fn transport(protocol: Protocol, payload: &[u8]) -> Option<(u16, u16, Transport)> {
    match protocol {
        Protocol::TCP => {
            let (header, header_len) = TcpHeader::parse(payload).ok()?;
            let segment = TcpSegment::new(&header, payload.len() - header_len);
            Some((header.src_port, header.dst_port, Transport::Tcp(segment)))
        }
        Protocol::UDP => {
            let (header, data) = udp::UdpHeader::parse(payload).ok()?;
            Some((header.src_port, header.dst_port, Transport::Udp { len: data.len() as u32 }))
        }
        _ => None,
    }
}

impl TcpSegment {
    fn new(header: &TcpHeader, payload_len: usize) -> Self {
        let options = &header.options;
        let has_ack = header.flags.contains(netstack_wire::tcp::TcpFlags::ACK);
        Self {
            flags: header.flags,
            seq: header.seq.0,
            ack: if has_ack { header.ack.0 } else { 0 },
            window: header.window,
            len: payload_len as u32,
            mss: options.mss,
            wscale: options.window_scale,
            sack_permitted: options.sack_permitted,
            timestamps: options.timestamps.map(|timestamps| (timestamps.val, timestamps.ecr)),
            sack: options.sack.iter().map(|block| (block.left.0, block.right.0)).collect(),
        }
    }
}

/// The IP packet that carries a segment, checksums and all.
pub(super) fn octets_of(src: SocketAddr, dst: SocketAddr, segment: &Segment) -> Bytes {
    let mut header = segment.header;
    (header.src_port, header.dst_port) = (src.port(), dst.port());
    let tcp_len = header.header_len() + segment.payload.len();
    let mut ip_header = IpHeader::new(src.ip(), dst.ip(), Protocol::TCP, tcp_len);
    ip_header.ecn = segment.ecn;
    let start = ip_header.header_len();
    let mut octets = BytesMut::zeroed(start + header.header_len());
    ip_header.emit(&mut octets);
    header.emit(&mut octets[start..]);
    write_checksum(src.ip(), dst.ip(), &mut octets[start..], [&segment.payload]);
    octets.extend_from_slice(&segment.payload);
    octets.freeze()
}
