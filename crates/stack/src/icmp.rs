//! ICMP: echo is answered, errors are sent within their rate, and received errors go to the connection they quote.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use netstack_tcp::{FourTuple, IcmpNotice, Instant};
use netstack_wire::icmp::{IcmpMessage, Quote, v4, v6};
use netstack_wire::ip::IpPacket;
use netstack_wire::{ParameterProblem, ParseError, Protocol, SeqNum};

use crate::lane::lock;
use crate::sync::Mutex;

#[cfg(test)]
mod tests;

/// Code of "time exceeded", in both versions: reassembly took too long.
const REASSEMBLY_TIME: u8 = 1;

/// A token bucket: of outgoing ICMP errors (R792-6, R4443-5), and of echo replies.
#[derive(Debug)]
pub(crate) struct Limiter {
    burst: u64,
    /// Time that one token takes to come back.
    nanos_per_token: u64,
    /// Until when the bucket's debt lasts.
    debt_until: Mutex<u64>,
}

impl Limiter {
    /// Errors sent at once, and per second, by default.
    pub(crate) const ERRORS: (u32, u32) = (10, 10);
    /// The same of echo replies.
    pub(crate) const ECHOES: (u32, u32) = (1000, 1000);

    pub(crate) fn new((burst, per_second): (u32, u32)) -> Self {
        Self {
            burst: u64::from(burst.max(1)),
            nanos_per_token: 1_000_000_000 / u64::from(per_second.max(1)),
            debt_until: Mutex::new(0),
        }
    }

    /// Takes a token, if there is one.
    pub(crate) fn allow(&self, now: Instant) -> bool {
        let now = now.as_nanos();
        let mut debt_until = lock(&self.debt_until);
        let next = (*debt_until).max(now).saturating_add(self.nanos_per_token);
        let allowed = next - now <= self.burst.saturating_mul(self.nanos_per_token);
        if allowed {
            *debt_until = next;
        }
        allowed
    }
}

/// An ICMP message to send.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) protocol: Protocol,
    pub(crate) message: Bytes,
}

/// An ICMP message from `src` to `dst`; both of one family.
pub(crate) fn message(src: IpAddr, dst: IpAddr, message: &IcmpMessage<'_>) -> Reply {
    let mut octets = vec![0; message.wire_len()];
    let protocol = match (src, dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            message.emit_v6(src, dst, &mut octets);
            Protocol::ICMPV6
        }
        _ => {
            message.emit_v4(&mut octets);
            Protocol::ICMP
        }
    };
    Reply { src, dst, protocol, message: octets.into() }
}

/// Reads the ICMP message in a packet, of the family of its addresses.
pub(crate) fn parse<'a>(packet: &IpPacket<'a>) -> Result<IcmpMessage<'a>, ParseError> {
    match (packet.src, packet.dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => IcmpMessage::parse_v6(src, dst, packet.payload),
        _ => IcmpMessage::parse_v4(packet.payload),
    }
}

/// The answer to an echo request: same identifier, sequence and data, from the address that was asked (R792-1, R4443-7).
pub(crate) fn echo_reply(packet: &IpPacket<'_>, id: u16, seq: u16, data: &[u8]) -> Reply {
    message(packet.dst, packet.src, &IcmpMessage::EchoReply { id, seq, data })
}

/// An ICMP error that may be due.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Problem {
    /// Nobody listens on the UDP port (R768-4).
    PortUnreachable,
    /// The stack does not speak the protocol (R1122-12, R8200-4).
    Protocol,
}

/// The error about `packet`, which starts at `data`. Whether one may be sent at all is for the caller to judge.
pub(crate) fn error_about(packet: &IpPacket<'_>, data: &[u8], problem: Problem) -> Reply {
    let v6 = packet.src.is_ipv6();
    let room = if v6 { v6::MAX_QUOTE } else { v4::MAX_QUOTE };
    let quoted = &data[..packet.total_len.min(data.len()).min(room)];
    let error = match problem {
        Problem::PortUnreachable => {
            let code = if v6 { v6::PORT_UNREACHABLE } else { v4::PORT_UNREACHABLE };
            IcmpMessage::Unreachable { code, quoted }
        }
        Problem::Protocol if v6 => IcmpMessage::ParamProblem {
            code: ParameterProblem::UNKNOWN_NEXT_HEADER,
            pointer: u32::try_from(packet.protocol_offset).unwrap_or(0),
            quoted,
        },
        Problem::Protocol => IcmpMessage::Unreachable { code: v4::PROTOCOL_UNREACHABLE, quoted },
    };
    message(packet.dst, packet.src, &error)
}

