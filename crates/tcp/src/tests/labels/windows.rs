//! Windows: silly ones, shrunk ones, and the edge that never moves left (RFC 9293 3.8.6).

use proptest::prelude::*;

use super::{config, delaying, ms, secs, sent_lengths};
use crate::config::TcpConfig;
use crate::state::State;
use crate::testing::{Fate, Pair, Script, Side};

/// A connection without options and with `queued` octets that a closed window holds back.
fn held_back(queued: u32) -> Script {
    let mut script = Script::established_plain(&config());
    script.inject(". 1:1(0) ack 1 win 0");
    script.write(queued);
    script.expect_nothing();
    script
}

#[test]
fn a_window_that_opens_by_crumbs_draws_no_crumbs() {
    // req: MUST-38
    let mut script = held_back(20_000);
    for window in (10..=100).step_by(10) {
        script.inject(&format!(". 1:1(0) ack 1 win {window}"));
        script.advance_ms(10);
    }
    script.expect_nothing();
    // The override: one RTO (here 200 ms, within the RFC's 0.1 to 1 s) after the last change.
    let last_change = script.now();
    script.advance_ms(300);
    script.expect_after(last_change, ms(190), ". 1:101(100) ack 1");
    script.expect_nothing();
}

#[test]
fn a_full_segment_of_window_is_used_at_once() {
    // req: MUST-38
    let mut script = held_back(20_000);
    script.inject(". 1:1(0) ack 1 win 1459");
    script.expect_nothing();
    script.inject(". 1:1(0) ack 1 win 1460");
    script.expect(". 1:1461(1460) ack 1");
    // Two segments and a bit: the bit stays.
    script.inject(". 1:1(0) ack 1461 win 3000");
    assert_eq!(sent_lengths(&mut script), [1460, 1460]);
}

#[test]
fn half_of_a_small_receivers_window_is_used_at_once() {
    // req: MUST-38
    let mut script = Script::listen(&config(), "S 0:0(0) win 1000 <mss 1460>");
    script.inject(". 1:1(0) ack 1 win 0");
    script.forget_sent();
    script.write(5000);
    script.inject(". 1:1(0) ack 1 win 499");
    script.expect_nothing();
    script.inject(". 1:1(0) ack 1 win 500");
    script.expect(". 1:501(500) ack 1");
}

#[test]
fn all_that_is_queued_is_sent_into_a_window_that_takes_it() {
    // req: MUST-38
    let mut script = held_back(50);
    script.inject(". 1:1(0) ack 1 win 50");
    script.expect("P. 1:51(50) ack 1");
}

#[test]
fn a_slow_reader_does_not_open_the_window_by_crumbs() {
    // req: MUST-39, SHLD-14
    let mut config = delaying();
    config.recv_buffer(4096);
    let mut script = Script::established_plain(&config);
    script.auto_read = false;
    script.inject(". 1:1461(1460) ack 1");
    script.inject(". 1461:2921(1460) ack 1");
    script.inject("P. 2921:4097(1176) ack 1");
    script.advance_ms(40);
    script.forget_sent();
    while script.connection.read().is_some() {}
    script.set_unread(4096);
    // min(half the buffer, one segment) = 1460 octets have to be free before a word is said.
    for unread in (2637..4096).rev() {
        script.set_unread(unread);
        script.expect_nothing();
    }
    // A probe in the meantime hears of a closed window still.
    script.inject(". 4097:4098(1) ack 1");
    script.expect(". 1:1(0) ack 4097 win 0");
    assert_eq!(script.connection.window_update_below(), Some(2636));
    script.set_unread(2636);
    script.expect(". 1:1(0) ack 4097 win 1460");
    script.expect_nothing();
}

