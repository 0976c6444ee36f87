//! Datagrams.

use netstack_device::{Checksum, RxFrame};
use netstack_wire::ip::IpPacket;
use netstack_wire::udp::{self, UdpHeader};

use super::Packet;
use crate::icmp::Problem;

impl Packet<'_> {
    pub(super) fn udp(&mut self, frame: &RxFrame, packet: &IpPacket<'_>) {
        let counters = &self.inner.counters;
        let (header, data) = match UdpHeader::parse(packet.payload) {
            Ok(parsed) => parsed,
            Err(error) => return counters.unparsable(error),
        };
        let vouched = !matches!(frame.meta.checksum, Checksum::Complete);
        if !vouched && !udp::checksum_ok(packet.src, packet.dst, &header, data) {
            return counters.drop_bad_checksum.bump();
        }
        counters.drop_udp_closed.bump();
        self.complain(frame, packet, Problem::PortUnreachable);
    }
}
