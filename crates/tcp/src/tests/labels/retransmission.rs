//! Retransmission and when to give up (RFC 9293 3.8.1, 3.8.3).

use core::time::Duration;

use super::{config, ms, secs, sent_times, slow};
use crate::event::Event;
use crate::state::{CloseReason, State};
use crate::testing::{Fate, Pair, Script, Side};

/// A connection that measured a round trip of `rtt` in its handshake.
fn with_rtt(config: &crate::TcpConfig, rtt: u64) -> Script {
    let mut script = Script::connect(config);
    script.auto_timestamps = false;
    script.advance_ms(rtt);
    script.inject("S. 0:0(0) ack 1 <mss 1460>");
    script.forget_sent();
    script
}

#[test]
fn the_timeout_follows_the_round_trip() {
    // req: MUST-18
    let mut script = with_rtt(&config(), 400);
    assert_eq!(script.connection.info().srtt, Some(ms(400)));
    script.write(10);
    script.expect("P. 1:11(10) ack 1");
    let sent = script.now();
    // SRTT + 4 * RTTVAR = 400 + 4 * 200.
    script.advance(secs(2));
    script.expect_after(sent, ms(1200), "P. 1:11(10) ack 1");
    script.expect_nothing();
}

#[test]
fn the_ack_of_a_retransmitted_segment_is_no_sample() {
    // req: MUST-18
    let mut script = with_rtt(&config(), 400);
    let before = script.connection.info();
    script.write(10);
    script.advance_ms(1200);
    script.advance_ms(7);
    script.inject(". 1:1(0) ack 11");
    let after = script.connection.info();
    assert_eq!((before.srtt, before.rttvar), (after.srtt, after.rttvar));
    assert_eq!(after.rto, ms(2400), "the back-off stays until there is a sample");
    script.write(10);
    script.forget_sent();
    script.advance_ms(400);
    script.inject(". 1:1(0) ack 21");
    // 400 again: RTTVAR = 3/4 * 200.
    assert_eq!(script.connection.info().rto, ms(1000));
}

#[test]
fn a_silent_peer_is_given_up_at_r2_and_not_before() {
    // req: MUST-20, MUST-19
    let mut script = Script::established_plain(&slow());
    script.write(10);
    let start = script.now();
    script.forget_sent();
    script.advance(secs(300) - ms(1));
    assert_eq!(script.state(), State::Established);
    assert_eq!(
        sent_times(&mut script, start),
        [1, 3, 7, 15, 31, 63, 123, 183, 243].map(|at| at * 1000),
        "doubled up to 60 s"
    );
    script.drain_events();
    script.advance(ms(1));
    assert_eq!(script.drain_events(), [Event::Closed(CloseReason::TimedOut)]);
    assert_eq!(script.connection.close_reason(), Some(CloseReason::TimedOut));
    script.advance(secs(1000));
    script.expect_nothing();
}

#[test]
fn r2_is_set_per_connection() {
    // req: MUST-21
    let mut script = Script::established_plain(&config());
    script.command(|connection, _| connection.set_user_timeout(Some(secs(30))));
    script.advance(secs(1000));
    assert_eq!(script.state(), State::Established, "it runs only while something is outstanding");
    script.write(10);
    script.advance(secs(30) - ms(1));
    assert_eq!(script.state(), State::Established);
    script.advance(ms(1));
    assert_eq!(script.connection.close_reason(), Some(CloseReason::TimedOut));

    let mut script = Script::established_plain(&config());
    script.command(|connection, _| connection.set_user_timeout(None));
    script.write(10);
    script.advance(secs(30 * 24 * 3600));
    assert_eq!(script.state(), State::Established);
    assert!(script.connection.info().stats.timeouts > 40_000, "it keeps trying");
}

#[test]
fn r2_can_be_changed_during_a_silence() {
    // req: MUST-21
    let silent = |before: Option<Duration>, after: Option<Duration>| {
        let mut config = config();
        config.user_timeout(before);
        let mut script = Script::established_plain(&config);
        // Long after the start, so that only the silence can count.
        script.advance(secs(1000));
        script.write(10);
        script.advance(secs(20));
        script.command(|connection, _| connection.set_user_timeout(after));
        script
    };
    for before in [Some(secs(300)), Some(secs(21))] {
        let mut lifted = silent(before, None);
        lifted.advance(secs(24 * 3600));
        assert_eq!(lifted.state(), State::Established);

        let mut moved = silent(before, Some(secs(30)));
        moved.advance(secs(10) - ms(1));
        assert_eq!(moved.state(), State::Established);
        moved.advance(ms(1));
        assert_eq!(moved.connection.close_reason(), Some(CloseReason::TimedOut));
    }
    // Without a limit before, it counts from the last sign of life of either end.
    let mut limited = silent(None, Some(secs(30)));
    limited.advance(secs(30));
    assert_eq!(limited.connection.close_reason(), Some(CloseReason::TimedOut));
}