#[test]
fn a_full_buffer_says_zero() {
    // req: MUST-39
    // Pitfall 32: a window floored at one segment is never zero, and the peer's data is then dropped.
    let mut config = delaying();
    config.recv_buffer(1 << 20);
    let mut script = Script::listen(&config, "S 0:0(0) win 65535 <mss 1460,wscale 0>");
    script.inject(". 1:1(0) ack 1");
    script.auto_read = false;
    script.forget_sent();
    let mut next = 1u32;
    while script.connection.right_edge_room() > 0 {
        let len = script.connection.right_edge_room().min(1460) as u32;
        script.inject(&format!(". {next}:{}({len}) ack 1", next + len));
        next += len;
        assert!(next <= (1 << 20) + 1, "never more than the buffer");
    }
    assert!(next > (1 << 20) - 1460, "the buffer was used");
    script.advance_ms(100);
    let mut last = None;
    while let Some((_, segment)) = script.next_sent() {
        last = Some(segment);
    }
    assert_eq!(last.unwrap().header.window, 0);
}

/// What a slow reader does to the announced edge.
#[derive(Debug, Clone)]
enum Step {
    Segment(u32),
    OutOfOrder(u32),
    Unread(u32),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1u32..1460).prop_map(Step::Segment),
        (1u32..1460).prop_map(Step::OutOfOrder),
        (0u32..100).prop_map(Step::Unread),
        (0u64..100).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Pitfall 32: we never move our own right edge left, scaled windows rounded down included.
    #[test]
    fn the_right_edge_never_moves_left(
        buffer in 1024usize..300_000,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        // req: SHLD-14
        let mut config = delaying();
        config.recv_buffer(buffer);
        let mut script = Script::listen(&config, "S 0:0(0) <mss 1460,wscale 3>");
        script.inject(". 1:1(0) ack 1");
        script.auto_read = false;
        script.forget_sent();
        let shift = script.connection.info().rcv_wscale;
        let (mut next, mut unread, mut edge) = (1u32, 0u32, 0u32);
        for step in steps {
            match step {
                Step::Segment(len) => {
                    let len = len.min(script.connection.right_edge_room() as u32);
                    script.inject(&format!(". {next}:{}({len}) ack 1", next + len));
                }
                Step::OutOfOrder(len) => {
                    script.inject(&format!(". {}:{}({len}) ack 1", next + 700, next + 700 + len));
                }
                Step::Unread(percent) => {
                    unread = unread * percent / 100;
                    script.set_unread(unread as usize);
                }
                Step::Wait(time) => script.advance_ms(time),
            }
            while let Some(data) = script.connection.read() {
                unread += data.len() as u32;
            }
            script.set_unread(unread as usize);
            next = script.connection.info().stats.bytes_received as u32 + 1;
            prop_assert!(unread as usize <= buffer.max(1024), "more than the buffer was taken");
            while let Some((_, segment)) = script.next_sent() {
                let ack = script.line(&segment).ack.unwrap();
                let right = ack + (u32::from(segment.header.window) << shift);
                prop_assert!(right + (1 << shift) > edge, "{right} after {edge}, shift {shift}");
                edge = edge.max(right);
            }
        }
    }
}

proptest! {
    /// The owner need not call before unread data has fallen to the level it is told: at that level an update leaves, one
    /// octet above it none does.
    #[test]
    fn the_level_that_is_told_is_the_level_that_counts(
        buffer in 1024usize..500_000,
        shift in prop_oneof![Just(None), Just(Some(0)), Just(Some(5))],
        fill in 0.0..=1.0f64,
    ) {
        // req: MUST-39
        let mut config = delaying();
        config.recv_buffer(buffer);
        let syn = match shift {
            Some(shift) => format!("S 0:0(0) <mss 1460,wscale {shift}>"),
            None => "S 0:0(0) <mss 1460>".to_owned(),
        };
        let mut script = Script::listen(&config, &syn);
        script.inject(". 1:1(0) ack 1");
        script.auto_read = false;
        let (mut next, end) = (1u32, 1 + (buffer as f64 * fill) as u32);
        while next < end && script.connection.right_edge_room() > 0 {
            let len = (end - next).min(1460).min(script.connection.right_edge_room() as u32);
            script.inject(&format!(". {next}:{}({len}) ack 1", next + len));
            next += len;
        }
        script.advance_ms(100);
        script.forget_sent();
        while script.connection.read().is_some() {}
        let unread = next as usize - 1;
        script.set_unread(unread);
        script.expect_nothing();
        let Some(level) = script.connection.window_update_below() else { return Ok(()) };
        prop_assert!(level < unread, "{level} of {unread}");
        let room = script.connection.right_edge_room();
        script.set_unread(level + 1);
        script.expect_nothing();
        script.set_unread(level);
        prop_assert!(script.next_sent().is_some(), "an update is due at {level}");
        prop_assert!(script.connection.right_edge_room() > room);
        script.expect_nothing();
    }
}

