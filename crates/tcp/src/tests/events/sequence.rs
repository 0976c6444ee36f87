//! First: the sequence number (RFC 9293 3.10.7.4).

use proptest::prelude::*;

use crate::config::TcpConfig;
use crate::state::State;
use crate::testing::{Line, Script};
use crate::tests::reach::{rcv_nxt, reach, reach_with, snd_nxt, snd_una, synchronized};

/// A connection without options whose window of 4,096 octets ends at 4097.
fn small_window() -> Script {
    reach_with(TcpConfig::new().recv_buffer(4096), State::Established)
}

/// The same with its buffer full: RCV.NXT is 4097, the window 0.
fn closed_window() -> Script {
    let mut script = small_window();
    script.auto_read = false;
    script.inject("P. 1:4097(4096) ack 1");
    script.expect(". 1:1(0) ack 4097 win 0");
    script
}

#[test]
fn with_window_0_an_ack_up_to_the_announced_edge_counts() {
    // The window field rounds down to 0 while 8 octets below the announced edge may be on their way.
    // req: S-SEQ-1
    let mut script =
        Script::listen(TcpConfig::new().recv_buffer(1 << 20), "S 0:0(0) win 65535 <mss 1460,wscale 0>");
    script.inject(". 1:1(0) ack 1");
    script.auto_read = false;
    let full: u32 = 1 << 20;
    let mut at = 1;
    while at < full - 7 {
        let end = (at + 65_504).min(full - 7);
        script.inject(&format!("P. {at}:{end}({}) ack 1", end - at));
        at = end;
    }
    script.advance_ms(50);
    let last = std::iter::from_fn(|| script.next_sent()).last().expect("text is acknowledged").1;
    assert_eq!((script.line(&last).ack, last.header.window), (Some(at), 0));
    let edge = at + 8;
    assert_eq!(script.connection.right_edge_room(), 8);

    script.write(10);
    script.expect("P. 1:11(10)");
    script.inject(&format!(". {edge}:{edge}(0) ack 11 win 500"));
    script.expect_nothing();
    assert_eq!(script.connection.send_queued(), 0, "its ACK counts");
    assert_eq!(script.connection.info().snd_wnd, 500, "and its window");

    script.inject(&format!(". {0}:{0}(0) ack 11", edge + 1));
    script.expect(&format!(". 11:11(0) ack {at} win 0"));
    script.expect_nothing();
}

#[test]
fn an_empty_segment_may_stand_anywhere_up_to_the_edge() {
    // The window spans the wrap of the sequence space. Below it and above it an ACK is sent.
    // req: S-SEQ-2
    let edge = 1 + 65_535;
    assert!((Script::IRS + edge).0 < Script::IRS.0, "the window spans the wrap");
    for (at, answered, counts) in
        [(0, true, false), (1, false, true), (edge, false, true), (edge + 1, true, true)]
    {
        let mut script = reach(State::Established);
        assert_eq!(script.connection.right_edge_room(), 65_535);
        // Not news by its ACK: the window tells whether it was processed.
        script.inject(&format!(". {at}:{at}(0) ack 1 win 1234"));
        assert_eq!(script.connection.info().snd_wnd == 1234, counts, "window at {at}");
        if answered {
            script.expect(". 1:1(0) ack 1");
        }
        script.expect_nothing();
    }
}

#[test]
fn an_ack_above_the_edge_counts_and_its_text_does_not() {
    // req: S-SEQ-2
    let mut script = small_window();
    script.write(10);
    script.forget_sent();
    script.inject("P. 4098:4103(5) ack 11");
    script.expect(". 11:11(0) ack 1");
    assert_eq!(script.connection.send_queued(), 0);
    assert_eq!(script.connection.info().stats.out_of_order, 0, "the text is not kept");
    // The check of R5961-5 stands before it.
    script.inject("P. 4098:4103(5) ack 12 win 77");
    assert_ne!(script.connection.info().snd_wnd, 77);
}

