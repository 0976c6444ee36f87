//! Window scaling, timestamps, PAWS (RFC 7323).

use core::time::Duration;

use super::{config, connecting, ms, text_sent};
use crate::connection::Opening;
use crate::reset::reset_for;
use crate::state::State;
use crate::testing::{Pair, Script, Side};
use netstack_wire::SeqNum;
use netstack_wire::tcp::{TcpFlags, Timestamps};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What the peer's timestamps start with, see [`Script::build`].
const PEER_TS: u32 = 1_001_000;

/// The echo in the next segment that left.
#[track_caller]
fn echo(script: &mut Script) -> u32 {
    let (_, segment) = script.next_sent().expect("something left");
    segment.header.options.timestamps.expect("with timestamps").ecr
}

#[test]
fn a_syn_ack_answers_window_scale_only_where_the_syn_has_it() {
    // req: R7323-1, R7323-7
    let mut script = Script::listen(&config(), "S 0:0(0) win 1000 <mss 1460>");
    script.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    script.inject(". 1:1(0) ack 1 win 1000");
    let info = script.connection.info();
    assert_eq!((info.snd_wscale, info.rcv_wscale, info.snd_wnd), (0, 0, 1000));

    let mut script = Script::listen(&config(), "S 0:0(0) win 1000 <mss 1460,wscale 0>");
    script.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,wscale 7>");
    let mut small = config();
    small.recv_buffer(40_000);
    let mut script = Script::listen(&small, "S 0:0(0) win 1000 <mss 1460,wscale 3>");
    script.expect("S. 0:0(0) ack 1 win 40000 <mss 1460,wscale 0>");

    let mut off = config();
    off.window_scaling(false).timestamps(false);
    let mut script = Script::listen(&off, "S 0:0(0) win 1000 <mss 1460,wscale 3,ts 1 0>");
    script.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    script.inject(". 1:1(0) ack 1 win 1000");
    assert_eq!(script.connection.info().snd_wnd, 1000);
}

#[test]
fn an_active_open_scales_only_when_both_ends_do() {
    // req: R7323-1, R7323-7
    let mut script = connecting(&config());
    script.expect("S 0:0(0) win 65535 <mss 1460,wscale 7,sackOK,ts 1000 0>");
    script.inject("S. 0:0(0) ack 1 win 2000 <mss 1460>");
    script.expect(". 1:1(0) ack 1 win 65535 <>");
    let info = script.connection.info();
    assert_eq!((info.snd_wscale, info.rcv_wscale, info.timestamps), (0, 0, false));
}

#[test]
fn window_scale_outside_a_syn_is_ignored() {
    // req: R7323-2
    let mut script = Script::listen(&config(), "S 0:0(0) win 65535 <mss 1460,wscale 2>");
    script.inject(". 1:1(0) ack 1 win 1000");
    script.inject("P. 1:6(5) ack 1 win 1000 <wscale 7>");
    let info = script.connection.info();
    assert_eq!((info.snd_wscale, info.snd_wnd), (2, 4000));
    assert_eq!(script.octets_read(), 5);
}

#[test]
fn the_window_of_a_syn_is_never_scaled() {
    // req: R7323-3
    let mut script = connecting(&config());
    script.inject("S. 0:0(0) ack 1 win 4000 <mss 1460,wscale 7>");
    script.forget_sent();
    script.write(100_000);
    assert_eq!(script.connection.info().snd_wnd, 4000);
    assert_eq!(text_sent(&mut script), [(1, 1460), (1461, 1460)]);

    let mut small = config();
    small.recv_buffer(200_000);
    let mut script = Script::listen(&small, "S 0:0(0) win 65535 <mss 1460,wscale 7>");
    script.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,wscale 2>");
}

#[test]
fn later_windows_are_scaled_by_their_senders_shift() {
    // req: R7323-4
    let mut script = Script::listen(&config(), "S 0:0(0) win 65535 <mss 1460,wscale 7>");
    script.inject(". 1:1(0) ack 1 win 100");
    script.forget_sent();
    assert_eq!(script.connection.info().snd_wnd, 12_800);
    script.write(12_800);
    assert_eq!(text_sent(&mut script).iter().map(|(_, len)| len).sum::<u32>(), 12_800);

    let mut odd = config();
    odd.recv_buffer(99_999);
    let mut script = Script::listen(&odd, "S 0:0(0) win 65535 <mss 1460,wscale 7>");
    script.expect("S. 0:0(0) ack 1 win 65535");
    script.inject(". 1:1(0) ack 1");
    // Half of 99,999, rounded down.
    script.expect(". 1:1(0) ack 1 win 49999");
    assert_eq!(script.connection.info().rcv_wscale, 1);
}

