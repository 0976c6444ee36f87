//! The count behind the ACE field, on its own.

mod rules;

use core::time::Duration;

use netstack_wire::tcp::TcpFlags;
use netstack_wire::{Ecn, SeqNum};
use proptest::prelude::*;

use super::accurate::{Counters, confirms_not_ect, handshake_flags};
use super::{EcnPolicy, EcnState};

fn ace(counters: &Counters) -> u32 {
    let flags = counters.ace();
    let bit = |flag, value| if flags.contains(flag) { value } else { 0 };
    bit(TcpFlags::AE, 4) + bit(TcpFlags::CWR, 2) + bit(TcpFlags::ECE, 1)
}

#[test]
fn the_field_is_the_count_modulo_eight() {
    // req: R9768-3
    let mut counters = Counters::default();
    for n in 0..600 {
        assert_eq!(ace(&counters), (5 + n) % 8, "after {n}");
        counters.on_arrival(true, true, 1);
        counters.on_arrival(false, true, 1);
    }
    // Each packet of what was put together on the way counts.
    let mut counters = Counters::default();
    counters.on_arrival(true, true, 44);
    assert_eq!(ace(&counters), (5 + 44) % 8);
}

#[test]
fn marks_earn_acks_at_the_first_and_at_every_second() {
    // req: R9768-3
    let mut counters = Counters::default();
    assert!(!counters.on_arrival(false, true, 1));
    assert!(counters.on_arrival(true, true, 1), "the first after none");
    counters.on_told();
    assert!(!counters.on_arrival(true, true, 1));
    assert!(counters.on_arrival(true, true, 1), "the second since the last ACK");
    counters.on_told();
    assert!(!counters.on_arrival(true, false, 1));
    assert!(!counters.on_arrival(true, false, 1));
    assert!(counters.on_arrival(true, false, 1), "of packets without data the third");
}

#[test]
fn a_zeroed_or_marked_field_does_not_confirm() {
    // req: R9768-1, R9768-2
    for ecn in [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce] {
        assert_eq!(confirms_not_ect(handshake_flags(ecn)), ecn == Ecn::NotEct, "{ecn:?}");
    }
    assert!(!confirms_not_ect(TcpFlags::empty()));
    assert!(confirms_not_ect(TcpFlags::AE | TcpFlags::ECE), "no meaning yet: as if it had arrived unchanged");
}

#[test]
fn a_hold_ends_with_an_ack_that_reports_nothing() {
    // The timer that would end it may stop with that ACK.
    // req: R3168-8
    let second = Duration::from_secs(1);
    let mut state = EcnState::new(EcnPolicy::On, SeqNum(0));
    state.hold();
    state.on_acked(SeqNum(10), 1);
    assert!(state.is_holding());
    assert!(state.release() && !state.release());
    state.hold();
    assert_eq!(state.hold_time(second), 2 * second);
    state.on_acked(SeqNum(20), 0);
    assert!(!state.is_holding());
    state.hold();
    assert_eq!(state.hold_time(second), second);
}

proptest! {
    /// A sender that hears of every eighth mark at the latest, in ACKs that lose nothing, counts all of them.
    #[test]
    fn the_sender_counts_what_the_receiver_saw(steps in proptest::collection::vec((0_u32..8, 0_u32..40), 1..200)) {
        // req: R9768-3
        let (mut receiver, mut sender) = (Counters::default(), Counters::default());
        let (mut marked, mut heard) = (0, 0);
        for (marks, others) in steps {
            for _ in 0..marks {
                receiver.on_arrival(true, true, 1);
            }
            let packets = marks + others % (8 - marks);
            if packets > 0 {
                marked += marks;
                heard += sender.reported(receiver.ace(), packets);
                prop_assert_eq!(heard, marked);
            }
        }
    }

    /// With marks about, a field that may have gone round counts as if it had, and never for more than was acknowledged.
    #[test]
    fn what_may_have_gone_round_has(marks in 1_u32..200, others in 0_u32..200) {
        // req: R9768-3
        let (mut receiver, mut sender) = (Counters::default(), Counters::default());
        receiver.on_arrival(true, true, 1);
        prop_assert_eq!(sender.reported(receiver.ace(), 1), 1);
        for _ in 0..marks {
            receiver.on_arrival(true, true, 1);
        }
        let packets = marks + others;
        let heard = sender.reported(receiver.ace(), packets);
        prop_assert!((marks..=packets).contains(&heard), "{heard} of {marks} in {packets}");
    }
}