#[test]
fn a_probe_of_a_closed_window_is_answered_and_its_ack_counts() {
    // req: S-SEQ-3, MUST-66
    let mut script = closed_window();
    script.write(10);
    script.expect("P. 1:11(10) ack 4097 win 0");
    script.inject("P. 4097:4098(1) ack 11");
    script.expect(". 11:11(0) ack 4097 win 0");
    script.expect_nothing();
    assert_eq!(script.connection.send_queued(), 0);
    assert_eq!(script.read(), 4096, "the octet is not delivered");
}

#[test]
fn a_segment_with_text_is_taken_as_far_as_it_lies_in_the_window() {
    // req: S-SEQ-4
    let mut script = small_window();
    script.inject("P. 1:101(100) ack 1");
    script.expect(". 1:1(0) ack 101");
    // Over the left edge.
    script.inject("P. 51:151(100) ack 1");
    script.expect(". 1:1(0) ack 151");
    assert_eq!(script.octets_read(), 150);
    // Wholly before.
    script.inject("P. 1:101(100) ack 1");
    script.expect(". 1:1(0) ack 151");
    // Wholly after.
    script.inject("P. 4097:4197(100) ack 1");
    script.expect(". 1:1(0) ack 151");
    assert_eq!(script.connection.info().stats.unacceptable, 2);
    // Over the right edge: its end is cut off, and never acknowledged.
    script.inject("FP. 4047:4147(100) ack 1");
    script.expect(". 1:1(0) ack 151");
    script.inject("P. 151:4047(3896) ack 1");
    script.expect(". 1:1(0) ack 4097");
    assert_eq!(script.octets_read(), 4096);
    assert_eq!(script.state(), State::Established, "nor is its FIN");
}

#[test]
fn an_unacceptable_segment_is_answered_with_an_ack() {
    // req: S-SEQ-5
    for state in synchronized() {
        let mut script = reach(state);
        // Below the window: the octet of the peer's SYN.
        script.inject(&format!("P. 0:1(1) ack {}", snd_una(state)));
        let at = snd_nxt(state);
        script.expect(&format!(". {at}:{at}(0) ack {}", rcv_nxt(state)));
        script.expect_nothing();
        assert_eq!(script.state(), state);
    }
}

#[test]
fn a_new_ack_from_just_below_the_window_counts() {
    // Window probes cross while both windows open: each end has taken the other's octet, and its ACK stands one below.
    // req: S-SEQ-5, S-ACK-4
    let mut script = small_window();
    script.write(10);
    script.expect("P. 1:11(10) ack 1");
    script.inject("P. 1:2(1) ack 1");
    script.expect(". 11:11(0) ack 2");
    script.inject(". 1:1(0) ack 11 win 5000");
    assert_eq!((script.connection.send_queued(), script.connection.info().snd_wnd), (0, 5000));

    // What is no news is dropped, and so is a claim from far below.
    script.forget_sent();
    script.write(10);
    script.inject(". 1:1(0) ack 11 win 77");
    script.inject(". 4294959296:4294959296(0) ack 21 win 77");
    assert_eq!((script.connection.send_queued(), script.connection.info().snd_wnd), (10, 5000));
}

#[test]
fn an_old_duplicate_is_reported_where_sack_is_on() {
    // req: S-SEQ-5, R2883-1
    let mut script = Script::established(&TcpConfig::new());
    script.inject("P. 1:11(10) ack 1");
    script.expect(". 1:1(0) ack 11");
    script.inject("P. 1:11(10) ack 1");
    let answer = script.expect(". 1:1(0) ack 11");
    let blocks: Vec<_> = answer.header.options.sack.iter().map(|block| (block.left, block.right)).collect();
    assert_eq!(blocks, [(Script::IRS + 1, Script::IRS + 11)]);
    script.expect_nothing();
    assert_eq!(script.octets_read(), 10);
}

#[test]
fn noise_is_throttled_and_retransmissions_are_not() {
    // Pitfall 34: a peer whose ACK was lost repeats its text, and must hear of it each time.
    // req: S-SEQ-5, R5961-8
    let mut script = reach(State::Established);
    script.inject("P. 1:11(10) ack 1");
    script.forget_sent();
    for _ in 0..100 {
        script.inject("P. 1:11(10) ack 1");
        script.expect(". 1:1(0) ack 11");
        script.expect_nothing();
    }
    let mut answers = 0;
    for _ in 0..100 {
        script.inject(". 1:1(0) ack 1");
        answers += usize::from(script.next_sent().is_some());
    }
    assert!((5..=10).contains(&answers), "{answers}");
}

