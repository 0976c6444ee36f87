use proptest::prelude::*;

use super::*;
use crate::ip::{self, Fragment};

const TCP: u8 = 6;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

/// A packet whose first header is `first`, with everything behind the fixed header given.
fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
    let (src, dst) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
    let mut packet = vec![0; HEADER_LEN];
    IpHeader::new(src, dst, Protocol(first), rest.len()).emit(&mut packet);
    packet.extend(rest);
    packet
}

/// Extension headers in front of twenty octets of TCP.
fn with_tcp(first: u8, extensions: &[[u8; 8]]) -> Vec<u8> {
    packet(first, &[extensions.as_flattened(), &[7; 20]].concat())
}

fn options_header(next: u8, option: u8) -> [u8; 8] {
    [next, 0, option, 1, 0, 1, 1, 0]
}

fn fragment_header(next: u8, offset: u16, more: bool) -> [u8; 8] {
    let [high, low] = (offset | u16::from(more)).to_be_bytes();
    [next, 0, high, low, 0, 0, 0, 9]
}

fn refused(code: u8, pointer: u32) -> Result<IpPacket<'static>, ParseError> {
    Err(ParseError::Answerable(ParameterProblem { code, pointer, even_if_multicast: false }))
}

// req: R8200-1
#[test]
fn version_and_payload_length_are_checked_and_padding_is_cut() {
    let mut packet = packet(TCP, &[7; 20]);
    for len in 0..HEADER_LEN {
        assert_eq!(parse(&packet[..len]), Err(ParseError::Truncated));
    }
    assert_eq!(parse(&packet[..59]), Err(ParseError::BadTotalLength));
    packet.extend([0xee; 4]);
    let parsed = parse(&packet).unwrap();
    assert_eq!((parsed.payload, parsed.total_len), (&[7; 20][..], 60));
    packet[0] = 0x40;
    assert_eq!(parse(&packet), Err(ParseError::BadVersion));
}

// req: R8200-3
#[test]
fn extension_headers_are_walked_in_any_order() {
    let packet = with_tcp(
        HOP_BY_HOP,
        &[
            options_header(DESTINATION, 1),
            options_header(ROUTING, 1),
            [DESTINATION, 0, 9, 0, 0, 0, 0, 0],
            options_header(TCP, 1),
        ],
    );
    let parsed = parse(&packet).unwrap();
    assert_eq!(parsed.protocol, Protocol::TCP);
    assert_eq!(parsed.header_len, HEADER_LEN + 32);
    assert_eq!(parsed.payload, [7; 20]);
}

// req: R8200-3
#[test]
fn hop_by_hop_is_only_taken_first() {
    let packet = with_tcp(DESTINATION, &[options_header(HOP_BY_HOP, 1), options_header(TCP, 1)]);
    assert_eq!(parse(&packet), refused(1, 40), "the pointer is at the field that named it");
}

// req: R8200-3
#[test]
fn a_long_chain_is_dropped() {
    let mut chain = vec![options_header(DESTINATION, 1); MAX_EXTENSIONS];
    chain[MAX_EXTENSIONS - 1][0] = TCP;
    assert!(parse(&with_tcp(DESTINATION, &chain)).is_ok());
    let mut chain = vec![options_header(DESTINATION, 1); 100];
    chain[99][0] = TCP;
    assert_eq!(parse(&with_tcp(DESTINATION, &chain)), Err(ParseError::TooManyExtensions));
}

// req: R8200-3
#[test]
fn many_options_are_dropped() {
    let header = |count: usize| {
        let mut header = vec![TCP, 0];
        header.extend([0x1e, 0].repeat(count));
        header.resize(header.len().next_multiple_of(8), 0);
        header[1] = (header.len() / 8 - 1) as u8;
        header.extend([7; 20]);
        packet(DESTINATION, &header)
    };
    assert!(parse(&header(MAX_OPTIONS)).is_ok());
    assert_eq!(parse(&header(MAX_OPTIONS + 1)), Err(ParseError::TooManyExtensions));
}

// req: R8200-4
#[test]
fn the_field_that_named_an_unknown_protocol_is_pointed_at() {
    assert_eq!(parse(&packet(200, &[])).unwrap().protocol_offset, 6);
    let behind = with_tcp(DESTINATION, &[options_header(DESTINATION, 1), options_header(200, 1)]);
    let parsed = parse(&behind).unwrap();
    assert_eq!((parsed.protocol, parsed.protocol_offset), (Protocol(200), 48));
}

