//! Blind attacks (RFC 5961).

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;

use super::{config, ms};
use crate::event::Event;
use crate::state::{CloseReason, State};
use crate::testing::{Pair, Script, Side, pattern};

/// The right edge of a connection of [`Script::established_plain`]: nothing was announced after the SYN-ACK.
const EDGE: u32 = 1 + 65_535;

#[test]
fn a_reset_outside_the_window_is_dropped_in_silence() {
    // req: R5961-1
    let mut script = Script::established_plain(&config());
    for seq in [0, EDGE, EDGE + 1, 1 << 30, (1 << 31) + 5, u32::MAX] {
        script.inject(&format!("R {seq}:{seq}(0)"));
        script.expect_nothing();
        assert_eq!(script.state(), State::Established, "{seq}");
    }
}

#[test]
fn a_reset_at_the_left_edge_resets() {
    // req: R5961-2
    let mut script = Script::established_plain(&config());
    script.inject("R 1:1(0)");
    assert_eq!(script.state(), State::Closed);
    assert_eq!(script.drain_events(), [Event::Closed(CloseReason::Reset)]);
    script.expect_nothing();
}

#[test]
fn a_reset_elsewhere_in_the_window_is_challenged() {
    // req: R5961-3
    for seq in [2, 1_000, EDGE - 1] {
        let mut script = Script::established_plain(&config());
        script.write(10);
        script.forget_sent();
        script.inject(&format!("R {seq}:{seq}(0)"));
        script.expect(". 11:11(0) ack 1");
        script.expect_nothing();
        assert_eq!(script.state(), State::Established);
        // The peer really has no connection: its RST takes the place that the challenge names.
        script.inject("R 1:1(0)");
        assert_eq!(script.state(), State::Closed);
        script.expect_nothing();
    }
}

#[test]
fn a_reset_at_the_end_of_held_text_is_challenged_like_any_other() {
    // req: R5961-3
    let mut script = Script::established(&config());
    script.inject(". 101:201(100) ack 1");
    script.forget_sent();
    script.inject("R 201:201(0)");
    script.expect(". 1:1(0) ack 1");
    assert_eq!(script.state(), State::Established);
}

#[test]
fn a_syn_is_challenged_wherever_it_lies() {
    // req: R5961-4
    for seq in [0, 1, 2, EDGE - 1, EDGE, EDGE + 1, 1 << 30, 1 << 31, u32::MAX] {
        for flags in ["S", "S.", "SF.", "SP"] {
            let mut script = Script::established_plain(&config());
            script.inject(&format!("{flags} {seq}:{seq}(0) ack 1 win 9 <mss 100>"));
            script.expect(". 1:1(0) ack 1");
            script.expect_nothing();
            assert_eq!(script.state(), State::Established);
            script.inject("P. 1:11(10) ack 1");
            assert_eq!(script.octets_read(), 10, "the flow of data goes on");
        }
    }
}

#[test]
fn a_segment_far_above_the_window_changes_nothing() {
    // req: S-SEQ-2, S-SEQ-3, S-SEQ-5
    const BUFFER: u32 = 1 << 16;
    let mut config = config();
    config.recv_buffer(BUFFER as usize);
    for (above, counts) in [(1, true), (BUFFER, true), (BUFFER + 1, false), (1 << 30, false)] {
        for octets in [0, 10] {
            let mut script = Script::established_plain(&config);
            script.write(200);
            script.forget_sent();
            script.drain_events();
            let seq = EDGE + above;
            script.inject(&format!("PU. {seq}:{}({octets}) ack 201 win 0 urg 5", seq + octets));
            script.expect(". 201:201(0) ack 1");
            script.expect_nothing();
            assert_eq!(script.octets_read(), 0);
            let info = script.connection.info();
            assert_eq!((info.in_flight == 0, info.snd_wnd == 0), (counts, counts), "{above} above");
            let told = script.drain_events().contains(&Event::UrgentPending);
            assert_eq!(told, counts, "{above} above");
        }
    }
}