#[test]
fn shifts_above_fourteen_count_as_fourteen() {
    // req: R7323-5
    for shift in [14, 15, 255] {
        let mut script = Script::listen(&config(), &format!("S 0:0(0) win 65535 <mss 1460,wscale {shift}>"));
        script.inject(". 1:1(0) ack 1 win 3");
        let info = script.connection.info();
        assert_eq!((info.snd_wscale, info.snd_wnd), (14, 3 << 14), "shift {shift}");
    }
    let mut huge = config();
    huge.recv_buffer(usize::MAX);
    let mut script = Script::connect(&huge);
    script.expect("S 0:0(0) win 65535 <mss 1460,wscale 14,sackOK,ts 1000 0>");
}

#[test]
fn text_up_to_the_largest_edge_ever_announced_is_taken() {
    // req: R7323-6
    let mut config = config();
    config.recv_buffer(100_001);
    let mut script = Script::listen(&config, "S 0:0(0) win 65535 <mss 1460,wscale 7>");
    script.expect("S. 0:0(0) ack 1 win 65535");
    script.inject(". 1:1(0) ack 1");
    script.expect(". 1:1(0) ack 1 win 50000");
    script.auto_read = false;
    // The field rounds the edge of 100001 down to 100000; the edge stays.
    script.inject(". 1:2(1) ack 1");
    script.expect(". 1:1(0) ack 2 win 49999");
    for start in (2..100_000).step_by(1000) {
        let end = (start + 1000).min(100_000);
        script.inject(&format!(". {start}:{end}({}) ack 1", end - start));
    }
    // The last octet that was promised, and one that never was.
    script.inject(". 100000:100002(2) ack 1");
    assert_eq!(script.read(), 100_000);
}

#[test]
fn every_segment_but_a_reset_of_strangers_carries_timestamps() {
    // req: R7323-8
    let mut pair = Pair::established(&config());
    pair.write(Side::A, &[7; 100_000]);
    pair.write(Side::B, &[8; 50_000]);
    pair.script(|flight| {
        if flight.index % 11 == 10 { crate::testing::Fate::Drop } else { crate::testing::Fate::Deliver }
    });
    pair.run_for(Duration::from_secs(5));
    pair.command(Side::A, |connection, _| connection.abort());
    pair.run_for(ms(100));
    let resets = pair.log.iter().filter(|flight| flight.segment.header.flags.contains(TcpFlags::RST)).count();
    assert_eq!(resets, 1);
    for flight in &pair.log {
        assert!(flight.segment.header.options.timestamps.is_some(), "{flight:?}");
    }
    // The answer to a stray segment gives its value back.
    let mut stray = pair.log.last().expect("there were segments").segment.clone();
    stray.header.flags = TcpFlags::ACK;
    stray.header.options.timestamps = Some(Timestamps { val: 77, ecr: 88 });
    let reset = reset_for(&stray).expect("an ACK earns a RST");
    assert_eq!(reset.options.timestamps, Some(Timestamps { val: 0, ecr: 77 }));
}

#[test]
fn a_segment_without_timestamps_is_accepted_all_the_same() {
    // req: R7323-9
    // The RFC asks to drop it; declined, for real peers send such segments.
    let mut script = Script::established(&config());
    script.auto_timestamps = false;
    script.inject("P. 1:6(5) ack 1");
    assert_eq!(script.octets_read(), 5);
    assert_eq!(echo(&mut script), PEER_TS, "TS.Recent is unchanged");
    script.inject("P. 6:11(5) ack 1 <ts 1001500 1000>");
    assert_eq!(script.octets_read(), 10);
    assert_eq!(echo(&mut script), 1_001_500);
}

#[test]
fn timestamps_that_were_not_agreed_on_are_ignored() {
    // req: R7323-10
    let mut script = Script::established_plain(&config());
    script.inject("P. 1:6(5) ack 1 <ts 900 900>");
    script.expect(". 1:1(0) ack 6 <>");
    script.inject("P. 6:11(5) ack 1 <ts 5 5>");
    script.expect(". 1:1(0) ack 11 <>");
    assert_eq!(script.octets_read(), 10);
}

#[test]
fn the_first_syn_echoes_nothing() {
    // req: R7323-11
    let mut script = Script::connect(&config());
    script.expect("S 0:0(0) win 65535 <mss 1460,wscale 7,sackOK,ts 1000 0>");
    script.advance_ms(1_000);
    script.expect("S 0:0(0) win 65535 <mss 1460,wscale 7,sackOK,ts 2000 0>");
}

