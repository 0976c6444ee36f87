use core::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::ip;

/// A packet with a right checksum, `options` (a multiple of 4) and `payload`.
fn packet(options: &[u8], payload: &[u8]) -> Vec<u8> {
    let (src, dst) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
    let mut packet = vec![0; MIN_HEADER_LEN];
    IpHeader::new(src, dst, Protocol::TCP, options.len() + payload.len()).emit(&mut packet);
    packet.extend(options);
    packet[0] = 0x40 | ((MIN_HEADER_LEN + options.len()) / 4) as u8;
    packet.extend(payload);
    mend(&mut packet);
    packet
}

/// Makes the header checksum right again.
fn mend(packet: &mut [u8]) {
    let len = usize::from(packet[0] & 0x0f) * 4;
    packet[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].fill(0);
    let sum = checksum::checksum(&packet[..len]);
    packet[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].copy_from_slice(&sum.to_be_bytes());
}

fn fragment_of(word: u16, payload_len: usize) -> Result<Option<Fragment>, ParseError> {
    let mut packet = packet(&[], &vec![0; payload_len]);
    packet[6..8].copy_from_slice(&word.to_be_bytes());
    packet[4..6].copy_from_slice(&0x1234u16.to_be_bytes());
    mend(&mut packet);
    parse(&packet).map(|packet| packet.fragment)
}

// req: R1122-1
#[test]
fn another_version_is_refused() {
    let good = packet(&[], b"data");
    for version in (0..16u8).filter(|&version| version != 4) {
        let mut packet = good.clone();
        packet[0] = version << 4 | 5;
        mend(&mut packet);
        assert_eq!(parse(&packet), Err(ParseError::BadVersion), "version {version}");
    }
}

// req: R1122-2
#[test]
fn every_flipped_bit_of_the_header_is_noticed() {
    let good = packet(&[1, 1, 1, 0], b"data");
    assert!(parse(&good).is_ok());
    for bit in 0..24 * 8 {
        let mut packet = good.clone();
        packet[bit / 8] ^= 1 << (bit % 8);
        assert!(parse(&packet).is_err(), "bit {bit}");
    }
    let mut packet = good;
    packet[10] ^= 1;
    assert_eq!(parse(&packet), Err(ParseError::BadChecksum));
}

// req: R791-1
#[test]
fn lengths_are_checked_against_each_other_and_the_data() {
    let good = packet(&[], b"data");
    for len in 0..MIN_HEADER_LEN {
        assert_eq!(parse(&good[..len]), Err(ParseError::Truncated));
    }
    assert_eq!(parse(&good[..23]), Err(ParseError::BadTotalLength), "more announced than received");
    for words in [0, 4, 7, 15] {
        let mut packet = good.clone();
        packet[0] = 0x40 | words;
        assert_eq!(parse(&packet), Err(ParseError::BadHeaderLength), "{words} words");
    }
    for total in [0u16, 19, 25] {
        let mut packet = good.clone();
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        mend(&mut packet);
        assert_eq!(parse(&packet), Err(ParseError::BadTotalLength), "total length {total}");
    }
}

// req: R791-1
#[test]
fn link_padding_is_not_data() {
    let mut packet = packet(&[], b"data");
    packet.extend([0; 22]);
    let parsed = parse(&packet).unwrap();
    assert_eq!(parsed.payload, b"data");
    assert_eq!(parsed.total_len, 24);
}

// req: R1122-7
#[test]
fn unknown_options_are_stepped_over() {
    let packet = packet(&[0x88, 4, 0, 1, 1, 0x94, 4, 0, 0, 0, 9, 9], b"data");
    let parsed = parse(&packet).unwrap();
    assert_eq!(parsed.header_len, 32);
    assert_eq!(parsed.payload, b"data");
    assert!(!parsed.source_routed);
}

// req: S-SEC-1, MAY-10, MAY-11
#[test]
fn security_timestamp_and_record_route_change_nothing() {
    let plain = packet(&[], b"data");
    let plain = parse(&plain).unwrap();
    for options in [&[130, 4, 0, 0][..], &[68, 8, 5, 0, 0, 0, 0, 0], &[7, 7, 4, 0, 0, 0, 0, 1]] {
        let packet = packet(options, b"data");
        let parsed = parse(&packet).unwrap();
        let seen =
            (parsed.src, parsed.dst, parsed.protocol, parsed.payload, parsed.fragment, parsed.source_routed);
        assert_eq!(seen, (plain.src, plain.dst, plain.protocol, plain.payload, None, false), "{options:?}");
    }
}

// req: MAY-4, MAY-10, MAY-11, MUST-51, MUST-52
#[test]
fn headers_are_made_without_options_and_without_identification() {
    // There is no way to ask for a route, a record of one, or timestamps; and a whole datagram needs no number.
    let header = IpHeader::new([192, 0, 2, 1].into(), [192, 0, 2, 2].into(), Protocol::TCP, 100);
    let mut packet = [0xaa; 60];
    assert_eq!(header.emit(&mut packet), MIN_HEADER_LEN);
    assert_eq!(packet[0], 0x45);
    assert_eq!(packet[4..8], [0, 0, 0x40, 0], "identification 0, DF, no fragment");
}