#[test]
fn an_unacceptable_reset_is_dropped_in_silence() {
    // req: S-SEQ-6, R5961-1
    for state in synchronized() {
        let next = rcv_nxt(state);
        // 5 octets of text reach from below into the window; the RST still stands below it.
        for line in [
            format!("R {0}:{0}(0)", next - 1),
            // At the right edge, which the peer's FIN did not move, and above it.
            format!("R {0}:{0}(0)", 65_536),
            format!("R {0}:{0}(0)", 65_537),
            format!("R. {}:{}(5) ack {}", next - 1, next + 4, snd_una(state)),
            "R 65536:65541(5)".to_owned(),
        ] {
            let mut script = reach(state);
            script.inject(&line);
            script.expect_nothing();
            assert_eq!(script.state(), state, "{line}");
        }
    }
}

#[test]
fn a_repeated_syn_gets_the_same_syn_ack() {
    // Pitfall 13: three SYNs, one connection.
    // req: S-SEQ-8
    let mut script = Script::listen(&TcpConfig::new(), "S 0:0(0) win 65535 <mss 1460,sackOK>");
    let first = script.expect("S. 0:0(0) ack 1");
    for _ in 0..2 {
        script.inject("S 0:0(0) win 65535 <mss 1460,sackOK>");
        let again = script.expect("S. 0:0(0) ack 1");
        assert_eq!(again.header, first.header);
        script.expect_nothing();
    }
    script.inject(". 1:1(0) ack 1");
    assert_eq!(script.state(), State::Established);
    assert_eq!(script.connection.info().rcv_wnd, 65_535);
}

#[test]
fn a_repeated_syn_in_a_simultaneous_open_gets_the_same_syn_ack() {
    // req: S-SEQ-8
    let mut script = reach(State::SynSent);
    script.inject("S 0:0(0) <mss 1460>");
    script.expect("S. 0:0(0) ack 1");
    script.inject("S 0:0(0) <mss 1460>");
    script.expect("S. 0:0(0) ack 1");
    script.expect_nothing();
    assert_eq!(script.state(), State::SynReceived);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Segments that overlap, straddle both edges of the window and repeat, in any order: each octet inside the window is
    /// delivered once and in its place, none beyond it, and no FIN that lies there.
    #[test]
    fn only_what_is_new_and_inside_the_window_is_delivered(
        segments in prop::collection::vec((0u32..3000, 1u32..1200, any::<bool>()), 1..60),
    ) {
        // req: S-SEQ-7
        let mut script = reach_with(TcpConfig::new().recv_buffer(2048), State::Established);
        script.auto_read = false;
        for (start, len, fin) in segments {
            let line = Line {
                flags: if fin { "F. 1:1(0)" } else { ". 1:1(0)" }.parse::<Line>().expect("well formed").flags,
                seq: 1 + start,
                // The stream ends at 4001, beyond the right edge; a FIN stands only there.
                len: if fin { 4000 - start } else { len.min(4000 - start) },
                ack: Some(1),
                win: None,
                urg: None,
                ecn: None,
                options: None,
            };
            script.inject_line(&line);
            prop_assert!(script.connection.right_edge_room() <= 2048);
            prop_assert!(!script.connection.peer_closed());
        }
        // `read` compares each octet with the stream's pattern.
        prop_assert!(script.read() <= 2048);
        script.auto_read = true;
        while script.octets_read() < 4000 {
            let at = 1 + script.octets_read();
            let end = (at + 500).min(4001);
            let flags = if end == 4001 { "F." } else { "." };
            script.inject(&format!("{flags} {at}:{end}({}) ack 1", end - at));
        }
        prop_assert_eq!(script.octets_read(), 4000);
        prop_assert_eq!(script.state(), State::CloseWait);
    }
}
