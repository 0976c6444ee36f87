//! ICMP messages received, and errors sent about packets.

use std::net::IpAddr;

use netstack_device::RxFrame;
use netstack_wire::icmp::{IcmpMessage, Quote};
use netstack_wire::ip::IpPacket;
use netstack_wire::{ParseError, Protocol};

use super::Packet;
use crate::actor::Input;
use crate::icmp::{self, News, Problem, Reply};
use crate::ping::{Outcome, PingError, PingFailure};
use crate::route::Destination;

impl Packet<'_> {
    pub(super) fn icmp(&mut self, packet: &IpPacket<'_>) {
        let counters = &self.inner.counters;
        let message = match icmp::parse(packet) {
            Ok(message) => message,
            Err(error) => return counters.unparsable(error),
        };
        match message {
            IcmpMessage::EchoRequest { id, seq, data } => self.answer_echo(packet, id, seq, data),
            IcmpMessage::EchoReply { id, seq, data } => self.echo_reply(packet, (id, seq), data),
            _ => match icmp::read_error(&message, packet.src.is_ipv6()) {
                Some((news, quote)) => self.icmp_error(packet, news, &quote),
                // Redirects too: routes are the program's alone (R792-8).
                None => counters.drop_icmp_ignored.bump(),
            },
        }
    }

    fn answer_echo(&mut self, packet: &IpPacket<'_>, id: u16, seq: u16, data: &[u8]) {
        let counters = &self.inner.counters;
        if !self.inner.echo_limiter.allow(self.at) {
            return counters.echo_limited.bump();
        }
        counters.tx_echo_replies.bump();
        self.send(icmp::echo_reply(packet, id, seq, data));
    }

    fn echo_reply(&mut self, packet: &IpPacket<'_>, name: (u16, u16), data: &[u8]) {
        let counters = &self.inner.counters;
        let outcome = Outcome::Answered { at: self.at, hop_limit: packet.hop_limit };
        if self.inner.pings.answer((packet.src, packet.dst), name, data, outcome) {
            counters.rx_echo_replies.bump();
        } else {
            counters.drop_icmp_ignored.bump();
        }
    }

    /// An error that quotes what may be a packet of ours goes to who sent it, and counts only if they have (R792-7, RFC 5927
    /// 4.1).
    fn icmp_error(&mut self, packet: &IpPacket<'_>, news: News, quote: &Quote<'_>) {
        let known = match quote.protocol {
            Protocol::TCP => self.error_about_segment(news, quote),
            Protocol::UDP => self.error_about_datagram(news, quote),
            Protocol::ICMP | Protocol::ICMPV6 => self.error_about_echo(packet.src, news, quote),
            _ => false,
        };
        let counters = &self.inner.counters;
        if known { counters.rx_icmp_errors.bump() } else { counters.rx_icmp_unmatched.bump() }
    }

    fn error_about_segment(&mut self, news: News, quote: &Quote<'_>) -> bool {
        let Some((tuple, seq)) = icmp::quoted_segment(quote) else { return false };
        let Some(shared) = self.inner.table.actor(&tuple) else { return false };
        let input = match news {
            News::Notice(notice) => Input::Icmp { seq, notice },
            News::TooBig(mtu) => Input::TooBig { seq, mtu },
        };
        self.deliver(shared, input);
        true
    }

    fn error_about_datagram(&mut self, news: News, quote: &Quote<'_>) -> bool {
        let Some((tuple, len)) = icmp::quoted_datagram(quote) else { return false };
        match news {
            News::Notice(notice) => self.inner.udp.handle_error(tuple.local(), tuple.remote(), notice),
            News::TooBig(mtu) => {
                let known = self.inner.sent_sizes.take(&tuple, len);
                if known {
                    self.inner.path_mtu.report(quote.dst, mtu, quote.total_len);
                }
                known
            }
        }
    }

    fn error_about_echo(&mut self, from: IpAddr, news: News, quote: &Quote<'_>) -> bool {
        let Some(name) = icmp::quoted_echo(quote) else { return false };
        let reason = match news {
            News::Notice(notice) => PingFailure::Notice(notice),
            News::TooBig(mtu) => PingFailure::TooBig(mtu),
        };
        let known = self.inner.pings.fail((quote.src, quote.dst), name, PingError { from, reason });
        if let (true, News::TooBig(mtu)) = (known, news) {
            self.inner.path_mtu.report(quote.dst, mtu, quote.total_len);
        }
        known
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