// req: R8200-5
#[test]
fn the_top_bits_of_an_unknown_option_say_what_happens() {
    let of = |option| with_tcp(DESTINATION, &[options_header(TCP, option)]);
    assert_eq!(parse(&of(0x1e)).unwrap().payload, [7; 20]);
    assert_eq!(parse(&of(0x5e)), Err(ParseError::DiscardOption));
    let problem = |even_if_multicast| {
        Err(ParseError::Answerable(ParameterProblem { code: 2, pointer: 42, even_if_multicast }))
    };
    assert_eq!(parse(&of(0x9e)), problem(true));
    assert_eq!(parse(&of(0xde)), problem(false));
}

// req: R8200-5
#[test]
fn options_are_acted_on_in_their_order() {
    let packet = with_tcp(HOP_BY_HOP, &[[TCP, 0, 0, 0x1e, 0, 0x9e, 0, 0x5e]]);
    assert_eq!(parse(&packet).unwrap_err().parameter_problem().unwrap().pointer, 45);
}

// req: R8200-5
#[test]
fn an_option_past_its_header_is_refused() {
    for header in [[TCP, 0, 1, 5, 0, 0, 0, 0], [TCP, 0, 1, 3, 0, 0, 0, 1]] {
        assert_eq!(parse(&with_tcp(DESTINATION, &[header])), Err(ParseError::BadOption));
    }
}

// req: R8200-6
#[test]
fn a_routing_header_is_skipped_only_without_segments_left() {
    for kind in [0, 2, 200] {
        let of = |segments_left| with_tcp(ROUTING, &[[TCP, 0, kind, segments_left, 0, 0, 0, 0]]);
        assert_eq!(parse(&of(0)).unwrap().payload, [7; 20], "type {kind}");
        assert_eq!(parse(&of(1)), refused(0, 42), "type {kind}");
    }
}

// req: R8200-7
#[test]
fn nothing_is_read_behind_no_next_header() {
    for packet in [packet(59, &[7; 20]), with_tcp(DESTINATION, &[options_header(59, 1)])] {
        let parsed = parse(&packet).unwrap();
        assert_eq!((parsed.protocol, parsed.payload), (Protocol::NO_NEXT_HEADER, &[][..]));
    }
}

#[test]
fn fragments_are_exposed() {
    let packet = packet(FRAGMENT, &[&fragment_header(TCP, 16, true)[..], &[7; 24]].concat());
    let parsed = parse(&packet).unwrap();
    assert_eq!(parsed.fragment, Some(Fragment { offset: 16, more: true, id: 9 }));
    assert_eq!((parsed.protocol, parsed.header_len, parsed.payload.len()), (Protocol::TCP, 48, 24));
}

// req: R6946-1
#[test]
fn an_atomic_fragment_is_a_whole_packet() {
    let packet = with_tcp(FRAGMENT, &[fragment_header(DESTINATION, 0, false), options_header(TCP, 1)]);
    let parsed = parse(&packet).unwrap();
    assert_eq!((parsed.fragment, parsed.protocol, parsed.header_len), (None, Protocol::TCP, 56));
}

// req: R8200-22
#[test]
fn impossible_fragments_are_pointed_at() {
    let odd = packet(FRAGMENT, &[&fragment_header(TCP, 0, true)[..], &[7; 30]].concat());
    assert_eq!(parse(&odd), refused(0, 4), "no multiple of 8: the payload length");
    let long = packet(FRAGMENT, &[&fragment_header(TCP, 65_528, false)[..], &[7; 8]].concat());
    assert_eq!(parse(&long), refused(0, 42), "past 65,535: the offset");
    let last = packet(FRAGMENT, &[&fragment_header(TCP, 65_528, false)[..], &[7; 7]].concat());
    assert!(parse(&last).is_ok());
}

