use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

/// RFC 1071 section 1 word by word.
fn naive(data: &[u8]) -> u16 {
    let mut sum = 0u32;
    for word in data.chunks(2) {
        sum += u32::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// One's-complement zero has two forms; both name the same sum.
fn same(left: u16, right: u16) -> bool {
    left == right || left.min(right) == 0 && left.max(right) == 0xffff
}

fn octets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        proptest::collection::vec(prop_oneof![Just(0xffu8), Just(0u8)], 0..300),
        (0usize..9_000, any::<u8>()).prop_map(|(len, octet)| vec![octet; len]),
    ]
}

#[test]
fn the_example_of_rfc_1071_sums_as_printed() {
    let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(sum(&data), 0xddf2);
    assert_eq!(checksum(&data), !0xddf2);
}

#[test]
fn every_length_equals_the_naive_sum() {
    let data: Vec<u8> = (0..1_500u32).map(|i| (i * i % 253) as u8).collect();
    for len in 0..data.len() {
        assert_eq!(sum(&data[..len]), u32::from(naive(&data[..len])), "length {len}");
    }
}

/// The sums that carry the furthest.
#[test]
fn no_carry_is_left_behind() {
    let parts = [0_u64, 1, 0x7fff, 0x8000, 0xfffe, 0xffff];
    for word in 0..6_usize.pow(4) {
        let part = |place: u32| parts[word / 6_usize.pow(place) % 6] << (16 * place);
        let sum: u64 = (0..4).map(part).sum();
        let folded = fold(sum);
        assert_eq!(u64::from(folded) % 0xffff, sum % 0xffff, "{sum:#x}");
        assert_eq!(folded == 0, sum == 0, "only nothing sums to zero");
    }
}

#[test]
fn a_megabyte_of_ones_does_not_overflow() {
    let data = vec![0xff; 1 << 20];
    assert_eq!(sum(&data), 0xffff);
    assert_eq!(sum(&data[1..]), 0xff00, "an odd last octet is the high half of its word");
}

#[test]
fn words_appended_at_an_odd_offset_equal_their_octets() {
    let mut words = Sum::new();
    words.add(&[7]);
    words.add_u32(0x0102_0304);
    words.add_u16(0x0506);
    assert_eq!(words.fold(), naive(&[7, 1, 2, 3, 4, 5, 6]));
}

// req: MUST-2
#[test]
fn the_pseudo_header_of_ipv4_is_laid_out_as_in_the_rfc() {
    let (src, dst) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 9));
    let mut octets = Vec::new();
    octets.extend(src.octets());
    octets.extend(dst.octets());
    octets.extend([0, 6, 0x05, 0xb4]);
    let sum = pseudo_header(IpAddr::V4(src), IpAddr::V4(dst), 6, 0x05b4);
    assert_eq!(sum.fold(), naive(&octets));
}

// req: MUST-2, R8200-8
#[test]
fn the_pseudo_header_of_ipv6_is_laid_out_as_in_the_rfc() {
    let src: Ipv6Addr = "2001:db8::1".parse().unwrap();
    let dst: Ipv6Addr = "2001:db8:ffff::2".parse().unwrap();
    let mut octets = Vec::new();
    octets.extend(src.octets());
    octets.extend(dst.octets());
    octets.extend(0x0001_0203u32.to_be_bytes());
    octets.extend([0, 0, 0, 58]);
    let sum = pseudo_header(IpAddr::V6(src), IpAddr::V6(dst), 58, 0x0001_0203);
    assert_eq!(sum.fold(), naive(&octets));
}

proptest! {
    #[test]
    fn all_forms_equal_the_naive_sum(data in octets(), start in 0usize..9) {
        let data = &data[start.min(data.len())..];
        prop_assert_eq!(sum(data), u32::from(naive(data)));
        prop_assert!(same(fold(short_sum(data)).to_be(), naive(data)));
        prop_assert!(same(fold(lane_sum(data)).to_be(), naive(data)));
    }

    #[test]
    fn pieces_sum_as_the_whole(data in octets(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len() + 1)).collect();
        cuts.extend([0, data.len()]);
        cuts.sort_unstable();
        let mut pieces = Sum::new();
        for cut in cuts.windows(2) {
            pieces.add(&data[cut[0]..cut[1]]);
        }
        prop_assert!(same(pieces.fold(), naive(&data)), "{:x} {:x}", pieces.fold(), naive(&data));
    }

    #[test]
    fn data_with_its_checksum_sums_to_all_ones(data in octets()) {
        let mut whole = Sum::new();
        whole.add_u16(checksum(&data));
        whole.add(&data);
        prop_assert_eq!(whole.fold(), 0xffff);
    }
}
