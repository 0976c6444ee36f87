//! Selective acknowledgments, as the receiver sends them and as the sender bears them (RFC 2018, RFC 2883).

use core::time::Duration;

use super::{config, ms, text_sent};
use crate::testing::{Fate, Pair, Script, Side};

/// The blocks of the next segment that left, relative.
#[track_caller]
fn blocks(script: &mut Script) -> Vec<(u32, u32)> {
    let (_, segment) = script.next_sent().expect("an ACK left");
    let options = script.line(&segment).options.expect("a line of a segment has options");
    options.sack.iter().map(|block| (block.left.0, block.right.0)).collect()
}

/// Text of `range` arrives; the blocks of the ACK that it earns.
#[track_caller]
fn arrive(script: &mut Script, range: (u32, u32)) -> Vec<(u32, u32)> {
    script.inject(&format!(". {}:{}({}) ack 1", range.0, range.1, range.1 - range.0));
    let seen = blocks(script);
    script.expect_nothing();
    seen
}

/// SACK without timestamps, so that four blocks fit.
fn without_timestamps() -> Script {
    let mut script = Script::listen(&config(), "S 0:0(0) win 65535 <mss 1460,wscale 0,sackOK>");
    script.inject(". 1:1(0) ack 1 win 65535");
    script.forget_sent();
    script
}

#[test]
fn sack_permitted_answers_sack_permitted() {
    // req: R2018-1, R2018-2
    let mut script = Script::listen(&config(), "S 0:0(0) win 65535 <mss 1460>");
    script.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    script.inject(". 1:1(0) ack 1");
    assert_eq!(arrive(&mut script, (101, 201)), []);

    let mut script = Script::listen(&config(), "S 0:0(0) win 65535 <mss 1460,sackOK>");
    script.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK>");
    script.inject(". 1:1(0) ack 1");
    assert_eq!(arrive(&mut script, (101, 201)), [(101, 201)]);
}

#[test]
fn blocks_are_sent_only_when_both_ends_permit_them() {
    // req: R2018-2
    let mut script = Script::connect(&config());
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    script.forget_sent();
    assert_eq!(arrive(&mut script, (101, 201)), []);

    // The client remembers that the peer permits it.
    let mut script = Script::connect(&config());
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK>");
    script.forget_sent();
    assert_eq!(arrive(&mut script, (101, 201)), [(101, 201)]);

    let mut off = config();
    off.sack(false);
    let mut script = Script::listen(&off, "S 0:0(0) win 65535 <mss 1460,sackOK>");
    script.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    script.inject(". 1:1(0) ack 1");
    assert_eq!(arrive(&mut script, (101, 201)), []);
}

#[test]
fn every_ack_below_held_text_carries_blocks() {
    // req: R2018-3
    let mut config = config();
    config.quick_acks(0);
    let mut script = Script::established(&config);
    assert_eq!(arrive(&mut script, (101, 201)), [(101, 201)]);
    // In order, but not all the way.
    assert_eq!(arrive(&mut script, (1, 51)), [(101, 201)]);
    // Text of ours carries them too.
    script.write(10);
    assert_eq!(blocks(&mut script), [(101, 201)]);
    assert_eq!(arrive(&mut script, (51, 101)), [], "nothing is missing any more");
}

#[test]
fn text_beside_blocks_keeps_within_the_mtu() {
    // req: R2018-3
    let mut script = Script::established(&config());
    for index in 0..3 {
        arrive(&mut script, (101 + 200 * index, 201 + 200 * index));
    }
    script.write(3_000);
    while let Some((_, segment)) = script.next_sent() {
        assert!(segment.header.header_len() + segment.payload.len() <= 1480, "{segment:?}");
    }
}

#[test]
fn the_newest_block_comes_first_and_as_many_follow_as_fit() {
    // req: R2018-4, R2018-5
    let mut script = Script::established(&config());
    assert_eq!(arrive(&mut script, (301, 401)), [(301, 401)]);
    assert_eq!(arrive(&mut script, (501, 601)), [(501, 601), (301, 401)]);
    assert_eq!(arrive(&mut script, (701, 801)), [(701, 801), (501, 601), (301, 401)]);
    assert_eq!(arrive(&mut script, (901, 1001)), [(901, 1001), (701, 801), (501, 601)]);
    // A block that grows is the newest again.
    assert_eq!(arrive(&mut script, (401, 451)), [(301, 451), (901, 1001), (701, 801)]);

    let mut script = without_timestamps();
    for index in 0..4 {
        arrive(&mut script, (101 + 200 * index, 201 + 200 * index));
    }
    assert_eq!(arrive(&mut script, (901, 1001)), [(901, 1001), (701, 801), (501, 601), (301, 401)]);
}

