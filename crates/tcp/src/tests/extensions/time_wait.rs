//! TIME-WAIT as a record (RFC 1337, RFC 6191).

use core::time::Duration;

use super::{config, ms};
use crate::config::TcpConfig;
use crate::segment::Segment;
use crate::state::State;
use crate::testing::Script;
use crate::time_wait::{TimeWait, TimeWaitAction};
use netstack_wire::tcp::TcpFlags;

/// Closed first by us, with 10 octets from the peer: its record. RCV.NXT is 12, SND.NXT is 2.
fn in_time_wait(config: &TcpConfig, syn: &str) -> (Script, TimeWait) {
    let mut script = Script::listen(config, syn);
    script.inject(". 1:1(0) ack 1 win 65535");
    script.inject("P. 1:11(10) ack 1");
    script.shutdown_write();
    script.inject("F. 11:11(0) ack 2");
    assert_eq!(script.state(), State::TimeWait);
    script.drain_events();
    script.forget_sent();
    let record = script.connection.time_wait().expect("the state is TIME-WAIT");
    (script, record)
}

const PLAIN: &str = "S 0:0(0) win 65535 <mss 1460>";
const WITH_TS: &str = "S 0:0(0) win 65535 <mss 1460,ts 1000000 0>";
/// What the peer's timestamps stood at.
const LAST_TS: u32 = 1_001_000;

fn segment(script: &Script, line: &str) -> Segment {
    script.build(&line.parse().unwrap())
}

/// The record's answer to `line`, the ACK as (seq, ack) relative to the initial numbers.
fn answer(script: &Script, record: &mut TimeWait, line: &str) -> Option<(u32, u32)> {
    match record.handle_segment(script.now(), &segment(script, line)) {
        TimeWaitAction::Reply(header) => {
            assert_eq!(header.flags, TcpFlags::ACK);
            Some((header.seq.distance_from(Script::ISS), header.ack.distance_from(Script::IRS)))
        }
        TimeWaitAction::Ignore => None,
        TimeWaitAction::Reopen { .. } => panic!("{line} must not reopen"),
    }
}

fn reopens(script: &Script, record: &TimeWait, line: &str) -> bool {
    let before = *record;
    let mut record = *record;
    let action = record.handle_segment(script.now(), &segment(script, line));
    assert_eq!(record.expires_at(), before.expires_at(), "{line}: the 2 MSL are not restarted");
    if let TimeWaitAction::Reopen { iss_above } = action {
        assert_eq!(iss_above, Script::ISS + 2, "the new ISN lies above what was sent");
    }
    matches!(action, TimeWaitAction::Reopen { .. })
}

#[test]
fn a_reset_is_ignored() {
    // req: R1337-1
    let (mut script, mut record) = in_time_wait(&config(), PLAIN);
    let expires = record.expires_at();
    for line in ["R 12:12(0)", "R. 12:12(0) ack 2", "R 13:13(0)", "SR 12:12(0)", "FR. 11:11(0) ack 2"] {
        assert_eq!(answer(&script, &mut record, line), None, "{line}");
        script.inject(line);
        script.expect_nothing();
        assert_eq!(script.state(), State::TimeWait);
    }
    assert_eq!(record.expires_at(), expires);
    assert_eq!(answer(&script, &mut record, "F. 11:11(0) ack 2"), Some((2, 12)));
    script.inject("F. 11:11(0) ack 2");
    script.expect(". 2:2(0) ack 12");
}

#[test]
fn old_text_is_answered_and_changes_nothing() {
    // req: R1337-2
    let (mut script, mut record) = in_time_wait(&config(), PLAIN);
    let expires = record.expires_at();
    script.advance_ms(20_000);
    for line in ["P. 1:11(10) ack 1", "P. 5:25(20) ack 2", ". 1:1(0) ack 1", "P. 900:910(10) ack 2"] {
        assert_eq!(answer(&script, &mut record, line), Some((2, 12)), "{line}");
        script.inject(line);
        script.expect(". 2:2(0) ack 12");
        script.expect_nothing();
    }
    assert_eq!(record.expires_at(), expires);
    assert_eq!(script.connection.poll_timeout(), Some(expires));
}

#[test]
fn a_repeated_fin_starts_the_wait_again_and_another_fin_does_not() {
    // req: S-ACK-11, R1337-2
    let (mut script, mut record) = in_time_wait(&config(), PLAIN);
    let expires = record.expires_at();
    assert_eq!(expires, script.now() + Duration::from_secs(60));
    script.advance_ms(30_000);
    assert_eq!(answer(&script, &mut record, "F. 500:500(0) ack 2"), Some((2, 12)));
    assert_eq!(record.expires_at(), expires);
    assert_eq!(answer(&script, &mut record, "PF. 1:11(10) ack 2"), Some((2, 12)));
    assert_eq!(record.expires_at(), script.now() + Duration::from_secs(60));
}

#[test]
fn the_records_own_acks_start_no_loop() {
    // req: R5961-8, R1337-2
    let (script, mut record) = in_time_wait(&config(), PLAIN);
    assert_eq!(
        answer(&script, &mut record, ". 12:12(0) ack 2"),
        None,
        "what a healthy peer's ACK looks like"
    );
    // Two records whose numbers do not fit each other: the exchange dies out.
    let mut replies = 0;
    for _ in 0..1_000 {
        replies += usize::from(answer(&script, &mut record, ". 4000:4000(0) ack 77").is_some());
    }
    assert!((1..=10).contains(&replies), "{replies}");
    let (mut script, _) = in_time_wait(&config(), PLAIN);
    for _ in 0..1_000 {
        script.inject(". 4000:4000(0) ack 77");
    }
    let replies = core::iter::from_fn(|| script.next_sent()).count();
    assert!((1..=10).contains(&replies), "{replies}");
}

