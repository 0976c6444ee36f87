use proptest::prelude::*;

use super::*;
use crate::ip::IpHeader;

fn ours() -> Ipv6Addr {
    "2001:db8::1".parse().unwrap()
}

fn theirs() -> Ipv6Addr {
    "2001:db8::2".parse().unwrap()
}

fn message(body: &[u8]) -> impl Strategy<Value = IcmpMessage<'_>> {
    prop_oneof![
        any::<(u16, u16)>().prop_map(move |(id, seq)| IcmpMessage::EchoRequest { id, seq, data: body }),
        any::<(u16, u16)>().prop_map(move |(id, seq)| IcmpMessage::EchoReply { id, seq, data: body }),
        // Code 4 of IPv4 is "too big".
        (5u8..).prop_map(move |code| IcmpMessage::Unreachable { code, quoted: body }),
        (0u32..0x1_0000).prop_map(move |mtu| IcmpMessage::TooBig { mtu, quoted: body }),
        any::<u8>().prop_map(move |code| IcmpMessage::TimeExceeded { code, quoted: body }),
        (any::<u8>(), 0u32..0x100).prop_map(move |(code, pointer)| IcmpMessage::ParamProblem {
            code,
            pointer,
            quoted: body
        }),
        (200u8.., any::<u8>(), any::<[u8; 4]>()).prop_map(move |(kind, code, rest)| IcmpMessage::Other {
            kind,
            code,
            rest,
            body
        }),
    ]
}

const BODY: &[u8] = b"what the message is about";

#[test]
fn types_and_words_stand_where_the_rfcs_have_them() {
    let too_big = IcmpMessage::TooBig { mtu: 1_400, quoted: b"q" };
    let mut buf = [0; 16];
    assert_eq!(too_big.emit_v4(&mut buf), 9);
    assert_eq!((buf[..2].to_vec(), buf[4..9].to_vec()), (vec![3, 4], vec![0, 0, 5, 0x78, b'q']));
    assert_eq!(too_big.emit_v6(ours(), theirs(), &mut buf), 9);
    assert_eq!((buf[..2].to_vec(), buf[4..9].to_vec()), (vec![2, 0], vec![0, 0, 5, 0x78, b'q']));

    let problem = IcmpMessage::ParamProblem { code: 1, pointer: 40, quoted: b"" };
    problem.emit_v4(&mut buf);
    assert_eq!((buf[..2].to_vec(), buf[4..8].to_vec()), (vec![12, 1], vec![40, 0, 0, 0]));
    problem.emit_v6(ours(), theirs(), &mut buf);
    assert_eq!((buf[..2].to_vec(), buf[4..8].to_vec()), (vec![4, 1], vec![0, 0, 0, 40]));

    for (message, v4, v6) in [
        (IcmpMessage::EchoRequest { id: 1, seq: 2, data: b"" }, 8, 128),
        (IcmpMessage::EchoReply { id: 1, seq: 2, data: b"" }, 0, 129),
        (IcmpMessage::Unreachable { code: 3, quoted: b"" }, 3, 1),
        (IcmpMessage::TimeExceeded { code: 1, quoted: b"" }, 11, 3),
    ] {
        message.emit_v4(&mut buf);
        assert_eq!(buf[0], v4);
        message.emit_v6(ours(), theirs(), &mut buf);
        assert_eq!(buf[0], v6);
    }
}

// req: R792-3
#[test]
fn short_messages_are_refused() {
    for len in 0..HEADER_LEN {
        assert_eq!(IcmpMessage::parse_v4(&[0; 8][..len]), Err(ParseError::Truncated));
        assert_eq!(IcmpMessage::parse_v6(ours(), theirs(), &[0; 8][..len]), Err(ParseError::Truncated));
    }
}

// req: R4443-1
#[test]
fn the_checksum_of_icmpv6_covers_the_addresses() {
    let message = IcmpMessage::EchoRequest { id: 1, seq: 2, data: b"odd" };
    let mut buf = [0; 11];
    message.emit_v6(ours(), theirs(), &mut buf);
    assert_eq!(IcmpMessage::parse_v6(ours(), theirs(), &buf), Ok(message));
    assert_eq!(
        IcmpMessage::parse_v6(ours(), "2001:db8::3".parse().unwrap(), &buf),
        Err(ParseError::BadChecksum)
    );
}

/// A packet of `protocol` from 192.0.2.1 or 2001:db8::1 with eight octets of payload.
fn quoted(v6: bool, protocol: Protocol) -> Vec<u8> {
    let (src, dst): (IpAddr, IpAddr) =
        if v6 { (ours().into(), theirs().into()) } else { ([192, 0, 2, 1].into(), [192, 0, 2, 2].into()) };
    let header = IpHeader::new(src, dst, protocol, 1_000);
    let mut packet = vec![0; header.header_len()];
    header.emit(&mut packet);
    packet.extend([1, 2, 3, 4, 5, 6, 7, 8]);
    packet
}

