//! Closing (RFC 9293 3.5.3, 3.6).

use bytes::Bytes;
use netstack_wire::tcp::{TcpFlags, Timestamps};

use super::{config, ms, secs};
use crate::event::Event;
use crate::reset::reset_for;
use crate::state::{CloseReason, State};
use crate::testing::Script;
use crate::time_wait::TimeWaitAction;

/// A connection in TIME-WAIT after an active close.
fn in_time_wait(mut script: Script) -> Script {
    script.shutdown_write();
    script.expect("F. 1:1(0) ack 1");
    script.inject("F. 1:1(0) ack 2");
    script.expect(". 2:2(0) ack 2");
    assert_eq!(script.state(), State::TimeWait);
    script
}

#[test]
fn the_application_can_tell_a_close_from_an_abort() {
    // req: MUST-12
    let mut orderly = Script::established(&config());
    orderly.inject("FP. 1:11(10) ack 1");
    assert_eq!(orderly.octets_read(), 10);
    assert_eq!(orderly.drain_events(), [Event::PeerClosed]);
    assert!(orderly.connection.peer_closed());

    let mut aborted = Script::established(&config());
    aborted.inject("R 1:1(0)");
    assert_eq!(aborted.drain_events(), [Event::Closed(CloseReason::Reset)]);
    assert!(!aborted.connection.peer_closed());
    assert_eq!(aborted.connection.write(Bytes::from_static(b"x")), Err(crate::WriteError));
}

#[test]
fn a_reset_with_text_is_a_reset() {
    // req: SHLD-2
    let mut script = Script::established(&config());
    script.inject("R 1:21(20)");
    assert_eq!(script.drain_events(), [Event::Closed(CloseReason::Reset)]);
    assert_eq!(script.octets_read(), 0, "its text is no data");
    script.expect_nothing();
}

#[test]
fn shutting_down_the_write_half_leaves_reading_open() {
    // req: MAY-1
    let mut script = Script::established(&config());
    script.shutdown_write();
    script.expect("F. 1:1(0) ack 1");
    script.inject(". 1:101(100) ack 2");
    assert_eq!(script.octets_read(), 100);
    script.expect(". 2:2(0) ack 101");
    assert_eq!(script.state(), State::FinWait2);
}

#[test]
fn dropping_both_halves_ends_reading() {
    // req: MAY-1, SHLD-3
    let mut script = Script::established(&config());
    script.close();
    script.expect("F. 1:1(0) ack 1");
    script.inject(". 1:1(0) ack 2");
    assert_eq!(script.state(), State::FinWait2);
    script.expect_nothing();
    script.inject("P. 1:101(100) ack 2");
    script.expect("R 2:2(0)");
    assert_eq!(script.octets_read(), 0);
    assert_eq!(script.connection.close_reason(), Some(CloseReason::Aborted));
    script.expect_nothing();
}

#[test]
fn closing_over_unread_data_resets() {
    // req: SHLD-3
    for fetched in [false, true] {
        let mut script = Script::established(&config());
        script.auto_read = false;
        script.inject("P. 1:101(100) ack 1");
        script.forget_sent();
        if fetched {
            // In the socket's buffer, and not read by the application.
            assert!(script.connection.read().is_some());
            script.set_unread(100);
        }
        script.close();
        script.expect("R 1:1(0)");
        assert_eq!(script.connection.close_reason(), Some(CloseReason::Aborted));
        script.expect_nothing();
    }
}

#[test]
fn closing_over_read_data_is_in_order() {
    // req: SHLD-3
    let mut script = Script::established(&config());
    script.inject("P. 1:101(100) ack 1");
    script.forget_sent();
    script.close();
    script.expect("F. 1:1(0) ack 101");
    script.inject("F. 101:101(0) ack 2");
    script.expect(". 2:2(0) ack 102");
    assert_eq!(script.state(), State::TimeWait);
}

#[test]
fn data_that_crosses_a_close_resets_in_each_closing_state() {
    // req: SHLD-3
    // FIN not acknowledged yet: FIN-WAIT-1.
    let mut script = Script::established(&config());
    script.close();
    script.expect("F. 1:1(0) ack 1");
    script.inject("P. 1:11(10) ack 1");
    script.expect("R 2:2(0)");
    assert_eq!(script.state(), State::Closed);
    // A pure ACK that crosses it does not.
    let mut script = Script::established(&config());
    script.close();
    script.expect("F. 1:1(0) ack 1");
    script.inject(". 1:1(0) ack 1");
    assert_eq!(script.state(), State::FinWait1);
    script.expect_nothing();
}

