//! Opening (RFC 9293 3.5).

use super::{config, ms, secs};
use crate::event::Event;
use crate::state::{CloseReason, State};
use crate::testing::{Pair, Script, Side};

#[test]
fn crossing_syns_make_one_connection() {
    // req: MUST-10
    let mut script = Script::connect(&config());
    script.expect("S 0:0(0)");
    script.inject("S 0:0(0) <mss 1460>");
    script.expect("S. 0:0(0) ack 1");
    assert_eq!(script.state(), State::SynReceived);
    script.inject(". 1:1(0) ack 1");
    assert_eq!(script.state(), State::Established);
    assert_eq!(script.drain_events(), [Event::Connected]);
    script.expect_nothing();
}

#[test]
fn a_simultaneous_open_of_two_stacks_carries_data_both_ways() {
    // req: MUST-10
    let mut pair = Pair::new(config(), config(), ms(10));
    pair.connect(Side::B);
    pair.run_for(ms(100));
    for side in [Side::A, Side::B] {
        assert_eq!(pair.connection(side).state(), State::Established, "{side:?}");
        assert!(!pair.connection(side).is_passive());
        pair.write(side, &[side as u8; 5000]);
    }
    pair.run_for(secs(1));
    assert_eq!(pair.received(Side::A), [1; 5000]);
    assert_eq!(pair.received(Side::B), [0; 5000]);
}

#[test]
fn a_simultaneous_open_survives_the_loss_of_a_syn() {
    // req: MUST-10, MUST-22
    for lost in 0..2 {
        let mut pair = Pair::new(config(), config(), ms(10));
        pair.script(move |flight| {
            if flight.from == Side::B && flight.index == lost {
                crate::testing::Fate::Drop
            } else {
                crate::testing::Fate::Deliver
            }
        });
        pair.connect(Side::B);
        pair.run_for(secs(5));
        assert_eq!(pair.connection(Side::A).state(), State::Established, "B's segment {lost} lost");
        assert_eq!(pair.connection(Side::B).state(), State::Established, "B's segment {lost} lost");
    }
}

#[test]
fn a_reset_tells_a_passive_open_from_an_active_one() {
    // req: MUST-11
    let mut passive = Script::listen(&config(), "S 0:0(0) <mss 1460>");
    passive.expect("S. 0:0(0) ack 1");
    assert!(passive.connection.is_passive());
    passive.inject("R 1:1(0)");
    assert_eq!(passive.connection.close_reason(), Some(CloseReason::Reset));
    passive.expect_nothing();

    let mut active = Script::connect(&config());
    active.inject("S 0:0(0) <mss 1460>");
    assert_eq!(active.state(), State::SynReceived);
    assert!(!active.connection.is_passive());
    active.forget_sent();
    active.inject("R 1:1(0)");
    assert_eq!(active.drain_events(), [Event::Closed(CloseReason::Refused)]);
    active.expect_nothing();
}
