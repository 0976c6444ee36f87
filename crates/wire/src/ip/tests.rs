use core::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn header() -> impl Strategy<Value = IpHeader> {
    let addresses = prop_oneof![
        any::<(u32, u32)>()
            .prop_map(|(a, b)| (IpAddr::from(Ipv4Addr::from_bits(a)), IpAddr::from(Ipv4Addr::from_bits(b)))),
        any::<(u128, u128)>()
            .prop_map(|(a, b)| (IpAddr::from(Ipv6Addr::from_bits(a)), IpAddr::from(Ipv6Addr::from_bits(b)))),
    ];
    let protocol = prop_oneof![Just(Protocol::TCP), Just(Protocol::UDP), Just(Protocol(200))];
    let rest = (any::<u8>(), 0u8..64, 0u8..4, any::<bool>(), any::<u16>(), 0u32..1 << 20, 0usize..100);
    let place = (0u16..8000, any::<bool>(), any::<u32>());
    let fragment = prop_oneof![Just(None), place.prop_map(Some)];
    (addresses, protocol, rest, fragment).prop_map(|((src, dst), protocol, rest, fragment)| {
        let fragment = fragment.map(|(block, more, id)| Fragment { offset: block * 8, more, id });
        // A fragment that is not whole by itself, and of a length that it may have.
        let fragment = fragment.filter(|fragment| {
            (fragment.more || fragment.offset > 0) && (!fragment.more || rest.6 % 8 == 0 && rest.6 > 0)
        });
        let fragment = fragment.filter(|fragment| fragment.offset > 0 || rest.6 >= 20);
        let (hop_limit, dscp, ecn, dont_fragment, id, flow_label, payload_len) = rest;
        let ecn = Ecn::from_bits(ecn);
        IpHeader {
            src,
            dst,
            protocol,
            hop_limit,
            dscp,
            ecn,
            payload_len,
            dont_fragment,
            id,
            flow_label,
            fragment,
        }
    })
}

#[test]
fn nothing_but_versions_4_and_6_is_parsed() {
    assert_eq!(parse(&[]), Err(ParseError::Truncated));
    for version in (0..16u8).filter(|version| ![4, 6].contains(version)) {
        assert_eq!(parse(&[version << 4; 60]), Err(ParseError::BadVersion), "version {version}");
    }
}

#[test]
fn a_mixed_pair_of_addresses_is_sent_as_ipv6() {
    let (src, dst) = ([192, 0, 2, 1].into(), "2001:db8::1".parse().unwrap());
    let header = IpHeader::new(src, dst, Protocol::UDP, 0);
    let mut buf = [0; 40];
    assert_eq!(header.emit(&mut buf), header.header_len());
    assert_eq!(parse(&buf).unwrap().src, "::ffff:192.0.2.1".parse::<IpAddr>().unwrap());
}

#[test]
fn lengths_past_the_field_are_written_as_its_maximum() {
    for (src, offset) in [("192.0.2.1", 2), ("2001:db8::1", 4)] {
        let src: IpAddr = src.parse().unwrap();
        let mut buf = [0; 40];
        IpHeader::new(src, src, Protocol::TCP, 70_000).emit(&mut buf);
        assert_eq!(buf[offset..offset + 2], [0xff, 0xff]);
    }
}

/// The four codepoints of RFC 3168 section 5, in the low bits of the TOS octet and of the traffic class.
#[test]
fn the_codepoint_is_read_in_either_version() {
    let codepoints = [(0, Ecn::NotEct), (1, Ecn::Ect1), (2, Ecn::Ect0), (3, Ecn::Ce)];
    for (bits, ecn) in codepoints {
        assert_eq!((Ecn::from_bits(0xfc | bits), ecn.bits()), (ecn, bits));
        assert_eq!(ecn_of(&[0x45, 0xb8 | bits]), ecn);
        assert_eq!(ecn_of(&[0x65, 0x8f | bits << 4]), ecn);
    }
    assert_eq!(ecn_of(&[0x45]), Ecn::NotEct, "cut");
}

#[test]
fn protocols_print_by_name_or_number() {
    let names = [Protocol::ICMP, Protocol::TCP, Protocol::UDP, Protocol::ICMPV6, Protocol(200)]
        .map(|p| p.to_string());
    assert_eq!(names, ["ICMP", "TCP", "UDP", "ICMPv6", "protocol 200"]);
}

#[test]
fn errors_have_a_name_and_a_sentence_of_their_own() {
    let mut names = std::collections::HashSet::new();
    let answerable = ParseError::Answerable(crate::ParameterProblem::at(1, 6));
    for error in [
        ParseError::Truncated,
        ParseError::BadVersion,
        ParseError::BadHeaderLength,
        ParseError::BadTotalLength,
        ParseError::BadChecksum,
        ParseError::BadOption,
        ParseError::BadFragment,
        ParseError::TooManyExtensions,
        ParseError::DiscardOption,
        answerable,
    ] {
        assert!(names.insert(error.name().to_owned()) && names.insert(error.to_string()), "{error:?}");
    }
    assert_eq!(answerable.name(), "parameter_problem");
    assert_eq!(answerable.to_string(), "parameter problem: code 1, pointer 6");
}

proptest! {
    // req: R1122-9
    #[test]
    fn what_is_emitted_parses_back(header in header(), padding in 0usize..20) {
        let mut packet = vec![0; header.header_len()];
        prop_assert_eq!(header.emit(&mut packet), packet.len());
        packet.extend((0..header.payload_len).map(|i| i as u8));
        let total_len = packet.len();
        packet.resize(total_len + padding, 0xee);

        let parsed = parse(&packet).unwrap();
        let v6 = header.src.is_ipv6();
        let expected = IpPacket {
            src: header.src,
            dst: header.dst,
            protocol: header.protocol,
            protocol_offset: if !v6 { 9 } else if header.fragment.is_some() { 40 } else { 6 },
            hop_limit: header.hop_limit,
            dscp: header.dscp,
            ecn: header.ecn,
            header_len: header.header_len(),
            fragment: header.fragment.map(|fragment| Fragment {
                id: if v6 { fragment.id } else { fragment.id & 0xffff },
                ..fragment
            }),
            payload: &packet[header.header_len()..total_len],
            total_len,
            flow_label: if v6 { header.flow_label } else { 0 },
            source_routed: false,
            dont_fragment: v6 || header.dont_fragment,
        };
        prop_assert_eq!(parsed, expected);
    }

    #[test]
    fn arbitrary_octets_give_a_view_or_an_error(
        mut data in proptest::collection::vec(any::<u8>(), 0..200),
        version in prop_oneof![Just(0x45u8), Just(0x4f), Just(0x60), any::<u8>()],
    ) {
        if let Some(first) = data.first_mut() {
            *first = version;
        }
        if let Ok(packet) = parse(&data) {
            prop_assert!(packet.total_len <= data.len());
            prop_assert!(packet.header_len + packet.payload.len() <= packet.total_len);
        }
    }
}
