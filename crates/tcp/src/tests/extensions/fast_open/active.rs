//! The client: what its SYN carries, and what it makes of the answer (RFC 7413 4.2).

use netstack_wire::tcp::{FastOpenCookie, TcpFlags};
use proptest::prelude::*;

use super::super::{cases, connecting, ms};
use super::{COOKIE, bare, config, cookie, offer};
use crate::fast_open::{FastOpen, FastOpenNews, FastOpenOffer};
use crate::state::{CloseReason, IcmpNotice, State};
use crate::testing::Script;

/// Before an answer to a SYN with 1,000 octets.
fn tried() -> Script {
    let mut script = Script::connect_fast(&bare(), &offer(1460), 1000);
    script.expect(&format!("S 0:1000(1000) <mss 1460,wscale 7,sackOK,{COOKIE}>"));
    script
}

#[test]
fn a_first_attempt_asks_for_a_cookie_and_sends_no_data() {
    // req: R7413-5
    let mut script = Script::connect_fast(&bare(), &FastOpenOffer::default(), 1000);
    script.expect("S 0:0(0) <mss 1460,wscale 7,sackOK,cookie>");
    script.expect_nothing();
    assert_eq!(script.connection.poll_fast_open(), None, "nothing is known before the answer");
    script.inject(&format!("S. 0:0(0) ack 1 win 65535 <mss 1300,{COOKIE}>"));
    script.expect("P. 1:1001(1000) ack 1");
    let news =
        FastOpenNews { outcome: FastOpen::Cookie, cookie: Some(cookie()), mss: Some(1300), failed: false };
    assert_eq!(script.connection.poll_fast_open(), Some(news));
    assert_eq!(script.connection.poll_fast_open(), None, "it is told once");
}

#[test]
fn without_being_asked_a_syn_has_neither_option_nor_data() {
    // req: R7413-1
    let mut script = connecting(&bare());
    script.expect("S 0:0(0) <mss 1460,wscale 7,sackOK>");
    script.write(10);
    script.expect_nothing();
    script.command(|connection, _| connection.open_fast(&offer(1460)));
    script.inject(&format!("S. 0:0(0) ack 1 win 65535 <mss 1300,{COOKIE}>"));
    script.expect("P. 1:11(10) ack 1");
    assert_eq!((script.connection.fast_open(), script.connection.poll_fast_open()), (FastOpen::Off, None));
}

#[test]
fn data_that_the_syn_ack_acknowledges_is_done_with() {
    // req: R7413-3
    let mut script = tried();
    assert_eq!(script.connection.fast_open(), FastOpen::Tried);
    script.inject("S. 0:0(0) ack 1001 win 65535 <mss 1400,sackOK>");
    script.expect(". 1001:1001(0) ack 1");
    script.expect_nothing();
    assert_eq!(script.state(), State::Established);
    assert_eq!(script.connection.send_queued(), 0);
    assert_eq!(script.connection.poll_timeout(), None, "nothing is outstanding");
    assert_eq!(script.connection.info().stats.bytes_acked, 1000);
    let news = script.connection.poll_fast_open().unwrap();
    assert_eq!((news.outcome, news.cookie, news.mss), (FastOpen::Used, None, Some(1400)));
    script.write(5);
    script.expect("P. 1001:1006(5) ack 1");
}

#[test]
fn answer_data_behind_the_syn_ack_is_taken() {
    // req: R7413-3
    let mut script = tried();
    script.inject("S. 0:0(0) ack 1001 win 65535 <mss 1400>");
    script.expect(". 1001:1001(0) ack 1");
    script.inject("P. 1:501(500) ack 1001");
    assert_eq!(script.octets_read(), 500);
    // On the SYN-ACK itself it may come too.
    let mut script = tried();
    script.inject("S. 0:300(300) ack 1001 win 65535 <mss 1400>");
    script.expect(". 1001:1001(0) ack 301");
    assert_eq!(script.octets_read(), 300);
}

