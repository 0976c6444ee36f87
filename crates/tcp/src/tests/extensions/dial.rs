//! A controller whose window the test sets, and what it is told (R5682-2, R4821-3).

use super::path_mtu::searching;
use super::{M, ack, at, config, connected_after, connecting, full, ms, text_sent};
use crate::tests::witness::Witness;

#[test]
fn after_a_timeout_two_new_segments_are_tried_whatever_the_window_takes() {
    // req: R5682-2
    let dial = Witness::new(10 * M);
    let mut config = config();
    dial.apply(&mut config);
    let mut script = connected_after(&config, ms(100));
    script.write(40 * M);
    assert_eq!(text_sent(&mut script), full(0..10));
    dial.set(M);
    script.advance_ms(300);
    assert_eq!(text_sent(&mut script), full(0..1));
    dial.set(20 * M);
    ack(&mut script, at(1));
    assert_eq!(text_sent(&mut script), full(10..12));
}

#[test]
fn a_window_smaller_than_a_segment_lets_one_leave_at_a_time_and_again_after_each_timeout() {
    // req: S-TMO-2
    let dial = Witness::new(100);
    let mut config = config();
    dial.apply(&mut config);
    let mut script = connected_after(&config, ms(100));
    script.write(3 * M);
    assert_eq!(text_sent(&mut script), full(0..1));
    for timeout in 1..4 {
        let rto = script.connection.info().rto;
        script.advance(rto);
        assert_eq!(script.connection.info().stats.timeouts, timeout);
        assert_eq!(text_sent(&mut script), full(0..1), "timeout {timeout}");
    }
    ack(&mut script, at(1));
    assert_eq!(text_sent(&mut script), full(1..2));
}

#[test]
fn each_loss_is_told_once_and_the_rate_with_each_ack() {
    let dial = Witness::new(10 * M);
    let mut config = config();
    dial.apply(&mut config);
    let mut script = connecting(&config);
    script.advance_ms(100);
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK>");
    script.write(10 * M);
    script.advance_ms(100);
    script.inject(&format!(". 1:1(0) ack {} win 65535 <sack {}:{}>", at(2), at(3), at(7)));
    assert_eq!(dial.losses(), [M]);
    ack(&mut script, at(10));
    assert_eq!(dial.losses(), [M], "once");
    let rates: Vec<_> = dial.acks().iter().map(|ack| ack.rate.map(|rate| rate.rate)).collect();
    // Six segments in 100 ms.
    assert_eq!(rates[0], Some(u64::from(6 * M) * 10), "{rates:?}");
}

#[test]
fn a_lost_probe_of_the_path_is_not_told_as_a_loss() {
    // req: R4821-3
    let dial = Witness::new(100 * M);
    let mut config = config();
    config.mtu_probing(true);
    dial.apply(&mut config);
    let (mut script, small) = searching(&config, ",sackOK");
    script.write(M + 3 * small);
    assert_eq!(text_sent(&mut script)[0], (1, M), "the probe");
    script.advance_ms(100);
    let (left, right) = (1 + M, 1 + M + 3 * small);
    script.inject(&format!(". 1:1(0) ack 1 win 500 <sack {left}:{right}>"));
    assert_eq!(text_sent(&mut script), [(1, small), (1 + small, M - small)], "in pieces");
    let stats = script.connection.info().stats;
    assert_eq!((stats.mtu_probes_lost, stats.bytes_lost), (1, 0));
    assert_eq!(dial.losses(), []);
}
