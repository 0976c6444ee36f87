//! What bounded the sender, and what was delivered, as a congestion controller hears it.

use super::{M, ack, at, ms, sack, sacking_with};
use crate::config::TcpConfig;
use crate::testing::Script;
use crate::tests::witness::Witness;

/// A window of ten segments, and who is told.
fn watched() -> (Witness, TcpConfig) {
    let (witness, mut config) = (Witness::new(10 * M), TcpConfig::new());
    config.mtu_probing(false);
    witness.apply(&mut config);
    (witness, config)
}

/// Blocks above a gap say as much about the window as an ACK that advances.
#[test]
fn a_full_window_is_told_with_blocks_too() {
    // req: R5681-16
    for (segments, full) in [(10, true), (2, false)] {
        let (witness, config) = watched();
        let mut script = sacking_with(&config, ms(100));
        script.write(segments * M);
        script.advance_ms(100);
        sack(&mut script, 0, &[(1, 2)]);
        let told = witness.last();
        assert_eq!((told.acked, told.delivered, told.cwnd_limited), (0, M, full), "{segments} of 10");
    }
}

/// Ten segments, all acknowledged in one go; `short` octets are missing to a full window. Whether the application bounds what
/// leaves next.
fn bound_after(short: u32) -> bool {
    let (witness, config) = watched();
    let mut script = sacking_with(&config, ms(100));
    script.write(10 * M - short);
    script.advance_ms(100);
    let end = at(10) - short;
    let all = script.build(&format!(". 1:1(0) ack {end} win 65535").parse().unwrap());
    script.command(|connection, now| {
        connection.handle_segment(now, all);
        connection.write(vec![0; 10].into()).unwrap();
    });
    witness.sent().last().expect("text has left").app_limited
}

/// With nothing more to send the window bounds a flight all the same, if it is full.
#[test]
fn a_flight_that_fills_the_window_is_not_bounded_by_the_application() {
    assert!(!bound_after(0));
    assert!(bound_after(1));
}

/// Without SACK a duplicate ACK stands for a segment that was delivered; the ACK of all of them does not deliver it again.
#[test]
fn what_duplicates_reported_is_delivered_once() {
    // req: R9937-2
    let (witness, config) = watched();
    let mut script = Script::listen(&config, "S 0:0(0) win 65535 <mss 1460>");
    script.inject(". 1:1(0) ack 1 win 65535");
    script.write(10 * M);
    script.advance_ms(50);
    for _ in 0..9 {
        ack(&mut script, 1);
    }
    ack(&mut script, at(10));
    let told = witness.last();
    assert_eq!((told.acked, told.delivered), (10 * M, M));
}
