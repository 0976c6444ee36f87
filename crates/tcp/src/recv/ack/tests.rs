//! When an ACK is due, on its own.

use super::{AckPolicy, PATIENCE};

const MSS: u16 = 1460;

/// A policy without quick ACKs.
fn delaying() -> AckPolicy {
    AckPolicy::new(0)
}

/// One segment of `octets`, all that the peer has. Whether its ACK waits.
fn waits(policy: &mut AckPolicy, octets: u32) -> bool {
    policy.on_text(1, octets, MSS, true)
}

#[test]
fn who_wants_every_ack_at_once_gets_the_one_that_waits_too() {
    // req: SHLD-19
    let mut policy = delaying();
    policy.set_always(true);
    assert!(!policy.is_due(), "nothing has come");
    policy.set_always(false);
    assert!(waits(&mut policy, 100));
    policy.set_always(true);
    assert!(policy.is_due());
    policy.on_ack_sent();
    for _ in 0..300 {
        assert!(!waits(&mut policy, 1));
        policy.on_ack_sent();
    }
}

#[test]
fn delays_come_back_when_asked_for_and_quick_acks_stay() {
    // req: SHLD-19
    let mut policy = delaying();
    policy.set_always(true);
    policy.set_always(false);
    assert!(waits(&mut policy, 100));
    let mut policy = AckPolicy::new(2);
    policy.set_always(false);
    for quick in [true, true, false] {
        assert_eq!(waits(&mut policy, 100), !quick);
        policy.on_ack_sent();
    }
}

/// A peer that waits for our ACKs gets them at once; where the application answers, its text is worth the wait again.
#[test]
fn an_answer_brings_the_delay_back_and_text_that_answers_nothing_does_not() {
    // req: SHLD-19, MUST-58
    let mut policy = delaying();
    for _ in 0..PATIENCE {
        assert!(waits(&mut policy, 100));
        policy.on_delay_over(true);
        policy.on_ack_sent();
    }
    // Text of ours, with nothing of the peer's to acknowledge.
    policy.rides_on_text();
    assert!(!waits(&mut policy, 100), "it waits for our ACKs");
    policy.rides_on_text();
    policy.on_ack_sent();
    assert!(waits(&mut policy, 100), "the last was answered with text");
}