#[test]
fn r2_of_a_connection_at_rest_does_not_run() {
    // req: MUST-21
    let mut script = Script::established_plain(&config());
    script.command(|connection, _| connection.set_user_timeout(Some(secs(1))));
    assert_eq!(script.connection.poll_timeout(), None);
    // Nor does it take the place of the handshake's own limit.
    let mut opening = Script::connect(&config());
    opening.command(|connection, _| connection.set_user_timeout(Some(secs(1))));
    opening.advance(secs(180) - ms(1));
    assert_eq!(opening.state(), State::SynSent);
}

#[test]
fn r2_counts_from_the_last_progress() {
    // req: MUST-21
    let mut config = config();
    config.user_timeout(Some(secs(30)));
    let mut script = Script::established_plain(&config);
    script.write(30);
    for octets in [11, 21] {
        script.advance(secs(29));
        script.inject(&format!(". 1:1(0) ack {octets}"));
    }
    script.advance(secs(29));
    assert_eq!(script.state(), State::Established);
    script.advance(secs(1));
    assert_eq!(script.connection.close_reason(), Some(CloseReason::TimedOut));
}

#[test]
fn r1_is_told_at_the_third_retransmission() {
    // req: SHLD-9, SHLD-10
    let mut script = Script::established_plain(&slow());
    script.write(10);
    script.advance(secs(1));
    script.advance(secs(2));
    assert_eq!((script.connection.info().retries, script.connection.info().retry_warning), (2, false));
    assert_eq!(script.drain_events(), [], "not at the second");
    script.advance(secs(4));
    assert_eq!(script.drain_events(), [Event::RetryWarning]);
    assert!(script.connection.info().retry_warning);
    script.advance(secs(100));
    assert_eq!(script.drain_events(), [], "once");
    assert!(script.connection.info().retry_warning, "as long as the silence lasts");
    // Progress clears it, and the next silence is told anew.
    script.inject(". 1:1(0) ack 11");
    assert_eq!((script.connection.info().retries, script.connection.info().retry_warning), (0, false));
    script.write(10);
    script.advance(secs(250));
    assert_eq!(script.drain_events(), [Event::RetryWarning]);
}

#[test]
fn r2_is_at_least_a_hundred_seconds_by_default() {
    // req: SHLD-11
    let mut script = Script::established(&config());
    script.write(10);
    script.advance(secs(100));
    assert_eq!(script.state(), State::Established);
}

#[test]
fn a_syn_is_repeated_by_the_same_scheme() {
    // req: MUST-22, MUST-23, MUST-19
    let mut script = Script::connect(&config());
    let start = script.now();
    script.expect("S 0:0(0)");
    script.advance(secs(180) - ms(1));
    assert_eq!(script.state(), State::SynSent);
    for at in [1, 3, 7, 15, 31, 63, 123] {
        script.expect_after(start, secs(at), "S 0:0(0)");
    }
    script.expect_nothing();
    assert_eq!(script.drain_events(), [Event::RetryWarning], "R1 is told of a SYN as of data");
    script.advance(ms(1));
    assert_eq!(script.drain_events(), [Event::Closed(CloseReason::TimedOut)]);
}

#[test]
fn a_syn_ack_is_given_up_sooner_than_a_syn() {
    // req: R4987-6
    let mut short = config();
    short.syn_ack_timeout(secs(10));
    let defaults = [1, 3, 7, 15, 31].as_slice();
    for (config, limit, repeated) in [(config(), 60, defaults), (short, 10, &defaults[..3])] {
        let mut script = Script::listen(&config, "S 0:0(0) <mss 1460>");
        let start = script.now();
        script.expect("S. 0:0(0) ack 1");
        script.advance(secs(limit) - ms(1));
        assert_eq!(script.state(), State::SynReceived);
        for at in repeated {
            script.expect_after(start, secs(*at), "S. 0:0(0) ack 1");
        }
        script.expect_nothing();
        script.advance(ms(1));
        assert_eq!(script.connection.close_reason(), Some(CloseReason::TimedOut));
        script.expect_nothing();
    }
}

#[test]
fn a_simultaneous_open_is_as_patient_as_the_active_open_it_was() {
    // req: MUST-10, MUST-23
    let mut script = Script::connect(&config());
    script.advance(secs(1));
    script.inject("S 0:0(0) <mss 1460>");
    script.advance(secs(179) - ms(1));
    assert_eq!(script.state(), State::SynReceived);
    script.advance(ms(1));
    assert_eq!(script.connection.close_reason(), Some(CloseReason::TimedOut));
}