#[test]
fn what_the_syn_ack_leaves_out_leaves_again_at_once() {
    // req: R7413-5
    for acked in [0, 1, 400, 999] {
        let mut script = tried();
        let fresh = if acked == 0 { ",cookie 0909090909090909" } else { "" };
        script.inject(&format!("S. 0:0(0) ack {} win 65535 <mss 1400{fresh}>", 1 + acked));
        script.expect(&format!("P. {}:1001({}) ack 1", 1 + acked, 1000 - acked));
        script.expect_nothing();
        let news = script.connection.poll_fast_open().unwrap();
        assert_eq!(news.outcome, if acked == 0 { FastOpen::Fallback } else { FastOpen::Used });
        assert_eq!(news.cookie, FastOpenCookie::new(&[9; 8]).filter(|_| acked == 0));
        assert!(!news.failed);
        script.inject(". 1:1(0) ack 1001");
        assert_eq!((script.connection.send_queued(), script.connection.poll_timeout()), (0, None));
    }
}

#[test]
fn a_lost_syn_is_sent_again_without_option_and_data() {
    // req: R7413-5
    let mut script = tried();
    script.advance_ms(1000);
    script.expect("S 0:0(0) <mss 1460,wscale 7,sackOK>");
    script.advance_ms(2000);
    script.expect("S 0:0(0) <mss 1460,wscale 7,sackOK>");
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1400>");
    script.expect("P. 1:1001(1000) ack 1");
    let news = script.connection.poll_fast_open().unwrap();
    assert_eq!((news.outcome, news.failed), (FastOpen::Fallback, true));
}

#[test]
fn a_late_answer_to_the_first_syn_counts_and_is_no_failure() {
    // req: R7413-5
    let mut script = tried();
    script.advance_ms(1000);
    script.expect("S 0:0(0)");
    script.inject("S. 0:0(0) ack 1001 win 65535 <mss 1400>");
    script.expect(". 1001:1001(0) ack 1");
    script.expect_nothing();
    let news = script.connection.poll_fast_open().unwrap();
    assert_eq!((news.outcome, news.failed), (FastOpen::Used, false));
}

#[test]
fn a_connect_that_fails_says_whether_the_option_may_be_to_blame() {
    // req: R7413-5
    let mut script = tried();
    script.advance(core::time::Duration::from_secs(200));
    assert_eq!(script.connection.close_reason(), Some(CloseReason::TimedOut));
    assert!(script.connection.poll_fast_open().unwrap().failed);

    let mut script = tried();
    script.command(|connection, _| connection.handle_icmp(Script::ISS, IcmpNotice::Prohibited));
    assert!(script.connection.poll_fast_open().unwrap().failed);

    // A closed port is not.
    let mut script = tried();
    script.inject("R. 0:0(0) ack 1001");
    assert_eq!(script.connection.close_reason(), Some(CloseReason::Refused));
    let news = script.connection.poll_fast_open().unwrap();
    assert_eq!((news.outcome, news.failed), (FastOpen::Tried, false));
}

#[test]
fn an_acknowledgment_of_what_was_not_sent_is_refused() {
    // req: S-SYNSENT-1
    let mut script = tried();
    script.inject("S. 0:0(0) ack 1002 win 65535 <mss 1400>");
    script.expect("R 1002:1002(0)");
    assert_eq!(script.state(), State::SynSent);
}

#[test]
fn a_syn_fits_the_segment_that_the_server_takes() {
    // req: R7413-5
    // Of 5,000 octets a segment's worth, beside the SYN's options.
    let mut script = Script::connect_fast(&bare(), &offer(1000), 5000);
    let syn = script.next_sent().unwrap().1;
    assert_eq!(syn.payload.len() + syn.header.options.wire_len(), 1000);
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1000>");
    let resent = script.next_sent().unwrap().1;
    assert_eq!((resent.header.seq, resent.payload.len()), (Script::ISS + 1, 1000));
    // A server of unknown MSS gets the least.
    let unknown = FastOpenOffer { mss: None, ..offer(0) };
    let syn = Script::connect_fast(&bare(), &unknown, 5000).next_sent().unwrap().1;
    assert_eq!(syn.payload.len() + syn.header.options.wire_len(), 536);
    // And what the link takes bounds it.
    let syn = Script::connect_fast(&bare(), &offer(u16::MAX), 5000).next_sent().unwrap().1;
    assert_eq!(syn.payload.len() + syn.header.options.wire_len(), 1460);
    // One that announced next to nothing gets next to nothing.
    let syn = Script::connect_fast(&bare(), &offer(1), 5000).next_sent().unwrap().1;
    assert_eq!(syn.payload.len(), 0);
}

