//! Congestion control as RFC 9293 3.8.2 asks for it, and what must not move it.

use super::{config, ms, secs, sent_lengths, slow};
use crate::testing::{Fate, Pair, Script, Side};

const MSS: u32 = 1460;

/// A connection without options that has a window of ten segments in flight and more to send.
fn in_flight() -> Script {
    let mut script = Script::established_plain(&slow());
    script.write(200_000);
    assert_eq!(sent_lengths(&mut script), [1460; 10]);
    script
}

fn cwnd(script: &Script) -> u32 {
    script.connection.info().cwnd
}

#[test]
fn slow_start_then_avoidance() {
    // req: MUST-19
    let mut script = in_flight();
    // Slow start: a segment per ACK of a segment.
    for segment in 1..=10 {
        script.inject(&format!(". 1:1(0) ack {}", segment * MSS + 1));
    }
    assert_eq!(cwnd(&script), 20 * MSS);
    assert_eq!(sent_lengths(&mut script).len(), 20);
    // A timeout: one segment, and half the flight as the threshold.
    script.advance(secs(1));
    script.expect(". 14601:16061(1460) ack 1");
    script.expect_nothing();
    assert_eq!(cwnd(&script), MSS);
    assert_eq!(script.connection.info().ssthresh, Some(10 * MSS));
    // A duplicate first: the timeout was no mistake (R5682-3). Up to the threshold by slow start, from there about a segment
    // per round.
    script.inject(&format!(". 1:1(0) ack {}", 10 * MSS + 1));
    let mut acked = 10;
    while cwnd(&script) < 10 * MSS {
        acked += 1;
        script.inject(&format!(". 1:1(0) ack {}", acked * MSS + 1));
    }
    assert_eq!(acked, 19, "one for each ACK");
    for _ in 0..10 {
        acked += 1;
        script.inject(&format!(". 1:1(0) ack {}", acked * MSS + 1));
    }
    assert_eq!(cwnd(&script), 11 * MSS);
}

#[test]
fn the_timer_backs_off_exponentially() {
    // req: MUST-19
    let mut script = in_flight();
    let start = script.now();
    script.advance(secs(8));
    for at in [1, 3, 7] {
        script.expect_after(start, secs(at), ". 1:1461(1460) ack 1");
    }
    script.expect_nothing();
}

/// Pitfall 24: what is in flight stays within both windows, after every single transmission.
#[test]
fn the_flight_stays_within_both_windows() {
    // req: MUST-19
    let mut pair = Pair::established(&config());
    pair.script(
        |flight| {
            if flight.from == Side::A && flight.index % 50 == 17 { Fate::Drop } else { Fate::Deliver }
        },
    );
    pair.write(Side::A, &vec![1; 1_000_000]);
    let mut checks = 0;
    let done = pair.run_until(secs(60), |pair| {
        let info = pair.connection(Side::A).info();
        // Beside cwnd: limited transmit, or what fast recovery adds for segments that have left the network.
        let extra = if info.in_recovery { info.in_flight } else { 2 * info.mss };
        assert!(info.in_flight <= info.cwnd + extra, "{info:?}");
        assert!(info.in_flight <= info.snd_wnd.max(1), "{info:?}");
        checks += 1;
        pair.received(Side::B).len() == 1_000_000
    });
    assert!(done && checks > 700, "{checks}");
    assert!(pair.connection(Side::A).info().stats.fast_retransmits > 5);
}

/// Pitfall 24: a large window of the peer does not lift the congestion window, nor the reverse.
#[test]
fn the_lesser_window_bounds() {
    // req: MUST-19
    let mut script = Script::listen(&config(), "S 0:0(0) <mss 1460,wscale 14>");
    script.inject(". 1:1(0) ack 1 win 65535");
    script.forget_sent();
    script.write(200_000);
    assert_eq!(sent_lengths(&mut script), [1460; 10], "cwnd");
    let mut script = Script::established_plain(&config());
    script.inject(". 1:1(0) ack 1 win 5840");
    script.write(200_000);
    assert_eq!(sent_lengths(&mut script), [1460; 4], "the peer's window");
}

