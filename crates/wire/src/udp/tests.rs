use proptest::prelude::*;

use super::*;

fn v4(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn v6() -> IpAddr {
    "2001:db8::1".parse().unwrap()
}

fn datagram(src: IpAddr, payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0; HEADER_LEN];
    UdpHeader::for_payload((src, 5_000), (src, 53), payload).unwrap().emit(&mut datagram);
    datagram.extend(payload);
    datagram
}

// R768-1, as far as parsing goes.
#[test]
fn the_length_field_bounds_the_data() {
    let mut datagram = datagram(v4(1), b"data");
    assert_eq!(UdpHeader::parse(&datagram[..7]), Err(ParseError::Truncated));
    for (len, data) in [(0u16, None), (7, None), (8, Some(&b""[..])), (11, Some(b"dat")), (13, None)] {
        datagram[4..6].copy_from_slice(&len.to_be_bytes());
        let parsed = UdpHeader::parse(&datagram);
        assert_eq!(parsed.map(|(_, data)| data), data.ok_or(ParseError::BadTotalLength), "length {len}");
    }
}

// R768-2, as far as parsing goes.
#[test]
fn a_computed_zero_is_sent_as_all_ones() {
    let sum = UdpHeader::for_payload((v4(1), 1), (v4(2), 2), &[0, 0]).unwrap().checksum;
    let header = UdpHeader::for_payload((v4(1), 1), (v4(2), 2), &sum.to_be_bytes()).unwrap();
    assert_eq!(header.checksum, 0xffff);
    assert!(checksum_ok(v4(1), v4(2), &header, &sum.to_be_bytes()));
}

// R768-2, R768-3, as far as parsing goes.
#[test]
fn a_missing_checksum_is_for_ipv4_only() {
    let header = UdpHeader { src_port: 1, dst_port: 2, len: 8, checksum: 0 };
    assert!(checksum_ok(v4(1), v4(2), &header, &[]));
    assert!(!checksum_ok(v6(), v4(2), &header, &[]) && !checksum_ok(v4(1), v6(), &header, &[]));
    assert!(!checksum_ok(v6(), v6(), &header, &[]));
}

#[test]
fn a_payload_too_long_for_the_length_field_is_refused() {
    assert!(UdpHeader::for_payload((v4(1), 1), (v4(2), 2), &[0; 65_527]).is_some());
    assert_eq!(UdpHeader::for_payload((v4(1), 1), (v4(2), 2), &[0; 65_528]), None);
}

proptest! {
    // R768-2, as far as parsing goes.
    #[test]
    fn what_is_emitted_parses_back_and_every_bit_is_covered(
        payload in proptest::collection::vec(any::<u8>(), 0..60),
        is_v4: bool,
        flip: prop::sample::Index,
    ) {
        let src = if is_v4 { v4(9) } else { v6() };
        let mut datagram = datagram(src, &payload);
        let (header, data) = UdpHeader::parse(&datagram).unwrap();
        prop_assert_eq!((header.src_port, header.dst_port), (5_000, 53));
        prop_assert_eq!(data, &payload[..]);
        prop_assert!(checksum_ok(src, src, &header, data));

        let bit = flip.index(datagram.len() * 8);
        datagram[bit / 8] ^= 1 << (bit % 8);
        if let Ok((header, data)) = UdpHeader::parse(&datagram) {
            let none = is_v4 && header.checksum == 0;
            prop_assert!(none || !checksum_ok(src, src, &header, data));
        }
    }

    #[test]
    fn arbitrary_octets_give_a_datagram_or_an_error(data in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok((header, payload)) = UdpHeader::parse(&data) {
            prop_assert_eq!(usize::from(header.len), HEADER_LEN + payload.len());
        }
    }
}
