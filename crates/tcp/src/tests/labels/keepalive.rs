//! Keep-alive (RFC 9293 3.8.4).

use super::{config, ms, secs};
use crate::config::{KeepAlive, TcpConfig};
use crate::event::Event;
use crate::state::{CloseReason, State};
use crate::testing::Script;

/// Probes after a minute, then every ten seconds, three of them.
const MINUTE: KeepAlive = KeepAlive { idle: secs60(), interval: secs10(), count: 3 };

const fn secs60() -> core::time::Duration {
    core::time::Duration::from_secs(60)
}

const fn secs10() -> core::time::Duration {
    core::time::Duration::from_secs(10)
}

fn with(keepalive: KeepAlive) -> TcpConfig {
    let mut config = config();
    config.keepalive(Some(keepalive));
    config
}

#[test]
fn an_idle_connection_is_silent_by_default() {
    // req: MUST-25
    let mut script = Script::established(&config());
    assert_eq!(script.connection.poll_timeout(), None, "no timer at all");
    script.advance(secs(24 * 3600));
    script.expect_nothing();
    assert_eq!(script.state(), State::Established);
}

#[test]
fn a_probe_repeats_the_last_number_and_carries_nothing() {
    // req: MAY-5, SHLD-12, MAY-6, MUST-27
    let mut script = Script::established(&with(MINUTE));
    script.write(10);
    script.expect("P. 1:11(10) ack 1");
    script.inject(". 1:1(0) ack 11");
    let start = script.now();
    script.advance(secs(60) - ms(1));
    script.expect_nothing();
    script.advance(ms(1));
    // SND.NXT is 11; no garbage octet is offered.
    script.expect_after(start, secs(60), ". 10:10(0) ack 1");
    script.expect_nothing();
    script.inject(". 1:1(0) ack 11");
    script.advance(secs(59));
    script.expect_nothing();
    script.advance(secs(1));
    script.expect(". 10:10(0) ack 1");
}

#[test]
fn the_default_is_two_hours() {
    // req: MUST-28
    let mut script = Script::established(&with(KeepAlive::default()));
    script.advance(secs(7200) - ms(1));
    script.expect_nothing();
    script.advance(ms(1));
    script.expect(". 0:0(0) ack 1");
}

#[test]
fn each_connection_has_its_own_switch() {
    // req: MUST-24, MAY-5
    let config = config();
    let (mut with, mut without) = (Script::established(&config), Script::established(&config));
    with.command(|connection, now| connection.set_keepalive(now, Some(MINUTE)));
    for script in [&mut with, &mut without] {
        script.advance(secs(65));
    }
    with.expect(". 0:0(0) ack 1");
    without.expect_nothing();
    // And off again, in the middle of probing.
    with.command(|connection, now| connection.set_keepalive(now, None));
    with.advance(secs(3600));
    with.expect_nothing();
    assert_eq!(with.state(), State::Established);
}

#[test]
fn any_arrival_restarts_the_interval() {
    // req: MUST-26
    let mut script = Script::established(&with(MINUTE));
    script.advance(secs(59));
    script.inject("P. 1:2(1) ack 1");
    script.forget_sent();
    script.advance(secs(60) - ms(1));
    script.expect_nothing();
    script.advance(ms(1));
    script.expect(". 0:0(0) ack 2");
}

#[test]
fn outstanding_data_takes_the_place_of_probes() {
    // req: MUST-26
    let mut script = Script::established(&with(MINUTE));
    script.write(10);
    script.advance(secs(250));
    while let Some((_, segment)) = script.next_sent() {
        assert_eq!(script.line(&segment).len, 10, "retransmissions only");
    }
    assert_eq!(script.state(), State::Established, "three intervals of keep-alive have passed");
}

#[test]
fn queued_data_before_a_closed_window_takes_the_place_of_probes() {
    // req: MUST-26
    let mut script = Script::established_plain(&with(MINUTE));
    script.inject(". 1:1(0) ack 1 win 0");
    script.write(10);
    for _ in 0..200 {
        script.advance(secs(1));
        while let Some((_, segment)) = script.next_sent() {
            let line = script.line(&segment);
            assert_eq!((line.seq, line.len), (1, 1), "window probes only");
            script.inject(". 1:1(0) ack 1 win 0");
        }
    }
}

#[test]
fn one_answer_in_time_is_enough() {
    // req: MUST-29
    let mut script = Script::established(&with(MINUTE));
    script.advance(secs(60));
    script.expect(". 0:0(0) ack 1");
    script.advance(secs(10));
    script.expect(". 0:0(0) ack 1");
    script.advance(secs(10));
    script.expect(". 0:0(0) ack 1");
    script.advance(secs(10) - ms(1));
    assert_eq!(script.state(), State::Established);
    script.inject(". 1:1(0) ack 1");
    script.advance(secs(60) - ms(2));
    script.expect_nothing();
    assert_eq!(script.state(), State::Established);
    script.advance(ms(2));
    script.expect(". 0:0(0) ack 1");
}

#[test]
fn a_dead_peer_is_given_up_after_all_probes() {
    // req: MUST-29
    let mut script = Script::established(&with(MINUTE));
    script.advance(secs(90) - ms(1));
    for _ in 0..3 {
        script.expect(". 0:0(0) ack 1");
    }
    assert_eq!(script.state(), State::Established);
    script.advance(ms(1));
    assert_eq!(script.drain_events(), [Event::Closed(CloseReason::TimedOut)]);
    // A RST, for the case that only our direction is alive.
    script.expect("R 1:1(0)");
    script.expect_nothing();
}

#[test]
fn a_probe_from_the_peer_is_answered() {
    // req: SHLD-12
    let mut script = Script::established(&config());
    for _ in 0..3 {
        script.advance(secs(75));
        script.inject(". 0:0(0) ack 1");
        script.expect(". 1:1(0) ack 1");
    }
    // With the garbage octet of older peers as well.
    script.inject(". 0:1(1) ack 1");
    script.expect(". 1:1(0) ack 1");
}