#[test]
fn a_syn_ack_is_repeated_by_the_same_scheme() {
    // req: MUST-22
    let mut script = Script::listen(&config(), "S 0:0(0) <mss 1460>");
    let start = script.now();
    script.expect("S. 0:0(0) ack 1");
    script.advance(secs(10));
    for at in [1, 3, 7] {
        script.expect_after(start, secs(at), "S. 0:0(0) ack 1");
    }
    script.inject(". 1:1(0) ack 1");
    assert_eq!(script.state(), State::Established);
    script.advance(secs(100));
    script.expect_nothing();
}

/// Pitfall 21: the last segment is lost and the peer is silent: the timer, not an arrival, brings it back.
#[test]
fn a_lost_tail_is_sent_again_without_the_peers_help() {
    // req: MUST-18, R8985-16
    let mut pair = Pair::established(&config());
    pair.script(|flight| {
        let tail = flight.from == Side::A && flight.segment.payload.len() == 1;
        if tail && flight.sent < crate::Instant::from_nanos(150_000_000) { Fate::Drop } else { Fate::Deliver }
    });
    pair.write(Side::A, &[9; 1448 * 3 + 1]);
    let sent = pair.now();
    // The delayed ACK of the odd third segment starts the timer anew.
    assert!(pair.run_until(secs(1), |pair| pair.received(Side::B).len() == 4345));
    assert!(pair.now() - sent < ms(300), "{:?}", pair.now() - sent);
    let stats = pair.connection(Side::A).info().stats;
    assert_eq!((stats.timeouts, stats.tail_probes), (0, 1), "a probe is sooner than the timeout");
}

/// Pitfall 22: octets are never given up while the connection goes on; the application hears of a timeout, and what was
/// acknowledged is a prefix of what it wrote.
#[test]
fn a_black_hole_is_an_error_and_never_a_gap() {
    // req: MUST-20
    let mut config = config();
    config.user_timeout(Some(secs(60)));
    let mut pair = Pair::new(config.clone(), config, ms(10));
    pair.run_for(ms(100));
    pair.script(|flight| if flight.index > 30 { Fate::Drop } else { Fate::Deliver });
    let data: Vec<u8> = (0..200_000u32).map(|at| (at % 251) as u8).collect();
    pair.write(Side::A, &data);
    pair.run_for(secs(59));
    assert_eq!(pair.connection(Side::A).state(), State::Established);
    let info = pair.connection(Side::A).info();
    let held = pair.connection(Side::A).send_queued();
    assert_eq!(info.stats.bytes_acked as usize + held, data.len(), "all of it is held");
    pair.run_for(secs(10));
    assert_eq!(pair.connection(Side::A).close_reason(), Some(CloseReason::TimedOut));
    let received = pair.received(Side::B).to_vec();
    assert!(received.len() >= info.stats.bytes_acked as usize);
    assert_eq!(received, data[..received.len()]);
}

/// Pitfall 23: with a round trip of a second and an octet every 100 ms nothing is sent twice.
#[test]
fn a_long_path_draws_no_spurious_timeout() {
    // req: MUST-18
    let mut config = config();
    config.nodelay(true);
    let mut pair = Pair::new(config.clone(), config, ms(500));
    pair.run_for(secs(3));
    for octet in 0..100 {
        pair.write(Side::A, &[octet]);
        pair.run_for(ms(100));
    }
    pair.run_for(secs(3));
    assert_eq!(pair.received(Side::B).len(), 100);
    let stats = pair.connection(Side::A).info().stats;
    assert_eq!((stats.timeouts, stats.bytes_retransmitted), (0, 0));
}

/// Pitfall 23: an ACK of new data restarts the timer at its own time.
#[test]
fn progress_restarts_the_timer() {
    // req: MUST-18
    let mut script = Script::established_plain(&slow());
    script.write(2920);
    script.forget_sent();
    script.advance_ms(900);
    script.inject(". 1:1(0) ack 1461");
    let progress = script.now();
    let rto = script.connection.info().rto;
    script.advance(rto - ms(1));
    script.expect_nothing();
    script.advance(ms(1));
    script.expect_after(progress, rto, "P. 1461:2921(1460) ack 1");
}

/// Pitfall 23: an ACK counts from when the device was read, not from when somebody came round to it.
#[test]
fn a_segment_that_waited_in_a_queue_does_not_lengthen_the_round_trip() {
    // req: MUST-18
    let mut script = with_rtt(&config(), 40);
    script.write(10);
    script.forget_sent();
    script.advance_ms(40);
    let read_at = script.now();
    let ack = script.build(&". 1:1(0) ack 11".parse().unwrap());
    script.advance_ms(50);
    script.connection.handle_segment(read_at, ack);
    assert_eq!(script.connection.info().srtt, Some(ms(40)));
}
