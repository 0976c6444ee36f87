//! Headers: whatever the octets, parsing is total, and what is parsed survives being written and parsed again.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netstack_wire::checksum::{Sum, checksum};
use netstack_wire::icmp::{IcmpMessage, Quote};
use netstack_wire::ip::{self, IpPacket};
use netstack_wire::tcp::{self as tcp_wire, MAX_HEADER_LEN, Pretty, TcpHeader, TcpOptions};
use netstack_wire::udp::{self as udp_wire, UdpHeader};
use netstack_wire::{Protocol, SeqNum};

const V4: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2))];
const V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2)];

/// An IP packet, and what it carries.
pub fn ip(data: &[u8]) {
    let Ok(packet) = ip::parse(data) else { return };
    assert!(packet.header_len <= packet.total_len && packet.total_len <= data.len());
    let behind = &data[packet.header_len..packet.total_len];
    assert_eq!(packet.payload, if packet.protocol == Protocol::NO_NEXT_HEADER { &[] } else { behind });
    assert!(packet.protocol_offset < packet.header_len);
    assert_eq!(ip::parse(&data[..packet.total_len]), Ok(packet), "padding of the link changes nothing");
    assert_eq!(packet.src.is_ipv4(), packet.dst.is_ipv4());
    if packet.fragment.is_some() {
        return;
    }
    carried(&packet);
}

fn carried(packet: &IpPacket<'_>) {
    let IpPacket { src, dst, payload, .. } = *packet;
    match packet.protocol {
        Protocol::TCP => tcp(payload),
        Protocol::UDP => {
            if let Ok((header, octets)) = UdpHeader::parse(payload) {
                let _ = udp_wire::checksum_ok(src, dst, &header, octets);
            }
        }
        _ => {
            let _ = tcp_wire::checksum_ok(src, dst, payload);
            icmp(payload);
        }
    }
}

/// A TCP header.
pub fn tcp(data: &[u8]) {
    let Ok((header, len)) = TcpHeader::parse(data) else { return };
    assert!((20..=MAX_HEADER_LEN).contains(&len) && len <= data.len());
    let line = Pretty { src: V4[0], dst: V4[1], header: &header, payload_len: data.len() - len };
    assert!(!line.to_string().is_empty());
    assert!(header.seg_len(data.len() - len) >= (data.len() - len) as u32);
    let mut written = [0; MAX_HEADER_LEN];
    let wrote = header.emit(&mut written);
    assert_eq!(wrote, header.header_len());
    let (again, again_len) = TcpHeader::parse(&written[..wrote]).expect("what is written can be read");
    assert_eq!(again_len, wrote);
    // SACK blocks come last, as many as there is room for, and behind them the counters of accurate ECN, if there is.
    let sack = again.options.sack;
    let acc_ecn = again.options.acc_ecn;
    assert_eq!(TcpHeader { options: TcpOptions { sack, acc_ecn, ..header.options }, ..header }, again);
    if acc_ecn != header.options.acc_ecn {
        let len = header.options.acc_ecn.map_or(0, |counts| 2 + 3 * counts.counters().len());
        assert!(acc_ecn.is_none() && wrote + len > MAX_HEADER_LEN, "left out for want of room alone");
    }
    assert!(sack.iter().eq(header.options.sack.iter().take(sack.len())));
    assert_eq!(SeqNum(header.seq.0).distance_from(header.ack), header.seq.0.wrapping_sub(header.ack.0));
    // The checksum that is written is right, and a changed octet makes it wrong.
    let payload = &data[len..];
    tcp_wire::write_checksum(V4[0], V4[1], &mut written[..wrote], [payload]);
    let mut whole = [&written[..wrote], payload].concat();
    assert!(tcp_wire::checksum_ok(V4[0], V4[1], &whole));
    whole[0] ^= 1;
    assert!(!tcp_wire::checksum_ok(V4[0], V4[1], &whole));
}

/// A UDP header.
pub fn udp(data: &[u8]) {
    if let Ok((header, octets)) = UdpHeader::parse(data) {
        assert_eq!(usize::from(header.len), octets.len() + 8);
        let mut written = [0; 8];
        assert_eq!(header.emit(&mut written), 8);
        assert_eq!(written, data[..8]);
    }
    if let Some(header) = UdpHeader::for_payload((V4[0], 7), (V4[1], 9), data) {
        assert_ne!(header.checksum, 0);
        assert!(udp_wire::checksum_ok(V4[0], V4[1], &header, data));
    }
}

/// An ICMP message of either version, and the packet that it quotes.
pub fn icmp(data: &[u8]) {
    if let Ok(message) = IcmpMessage::parse_v4(data) {
        quoted(&message);
        let mut written = vec![0; message.wire_len()];
        assert_eq!(message.emit_v4(&mut written), written.len());
        assert_eq!(IcmpMessage::parse_v4(&written).map(|again| again.wire_len()), Ok(message.wire_len()));
    }
    if let Ok(message) = IcmpMessage::parse_v6(V6[0], V6[1], data) {
        quoted(&message);
        let mut written = vec![0; message.wire_len()];
        assert_eq!(message.emit_v6(V6[0], V6[1], &mut written), written.len());
        let again = IcmpMessage::parse_v6(V6[0], V6[1], &written);
        assert_eq!(again.map(|again| again.wire_len()), Ok(message.wire_len()));
    }
    // Checksums of random octets are wrong nearly always: what lies behind them is tried by itself.
    let _ = Quote::parse(data);
}

fn quoted(message: &IcmpMessage<'_>) {
    let (IcmpMessage::Unreachable { quoted, .. }
    | IcmpMessage::TooBig { quoted, .. }
    | IcmpMessage::TimeExceeded { quoted, .. }
    | IcmpMessage::ParamProblem { quoted, .. }) = *message
    else {
        return;
    };
    if let Ok(quote) = Quote::parse(quoted) {
        assert!(quote.payload.len() <= quoted.len());
    }
}

/// The sum of pieces is the sum of the whole, however it is cut.
pub fn checksums(data: &[u8]) {
    let Some((&cut, data)) = data.split_first() else { return };
    let cut = usize::from(cut).min(data.len());
    let mut sum = Sum::new();
    sum.add(&data[..cut]);
    sum.add(&data[cut..]);
    assert_eq!(sum.finish(), checksum(data));
    let slow = data.chunks(2).fold(0_u64, |sum, pair| {
        sum + u64::from(pair[0]) * 256 + u64::from(pair.get(1).copied().unwrap_or(0))
    });
    let folded = (0..4).fold(slow, |sum, _| (sum >> 16) + (sum & 0xffff));
    assert_eq!(sum.fold(), folded as u16);
}
