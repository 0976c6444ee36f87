//! Timeouts and half-open connections (RFC 9293 3.10.8, 3.5.1), and what keeps a closing connection from staying for ever.

use core::time::Duration;

use crate::config::{KeepAlive, TcpConfig};
use crate::event::Event;
use crate::listener::{Listener, SynAction};
use crate::state::{CloseReason, State};
use crate::testing::Script;
use crate::tests::events::segment;
use crate::tests::reach::{rcv_nxt, reach, reach_with, snd_nxt};

#[test]
fn the_user_timeout_ends_a_connection_that_makes_no_progress() {
    // req: S-TMO-1
    let mut config = TcpConfig::new();
    config.user_timeout(Some(Duration::from_secs(10)));
    let mut script = reach_with(&config, State::Established);
    script.write(1000);
    script.advance(Duration::from_secs(10) - Duration::from_nanos(1));
    assert_eq!(script.state(), State::Established);
    script.forget_sent();
    script.advance(Duration::from_nanos(1));
    assert_eq!(script.drain_events(), [Event::RetryWarning, Event::Closed(CloseReason::TimedOut)]);
    assert_eq!(script.connection.send_queued(), 0);
    assert_eq!(script.connection.poll_timeout(), None);
    script.expect_nothing();
}

#[test]
fn a_retransmission_timeout_sends_the_oldest_segment_again() {
    // req: S-TMO-2
    let mut script = reach(State::Established);
    script.write(4380);
    script.forget_sent();
    let start = script.now();
    script.advance_ms(200);
    script.expect_after(start, Duration::from_millis(200), ". 1:1461(1460) ack 1");
    script.expect_nothing();
    // The timer runs again, twice as long.
    script.advance_ms(400);
    script.expect_after(start, Duration::from_millis(600), ". 1:1461(1460) ack 1");
    script.expect_nothing();
}

#[test]
fn the_record_of_time_wait_ends_after_2_msl() {
    // req: S-TMO-3, MUST-13
    let mut script = reach(State::TimeWait);
    assert_eq!(
        script.connection.time_wait().map(|record| record.expires_at()),
        script.connection.poll_timeout()
    );
    script.advance(Duration::from_secs(60) - Duration::from_nanos(1));
    assert_eq!(script.state(), State::TimeWait);
    script.advance(Duration::from_nanos(1));
    assert_eq!(script.drain_events(), [Event::Closed(CloseReason::Normal)]);
    script.expect_nothing();
}

#[test]
fn keep_alive_does_not_run_in_time_wait() {
    // Its deadline would pass for the end of the record.
    // req: S-TMO-3, S-FIN-6
    let keepalive = KeepAlive { idle: Duration::from_secs(5), interval: Duration::from_secs(1), count: 2 };
    let mut script = reach_with(TcpConfig::new().keepalive(Some(keepalive)), State::TimeWait);
    script.command(|connection, now| connection.set_keepalive(now, Some(keepalive)));
    assert_eq!(script.connection.poll_timeout(), Some(script.now() + Duration::from_secs(60)));
    script.advance(Duration::from_secs(60));
    script.expect_nothing();
    assert_eq!(script.connection.close_reason(), Some(CloseReason::Normal));
}

#[test]
fn a_peer_that_forgot_the_connection_resets_it() {
    // req: S-TMO-4
    let mut script = reach(State::Established);
    script.inject("P. 1:11(10) ack 1");
    script.forget_sent();
    script.write(10);
    script.expect("P. 1:11(10) ack 11");
    // It answers with <SEQ=SEG.ACK>.
    script.inject("R 11:11(0)");
    assert_eq!(script.drain_events(), [Event::Closed(CloseReason::Reset)]);
    script.expect_nothing();
}

#[test]
fn a_rebooted_peer_gets_through() {
    // req: S-TMO-5
    let mut script = reach(State::Established);
    script.inject("P. 1:11(10) ack 1");
    script.forget_sent();
    script.inject("S 70000:70000(0) <mss 1460>");
    script.expect(". 1:1(0) ack 11");
    script.expect_nothing();
    script.inject("R 11:11(0)");
    assert_eq!(script.connection.close_reason(), Some(CloseReason::Reset));
    let syn = segment("S 70000:70000(0) <mss 1460>");
    let action = Listener::new(1, 1).handle_syn(script.now(), Script::tuple(), &syn);
    assert!(matches!(action, SynAction::Spawn(_)));
}

/// The longest that a state may keep a connection whose application has gone, by default: R2 for what has to be
/// acknowledged, else a minute.
fn limit(state: State) -> Duration {
    Duration::from_secs(match state {
        State::FinWait2 | State::TimeWait => 60,
        _ => 300,
    })
}

const CLOSING: [State; 5] =
    [State::FinWait1, State::FinWait2, State::Closing, State::LastAck, State::TimeWait];