// req: R792-7
#[test]
fn a_quote_is_read_though_it_is_cut() {
    for (v6, header_len) in [(false, 20), (true, 40)] {
        let packet = quoted(v6, Protocol::TCP);
        let quote = Quote::parse(&packet).unwrap();
        assert_eq!(quote.protocol, Protocol::TCP);
        assert_eq!(quote.total_len, header_len + 1_000);
        assert_eq!(quote.payload, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(Quote::parse(&packet[..header_len + 7]).unwrap().payload.len(), 7);
        assert_eq!(Quote::parse(&packet[..header_len]).unwrap().payload, []);
        for len in 0..header_len {
            assert_eq!(Quote::parse(&packet[..len]), Err(ParseError::Truncated));
        }
    }
    assert_eq!(Quote::parse(&[0x50; 60]), Err(ParseError::BadVersion));
}

// req: R792-7
#[test]
fn the_quote_of_a_later_fragment_names_no_transport() {
    let mut packet = quoted(false, Protocol::UDP);
    packet[7] = 1;
    assert_eq!(Quote::parse(&packet), Err(ParseError::BadFragment));
    let mut packet = quoted(true, Protocol(44));
    packet[40..48].copy_from_slice(&[17, 0, 0, 8, 0, 0, 0, 1]);
    assert_eq!(Quote::parse(&packet), Err(ParseError::BadFragment));
    packet[43] = 1;
    assert_eq!(Quote::parse(&packet).unwrap().protocol, Protocol::UDP, "the first one does");
}

#[test]
fn options_and_extension_headers_of_a_quote_are_stepped_over() {
    let mut packet = quoted(false, Protocol::TCP);
    packet[0] = 0x46;
    assert_eq!(Quote::parse(&packet).unwrap().payload, [5, 6, 7, 8]);
    packet[0] = 0x44;
    assert_eq!(Quote::parse(&packet), Err(ParseError::BadHeaderLength));
    let mut packet = quoted(true, Protocol(60));
    packet[40..48].copy_from_slice(&[6, 0, 1, 4, 0, 0, 0, 0]);
    packet.extend([9, 9]);
    let quote = Quote::parse(&packet).unwrap();
    assert_eq!((quote.protocol, quote.payload), (Protocol::TCP, &[9, 9][..]));
}

proptest! {
    #[test]
    fn what_is_emitted_parses_back(message in message(BODY)) {
        let mut buf = [0; 64];
        let len = message.emit_v4(&mut buf);
        prop_assert_eq!(len, message.wire_len());
        prop_assert_eq!(IcmpMessage::parse_v4(&buf[..len]), Ok(message));
        let len = message.emit_v6(ours(), theirs(), &mut buf);
        prop_assert_eq!(len, message.wire_len());
        prop_assert_eq!(IcmpMessage::parse_v6(ours(), theirs(), &buf[..len]), Ok(message));
    }

    // req: R792-3, R4443-1
    #[test]
    fn every_flipped_bit_is_noticed(message in message(BODY), flip: prop::sample::Index) {
        let mut buf = [0; 64];
        let len = message.emit_v4(&mut buf);
        let bit = flip.index(len * 8);
        buf[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(IcmpMessage::parse_v4(&buf[..len]), Err(ParseError::BadChecksum));
        let len = message.emit_v6(ours(), theirs(), &mut buf);
        buf[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(IcmpMessage::parse_v6(ours(), theirs(), &buf[..len]), Err(ParseError::BadChecksum));
    }

    // req: R792-7
    #[test]
    fn arbitrary_octets_never_panic(
        mut data in proptest::collection::vec(any::<u8>(), 0..120),
        first in prop_oneof![Just(0x45u8), Just(0x60), any::<u8>()],
    ) {
        if let Some(octet) = data.first_mut() {
            *octet = first;
        }
        if let Ok(quote) = Quote::parse(&data) {
            prop_assert!(quote.payload.len() <= data.len() - ipv4_or_6_header_len(&quote));
        }
        let cleared: &mut [u8] = data.get_mut(2..4).unwrap_or_default();
        cleared.fill(0);
        let sum = crate::checksum::checksum(&data).to_be_bytes();
        if let Some(field) = data.get_mut(2..4) {
            field.copy_from_slice(&sum);
        }
        prop_assert_eq!(IcmpMessage::parse_v4(&data).is_ok(), data.len() >= HEADER_LEN);
    }
}

fn ipv4_or_6_header_len(quote: &Quote<'_>) -> usize {
    if quote.src.is_ipv4() { 20 } else { 40 }
}
