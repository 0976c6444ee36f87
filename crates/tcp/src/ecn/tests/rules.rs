//! The rules of one connection's state, on their own.

use netstack_wire::SeqNum;
use netstack_wire::tcp::TcpFlags;

use super::super::accurate::Counters;
use super::super::{EcnPolicy, EcnState};
use crate::negotiate::SynRecord;
use crate::segment::Segment;
use crate::testing::{Line, Script};
use crate::time::Instant;

fn segment(line: &str) -> Segment {
    let line: Line = line.parse().unwrap();
    line.to_segment((50_000, 7), Script::IRS, Script::ISS)
}

/// The state of an end that `syn` has reached.
fn asked(policy: EcnPolicy, syn: &str) -> EcnState {
    let mut state = EcnState::new(policy, SeqNum(0));
    state.take_syn(policy, true, &SynRecord::from_segment(Script::tuple(), &segment(syn), Instant::ZERO));
    state
}

fn classic() -> EcnState {
    asked(EcnPolicy::On, "SEW 0:0(0)")
}

fn accurate() -> EcnState {
    asked(EcnPolicy::Accurate, "SEWA 0:0(0)")
}

#[test]
fn a_repeated_syn_that_asks_still_changes_nothing() {
    // req: R3168-1, R3168-9
    let mut state = classic();
    state.syn_repeated(&segment("SEW 0:0(0)"));
    assert!(state.is_sending());
    assert_eq!(state.syn_ack_flags(2), TcpFlags::ECE);
    state.syn_repeated(&segment("S 0:0(0)"));
    assert!(!state.is_sending(), "one that asks no more does");
    assert_eq!(state.syn_ack_flags(2), TcpFlags::empty());
}

/// Only on the bare ACK of a SYN-ACK the field says how that arrived: on data it is the count, which may be any.
#[test]
fn the_field_of_data_is_no_answer_to_the_syn_ack() {
    // req: R9768-1, R9768-3
    for (line, trusted) in [
        (".W 1:1(0) ack 1", true),
        (".AW 1:1(0) ack 1", false),
        ("P.AW 1:11(10) ack 1", true),
        (".AW 1:1(0) ack 1 <sack 5:9>", true),
    ] {
        let mut state = accurate();
        state.take_handshake_ack(&segment(line));
        assert_eq!(state.is_sending(), trusted, "{line}");
    }
}

#[test]
fn the_first_mark_and_the_peers_answer_earn_an_ack_at_once() {
    // req: R3168-5, SHLD-19
    let mut state = classic();
    let mut urges = |line: &str| state.on_arrival(&segment(line), 1);
    assert!(!urges("P. 1:11(10) ack 1 ecn ect0"), "no mark, nothing to tell");
    assert!(urges("P. 11:21(10) ack 1 ecn ce"));
    assert!(!urges("P. 21:31(10) ack 1 ecn ce"), "the ACKs say so already");
    assert!(!urges("P. 31:41(10) ack 1 ecn ect0"));
    assert!(urges("P.W 41:51(10) ack 1 ecn ect0"), "the peer has slowed down");
    assert!(!urges("P. 51:61(10) ack 1 ecn ect0"));
}

/// Segmentation clears CWR in all pieces but the first, which is no harm where it is not set.
#[test]
fn only_a_count_with_the_middle_bit_set_is_sent_in_segments_one_by_one() {
    // req: R9768-3
    assert!(!classic().leaves_one_by_one());
    let mut state = accurate();
    for count in 5_u8..40 {
        assert_eq!(state.leaves_one_by_one(), count & 0b010 != 0, "{count}");
        state.on_arrival(&segment("P. 1:11(10) ack 1 ecn ce"), 1);
    }
}

#[test]
fn marks_count_only_where_something_of_ours_can_bear_one() {
    // req: R3168-6, R3168-9
    let mut state = classic();
    assert_eq!(state.marks_reported(&segment(".E 1:1(0) ack 100"), 1), 1);
    assert_eq!(state.syn_ack_flags(3), TcpFlags::empty(), "given up asking: no ECT from here on");
    assert_eq!(state.marks_reported(&segment(".E 1:1(0) ack 200"), 1), 0);
}

/// On a SYN-ACK the flags say how our SYN arrived, not how much was marked.
#[test]
fn a_syn_ack_reports_no_marks() {
    // req: R9768-1, R9768-3
    let mut state = EcnState::new(EcnPolicy::Accurate, SeqNum(0));
    let syn_ack = segment("S.W 0:0(0) ack 1");
    let record = SynRecord::from_segment(Script::tuple(), &syn_ack, Instant::ZERO);
    state.take_syn_ack(EcnPolicy::Accurate, &record);
    assert_eq!(state.marks_reported(&syn_ack, 1), 0);
    assert_eq!(state.marks_reported(&segment(".AE 1:1(0) ack 100"), 1), 0, "the count stands where it began");
    assert_eq!(state.marks_reported(&segment(".AW 1:1(0) ack 200"), 1), 1);
}

#[test]
fn each_octet_acknowledged_above_the_last_is_news() {
    // req: R3168-6
    let mut state = classic();
    state.on_reduction(SeqNum(100));
    assert!(!state.is_news(SeqNum(100)) && state.is_news(SeqNum(101)));
    state.on_acked(SeqNum(101), 1);
    assert!(state.is_news(SeqNum(102)));
    state.on_acked(SeqNum(90), 1);
    assert!(state.is_news(SeqNum(102)), "an older ACK moves nothing");
}

/// Only where marks are about a count that may have gone round is taken to have.
#[test]
fn a_first_mark_in_a_long_flight_counts_once() {
    // req: R9768-3
    let (mut receiver, mut sender) = (Counters::default(), Counters::default());
    for round in 0..3 {
        receiver.on_arrival(true, true, 1);
        assert_eq!(sender.reported(receiver.ace(), 9), 1, "round {round}");
        assert_eq!(sender.reported(receiver.ace(), 1), 0, "none in the next");
    }
}
