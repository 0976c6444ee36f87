//! Closed windows and their probes (RFC 9293 3.8.6.1, 3.4).

use super::{config, ms, secs, sent_times, slow};
use crate::config::TcpConfig;
use crate::event::Event;
use crate::state::{CloseReason, State};
use crate::testing::{Fate, Pair, Script, Side};

/// A connection that finds the window closed with `queued` octets to send, at the time it returns.
fn closed_window(config: &TcpConfig, queued: u32) -> Script {
    let mut script = Script::established_plain(config);
    script.inject(". 1:1(0) ack 1 win 0");
    script.write(queued);
    script.expect_nothing();
    script
}

#[test]
fn a_closed_window_is_probed_with_an_octet_after_one_timeout() {
    // req: MUST-36, SHLD-29
    let mut script = closed_window(&slow(), 5000);
    let start = script.now();
    script.advance(secs(1) - ms(1));
    script.expect_nothing();
    script.advance(ms(1));
    script.expect_after(start, secs(1), ". 1:2(1) ack 1");
    script.expect_nothing();
}

#[test]
fn probes_back_off_to_the_cap() {
    // req: SHLD-30, MUST-36
    let mut script = closed_window(&slow(), 5000);
    let start = script.now();
    let mut times = Vec::new();
    for _ in 0..300 {
        script.advance(secs(1));
        let sent = sent_times(&mut script, start);
        if !sent.is_empty() {
            times.extend(sent);
            script.inject(". 1:1(0) ack 1 win 0");
        }
    }
    let seconds = [1, 3, 7, 15, 31, 63, 123, 183, 243];
    assert_eq!(times, seconds.map(|at| at * 1000), "doubled up to 60 s");
    assert_eq!(script.connection.info().stats.window_probes, 9);
}

#[test]
fn an_answered_probe_keeps_the_connection_for_ever() {
    // req: MUST-37
    let mut config = slow();
    config.user_timeout(Some(secs(100)));
    let mut script = closed_window(&config, 5000);
    for _ in 0..24 * 60 {
        script.advance(secs(60));
        while script.next_sent().is_some() {
            script.inject(". 1:1(0) ack 1 win 0");
        }
    }
    assert_eq!(script.state(), State::Established);
    script.inject(". 1:1(0) ack 1 win 65535");
    script.expect(". 1:1461(1460) ack 1");
}

#[test]
fn an_unanswered_probe_does_not() {
    // req: MUST-20
    let mut config = slow();
    config.user_timeout(Some(secs(100)));
    let mut script = closed_window(&config, 5000);
    script.advance(secs(99));
    assert_eq!(script.state(), State::Established);
    script.advance(secs(2));
    assert_eq!(script.drain_events().last(), Some(&Event::Closed(CloseReason::TimedOut)));
}

#[test]
fn a_probe_that_is_taken_moves_on_by_one_octet() {
    // req: MUST-36
    let mut script = closed_window(&slow(), 5000);
    script.advance(secs(1));
    script.expect(". 1:2(1) ack 1");
    // The peer had room for it after all, and for no more.
    let start = script.now();
    script.inject(". 1:1(0) ack 2 win 0");
    script.advance(secs(2));
    script.expect_after(start, secs(2), ". 2:3(1) ack 1");
    script.inject(". 1:1(0) ack 3 win 1460");
    script.expect(". 3:1463(1460) ack 1");
    assert_eq!(script.connection.send_queued(), 4998);
}

#[test]
fn a_window_that_closes_over_data_in_flight_is_probed() {
    // req: MUST-35
    let mut script = Script::established_plain(&slow());
    script.write(2920);
    script.forget_sent();
    let start = script.now();
    script.inject(". 1:1(0) ack 1 win 0");
    script.advance(secs(4));
    // The first retransmission is of what was in the window once (R7323-21); from then on octets probe the edge.
    script.expect_after(start, secs(1), ". 1:1461(1460) ack 1");
    script.expect_after(start, secs(3), ". 1:2(1) ack 1");
    script.expect_nothing();
    script.inject(". 1:1(0) ack 1 win 65535");
    script.expect(". 1:1461(1460) ack 1");
    script.inject(". 1:1(0) ack 1461 win 65535");
    script.expect("P. 1461:2921(1460) ack 1");
}