/// Source and destination of a packet with a whole IPv6 header, whatever else is wrong with it.
pub(crate) fn addresses_v6(data: &[u8]) -> Option<(Ipv6Addr, Ipv6Addr)> {
    let addresses = data.get(8..40).filter(|_| data[0] >> 4 == 6)?;
    let (src, dst) = addresses.split_first_chunk::<16>()?;
    Some(((*src).into(), (*dst.first_chunk::<16>()?).into()))
}

/// The ICMPv6 Parameter Problem about the packet in `data`.
pub(crate) fn parameter_problem(src: IpAddr, dst: IpAddr, problem: ParameterProblem, data: &[u8]) -> Reply {
    let quoted = &data[..data.len().min(v6::MAX_QUOTE)];
    let ParameterProblem { code, pointer, .. } = problem;
    message(src, dst, &IcmpMessage::ParamProblem { code, pointer, quoted })
}

/// The error about a datagram whose other fragments did not come in time; `first` is the start of the one with offset zero
/// (R791-3, R8200-21).
pub(crate) fn reassembly_timeout(src: IpAddr, dst: IpAddr, first: &[u8]) -> Reply {
    let room = if src.is_ipv6() { v6::MAX_QUOTE } else { v4::MAX_QUOTE };
    let quoted = &first[..first.len().min(room)];
    message(src, dst, &IcmpMessage::TimeExceeded { code: REASSEMBLY_TIME, quoted })
}

/// What a received ICMP error says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// The packet cannot be delivered, or was not understood.
    Notice(IcmpNotice),
    /// It does not fit into a link that takes this many octets; 0 from a router that does not say, 65,535 for more.
    TooBig(u16),
}

/// Reads an ICMP error: what it says, and the packet it is about. `None`: no error, or quoting too little (R792-7). Nobody
/// has checked yet that such a packet was sent.
pub(crate) fn read_error<'a>(message: &IcmpMessage<'a>, v6: bool) -> Option<(News, Quote<'a>)> {
    let (news, quoted) = match *message {
        IcmpMessage::Unreachable { code, quoted } => (News::Notice(unreachable_notice(code, v6)), quoted),
        IcmpMessage::TimeExceeded { quoted, .. } => (News::Notice(IcmpNotice::TimeExceeded), quoted),
        IcmpMessage::ParamProblem { quoted, .. } => (News::Notice(IcmpNotice::ParameterProblem), quoted),
        IcmpMessage::TooBig { mtu, quoted } => (News::TooBig(u16::try_from(mtu).unwrap_or(u16::MAX)), quoted),
        _ => return None,
    };
    let quote = Quote::parse(quoted).ok()?;
    (quote.src.is_ipv6() == v6 && quote.payload.len() >= 8).then_some((news, quote))
}

/// The connection and the sequence number of the segment in `quote`, seen from our end.
pub(crate) fn quoted_segment(quote: &Quote<'_>) -> Option<(FourTuple, SeqNum)> {
    let [a, b, c, d, s @ ..] = *quote.payload.first_chunk::<8>()?;
    let local = SocketAddr::new(quote.src, u16::from_be_bytes([a, b]));
    let remote = SocketAddr::new(quote.dst, u16::from_be_bytes([c, d]));
    Some((FourTuple::new(local, remote), SeqNum(u32::from_be_bytes(s))))
}

/// The ends of the datagram in `quote`, seen from ours, and the length that its header says.
pub(crate) fn quoted_datagram(quote: &Quote<'_>) -> Option<(FourTuple, u16)> {
    let (tuple, SeqNum(rest)) = quoted_segment(quote)?;
    Some((tuple, (rest >> 16) as u16))
}

/// Identifier and sequence number of the echo request in `quote`.
pub(crate) fn quoted_echo(quote: &Quote<'_>) -> Option<(u16, u16)> {
    let [kind, code, _, _, a, b, c, d] = *quote.payload.first_chunk::<8>()?;
    let request = if quote.protocol == Protocol::ICMP { v4::ECHO_REQUEST } else { v6::ECHO_REQUEST };
    (kind == request && code == 0).then(|| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// The meaning of an unreachable code (requirements 1.4).
fn unreachable_notice(code: u8, v6: bool) -> IcmpNotice {
    match (code, v6) {
        (0, false) | (0, true) => IcmpNotice::NetworkUnreachable,
        (2, false) => IcmpNotice::ProtocolUnreachable,
        (3, false) | (4, true) => IcmpNotice::PortUnreachable,
        (5, false) => IcmpNotice::SourceRouteFailed,
        (9 | 10 | 13, false) | (1 | 5 | 6, true) => IcmpNotice::Prohibited,
        _ => IcmpNotice::HostUnreachable,
    }
}