/// Pitfall 25: window updates and the peer's own data are neither progress nor duplicates.
#[test]
fn window_updates_and_data_do_not_move_the_window() {
    // req: MUST-19
    let mut script = in_flight();
    let before = script.connection.info();
    for round in 0..50u32 {
        script.inject(&format!(". {}:{}(10) ack 1 win 65535", 1 + round * 10, 11 + round * 10));
    }
    for window in 60_000..60_050 {
        script.inject(&format!(". 501:501(0) ack 1 win {window}"));
    }
    let after = script.connection.info();
    assert_eq!((after.cwnd, after.ssthresh, after.stats.dup_acks), (before.cwnd, None, 0));
    assert_eq!((after.stats.fast_retransmits, after.stats.bytes_retransmitted), (0, 0));
}

/// Pitfall 25: only the first timeout of a segment lowers the threshold.
#[test]
fn a_second_timeout_keeps_the_threshold() {
    // req: MUST-19
    let mut script = in_flight();
    script.advance(secs(1));
    assert_eq!(script.connection.info().ssthresh, Some(5 * MSS));
    script.advance(secs(6));
    let info = script.connection.info();
    assert_eq!(info.stats.timeouts, 3);
    assert_eq!((info.ssthresh, info.cwnd), (Some(5 * MSS), MSS));
}

/// Pitfall 25: an ACK never lowers the window outside recovery.
#[test]
fn an_ack_never_lowers_the_window() {
    // req: MUST-19
    let mut script = in_flight();
    let mut acked = 1;
    let mut last = cwnd(&script);
    // Of an octet, of several segments, in no regular order.
    for octets in [1, 1459, 2920, 10, 4370, 1, 1, 1] {
        acked += octets;
        script.inject(&format!(". 1:1(0) ack {acked}"));
        assert!(cwnd(&script) >= last, "ACK of {octets}");
        assert!(cwnd(&script) <= last + octets.min(MSS), "never more than it acknowledges");
        last = cwnd(&script);
    }
}

/// Pitfall 25: the third duplicate draws exactly one segment, with cwnd full; the fourth none.
#[test]
fn the_third_duplicate_draws_one_segment() {
    // req: MUST-19
    let mut script = Script::established_plain(&slow());
    script.write(14_600);
    script.forget_sent();
    script.inject(". 1:1(0) ack 1");
    script.inject(". 1:1(0) ack 1");
    script.expect_nothing();
    script.inject(". 1:1(0) ack 1");
    script.expect(". 1:1461(1460) ack 1");
    script.expect_nothing();
    assert_eq!(script.connection.info().ssthresh, Some(5 * MSS));
    script.inject(". 1:1(0) ack 1");
    script.expect_nothing();
    // The full ACK: recovery is over, without a burst.
    script.inject(". 1:1(0) ack 14601");
    assert!(!script.connection.info().in_recovery);
    assert!(cwnd(&script) <= 5 * MSS);
}

/// Pitfall 25: duplicates without end neither panic nor inflate the window without bound.
#[test]
fn a_flood_of_duplicates_is_harmless() {
    // req: MUST-19
    let mut script = in_flight();
    for _ in 0..70_000 {
        script.inject(". 1:1(0) ack 1");
    }
    let info = script.connection.info();
    assert!(info.in_flight <= 65_535, "the peer's window bounds: {info:?}");
    assert_eq!((info.stats.fast_retransmits, info.stats.dup_acks), (1, 70_000));
    script.advance_ms(10);
    assert_eq!(script.connection.send_queued(), 200_000);
}

/// Pitfall 25: nothing outstanding, nothing to be a duplicate of.
#[test]
fn an_idle_connection_counts_no_duplicates() {
    // req: MUST-19
    let mut script = Script::established_plain(&config());
    for _ in 0..10 {
        script.inject(". 1:1(0) ack 1");
    }
    let info = script.connection.info();
    assert_eq!((info.stats.dup_acks, info.stats.fast_retransmits), (0, 0));
    script.expect_nothing();
    script.advance(ms(100));
}

/// Pitfall 25: text that finds our window closed is text all the same, and no duplicate ACK.
#[test]
fn probes_of_our_closed_window_are_no_duplicates() {
    // req: MUST-19
    let mut config = slow();
    config.recv_buffer(1460).quick_acks(0);
    let mut script = Script::established_plain(&config);
    script.auto_read = false;
    script.inject("P. 1:1461(1460) ack 1");
    script.write(10_000);
    script.forget_sent();
    for _ in 0..10 {
        script.inject(". 1461:1462(1) ack 1");
        script.expect(". 10001:10001(0) ack 1461 win 0");
    }
    script.expect_nothing();
    let stats = script.connection.info().stats;
    assert_eq!((stats.dup_acks, stats.fast_retransmits), (0, 0));
}