#[test]
fn a_fin_alone_probes_a_closed_window() {
    // req: MUST-36
    let mut script = Script::established_plain(&slow());
    script.inject(". 1:1(0) ack 1 win 0");
    script.shutdown_write();
    script.expect_nothing();
    script.advance(secs(1));
    script.expect("F. 1:1(0) ack 1");
    script.inject(". 1:1(0) ack 2 win 0");
    assert_eq!(script.state(), State::FinWait2);
    script.advance(secs(100));
    script.expect_nothing();
}

/// A connection whose receive buffer was just filled, and whose application does not read.
fn filled() -> Script {
    let mut config = config();
    config.recv_buffer(1460).quick_acks(0);
    let mut script = Script::established_plain(&config);
    script.auto_read = false;
    script.inject("P. 1:1461(1460) ack 1");
    script
}

/// A connection whose receive buffer is full, and whose peer knows it.
fn full() -> Script {
    let mut script = filled();
    script.advance_ms(40);
    script.expect(". 1:1(0) ack 1461 win 0");
    script
}

#[test]
fn the_receiver_may_keep_its_window_closed() {
    // req: MAY-8, S-SEQ-3
    let mut script = full();
    for _ in 0..24 * 60 {
        script.advance(secs(60));
        script.expect_nothing();
        script.inject(". 1461:1462(1) ack 1");
        script.expect(". 1:1(0) ack 1461 win 0");
    }
    assert_eq!(script.state(), State::Established);
    assert_eq!(script.read(), 1460, "no octet of a probe was taken");
    script.set_unread(0);
    script.expect(". 1:1(0) ack 1461 win 1460");
}

#[test]
fn a_closed_window_still_takes_ack_urgent_and_reset() {
    // req: MUST-66
    let mut script = full();
    script.write(100);
    script.expect("P. 1:101(100) ack 1461 win 0");
    script.inject(". 1461:1461(0) ack 51");
    assert_eq!(script.connection.send_queued(), 50, "an ACK alone");
    script.inject(". 1461:1471(10) ack 101");
    assert_eq!(script.connection.send_queued(), 0, "the ACK of text that finds no room");
    script.expect(". 101:101(0) ack 1461 win 0");

    script.drain_events();
    script.inject("U. 1461:1471(10) ack 101 urg 10");
    assert_eq!(script.drain_events(), [Event::UrgentPending]);
    script.forget_sent();

    script.inject("R 1461:1461(0)");
    assert_eq!(script.drain_events(), [Event::Closed(CloseReason::Reset)]);
    script.expect_nothing();
}

#[test]
fn a_reset_with_text_finds_a_closed_window() {
    // req: MUST-66, SHLD-2
    let mut script = full();
    script.inject("R 1461:1471(10)");
    assert_eq!(script.drain_events(), [Event::Closed(CloseReason::Reset)]);
}

/// Pitfall 31: the update that reopens the window is lost; a probe finds out, and the octets are the right ones.
#[test]
fn a_lost_window_update_is_made_up_for_by_a_probe() {
    // req: MUST-36
    let mut small = config();
    small.recv_buffer(20_000);
    let mut pair = Pair::new(config(), small, ms(10));
    pair.run_for(ms(100));
    pair.set_reading(Side::B, false);
    let data: Vec<u8> = (0..100_000u32).map(|at| (at % 251) as u8).collect();
    pair.write(Side::A, &data);
    pair.run_for(secs(5));
    assert_eq!(pair.connection(Side::A).info().snd_wnd, 0, "the window closed");
    assert!(pair.connection(Side::A).info().stats.window_probes > 0);
    // The update is lost.
    pair.script(|flight| if flight.from == Side::B { Fate::Drop } else { Fate::Deliver });
    pair.set_reading(Side::B, true);
    let heard = pair.log.len();
    pair.run_for(ms(1));
    assert!(pair.log.len() > heard || pair.log.last().is_some_and(|flight| flight.from == Side::B));
    pair.script(|_| Fate::Deliver);
    let done = pair.run_until(secs(60), |pair| pair.received(Side::B).len() == data.len());
    assert!(done, "{:?}", pair.connection(Side::A).info());
    assert_eq!(pair.received(Side::B), data);
}

/// Pitfall 31: an ACK that rides on data announces the window like any other, so that its reopening is told.
#[test]
fn a_window_closed_by_a_reply_is_reopened() {
    // req: MUST-39
    let mut script = filled();
    script.write(10);
    script.expect("P. 1:11(10) ack 1461 win 0");
    assert_eq!(script.read(), 1460);
    script.set_unread(0);
    script.expect(". 11:11(0) ack 1461 win 1460");
}