#[test]
fn the_echo_is_of_the_segment_that_advanced_the_acknowledgment() {
    // req: R7323-12
    let mut config = config();
    config.quick_acks(0);
    let mut script = Script::established(&config);
    for (index, start) in [1, 11, 21].into_iter().enumerate() {
        script.inject(&format!(". {start}:{}(10) ack 1 <ts {} 1000>", start + 10, 1_002_000 + index));
    }
    script.advance_ms(40);
    assert_eq!(echo(&mut script), 1_002_000, "a delayed ACK echoes the first it covers");
    script.inject(". 41:51(10) ack 1 <ts 1003000 1000>");
    assert_eq!(echo(&mut script), 1_002_000, "out of order");
    script.inject(". 31:41(10) ack 1 <ts 1004000 1000>");
    assert_eq!(echo(&mut script), 1_004_000, "the filler of the gap");
    // Known in part, from before the last ACK: it advances.
    script.inject(". 45:61(16) ack 1 <ts 1005000 1000>");
    assert_eq!(echo(&mut script), 1_005_000);
}

#[test]
fn what_lies_outside_the_window_leaves_ts_recent_alone() {
    // req: R7323-12
    // One forged segment from below the window would else make PAWS refuse the true peer.
    let mut script = Script::established(&config());
    script.inject("P. 1:11(10) ack 1 <ts 1002000 1000>");
    script.forget_sent();
    for forged in
        [". 5:6(1) ack 1 <ts 900000000 1000>", "S 3:3(0) <ts 900000000 0>", ". 3:3(0) ack 1 <ts 900000000 0>"]
    {
        script.inject(forged);
        assert_eq!(echo(&mut script), 1_002_000, "{forged}");
    }
    // An ACK of nothing sent is no better.
    script.inject(". 11:11(0) ack 99 <ts 900000000 1000>");
    assert_eq!(echo(&mut script), 1_002_000);
    script.inject("P. 11:21(10) ack 1 <ts 1002500 1000>");
    assert_eq!(script.octets_read(), 20);
}

#[test]
fn only_progress_gives_a_sample_and_a_forged_echo_gives_none() {
    // req: R7323-13
    let mut script = Script::established(&config());
    script.write(10);
    script.advance_ms(240);
    assert_eq!(text_sent(&mut script).len(), 2, "sent twice: only timestamps can tell");
    let before = script.connection.info();
    script.inject(". 1:1(0) ack 1 <ts 1002000 1>");
    script.inject(". 1:1(0) ack 1 <ts 1002000 900>");
    assert_eq!(script.connection.info().rto, before.rto);
    // From the future, and from before the connection.
    script.inject(". 1:1(0) ack 5 <ts 1002000 700000>");
    script.inject(". 1:1(0) ack 11 <ts 1002000 3>");
    let after = script.connection.info();
    assert_eq!((after.srtt, after.rto), (before.srtt, before.rto));
}

#[test]
fn many_acks_in_a_round_trip_are_one_sample() {
    // req: R7323-14
    let mut script = Script::connect(&config());
    script.advance_ms(80);
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,ts 1000000 1000>");
    assert!(script.connection.info().timestamps);
    script.forget_sent();
    script.write(10 * 1448);
    script.advance_ms(119);
    for segment in 1..=10 {
        // A little apart: the first ACK stops the clock.
        script.inject(&format!(". 1:1(0) ack {}", 1 + segment * 1448));
        script.advance_ms(1);
    }
    let srtt = script.connection.info().srtt.unwrap();
    assert_eq!(srtt, Duration::from_micros((7 * 80_000 + 119_000) / 8));
}

#[test]
fn an_old_timestamp_is_answered_and_dropped() {
    // req: R7323-15, R7323-16
    let mut script = Script::established(&config());
    script.inject("P. 1:11(10) ack 1 <ts 1002000 1000>");
    script.forget_sent();
    script.inject("P. 11:21(10) ack 1 <ts 1001999 1000>");
    script.expect(". 1:1(0) ack 11");
    script.expect_nothing();
    assert_eq!(script.octets_read(), 10);
    assert_eq!(script.connection.info().stats.paws_rejected, 1);
    // Outside the window as well: one ACK, not two.
    script.inject("P. 1:11(10) ack 1 <ts 1001999 1000>");
    script.expect(". 1:1(0) ack 11");
    script.expect_nothing();
    // As old as the newest, or just across the wrap of the clock's half: fine.
    script.inject("P. 11:21(10) ack 1 <ts 1002000 1000>");
    assert_eq!(script.octets_read(), 20);
    script.inject(&format!("P. 21:31(10) ack 1 <ts {} 1000>", 1_002_000 + (1u32 << 31) - 1));
    assert_eq!(script.octets_read(), 30);
}

#[test]
fn a_held_segment_is_not_checked_again() {
    // req: R7323-16
    let mut script = Script::established(&config());
    script.inject("P. 11:21(10) ack 1 <ts 1002000 1000>");
    script.inject("P. 1:11(10) ack 1 <ts 1009000 1000>");
    assert_eq!(script.octets_read(), 20);
}

