//! Datagrams.

use std::net::SocketAddr;

use bytes::Bytes;
use netstack_device::{Checksum, RxFrame};
use netstack_wire::ip::IpPacket;
use netstack_wire::udp::{self, HEADER_LEN, UdpHeader};

use super::Packet;
use crate::icmp::Problem;
use crate::udp::{Datagram, Delivery};

/// Data shorter than this is copied, so that a small datagram cannot pin the large buffer that it arrived in.
const COPY_BELOW: usize = 2048;

impl Packet<'_> {
    /// A datagram to one of our unicast addresses.
    pub(super) fn udp(&mut self, frame: &RxFrame, packet: &IpPacket<'_>) {
        let Some(datagram) = self.datagram(frame, packet) else { return };
        match self.inner.udp.deliver(self.inner, datagram) {
            Delivery::Queued | Delivery::Dropped => {}
            Delivery::Nobody => {
                self.inner.counters.drop_udp_closed.bump();
                self.complain(frame, packet, Problem::PortUnreachable);
            }
        }
    }

    /// A datagram to a multicast group or a broadcast address: nobody is told that nobody wants it (R792-4, R4443-4).
    pub(super) fn udp_group(&mut self, frame: &RxFrame, packet: &IpPacket<'_>) {
        let Some(datagram) = self.datagram(frame, packet) else { return };
        if !self.inner.udp.deliver_group(self.inner, &datagram, self.interface) {
            self.inner.counters.drop_group.bump();
        }
    }

    /// The datagram in a packet; `None` for one that is dropped and counted (R768-1 to R768-3).
    fn datagram(&self, frame: &RxFrame, packet: &IpPacket<'_>) -> Option<Datagram> {
        let counters = &self.inner.counters;
        let (header, data) = match UdpHeader::parse(packet.payload) {
            Ok(parsed) => parsed,
            Err(error) => {
                counters.unparsable(error);
                return None;
            }
        };
        let vouched = !matches!(frame.meta.checksum, Checksum::Complete);
        if !vouched && !udp::checksum_ok(packet.src, packet.dst, &header, data) {
            let none = header.checksum == 0;
            let counter = if none { &counters.drop_udp_no_checksum } else { &counters.drop_bad_checksum };
            counter.bump();
            return None;
        }
        let start = packet.header_len + HEADER_LEN;
        Some(Datagram {
            segment: frame.meta.gso.map_or(data.len(), |gso| gso.size.get().into()),
            data: if data.len() < COPY_BELOW {
                Bytes::copy_from_slice(data)
            } else {
                frame.data.slice(start..start + data.len())
            },
            from: SocketAddr::new(packet.src, header.src_port),
            to: SocketAddr::new(packet.dst, header.dst_port),
            ecn: packet.ecn,
            hop_limit: packet.hop_limit,
            interface: self.interface,
        })
    }
}