#[test]
fn a_newer_timestamp_opens_anew_whatever_the_sequence_number() {
    // req: R6191-1, R6191-4
    let (script, record) = in_time_wait(&config(), WITH_TS);
    for seq in [0, 5, 12, 9_000, 3_000_000_000_u32] {
        assert!(reopens(&script, &record, &format!("S {seq}:{seq}(0) <mss 1460,ts {} 0>", LAST_TS + 1)));
        assert!(!reopens(&script, &record, &format!("S {seq}:{seq}(0) <mss 1460,ts {} 0>", LAST_TS - 1)));
    }
}

#[test]
fn an_equal_timestamp_or_none_opens_anew_only_from_above() {
    // req: R6191-2, R6191-4
    let (mut script, record) = in_time_wait(&config(), WITH_TS);
    script.auto_timestamps = false;
    for ts in [format!(",ts {LAST_TS} 0"), String::new()] {
        assert!(reopens(&script, &record, &format!("S 13:13(0) <mss 1460{ts}>")), "{ts}");
        assert!(!reopens(&script, &record, &format!("S 11:11(0) <mss 1460{ts}>")), "{ts}");
    }
    let (script, record) = in_time_wait(&config(), PLAIN);
    assert!(reopens(&script, &record, "S 13:13(0) <mss 1460>"));
    assert!(!reopens(&script, &record, "S 11:11(0) <mss 1460>"));
}

#[test]
fn timestamps_where_there_were_none_open_anew() {
    // req: R6191-3
    let (script, record) = in_time_wait(&config(), PLAIN);
    for seq in [0, 13, 3_000_000_000_u32] {
        // There is nothing that they could be older than.
        for ts in [0, 1, 0x9000_0000_u32] {
            assert!(reopens(&script, &record, &format!("S {seq}:{seq}(0) <mss 1460,ts {ts} 0>")), "{ts}");
        }
    }
}

/// An ACK in its place is answered only where its timestamp is old, and the answer has timestamps where the connection had.
#[test]
fn a_stale_ack_is_answered_with_the_records_timestamp() {
    // req: R7323-15, R7323-8, R1337-2
    let line = |ts: u32| format!(". 12:12(0) ack 2 <ts {ts} 0>");
    let (script, mut record) = in_time_wait(&config(), WITH_TS);
    for ts in [LAST_TS, LAST_TS + 1] {
        assert_eq!(answer(&script, &mut record, &line(ts)), None, "{ts}");
    }
    let stale = segment(&script, &line(LAST_TS - 1));
    let TimeWaitAction::Reply(header) = record.handle_segment(script.now(), &stale) else {
        panic!("an old duplicate is answered")
    };
    assert_eq!(header.options.timestamps.map(|ts| ts.ecr), Some(LAST_TS));
    // Where none were agreed on they are not looked at, and not sent.
    let (script, mut record) = in_time_wait(&config(), PLAIN);
    assert_eq!(answer(&script, &mut record, &line(0x9000_0000)), None);
    let TimeWaitAction::Reply(header) =
        record.handle_segment(script.now(), &segment(&script, "F. 11:11(0) ack 2"))
    else {
        panic!("a FIN is answered")
    };
    assert_eq!(header.options.timestamps, None);
}

/// The pause between two answers to empty segments is over when its time has come.
#[test]
fn after_the_pause_an_empty_segment_is_answered_again() {
    // req: R5961-8
    let (script, mut record) = in_time_wait(&config(), PLAIN);
    let strange = segment(&script, ". 4000:4000(0) ack 77");
    let mut answered = |now| matches!(record.handle_segment(now, &strange), TimeWaitAction::Reply(_));
    assert!(answered(script.now()));
    assert!(!answered(script.now() + ms(499)));
    assert!(answered(script.now() + ms(500)), "two a second at most");
    assert!(!answered(script.now() + ms(501)));
}

#[test]
fn an_old_syn_gets_an_ack_and_the_wait_goes_on() {
    // req: R6191-4
    let (mut script, mut record) = in_time_wait(&config(), WITH_TS);
    let expires = record.expires_at();
    let old = format!("S 5:5(0) <mss 1460,ts {} 0>", LAST_TS - 1);
    assert_eq!(answer(&script, &mut record, &old), Some((2, 12)));
    assert_eq!(record.expires_at(), expires);
    script.inject(&old);
    script.expect(". 2:2(0) ack 12");
    // A SYN with an ACK is never the start of a connection.
    let strange = format!("S. 13:13(0) ack 2 <mss 1460,ts {} 0>", LAST_TS + 1);
    assert_eq!(answer(&script, &mut record, &strange), Some((2, 12)));
}

#[test]
fn the_record_ends_at_its_time() {
    // req: S-TMO-3
    let mut config = config();
    config.time_wait(ms(5_000));
    let (mut script, record) = in_time_wait(&config, PLAIN);
    assert_eq!(record.expires_at(), script.now() + ms(5_000));
    script.advance_ms(4_999);
    assert_eq!(script.state(), State::TimeWait);
    script.advance_ms(1);
    assert_eq!(script.state(), State::Closed);
    script.expect_nothing();
}