#[test]
fn a_shrunk_window_is_survived_and_respected() {
    // req: MUST-34, SHLD-15
    let mut script = Script::established_plain(&config());
    script.write(40_000);
    assert_eq!(sent_lengths(&mut script), [1460; 10]);
    // Two segments are acknowledged, and of 11,680 octets in flight the window takes 3,000.
    script.inject(". 1:1(0) ack 2921 win 3000");
    script.expect_nothing();
    let info = script.connection.info();
    assert_eq!((info.in_flight, info.snd_wnd), (11_680, 3000));
    // Nothing new until the edge is above what was sent.
    script.inject(". 1:1(0) ack 5841 win 3000");
    script.inject(". 1:1(0) ack 11681 win 2920");
    script.expect_nothing();
    script.inject(". 1:1(0) ack 14601 win 2920");
    script.expect(". 14601:16061(1460) ack 1");
    script.expect(". 16061:17521(1460) ack 1");
    script.expect_nothing();
}

#[test]
fn after_a_shrink_only_what_the_window_takes_is_resent() {
    // req: SHLD-16, MAY-7
    let mut script = Script::established_plain(&config());
    script.write(14_600);
    script.forget_sent();
    script.inject(". 1:1(0) ack 1 win 3000");
    let start = script.now();
    script.advance_ms(200);
    script.expect_after(start, ms(200), ". 1:1461(1460) ack 1");
    script.expect_nothing();
    // Slow start goes on inside the window, and stops at its edge.
    script.inject(". 1:1(0) ack 1461 win 1540");
    script.expect(". 1461:2921(1460) ack 1");
    script.expect_nothing();
    script.inject(". 1:1(0) ack 2921 win 65535");
    assert!(!sent_lengths(&mut script).is_empty(), "the rest follows once the window is back");
}

#[test]
fn what_lies_outside_a_shrunk_window_does_not_end_the_connection() {
    // req: SHLD-17, MUST-35, MUST-34
    let mut script = Script::established_plain(&config());
    script.write(14_600);
    script.forget_sent();
    script.inject(". 1:1(0) ack 1461 win 0");
    let mut probes = 0;
    // Far beyond R2, each probe answered with the window still closed.
    let end = script.now() + secs(3600);
    while script.now() < end {
        script.advance(secs(1));
        while let Some((_, segment)) = script.next_sent() {
            let line = script.line(&segment);
            // The first retransmission is of the segment that was in the window once (R7323-21).
            assert_eq!((line.seq, line.len), (1461, if probes == 0 { 1460 } else { 1 }));
            probes += 1;
            script.inject(". 1:1(0) ack 1461 win 0");
        }
    }
    assert!(probes > 60, "{probes} probes");
    assert_eq!(script.state(), State::Established);
    script.inject(". 1:1(0) ack 1461 win 65535");
    for next in (1461..14_601).step_by(1460) {
        script.inject(&format!(". 1:1(0) ack {next} win 65535"));
    }
    let resent: Vec<usize> = sent_lengths(&mut script);
    assert!(resent.iter().sum::<usize>() >= 14_600 - 1460, "no octet is given up: {resent:?}");
}