#[test]
fn blocks_that_were_crowded_out_come_back_when_there_is_room() {
    // req: R2018-5
    let mut script = without_timestamps();
    for index in 0..6 {
        arrive(&mut script, (101 + 200 * index, 201 + 200 * index));
    }
    // The three newest become one: of six blocks four remain, and all of them fit.
    arrive(&mut script, (1001, 1101));
    assert_eq!(arrive(&mut script, (801, 901)), [(701, 1201), (501, 601), (101, 201), (301, 401)]);
}

#[test]
fn a_duplicate_is_reported_once_as_the_first_block() {
    // req: R2883-1
    let mut script = Script::established(&config());
    script.inject(". 1:101(100) ack 1");
    script.expect(". 1:1(0) ack 101");
    assert_eq!(arrive(&mut script, (1, 101)), [(1, 101)]);
    // Only in that ACK.
    assert_eq!(arrive(&mut script, (201, 301)), [(201, 301)]);
    assert_eq!(arrive(&mut script, (51, 101)), [(51, 101), (201, 301)]);
    assert_eq!(arrive(&mut script, (401, 501)), [(401, 501), (201, 301)]);
}

#[test]
fn a_duplicate_of_held_text_is_followed_by_the_block_that_holds_it() {
    // req: R2883-2
    let mut script = Script::established(&config());
    arrive(&mut script, (201, 301));
    arrive(&mut script, (301, 401));
    arrive(&mut script, (501, 601));
    assert_eq!(arrive(&mut script, (201, 301)), [(201, 301), (201, 401), (501, 601)]);
    assert_eq!(arrive(&mut script, (701, 801)), [(701, 801), (201, 401), (501, 601)]);
}

#[test]
fn of_a_partial_duplicate_only_the_repeated_range_is_reported() {
    // req: R2883-3
    let mut script = Script::established(&config());
    arrive(&mut script, (201, 301));
    assert_eq!(arrive(&mut script, (251, 401)), [(251, 301), (201, 401)]);
    // Two repeated ranges: the first.
    arrive(&mut script, (501, 601));
    assert_eq!(arrive(&mut script, (301, 601)), [(301, 401), (201, 601)]);
    // In order, over what is held.
    assert_eq!(arrive(&mut script, (1, 251)), [(201, 251)]);
    // Known below the acknowledgment.
    assert_eq!(arrive(&mut script, (501, 651)), [(501, 601)]);
    assert_eq!(script.octets_read(), 650);
}

#[test]
fn a_sender_is_not_disturbed_by_reported_duplicates() {
    // req: R2883-4, R2018-9
    let mut script = Script::established(&config());
    script.write(8 * 1448);
    script.forget_sent();
    script.inject(". 1:1(0) ack 1449 win 65535");
    let before = script.connection.info();
    // Below the ACK, and inside the second block: neither tells of new text.
    for right in 0..10 {
        script.inject(&format!(". 1:1(0) ack 1449 win 65535 <sack 1:{},ts 1001000 1000>", 101 + right));
    }
    assert_eq!(script.connection.info().stats.dup_acks, 0);
    script.inject(". 1:1(0) ack 1449 win 65535 <sack 2897:4345,ts 1001000 1000>");
    for right in 0..10 {
        script.inject(&format!(
            ". 1:1(0) ack 1449 win 65535 <sack 2897:{} 2897:4345,ts 1001000 1000>",
            3001 + right
        ));
    }
    let after = script.connection.info();
    assert_eq!(after.stats.dup_acks, 1);
    assert_eq!((after.cwnd, after.ssthresh), (before.cwnd, before.ssthresh));
    assert_eq!(text_sent(&mut script), []);
}

