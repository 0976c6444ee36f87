//! ICMP messages received, and errors sent about packets.

use netstack_device::RxFrame;
use netstack_wire::ParseError;
use netstack_wire::icmp::IcmpMessage;
use netstack_wire::ip::IpPacket;

use super::Packet;
use crate::actor::Input;
use crate::icmp::{self, Problem, Reply};
use crate::route::Destination;

impl Packet<'_> {
    pub(super) fn icmp(&mut self, packet: &IpPacket<'_>) {
        let counters = &self.inner.counters;
        let message = match icmp::parse(packet) {
            Ok(message) => message,
            Err(error) => return counters.unparsable(error),
        };
        if let IcmpMessage::EchoRequest { id, seq, data } = message {
            counters.tx_echo_replies.bump();
            return self.send(icmp::echo_reply(packet, id, seq, data));
        }
        if let Some((local, remote, notice)) = icmp::notified_udp(&message, packet.src.is_ipv6()) {
            let known = self.inner.udp.handle_error(local, remote, notice);
            return if known { counters.rx_icmp_errors.bump() } else { counters.rx_icmp_unmatched.bump() };
        }
        let Some(notified) = icmp::notified(&message, packet.src.is_ipv6()) else {
            return counters.drop_icmp_ignored.bump();
        };
        match self.inner.table.actor(&notified.tuple) {
            Some(shared) => {
                counters.rx_icmp_errors.bump();
                self.deliver(shared, Input::Icmp { seq: notified.seq, notice: notified.notice });
            }
            None => counters.rx_icmp_unmatched.bump(),
        }
    }

    /// Sends an ICMP error about a packet to one of our unicast addresses from a single host, no fragment and no ICMP
    /// error: those were dropped before (R792-4, R4443-4).
    pub(super) fn complain(&mut self, frame: &RxFrame, packet: &IpPacket<'_>, problem: Problem) {
        self.send_error(|| icmp::error_about(packet, &frame.data, problem));
    }

    /// Sends an ICMP error, if the rate allows one.
    pub(super) fn send_error(&mut self, error: impl FnOnce() -> Reply) {
        let counters = &self.inner.counters;
        if !self.inner.icmp_limiter.allow(self.at) {
            return counters.icmp_errors_limited.bump();
        }
        counters.tx_icmp_errors.bump();
        self.send(error());
    }

    /// Tells the sender of an IPv6 packet what is wrong with its headers, where that is due (R8200-3, R8200-5, R8200-6).
    pub(super) fn parameter_problem(&mut self, frame: &RxFrame, error: ParseError) {
        let Some(problem) = error.parameter_problem() else { return };
        let Some((src, dst)) = icmp::addresses_v6(&frame.data) else { return };
        let routes = &self.inner.routes;
        if !routes.is_valid_source(src.into()) {
            return;
        }
        let from = match routes.classify(dst.into()) {
            Destination::Ours => dst.into(),
            Destination::Group if problem.even_if_multicast => match routes.source_for(src.into()) {
                Some((_, from)) => from,
                None => return,
            },
            Destination::Group | Destination::Foreign => return,
        };
        self.send_error(|| icmp::parameter_problem(from, src.into(), problem, &frame.data));
    }
}