// req: R1122-7
#[test]
fn malformed_options_are_refused() {
    for options in [[0x88, 0, 0, 0], [0x88, 1, 0, 0], [0x88, 5, 0, 0], [1, 1, 1, 0x88], [131, 0, 0, 0]] {
        assert_eq!(parse(&packet(&options, b"data")), Err(ParseError::BadOption), "{options:?}");
    }
}

#[test]
fn source_routes_are_recognised() {
    for kind in [131, 137] {
        let options = [1, kind, 7, 4, 192, 0, 2, 3];
        assert!(parse(&packet(&options, b"data")).unwrap().source_routed, "option {kind}");
        let behind_end = [0, kind, 7, 4, 192, 0, 2, 3];
        assert!(!parse(&packet(&behind_end, b"data")).unwrap().source_routed);
    }
}

// req: R791-4
#[test]
fn fragments_are_told_apart_and_bounded() {
    let fragment = |offset, more| Ok(Some(Fragment { offset, more, id: 0x1234 }));
    assert_eq!(fragment_of(0x4000, 8), Ok(None), "DF alone is a whole packet");
    assert_eq!(fragment_of(0x2000, 8), fragment(0, true));
    assert_eq!(fragment_of(0x2001, 16), fragment(8, true));
    assert_eq!(fragment_of(0x0001, 3), fragment(8, false));
    assert_eq!(fragment_of(0x1fff, 7), fragment(65_528, false));
    assert_eq!(fragment_of(0x1fff, 8), Err(ParseError::BadFragment), "ends past 65,535");
    assert_eq!(fragment_of(0x2001, 12), Err(ParseError::BadFragment), "no multiple of 8");
    assert_eq!(fragment_of(0x2000, 0), Err(ParseError::BadFragment), "holds nothing");
}

/// The header of the whole has the options of the first fragment, and DF as it was.
// req: R791-2
#[test]
fn the_header_of_a_fragment_becomes_that_of_the_whole() {
    let mut first = packet(&[0x94, 4, 0, 0], &[7; 16]);
    first[6..8].copy_from_slice(&0x2000u16.to_be_bytes());
    mend(&mut first);
    let mut header = first[..24].to_vec();
    assert_eq!(ip::unite(&mut header, 40, Ecn::Ect0), Some(24));
    let whole = [&header[..], &[7; 40]].concat();
    let parsed = parse(&whole).unwrap();
    assert_eq!((parsed.fragment, parsed.total_len, parsed.ecn), (None, 64, Ecn::Ect0));
    assert_eq!((parsed.header_len, parsed.payload.len()), (24, 40));
    assert_eq!(ip::unite(&mut header, 65_535 - 24, Ecn::NotEct), Some(24));
    assert_eq!(ip::unite(&mut header, 65_536 - 24, Ecn::NotEct), None, "longer than a packet");
    let (name, packet) = (datagram_name(&first).unwrap(), parse(&first).unwrap());
    assert_eq!((IpAddr::V4(name.0), IpAddr::V4(name.1)), (packet.src, packet.dst));
    assert_eq!((name.2, u32::from(name.3)), (packet.protocol, packet.fragment.unwrap().id));
}

/// Of the TOS octet only the codepoint changes, of the rest only length, fragment fields and checksum.
// req: R791-2
#[test]
fn the_header_of_the_whole_keeps_what_is_no_fragments() {
    let mut first = packet(&[], &[7; 16]);
    first[1] = 0x2e << 2 | Ecn::Ect0.bits();
    first[6..8].copy_from_slice(&0x6000u16.to_be_bytes());
    mend(&mut first);
    let before = parse(&first).unwrap();
    let mut header = first[..20].to_vec();
    assert_eq!(ip::unite(&mut header, 16, Ecn::Ect1), Some(20));
    let whole = [&header[..], &[7; 16]].concat();
    let after = parse(&whole).unwrap();
    assert_eq!(after, IpPacket { ecn: Ecn::Ect1, fragment: None, ..before });
}

/// An option of two octets has no data.
#[test]
fn an_option_without_data_is_stepped_over() {
    let packet = packet(&[0x94, 2, 1, 1], b"data");
    assert_eq!(parse(&packet).map(|packet| packet.payload), Ok(&b"data"[..]));
}

proptest! {
    // req: R1122-7
    #[test]
    fn arbitrary_options_never_panic(mut options in proptest::collection::vec(any::<u8>(), 0..=40)) {
        options.truncate(options.len() & !3);
        let packet = packet(&options, b"data");
        match ip::parse(&packet) {
            Ok(parsed) => prop_assert_eq!(parsed.payload, b"data"),
            Err(error) => prop_assert_eq!(error, ParseError::BadOption),
        }
    }
}