/// Pitfall 32: the peer withdraws its window in mid-flight and drops what lies beyond; the rest of the transfer is not
/// paced by timeouts.
#[test]
fn a_withdrawn_window_does_not_make_the_transfer_crawl() {
    // req: MUST-34, SHLD-16
    let mut script = Script::established(&config());
    script.write(100_000);
    script.forget_sent();
    // Of ten segments in flight the peer keeps one and withdraws the window below the rest.
    script.inject(". 1:1(0) ack 1449 win 1448");
    script.advance_ms(200);
    script.forget_sent();
    script.inject(". 1:1(0) ack 2897 win 65535");
    let reopened = script.now();
    // Each segment is acknowledged 10 ms after it left.
    let mut next = 2897;
    let mut timeouts = 0;
    while next < 100_001 {
        let before = script.connection.info().stats.timeouts;
        let sent: Vec<_> = std::iter::from_fn(|| script.next_sent()).collect();
        script.advance_ms(10);
        timeouts += script.connection.info().stats.timeouts - before;
        for (_, segment) in sent {
            let line = script.line(&segment);
            if line.seq == next {
                next += line.len;
            }
            script.inject(&format!(". 1:1(0) ack {next} win 65535"));
        }
    }
    assert_eq!(timeouts, 0, "no timeout once the window is open again");
    assert!(script.now() - reopened < ms(200), "it took {:?}", script.now() - reopened);
}

/// Pitfall 32, from the other side: our own buffer is set so low that windows are small, and the peer's data is never
/// thrown away.
#[test]
fn a_small_buffer_costs_no_retransmission() {
    // req: SHLD-14, MUST-39
    let small = {
        let mut config = TcpConfig::new();
        config.recv_buffer(10_000);
        config
    };
    let mut pair = Pair::new(config(), small, ms(10));
    pair.script(|_| Fate::Deliver);
    pair.write(Side::A, &[7; 300_000]);
    pair.run_for(secs(30));
    assert_eq!(pair.received(Side::B).len(), 300_000);
    assert_eq!(pair.connection(Side::A).info().stats.bytes_retransmitted, 0);
    assert_eq!(pair.connection(Side::B).info().stats.unacceptable, 0);
}

/// A SYN-ACK that is sent again promises what it promised first, whatever has become of the buffer.
// req: SHLD-14
#[test]
fn a_repeated_syn_ack_keeps_its_window() {
    let mut script = Script::listen(&TcpConfig::new(), "S 0:0(0) win 65535 <mss 1460>");
    script.expect("S. 0:0(0) ack 1 win 65535");
    script.command(|connection, _| connection.set_recv_limit(4096));
    script.advance_ms(1000);
    script.expect("S. 0:0(0) ack 1 win 65535");
}

#[test]
fn a_limit_below_the_buffer_bounds_what_is_announced() {
    // req: SHLD-14
    let mut script = Script::established_plain(config().recv_buffer(20_000));
    script.auto_read = false;
    let edge = |script: &mut Script, line: &str| {
        script.inject(line);
        script.advance_ms(100);
        let mut edge = 0;
        while let Some((_, segment)) = script.next_sent() {
            edge = segment.header.ack.distance_from(Script::IRS) + u32::from(segment.header.window);
        }
        edge
    };
    script.connection.set_recv_limit(6_000);
    // The edge of before stays until all below it has come.
    assert_eq!(edge(&mut script, "P. 1:10001(10000) ack 1"), 20_001);
    assert_eq!(edge(&mut script, "P. 10001:20001(10000) ack 1"), 20_001);
    assert_eq!(script.read(), 20_000);
    assert_eq!(edge(&mut script, "P. 20001:20001(0) ack 1"), 26_001, "from here on 6,000 may wait");
    // However little is allowed, two segments may.
    script.connection.set_recv_limit(0);
    script.inject("P. 20001:26001(6000) ack 1");
    assert_eq!(script.read(), 6_000);
    script.forget_sent();
    let edge = edge(&mut script, "P. 26001:26002(1) ack 1");
    assert!((26_001 + 2 * 1460..=26_002 + 2 * 1460).contains(&edge), "{edge}");
}