#[test]
fn the_longest_cookie_fits_beside_all_other_options() {
    // req: R7413-2
    let longest = FastOpenOffer { cookie: FastOpenCookie::new(&[3; 16]), mss: Some(1460) };
    let syn = Script::connect_fast(&config(), &longest, 5000).next_sent().unwrap().1;
    let mut buf = [0; 60];
    let len = syn.header.emit(&mut buf);
    assert_eq!(len, 60);
    assert_eq!(netstack_wire::tcp::TcpHeader::parse(&buf), Ok((syn.header, 60)));
    assert!(syn.header.options.timestamps.is_some() && syn.header.options.window_scale.is_some());
    assert_eq!(syn.payload.len(), 1460 - 40);
}

#[test]
fn both_may_open_at_once() {
    // req: MUST-10
    let mut script = tried();
    script.inject("S 0:0(0) win 65535 <mss 1400>");
    script.expect("S. 0:0(0) ack 1");
    assert_eq!(script.state(), State::SynReceived);
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1400>");
    script.expect("P. 1:1001(1000) ack 1");
    assert_eq!(script.connection.poll_fast_open().unwrap().outcome, FastOpen::Fallback);
}

#[test]
fn a_fin_waits_for_the_handshake() {
    // req: S-CLOSE-3
    let mut script = tried();
    script.shutdown_write();
    script.expect_nothing();
    script.inject("S. 0:0(0) ack 1001 win 65535 <mss 1400>");
    script.expect("F. 1001:1001(0) ack 1");
    assert_eq!(script.state(), State::FinWait1);
}

proptest! {
    #![proptest_config(cases(200))]

    /// Whatever the answer acknowledges, and whenever it comes, what is not acknowledged follows, once.
    #[test]
    fn every_octet_leaves_until_it_is_acknowledged(
        octets in 0_u32..4_000,
        mss in 88_u16..1460,
        share in 0..=100_u32,
        wait in 0_u64..5_000,
        window in 2_000..u16::MAX,
    ) {
        // req: R7413-5
        let mut script = Script::connect_fast(&bare(), &offer(mss), octets);
        let syn = script.next_sent().unwrap().1;
        prop_assert!(syn.header.flags.contains(TcpFlags::SYN));
        let on_syn = syn.payload.len() as u32;
        script.advance(ms(wait));
        script.forget_sent();
        let acked = on_syn * share / 100;
        script.inject(&format!("S. 0:0(0) ack {} win {window} <mss {mss}>", 1 + acked));
        let mut next = 1 + acked;
        for _ in 0..200 {
            while let Some((_, segment)) = script.next_sent() {
                let line = script.line(&segment);
                prop_assert!(line.seq <= next, "a gap: {line} before {next}");
                next = next.max(line.seq + line.len);
            }
            script.inject(&format!(". 1:1(0) ack {next} win {window}"));
        }
        prop_assert_eq!(next, 1 + octets);
        prop_assert_eq!(script.connection.send_queued(), 0);
    }
}

#[test]
fn a_cookie_without_data_is_no_attempt() {
    // req: R7413-5
    let mut script = Script::connect_fast(&bare(), &offer(1460), 0);
    script.expect(&format!("S 0:0(0) <mss 1460,wscale 7,sackOK,{COOKIE}>"));
    assert_eq!(script.connection.fast_open(), FastOpen::Cookie);
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1400>");
    script.expect(". 1:1(0) ack 1");
    assert_eq!(script.connection.poll_fast_open().unwrap().outcome, FastOpen::Cookie);
}

#[test]
fn text_on_the_syn_is_counted_as_sent() {
    // req: R7413-3
    let mut script = tried();
    assert_eq!(script.connection.info().stats.bytes_sent, 1000);
    script.inject("S. 0:0(0) ack 401 win 65535 <mss 1400>");
    script.expect("P. 401:1001(600) ack 1");
    let stats = script.connection.info().stats;
    assert_eq!((stats.bytes_sent, stats.bytes_acked, stats.bytes_retransmitted), (1600, 400, 600));
}