#[test]
fn forged_blocks_are_ignored() {
    // req: R2018-9
    let mut script = Script::established(&config());
    script.write(8 * 1448);
    script.forget_sent();
    for index in 0..5_u32 {
        for forged in [
            format!("{}:{}", 50_000 + index, 60_000),
            format!("{}:{}", 5_000 + index, 3_000),
            format!("{}:{}", 3_000 + index, 3_000 + index),
            format!("{}:{}", 3_000_000_000 - index, 2_000),
            format!("2000:{}", 11_586 + index),
        ] {
            script.inject(&format!(". 1:1(0) ack 1 win 65535 <sack {forged},ts 1001000 1000>"));
        }
    }
    let info = script.connection.info();
    assert_eq!((info.stats.dup_acks, info.stats.fast_retransmits), (0, 0));
    assert_eq!(text_sent(&mut script), []);
    script.inject(&format!(". 1:1(0) ack {} win 65535", 1 + 8 * 1448));
    assert_eq!(script.connection.send_queued(), 0);
}

#[test]
fn a_peer_that_drops_what_it_reported_gets_it_again() {
    // req: R2018-7, R2018-8
    let mut script = Script::established(&config());
    script.write(5 * 1448);
    script.forget_sent();
    for segment in 2..=5 {
        script
            .inject(&format!(". 1:1(0) ack 1 win 65535 <sack 1449:{},ts 1001000 1000>", 1 + segment * 1448));
    }
    assert_eq!(script.connection.send_queued(), 5 * 1448, "all is kept until it is acknowledged");
    script.forget_sent();
    // The peer forgot: from here on its ACKs carry no blocks and move one segment at a time.
    for segment in 0..5 {
        script.advance_ms(2_000);
        let sent = text_sent(&mut script);
        assert!(sent.contains(&(1 + segment * 1448, 1448)), "segment {segment}: {sent:?}");
        script.inject(&format!(". 1:1(0) ack {} win 65535", 1 + (segment + 1) * 1448));
        script.forget_sent();
        script.connection.set_nodelay(true);
    }
    assert_eq!(script.connection.send_queued(), 0);
}

#[test]
fn two_ends_agree_whatever_each_of_them_permits() {
    // req: R2018-2, R2883-5
    for (a, b) in [(true, true), (true, false), (false, true), (false, false)] {
        let (mut config_a, mut config_b) = (config(), config());
        config_a.sack(a);
        config_b.sack(b);
        let mut pair = Pair::new(config_a, config_b, ms(10));
        pair.script(|flight| match flight.index % 17 {
            5 | 9 => Fate::Drop,
            11 => Fate::Duplicate,
            13 => Fate::Delay(ms(7)),
            _ => Fate::Deliver,
        });
        let data: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
        pair.run_for(Duration::from_secs(10));
        pair.write(Side::A, &data);
        pair.write(Side::B, &data);
        pair.run_for(Duration::from_secs(300));
        assert!(pair.received(Side::A) == data && pair.received(Side::B) == data, "{a} {b}");
        let blocks = pair.log.iter().any(|flight| !flight.segment.header.options.sack.is_empty());
        assert_eq!(blocks, a && b, "{a} {b}");
        assert_eq!(pair.connection(Side::A).info().sack, a && b);
        assert_eq!(pair.connection(Side::B).info().sack, a && b);
    }
}

#[test]
fn blocks_that_were_not_agreed_on_mean_nothing() {
    // req: R2018-2
    let mut script = Script::established_plain(&config());
    script.write(5 * 1460);
    script.forget_sent();
    let before = script.connection.info();
    for right in [2921, 4381, 7301] {
        script.inject(&format!(". {right}:{}(1) ack 1 win 65535 <sack 1461:{right}>", right + 1));
    }
    let after = script.connection.info();
    assert_eq!((after.in_flight, after.recovery), (before.in_flight, before.recovery));
    assert_eq!(text_sent(&mut script), [], "nothing is taken to be lost");
}

#[test]
fn what_comes_out_of_order_is_counted() {
    // req: R2018-3
    let mut script = Script::established(&config());
    for (count, start) in [(1, 101), (2, 301), (3, 101)] {
        arrive(&mut script, (start, start + 100));
        assert_eq!(script.connection.info().stats.out_of_order, count);
    }
    script.inject(". 1:101(100) ack 1");
    assert_eq!(script.connection.info().stats.out_of_order, 3, "the one that fills the gap is in order");
}