#[test]
fn a_reset_is_never_checked_by_paws() {
    // req: R7323-17
    let mut script = Script::established(&config());
    script.inject("P. 1:11(10) ack 1 <ts 1002000 1000>");
    // A RST elsewhere in the window leaves TS.Recent alone.
    script.inject("R 12:12(0) <ts 1900000 0>");
    script.inject("P. 11:21(10) ack 1 <ts 1002100 1000>");
    assert_eq!(script.octets_read(), 20);
    script.inject("R 21:21(0) <ts 1 0>");
    assert_eq!(script.state(), State::Closed);
}

#[test]
fn after_more_than_24_idle_days_any_timestamp_is_new() {
    // req: R7323-18
    for (days, accepted) in [(23, false), (25, true)] {
        let mut script = Script::established(&config());
        script.advance(days * DAY);
        script.inject("P. 1:6(5) ack 1 <ts 1000500 1000>");
        assert_eq!(script.octets_read(), if accepted { 5 } else { 0 }, "{days} days");
        let expected = if accepted { 1_000_500 } else { PEER_TS };
        assert_eq!(echo(&mut script), expected, "{days} days");
    }
}

#[test]
fn the_timestamp_clock_ticks_each_millisecond_and_never_runs_back() {
    // req: R7323-19
    let opening = Opening { tuple: Script::tuple(), iss: SeqNum(1), ts_offset: u32::MAX - 1_500, mtu: 1500 };
    let mut script = Script::connect_with(&config(), opening);
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1460,ts 1 0>");
    script.connection.set_nodelay(true);
    let mut last: Option<(crate::Instant, u32)> = None;
    for step in 0..3_000_u64 {
        script.write(1);
        script.advance(Duration::from_micros(step % 2_000));
        while let Some((when, segment)) = script.next_sent() {
            let val = segment.header.options.timestamps.unwrap().val;
            assert_eq!(val, opening.ts_offset.wrapping_add((when.as_nanos() / 1_000_000) as u32));
            assert!(last.is_none_or(|(_, old)| val.wrapping_sub(old) as i32 >= 0));
            last = Some((when, val));
        }
    }
    assert!(last.is_some_and(|(_, val)| val < 1_000_000), "the clock wrapped meanwhile");
}

#[test]
fn the_option_takes_twelve_octets_of_a_segment() {
    // req: R7323-20
    let mut script = Script::established(&config());
    script.write(3_000);
    assert_eq!(text_sent(&mut script), [(1, 1448), (1449, 1448), (2897, 104)]);
}

#[test]
fn a_first_retransmission_ignores_that_the_window_was_taken_back() {
    // req: R7323-21
    let mut script = Script::listen(&config(), "S 0:0(0) win 65535 <mss 1460,wscale 7>");
    script.inject(". 1:1(0) ack 1 win 12");
    script.forget_sent();
    script.connection.set_nodelay(true);
    script.write(1_536);
    assert_eq!(text_sent(&mut script), [(1, 1460), (1461, 76)]);
    // 76 octets remain of what was promised: less than a unit of the field.
    script.inject(". 1:1(0) ack 1461 win 0");
    script.expect_nothing();
    script.advance_ms(200);
    assert_eq!(text_sent(&mut script), [(1461, 76)]);
    // From then on the window counts: an octet as a probe.
    script.advance_ms(2_000);
    let later = text_sent(&mut script);
    assert!(!later.is_empty() && later.iter().all(|sent| *sent == (1461, 1)), "{later:?}");
    script.inject(". 1:1(0) ack 1461 win 12");
    assert_eq!(text_sent(&mut script), [(1461, 76)]);
}

#[test]
fn a_first_transmission_keeps_to_the_latest_window() {
    // req: R7323-21
    let mut script = Script::listen(&config(), "S 0:0(0) win 65535 <mss 1460,wscale 7>");
    script.inject(". 1:1(0) ack 1 win 100");
    script.inject(". 1:1(0) ack 1 win 90");
    script.forget_sent();
    script.write(12_800);
    let end = text_sent(&mut script).iter().map(|(seq, len)| seq + len).max();
    assert!(end.is_some_and(|end| end <= 1 + (90 << 7)), "{end:?}");
}

#[test]
fn a_segment_from_below_the_window_that_counts_for_its_ack_leaves_ts_recent_alone() {
    // req: R7323-12, S-SEQ-5
    let mut script = Script::established(&config());
    script.inject("P. 1:11(10) ack 1 <ts 1002000 1000>");
    script.write(10);
    script.forget_sent();
    script.inject(". 3:3(0) ack 11 <ts 900000000 1000>");
    assert_eq!(script.connection.send_queued(), 0, "the ACK counts");
    script.inject("P. 11:21(10) ack 11 <ts 1002500 1000>");
    assert_eq!(script.octets_read(), 20, "the true peer is not old");
}