#[test]
fn a_silent_peer_keeps_no_closed_connection() {
    // Pitfall 37, with and without a user timeout: nobody is left who could give up.
    // req: S-TMO-1
    for user_timeout in [Some(Duration::from_secs(300)), None] {
        for state in CLOSING {
            let mut script = reach_with(TcpConfig::new().user_timeout(user_timeout), state);
            script.close();
            script.advance(limit(state) - Duration::from_millis(1));
            assert_eq!(script.state(), state);
            script.advance_ms(1);
            assert_eq!(script.state(), State::Closed, "{state}, {user_timeout:?}");
            assert_eq!(script.connection.poll_timeout(), None);
        }
    }
}

#[test]
fn a_peer_that_acknowledges_the_fin_and_then_is_silent_keeps_no_closed_connection() {
    // Pitfall 37: the minute counts from the ACK of the FIN.
    for state in [State::Established, State::SynReceived] {
        let mut script = reach(state);
        script.close();
        script.inject(". 1:1(0) ack 1");
        script.advance(Duration::from_millis(50));
        script.inject(". 1:1(0) ack 2");
        assert_eq!(script.state(), State::FinWait2);
        script.forget_sent();
        script.advance(Duration::from_secs(60) - Duration::from_nanos(1));
        assert_eq!(script.state(), State::FinWait2);
        script.advance(Duration::from_nanos(1));
        assert_eq!(script.connection.close_reason(), Some(CloseReason::Normal));
        assert_eq!(script.connection.poll_timeout(), None);
        script.expect_nothing();
    }
}

#[test]
fn what_came_behind_a_gap_is_not_kept_when_the_minute_is_over() {
    let mut script = reach(State::FinWait2);
    script.inject("F. 101:201(100) ack 2");
    script.close();
    assert!(script.connection.out_of_order_memory() > 0);
    script.advance(Duration::from_secs(60));
    assert_eq!(script.connection.close_reason(), Some(CloseReason::Normal));
    assert_eq!(script.connection.out_of_order_memory(), 0);
}

#[test]
fn a_silent_peer_with_queued_data_keeps_no_closed_connection() {
    // Pitfall 37: the passive closer with unacknowledged data.
    for (state, user_timeout) in
        [(State::Established, None), (State::CloseWait, None), (State::CloseWait, Some(300))]
    {
        let mut config = TcpConfig::new();
        config.user_timeout(user_timeout.map(Duration::from_secs));
        let mut script = reach_with(&config, state);
        script.write(100_000);
        script.close();
        script.advance(Duration::from_secs(301));
        assert_eq!(
            script.connection.close_reason(),
            Some(CloseReason::TimedOut),
            "{state}, {user_timeout:?}"
        );
    }
}

#[test]
fn a_peer_with_a_closed_window_keeps_no_closed_connection() {
    // Pitfall 37: it answers each probe, but nobody is left who waits for it (MUST-37 speaks of an application that does).
    let mut script = reach(State::Established);
    script.write(1000);
    script.inject(". 1:1(0) ack 1 win 0");
    script.close();
    let mut seconds = 0;
    while script.state() != State::Closed {
        script.advance(Duration::from_secs(1));
        seconds += 1;
        while script.next_sent().is_some() {
            script.inject(". 1:1(0) ack 1 win 0");
        }
        assert!(seconds <= 301, "given up within the user timeout");
    }
}

#[test]
fn a_peer_that_only_answers_keep_alives_keeps_no_closed_connection() {
    // Pitfall 37.
    let keepalive = KeepAlive { idle: Duration::from_secs(5), interval: Duration::from_secs(5), count: 3 };
    for state in CLOSING {
        let mut script = reach_with(TcpConfig::new().keepalive(Some(keepalive)), state);
        script.close();
        let mut seconds = 0;
        while script.state() != State::Closed {
            script.advance(Duration::from_secs(1));
            seconds += 1;
            while let Some((_, sent)) = script.next_sent() {
                if sent.is_empty() {
                    // What answers a probe; the FIN is never acknowledged.
                    let ack = snd_nxt(state) - u32::from(state != State::FinWait2);
                    script.inject(&format!(". {0}:{0}(0) ack {ack}", rcv_nxt(state)));
                }
            }
            assert!(seconds <= 301, "{state}");
        }
    }
}

#[test]
fn a_half_closed_connection_lives_as_long_as_its_reader() {
    // FIN-WAIT-2 is bounded only once nobody reads.
    // req: S-ACK-8
    let mut script = reach(State::FinWait2);
    script.advance(Duration::from_secs(24 * 3600));
    assert_eq!(script.state(), State::FinWait2);
    script.inject("P. 1:11(10) ack 2");
    assert_eq!(script.octets_read(), 10);
}