#[test]
fn time_wait_lasts_for_two_msl() {
    // req: MUST-13
    let mut script = in_time_wait(Script::established(&config()));
    script.advance(secs(60) - ms(1));
    script.inject("F. 1:1(0) ack 2");
    script.expect(". 2:2(0) ack 2");
    // The FIN started it anew (S-ACK-11).
    script.advance(secs(60) - ms(1));
    assert_eq!(script.state(), State::TimeWait);
    script.advance(ms(1));
    assert_eq!(script.state(), State::Closed);
    assert_eq!(script.drain_events(), [Event::PeerClosed, Event::Closed(CloseReason::Normal)]);
    script.expect_nothing();
    // From now on the segment belongs to nobody.
    let fin = script.build(&"F. 1:1(0) ack 2".parse().unwrap());
    let reset = reset_for(&fin).unwrap();
    assert_eq!((reset.flags, reset.seq), (TcpFlags::RST, Script::ISS + 2));
}

#[test]
fn the_length_of_time_wait_is_configured() {
    // req: MUST-13
    let mut config = config();
    assert_eq!(config.time_wait_length(), secs(60), "the documented default");
    config.time_wait(secs(240));
    let mut script = in_time_wait(Script::established(&config));
    script.advance(secs(240) - ms(1));
    assert_eq!(script.state(), State::TimeWait);
    script.advance(ms(1));
    assert_eq!(script.state(), State::Closed);
}

#[test]
fn a_syn_above_the_old_range_reopens_the_pair() {
    // req: MAY-2
    let script = in_time_wait(Script::established_plain(&config()));
    let judge = |line: &str| {
        let mut record = script.connection.time_wait().unwrap();
        record.handle_segment(script.now(), &script.build(&line.parse().unwrap()))
    };
    let above = TimeWaitAction::Reopen { iss_above: Script::ISS + 2 };
    assert_eq!(judge("S 3:3(0)"), above, "above RCV.NXT");
    assert_eq!(judge("S 100000:100000(0)"), above);
    for stale in ["S 2:2(0)", "S 1:1(0)", "S 0:0(0)"] {
        assert!(matches!(judge(stale), TimeWaitAction::Reply(_)), "{stale} stays out");
    }
    // A SYN-ACK opens nothing.
    assert!(matches!(judge("S. 3:3(0) ack 1"), TimeWaitAction::Reply(_)));
}

#[test]
fn a_newer_timestamp_reopens_the_pair_from_any_sequence_number() {
    // req: SHLD-4
    let script = in_time_wait(Script::established(&config()));
    let mut record = script.connection.time_wait().unwrap();
    let mut syn = script.build(&"S 0:0(0)".parse().unwrap());
    let last = record.ts_recent;
    let mut judge = |val: u32| {
        syn.header.options.timestamps = Some(Timestamps { val, ecr: 0 });
        record.handle_segment(script.now(), &syn)
    };
    assert_eq!(judge(last + 1), TimeWaitAction::Reopen { iss_above: Script::ISS + 2 });
    assert!(matches!(judge(last), TimeWaitAction::Reply(_)), "equal, and below the old range");
    assert!(matches!(judge(last.wrapping_sub(1)), TimeWaitAction::Reply(_)));
}

#[test]
fn a_close_gives_a_silent_peer_no_more_time() {
    // req: MUST-20
    let mut config = config();
    config.user_timeout(Some(secs(30)));
    let mut script = Script::established_plain(&config);
    script.write(10);
    script.advance(secs(20));
    script.close();
    script.advance(secs(10) - ms(1));
    assert_eq!(script.state(), State::FinWait1);
    script.advance(ms(1));
    assert_eq!(script.connection.close_reason(), Some(CloseReason::TimedOut));
}

#[test]
fn a_peer_that_has_acknowledged_the_fin_is_waited_for_as_long_as_configured() {
    // req: S-CLOSE-1
    let mut config = config();
    config.user_timeout(Some(secs(10))).fin_wait2_timeout(secs(60));
    let mut script = Script::established_plain(&config);
    script.shutdown_write();
    script.inject(". 1:1(0) ack 2 win 65535");
    script.close();
    script.advance(secs(60) - ms(1));
    assert_eq!(script.state(), State::FinWait2, "nothing is outstanding that could time out");
    script.advance(ms(1));
    assert_eq!(script.connection.close_reason(), Some(CloseReason::Normal));
}