#[test]
fn a_segment_far_above_the_window_is_no_sign_of_life() {
    // req: S-SEQ-2
    let mut config = config();
    config.keepalive(Some(crate::KeepAlive { idle: Duration::from_secs(10), ..Default::default() }));
    let mut script = Script::established_plain(&config);
    script.advance_ms(9_000);
    script.inject(". 1073741824:1073741824(0) ack 1");
    script.forget_sent();
    script.advance_ms(1_001);
    script.expect(". 0:0(0) ack 1");
}

#[test]
fn an_ack_far_below_is_dropped_with_its_text() {
    // req: R5961-5
    let mut script = Script::established_plain(&config());
    script.write(200);
    script.inject(". 1:1(0) ack 201 win 65535");
    script.forget_sent();
    let lowest = 201_u32.wrapping_sub(65_535);
    script.inject(&format!("P. 1:11(10) ack {} win 65535", lowest.wrapping_sub(1)));
    script.expect(". 201:201(0) ack 1");
    assert_eq!(script.octets_read(), 0);
    script.inject(&format!("P. 1:11(10) ack {lowest} win 65535"));
    script.expect(". 201:201(0) ack 11");
    assert_eq!(script.octets_read(), 10);
    // Of nothing sent yet.
    script.inject("P. 11:21(10) ack 202 win 65535");
    script.expect(". 201:201(0) ack 11");
    assert_eq!(script.octets_read(), 10);
    script.inject("P. 11:21(10) ack 201 win 65535");
    assert_eq!(script.octets_read(), 20);
}

#[test]
fn challenges_are_counted_for_five_seconds() {
    // req: R5961-6
    let mut config = config();
    config.challenge_acks(7);
    let mut script = Script::established_plain(&config);
    script.advance_ms(60_000);
    let mut sent = 0;
    for index in 0..100 {
        script.inject(&format!("R {}:{}(0)", 2 + index, 2 + index));
        sent += usize::from(script.next_sent().is_some());
        script.advance_ms(10);
    }
    assert!((4..=7).contains(&sent), "{sent}");
    script.advance_ms(3_990);
    script.inject("R 2:2(0)");
    script.expect_nothing();
    script.advance_ms(10);
    script.inject("S 2:2(0)");
    script.expect(". 1:1(0) ack 1");
}

#[test]
fn how_many_challenges_there_are_cannot_be_counted_on() {
    // req: R5961-7
    // Pitfall: with the same number for all, a stranger learns from his own how many others have caused.
    let spent = |script: &mut Script| {
        let mut sent = 0;
        for _ in 0..50 {
            script.inject("R 2:2(0)");
            sent += usize::from(script.next_sent().is_some());
        }
        script.advance_ms(5_000);
        sent
    };
    let mut script = Script::established_plain(&config());
    let counts: Vec<_> = (0..200).map(|_| spent(&mut script)).collect();
    for count in 5..=10 {
        let times = counts.iter().filter(|&&sent| sent == count).count();
        assert!((15..60).contains(&times), "{count} challenges in {times} of 200 periods");
    }
    assert!(counts.iter().all(|count| (5..=10).contains(count)), "{counts:?}");
}

#[test]
fn retransmitted_text_is_answered_even_when_the_challenges_are_spent() {
    // req: R5961-6
    // Pitfall 34: a throttle must not starve a peer whose ACKs were lost.
    let mut script = Script::established_plain(&config());
    script.inject("P. 1:11(10) ack 1");
    for _ in 0..50 {
        script.inject("R 12:12(0)");
    }
    script.forget_sent();
    for _ in 0..50 {
        script.inject("P. 1:11(10) ack 1");
        script.expect(". 1:1(0) ack 11");
    }
    script.inject(". 1:1(0) ack 1");
    script.expect_nothing();
}

#[test]
fn a_spent_allowance_is_the_connections_own() {
    // req: R5961-7
    let mut noisy = Script::established_plain(&config());
    for _ in 0..100 {
        noisy.inject("R 2:2(0)");
    }
    let mut other = Script::established_plain(&config());
    other.inject("R 2:2(0)");
    other.expect(". 1:1(0) ack 1");
}

