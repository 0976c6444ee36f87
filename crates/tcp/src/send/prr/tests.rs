//! What single ACKs allow.

use super::{Prr, Step};

const M: u32 = 1_000;

const STEP: Step = Step { delivered: M, inflight: 2 * M, ssthresh: 10 * M, mss: M, safe: false };

#[test]
fn a_safe_ack_adds_a_segment() {
    // req: R9937-5
    for (safe, budget) in [(false, M), (true, 2 * M)] {
        let mut prr = Prr::start(20 * M);
        prr.on_ack(&Step { safe, ..STEP });
        assert_eq!(prr.budget, budget, "safe: {safe}");
    }
}

#[test]
fn the_first_retransmission_leaves_though_nothing_was_delivered() {
    // req: R9937-6
    let mut prr = Prr::start(20 * M);
    let nothing = Step { delivered: 0, inflight: 20 * M, ..STEP };
    prr.on_ack(&nothing);
    assert_eq!(prr.budget, M);
    prr.on_sent(M);
    prr.on_ack(&nothing);
    assert_eq!(prr.budget, 0, "the second has to be earned");
}
