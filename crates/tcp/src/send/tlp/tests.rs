//! What an ACK tells of a probe.

use super::*;

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

/// A probe left at 100 ms; 5000 is SND.NXT behind it.
fn probed(resent: bool) -> Tlp {
    let mut tlp = Tlp::default();
    tlp.on_sent(at(100), SeqNum(5_000), resent, 3_000);
    assert!(!tlp.may_arm());
    tlp
}

fn ack(ack: u32) -> TlpAck {
    TlpAck { ack: SeqNum(ack), advanced: true, dsack: None, duplicate: false, echo: None }
}

#[test]
fn only_a_duplicate_of_a_segment_that_the_probe_sent_again_is_its_doing() {
    // req: R8985-9
    assert!(probed(true).explains(SeqNum(5_000)));
    assert!(!probed(true).explains(SeqNum(4_000)), "of another segment");
    assert!(!probed(false).explains(SeqNum(5_000)), "the probe was new text");
    let mut forgotten = probed(true);
    forgotten.forget();
    assert!(!forgotten.explains(SeqNum(5_000)));
}

#[test]
fn a_probe_with_new_text_repairs_nothing() {
    // req: R8985-18
    let mut tlp = probed(false);
    assert_eq!(tlp.on_ack(&ack(5_000)), None);
    assert_eq!(tlp.on_ack(&ack(6_000)), None);
}

#[test]
fn a_probe_that_arrived_beside_the_original_repaired_nothing() {
    // req: R8985-18
    let dsack = TlpAck { dsack: Some(SeqNum(5_000)), ..ack(5_000) };
    let duplicate = TlpAck { duplicate: true, advanced: false, ..ack(5_000) };
    for answer in [dsack, duplicate] {
        let mut tlp = probed(true);
        assert_eq!(tlp.on_ack(&ack(5_000)), None, "not known yet");
        assert_eq!(tlp.on_ack(&answer), None);
        assert_eq!(tlp.on_ack(&ack(6_000)), None, "both arrived: {answer:?}");
    }
    let mut tlp = probed(true);
    assert_eq!(tlp.on_ack(&ack(6_000)), Some(3_000), "one of them was lost");
    assert_eq!(tlp.on_ack(&ack(7_000)), None, "once");
}

#[test]
fn once_other_means_repair_a_loss_the_probe_tells_nothing() {
    // req: R8985-18
    let mut tlp = probed(true);
    tlp.forget();
    assert_eq!(tlp.on_ack(&ack(6_000)), None);
    tlp.on_sample();
    assert!(tlp.may_arm(), "and the next tail gets one of its own");
}
