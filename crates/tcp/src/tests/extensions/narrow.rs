//! SACK blocks beside text on links that take next to nothing (RFC 2018 4, MUST-16).

use super::config;
use crate::connection::Opening;
use crate::testing::Script;
use netstack_wire::SeqNum;

/// Octets of text that blocks leave room for, at least.
const LEAST_TEXT: usize = 8;

/// Over a link of `mtu` octets, with five gaps in what has arrived; what left is forgotten.
fn gaps(mtu: u16, timestamps: bool) -> Script {
    let mut config = config();
    config.timestamps(timestamps);
    let opening = Opening { tuple: Script::tuple(), iss: SeqNum(1), ts_offset: 0, mtu };
    let mut script = Script::connect_with(&config, opening);
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,ts 1000000 0>");
    for index in 0..5 {
        script.inject(&format!(". {}:{}(10) ack 1", 101 + 20 * index, 111 + 20 * index));
    }
    script.forget_sent();
    script
}

#[test]
fn as_many_blocks_as_leave_room_for_text_go_with_it_and_fill_the_packet() {
    // req: R2018-5, MUST-16
    for (mtu, timestamps) in (68..=140).chain([576, 1500]).flat_map(|mtu| [(mtu, false), (mtu, true)]) {
        let mut script = gaps(mtu, timestamps);
        script.write(5_000);
        let (_, segment) = script.next_sent().expect("text leaves");
        let (options, text) = (segment.header.options.wire_len(), segment.payload.len());
        let context =
            format!("mtu {mtu}, timestamps {timestamps}: {options} octets of options, {text} of text");
        assert_eq!(20 + 20 + options + text, usize::from(mtu), "{context}");
        let blocks = segment.header.options.sack.len();
        // A block takes 8 octets, and the first of them 4 more; three fit beside timestamps, else four.
        let another = if blocks == 0 { 12 } else { 8 };
        let most = if timestamps { 3 } else { 4 };
        assert!(blocks <= most && (blocks == 0 || text >= LEAST_TEXT), "{context}");
        assert!(blocks == most || text < LEAST_TEXT + another, "room for another block: {context}");
    }
}

#[test]
fn without_room_for_blocks_a_duplicate_is_not_reported_either() {
    // req: R2883-1, MUST-16
    let mut script = gaps(68, true);
    script.inject(". 101:111(10) ack 1");
    let (_, answer) = script.next_sent().expect("a duplicate is answered");
    assert_eq!((answer.header.options.sack.len(), answer.header.options.wire_len()), (0, 12));
    script.write(500);
    while let Some((_, segment)) = script.next_sent() {
        assert!(20 + 20 + segment.header.options.wire_len() + segment.payload.len() <= 68, "{segment:?}");
    }
}