// req: R8200-23
#[test]
fn a_first_fragment_holds_the_whole_chain() {
    let first = |next, rest: &[u8]| packet(FRAGMENT, &[&fragment_header(next, 0, true)[..], rest].concat());
    assert!(parse(&first(TCP, &[7; 24])).is_ok());
    assert!(parse(&first(200, &[7; 8])).is_ok());
    assert!(parse(&first(DESTINATION, &[&options_header(TCP, 1)[..], &[7; 24]].concat())).is_ok());
    assert_eq!(parse(&first(TCP, &[7; 16])), refused(3, 0), "TCP header cut");
    assert_eq!(parse(&first(DESTINATION, &[TCP, 3, 1, 4, 0, 0, 0, 0])), refused(3, 0), "chain cut");
    assert_eq!(parse(&first(DESTINATION, &options_header(TCP, 1))), refused(3, 0), "no TCP header");
    let later = packet(FRAGMENT, &[&fragment_header(TCP, 8, true)[..], &[7; 8]].concat());
    assert!(parse(&later).is_ok(), "only the first one has to");
}

/// The header of the whole has the options of the first fragment, and no Fragment header.
// req: R8200-20
#[test]
fn the_fragment_header_is_taken_out_of_the_whole() {
    let rest =
        [&options_header(FRAGMENT, 1)[..], &fragment_header(DESTINATION, 0, true), &options_header(TCP, 1)];
    let first = packet(DESTINATION, &[&rest.concat()[..], &[7; 24]].concat());
    let parsed = parse(&first).unwrap();
    let mut whole = first[..parsed.header_len].to_vec();
    let len = ip::unite(&mut whole, 8 + 24 + 16, Ecn::Ce).unwrap();
    assert_eq!(len, HEADER_LEN + 8);
    whole.truncate(len);
    whole.extend(&first[parsed.header_len..]);
    whole.extend([9; 16]);
    let parsed = parse(&whole).unwrap();
    assert_eq!((parsed.protocol, parsed.ecn, parsed.fragment), (Protocol::TCP, Ecn::Ce, None));
    assert_eq!((parsed.header_len, parsed.payload.len()), (HEADER_LEN + 16, 40));
    assert_eq!(ip::unite(&mut whole[..HEADER_LEN], 8, Ecn::Ce), None, "no Fragment header");
    let mut first = first[..HEADER_LEN + 16].to_vec();
    assert_eq!(ip::unite(&mut first.clone(), 65_535 - 8, Ecn::NotEct), Some(HEADER_LEN + 8));
    assert_eq!(ip::unite(&mut first, 65_536 - 8, Ecn::NotEct), None, "longer than a packet");
}

/// Of the traffic class only the codepoint changes.
// req: R8200-20
#[test]
fn the_header_of_the_whole_keeps_its_class_and_flow() {
    let mut first = packet(FRAGMENT, &[&fragment_header(17, 0, true)[..], &[7; 8]].concat());
    first[..4].copy_from_slice(&0x6ba5_4321u32.to_be_bytes());
    let before = parse(&first).unwrap();
    let mut header = first[..before.header_len].to_vec();
    let len = ip::unite(&mut header, 8, Ecn::Ect1).unwrap();
    let whole = [&header[..len], &[7; 8]].concat();
    let after = parse(&whole).unwrap();
    assert_eq!((after.dscp, after.flow_label, after.ecn), (before.dscp, before.flow_label, Ecn::Ect1));
    assert_eq!(after.protocol, Protocol::UDP);
}

// req: R8200-23
#[test]
fn a_first_fragment_holds_the_header_of_udp_and_icmp() {
    for next in [17, 58] {
        let first = |len| packet(FRAGMENT, &[&fragment_header(next, 0, true)[..], &vec![7; len]].concat());
        assert!(parse(&first(8)).is_ok());
        assert_eq!(parse(&first(0)), refused(3, 0));
    }
}

proptest! {
    // req: R8200-3
    #[test]
    fn arbitrary_chains_never_panic(
        first in prop_oneof![Just(HOP_BY_HOP), Just(ROUTING), Just(FRAGMENT), Just(DESTINATION)],
        rest in proptest::collection::vec(
            prop_oneof![Just(0u8), Just(1), Just(TCP), Just(ROUTING), Just(FRAGMENT), Just(DESTINATION), any::<u8>()],
            0..160,
        ),
    ) {
        let packet = packet(first, &rest);
        if let Ok(parsed) = ip::parse(&packet) {
            prop_assert!(parsed.header_len <= parsed.total_len);
            prop_assert!(parsed.protocol_offset < parsed.header_len);
        }
    }
}
