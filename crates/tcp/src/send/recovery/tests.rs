//! Recovery's books on their own.

use core::time::Duration;

use super::*;
use crate::time_wait::ts_clock;

const MSS: u32 = 1_000;

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn news(delivered: u32) -> News {
    let mut news = News::new(at(0), Duration::ZERO, None, 0);
    news.delivered = delivered;
    news
}

/// An ACK up to `una` that advances, and tells nothing else.
fn advance(una: u32, news: &News) -> Evidence<'_> {
    Evidence {
        una: SeqNum(una),
        advanced: true,
        duplicate: false,
        echo: None,
        news,
        point: 10_000,
        resent: false,
        has_new: true,
        sack: true,
    }
}

/// The same, echoing what left at `millis`.
fn echoing(millis: u64, evidence: Evidence<'_>) -> Evidence<'_> {
    Evidence { echo: Some(Echo { ecr: ts_clock(at(millis)), offset: 0 }), ..evidence }
}

/// Ten segments in flight from 1 on; at 200 ms the first `resent` octets are sent again.
fn recovering(resent: u32) -> Recovery {
    let mut recovery = Recovery::new(SeqNum(0));
    recovery.enter(at(200), SeqNum(1), SeqNum(10_001), 10_000);
    recovery.on_resent(at(200), resent, SeqNum(1 + resent));
    recovery
}

/// The timer fires for the first time of these ten.
fn timed_out(recovery: &mut Recovery, now: Instant) {
    recovery.on_timeout(now, SeqNum(1), SeqNum(10_001), false);
    recovery.on_resent(now, MSS, SeqNum(1 + MSS));
}

#[test]
fn copies_that_left_before_the_last_reduction_are_no_new_signal() {
    // req: R8985-20
    let mut recovery = Recovery::new(SeqNum(0));
    recovery.enter(at(100), SeqNum(1), SeqNum(10_000), 9_999);
    assert!(!recovery.is_new_signal(at(99)));
    assert!(recovery.is_new_signal(at(100)), "what left in answer to the first");
    recovery.enter(at(200), SeqNum(1), SeqNum(10_000), 9_999);
    assert!(!recovery.is_new_signal(at(199)), "once for each round trip");
}

#[test]
fn a_loss_is_noticed_after_any_number_of_octets_without_one() {
    // req: R6582-1, R5681-12
    let mut recovery = Recovery::new(SeqNum(0));
    let mut una = SeqNum(1);
    for _ in 0..9 {
        una += 1 << 30;
        recovery.keep_close(una);
        let third = [(); 3].map(|()| recovery.on_duplicate(una));
        assert_eq!(third, [false, false, true], "at {una:?}");
        recovery.clear_duplicates();
    }
}

#[test]
fn duplicates_count_in_a_row() {
    // req: R5681-12
    let mut recovery = Recovery::new(SeqNum(0));
    for una in 1..50 {
        assert!(!recovery.on_duplicate(SeqNum(una)) && !recovery.on_duplicate(SeqNum(una)));
        recovery.clear_duplicates();
    }
}

#[test]
fn after_a_timeout_duplicates_stand_for_what_was_sent_since() {
    // req: R6582-6
    let mut recovery = Recovery::new(SeqNum(0));
    assert_eq!(recovery.duplicates_limit(MSS, SeqNum(10_001)), 2 * MSS, "limited transmit");
    timed_out(&mut recovery, at(500));
    assert_eq!(recovery.duplicates_limit(MSS, SeqNum(10_001)), 0);
    assert_eq!(recovery.duplicates_limit(MSS, SeqNum(15_001)), 5_000);
}

/// Duplicates that begin below what was sent again, or end above it, were made by the network.
#[test]
fn only_reports_of_what_was_sent_again_count() {
    // req: R2883-4
    let mut recovery = Recovery::new(SeqNum(0));
    assert!(!recovery.on_dsack(SeqNum(0), SeqNum(1)), "nothing was ever");
    let mut recovery = recovering(3_000);
    for (left, right) in [(0, 1_001), (2_001, 4_001), (3_001, 4_001), (0, 4_001)] {
        assert!(!recovery.on_dsack(SeqNum(left), SeqNum(right)), "{left} to {right}");
    }
    let nothing = news(0);
    for (left, right) in [(1, 1_001), (2_001, 3_001), (1_001, 2_001)] {
        assert!(!recovery.is_spurious(&advance(1, &nothing)), "before {left}");
        assert!(recovery.on_dsack(SeqNum(left), SeqNum(right)));
    }
    assert!(recovery.is_spurious(&advance(1, &nothing)), "all of it came twice");
    recovery.finish_undone();
    assert!(!recovery.is_spurious(&advance(1, &nothing)), "undone once");
}

#[test]
fn once_nothing_is_in_flight_the_last_episode_is_not_undone_any_more() {
    // req: R2883-4
    let mut recovery = recovering(1_000);
    recovery.finish();
    recovery.forget();
    assert!(!recovery.on_dsack(SeqNum(1), SeqNum(1_001)));
    assert!(!recovery.is_spurious(&advance(10_001, &news(0))));
}

/// The echo of an original undoes fast recovery once no copy is in flight that may have been needed, or at its end.
#[test]
fn an_echo_undoes_recovery_unless_copies_may_yet_be_needed() {
    // req: R5682-6
    let delivered = news(2_000);
    let cases = [(2_001, false, true), (2_001, true, false), (10_001, false, true), (10_001, true, true)];
    for (una, resent, spurious) in cases {
        let evidence = Evidence { resent, ..advance(una, &delivered) };
        let mut recovery = recovering(1_000);
        assert_eq!(recovery.is_spurious(&echoing(150, evidence)), spurious, "{evidence:?}");
        assert!(!recovering(1_000).is_spurious(&echoing(200, evidence)), "the copy is echoed");
        assert!(!recovering(1_000).is_spurious(&evidence), "nothing is");
        let stays = Evidence { advanced: false, ..evidence };
        assert!(!recovering(1_000).is_spurious(&echoing(150, stays)), "an echo on what acknowledges nothing");
    }
}

/// Forward RTO recovery is tried after the first timeout, also out of fast recovery, not after one of what a timeout left.
#[test]
fn new_text_is_tried_unless_a_timeout_has_not_been_repaired() {
    // req: R5682-1
    let delivered = news(MSS);
    for fast in [false, true] {
        let mut recovery = if fast { recovering(1_000) } else { Recovery::new(SeqNum(0)) };
        timed_out(&mut recovery, at(500));
        assert!(!recovery.is_spurious(&advance(1 + MSS, &delivered)));
        assert_eq!(recovery.frto_allows(), Some(2), "fast: {fast}");
    }
    let mut recovery = Recovery::new(SeqNum(0));
    timed_out(&mut recovery, at(500));
    recovery.on_timeout(at(900), SeqNum(1), SeqNum(10_001), true);
    assert!(!recovery.is_spurious(&advance(1 + MSS, &delivered)));
    assert_eq!(recovery.frto_allows(), None);
}

#[test]
fn each_timeout_that_was_a_mistake_is_undone_and_a_loss_in_between_is_none() {
    // req: R5682-6
    let delivered = news(MSS);
    let mut recovery = Recovery::new(SeqNum(0));
    for start in [0_u32, 10_000, 20_000] {
        let (una, now) = (SeqNum(1 + start), at(1_000 + u64::from(start)));
        recovery.on_timeout(now, una, una + 10_000, false);
        recovery.on_resent(now, MSS, una + MSS);
        let original = echoing(900 + u64::from(start), advance(1 + start + MSS, &delivered));
        assert!(recovery.is_spurious(&original), "{start}");
        recovery.finish_undone();
    }
}

/// The first copy of a segment that times out again and again tells for all of them.
#[test]
fn a_repeated_timeout_is_undone_by_an_original_but_not_by_its_first_copy() {
    // req: R5682-6
    let delivered = news(MSS);
    let repeated = || {
        let mut recovery = Recovery::new(SeqNum(0));
        timed_out(&mut recovery, at(500));
        recovery.on_timeout(at(900), SeqNum(1), SeqNum(10_001), true);
        recovery.on_resent(at(900), MSS, SeqNum(1 + MSS));
        recovery
    };
    assert!(repeated().is_spurious(&echoing(100, advance(1 + MSS, &delivered))));
    assert!(!repeated().is_spurious(&echoing(500, advance(1 + MSS, &delivered))));
}

/// Two new segments leave, and nothing again, until an ACK tells; one that tells nothing does not end that.
#[test]
fn an_ack_that_tells_nothing_leaves_forward_recovery_as_it_is() {
    // req: R5682-2, R5682-3, R5682-5
    let (nothing, delivered) = (news(0), news(MSS));
    let silent = |news| Evidence { advanced: false, sack: false, ..advance(1, news) };
    let mut recovery = Recovery::new(SeqNum(0));
    timed_out(&mut recovery, at(500));
    assert!(!recovery.is_spurious(&silent(&nothing)));
    assert_eq!(recovery.frto_allows(), None, "the ACK of the copy is awaited");
    assert!(!recovery.is_spurious(&Evidence { sack: false, ..advance(1 + MSS, &delivered) }));
    assert_eq!(recovery.frto_allows(), Some(2));
    recovery.on_new_sent(1);
    assert_eq!(recovery.frto_allows(), Some(1));
    recovery.on_new_sent(1);
    assert!(!recovery.is_spurious(&silent(&nothing)));
    assert_eq!((recovery.frto_allows(), recovery.due), (Some(0), false), "no more than two");
    assert!(!recovery.is_spurious(&Evidence { duplicate: true, ..silent(&nothing) }));
    assert_eq!((recovery.frto_allows(), recovery.due), (None, true), "the hole leaves now");
}

/// The first segment may have left in pieces: the ACK of the second says no more than that of the first.
#[test]
fn an_ack_of_another_copy_does_not_undo_a_timeout() {
    // req: R5682-4
    for (original, spurious) in [(None, false), (Some(2_001), true)] {
        let mut delivered = news(MSS);
        let mut recovery = Recovery::new(SeqNum(0));
        timed_out(&mut recovery, at(500));
        assert!(!recovery.is_spurious(&Evidence { sack: false, ..advance(501, &delivered) }));
        delivered.original = original;
        assert_eq!(recovery.is_spurious(&Evidence { sack: false, ..advance(1_001, &delivered) }), spurious);
        assert_eq!((recovery.frto_allows(), recovery.due), (None, !spurious));
    }
}

#[test]
fn with_sack_what_is_delivered_of_new_text_makes_the_timeout_real() {
    // req: R5682-7
    let delivered = news(MSS);
    let mut recovery = Recovery::new(SeqNum(0));
    timed_out(&mut recovery, at(500));
    assert!(!recovery.is_spurious(&advance(1 + MSS, &delivered)));
    let mut above = news(MSS);
    above.original = Some(11_000);
    assert!(!recovery.is_spurious(&Evidence { advanced: false, ..advance(1 + MSS, &above) }));
    assert_eq!((recovery.frto_allows(), recovery.due), (None, true));
}