#[test]
fn crossed_sequence_numbers_make_no_endless_exchange() {
    // req: R5961-8
    // Each end takes the other for somebody else: what it sends lies above, or below, everything the other knows.
    for shift in [1_u32 << 20, 0_u32.wrapping_sub(1 << 20), 1 << 31] {
        let mut pair = Pair::established(&config());
        let before = pair.log.len();
        pair.rewrite(move |flight| {
            flight.segment.header.seq += shift;
            flight.segment.header.ack += shift;
        });
        pair.command(Side::A, |connection, now| {
            connection.set_keepalive(
                now,
                Some(crate::KeepAlive { idle: ms(1), interval: Duration::from_secs(900), count: 9 }),
            );
        });
        pair.run_for(Duration::from_secs(100));
        let exchanged = pair.log.len() - before;
        assert!(exchanged > 1 && exchanged < 60, "{exchanged} segments, shift {shift}");
        let last = pair.log.last().map(|flight| flight.sent).unwrap();
        assert!(pair.now() - last > Duration::from_secs(80), "silence by now, shift {shift}");
    }
}

/// The device's buffers that are still referred to.
#[derive(Default)]
struct Frames(Arc<()>);

/// A buffer of the device, counted until nothing refers to it.
struct Frame {
    octets: Bytes,
    _counted: Arc<()>,
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl Frames {
    /// Text from `seq` to `end` in a frame of its own arrives.
    fn inject(&self, script: &mut Script, seq: u32, end: u32) {
        let mut segment = script.build(&format!(". {seq}:{end}({}) ack 1", end - seq).parse().unwrap());
        let frame = Frame { octets: pattern(seq, end), _counted: Arc::clone(&self.0) };
        segment.payload = Bytes::from_owner(frame);
        script.inject_segment(segment);
    }

    fn held(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

#[test]
fn a_few_new_octets_do_not_hold_the_frame_they_came_in() {
    // req: SHLD-31, S-SEQ-7
    const LEN: u32 = 60_000;
    let mut script = Script::established(&config());
    script.auto_read = false;
    let frames = Frames::default();
    // Out of order, each with one octet more than the one before.
    for start in 2..1_000 {
        frames.inject(&mut script, start, start + LEN);
    }
    assert_eq!(frames.held(), 1, "the first, of which all was new");
    // A gap of one octet each, the last first.
    let frames = Frames::default();
    let mut script = Script::established(&config());
    script.auto_read = false;
    for start in (2..1_000).step_by(2) {
        frames.inject(&mut script, start, start + 1);
    }
    let small = frames.held();
    for start in (3..1_000).step_by(2).rev() {
        frames.inject(&mut script, start, start + LEN);
    }
    assert_eq!(frames.held(), small + 1, "the first, of which most was new");
    // In order, almost all of it known; nobody reads.
    let frames = Frames::default();
    let mut script = Script::established(&config());
    script.auto_read = false;
    frames.inject(&mut script, 1, 20_001);
    for end in 1..40 {
        frames.inject(&mut script, 1, 20_001 + end * 100);
    }
    assert_eq!(frames.held(), 1);
    assert_eq!(script.read(), 20_000 + 39 * 100);
    assert_eq!(frames.held(), 0);
}

#[test]
fn a_repeated_fin_is_answered_in_time_wait_even_when_the_challenges_are_spent() {
    // req: S-ACK-11, R5961-8
    // The peer that repeats it has lost our ACK, and cannot end without.
    let mut script = Script::established_plain(&config());
    script.shutdown_write();
    script.inject("F. 1:1(0) ack 2");
    assert_eq!(script.state(), State::TimeWait);
    script.forget_sent();
    for _ in 0..100 {
        script.inject("F. 1:1(0) ack 2");
        script.expect(". 2:2(0) ack 2");
    }
    // What is empty is throttled.
    let mut answers = 0;
    for _ in 0..100 {
        script.inject(". 1:1(0) ack 2");
        answers += usize::from(script.next_sent().is_some());
    }
    assert!((1..=10).contains(&answers), "{answers}");
}
