use proptest::prelude::*;

use super::*;

mod format;
mod option_rules;
mod strategies;

use strategies::{addresses, header};

// req: MUST-1
#[test]
fn the_window_field_is_unsigned() {
    let header = TcpHeader { window: 0xffff, ..TcpHeader::default() };
    let mut buf = [0; 20];
    header.emit(&mut buf);
    assert_eq!(buf[14..16], [0xff, 0xff]);
    assert_eq!(TcpHeader::parse(&buf).unwrap().0.window, 65_535);
}

#[test]
fn fields_stand_where_the_rfc_has_them() {
    let header = TcpHeader {
        src_port: 0x0102,
        dst_port: 0x0304,
        seq: SeqNum(0x0506_0708),
        ack: SeqNum(0x090a_0b0c),
        flags: TcpFlags::ACK | TcpFlags::URG | TcpFlags::AE,
        window: 0x0d0e,
        urgent: 0x0f10,
        options: TcpOptions::default(),
    };
    let mut buf = [0xee; 24];
    assert_eq!(header.emit(&mut buf), 20);
    let expected = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x51, 0x30, 13, 14, 0, 0, 15, 16];
    assert_eq!(buf[..20], expected);
    assert_eq!(buf[20..], [0xee; 4], "nothing is written past the header");
}

#[test]
fn reserved_bits_are_ignored() {
    let mut buf = [0; 20];
    TcpHeader::default().emit(&mut buf);
    buf[12] |= 0x0e;
    assert_eq!(TcpHeader::parse(&buf), Ok((TcpHeader::default(), 20)));
}

#[test]
fn impossible_data_offsets_are_refused() {
    let mut buf = [0; 40];
    for words in 0..16u8 {
        buf[12] = words << 4;
        let expected = match words {
            5..=10 => Ok(usize::from(words) * 4),
            _ => Err(ParseError::BadHeaderLength),
        };
        assert_eq!(TcpHeader::parse(&buf).map(|(_, len)| len), expected, "{words} words");
    }
    for len in 0..20 {
        assert_eq!(TcpHeader::parse(&buf[..len]), Err(ParseError::Truncated));
    }
}

#[test]
fn syn_and_fin_occupy_a_number_each() {
    let mut header = TcpHeader::default();
    assert_eq!(header.seg_len(3), 3);
    header.flags = TcpFlags::SYN;
    assert_eq!(header.seg_len(3), 4);
    header.flags |= TcpFlags::FIN;
    assert_eq!(header.seg_len(0), 2);
}

#[test]
fn flags_are_a_set() {
    let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
    let both = syn | ack;
    assert!(
        both.intersects(ack) && both.intersects(ack | TcpFlags::FIN) && !syn.intersects(ack | TcpFlags::FIN)
    );
    assert!(both.contains(ack) && !both.contains(ack | TcpFlags::FIN));
    assert_eq!((both - syn, both.without(ack | TcpFlags::FIN), ack - syn), (ack, syn, ack));
    assert_eq!((both | ack, both.union(syn)), (both, both));
    assert_eq!(TcpFlags::from_bits(0xfe12), both);
}

proptest! {
    // req: MUST-68
    #[test]
    fn what_is_emitted_parses_back(header in header(), payload in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut segment = vec![0xee; header.header_len()];
        prop_assert_eq!(header.emit(&mut segment), header.header_len());
        prop_assert!(segment.len() <= MAX_HEADER_LEN && segment.len().is_multiple_of(4));
        segment.extend(&payload);
        let (parsed, len) = TcpHeader::parse(&segment).unwrap();
        prop_assert_eq!(parsed, header);
        prop_assert_eq!(&segment[len..], &payload[..]);
    }

    #[test]
    fn arbitrary_octets_give_a_header_or_an_error(segment in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok((header, len)) = TcpHeader::parse(&segment) {
            prop_assert!((MIN_HEADER_LEN..=segment.len().min(MAX_HEADER_LEN)).contains(&len));
            prop_assert!(header.options.wire_len() <= MAX_OPTIONS_LEN);
            let mut again = [0; MAX_HEADER_LEN];
            let len = header.emit(&mut again);
            prop_assert_eq!(len, header.header_len());
            prop_assert!(TcpHeader::parse(&again[..len]).is_ok());
        }
    }

    // req: MUST-2
    #[test]
    fn the_checksum_covers_every_bit(
        (src, dst) in addresses(),
        header in header(),
        payload in proptest::collection::vec(any::<u8>(), 0..60),
        cut: prop::sample::Index,
        flip: prop::sample::Index,
    ) {
        let mut segment = vec![0; header.header_len()];
        header.emit(&mut segment);
        let (front, back) = payload.split_at(cut.index(payload.len() + 1));
        write_checksum(src, dst, &mut segment, [front, back]);
        segment.extend(&payload);
        prop_assert!(checksum_ok(src, dst, &segment));

        let bit = flip.index(segment.len() * 8);
        segment[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!checksum_ok(src, dst, &segment));
        segment[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!checksum_ok(src, other(dst), &segment));
        prop_assert!(!checksum_ok(other(src), dst, &segment));
    }
}

/// The address with its lowest bit flipped.
fn other(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => core::net::Ipv4Addr::from_bits(address.to_bits() ^ 1).into(),
        IpAddr::V6(address) => core::net::Ipv6Addr::from_bits(address.to_bits() ^ 1).into(),
    }
}
