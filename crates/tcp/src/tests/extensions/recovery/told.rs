//! What a congestion controller is told of each ACK.

use super::{M, ack, at, in_flight, ms, sack, sacking_with, text_sent};
use crate::config::TcpConfig;
use crate::tests::witness::Witness;

#[test]
fn each_ack_is_told_with_what_it_did_to_the_flight() {
    let heard = Witness::new(10 * M);
    let mut config = TcpConfig::new();
    config.mtu_probing(false);
    heard.apply(&mut config);
    let mut script = sacking_with(&config, ms(100));
    script.write(10 * M);
    assert_eq!(text_sent(&mut script).len(), 10);
    assert_eq!(heard.sent().iter().map(|sent| sent.octets).sum::<u32>(), 10 * M);

    script.advance_ms(100);
    ack(&mut script, at(2));
    let first = heard.last();
    assert_eq!((first.acked, first.delivered, first.lost), (2 * M, 2 * M, 0));
    assert_eq!((first.prior_flight, first.flight), (10 * M, 8 * M));
    assert_eq!(first.nxt.distance_from(first.una), 8 * M);
    assert_eq!((first.rtt, first.srtt, first.min_rtt), (Some(ms(100)), ms(100), ms(100)));
    assert!(first.cwnd_limited && !first.recovery && first.now == script.now());

    // Four segments above a hole: the hole is lost, and is told so in the same ACK.
    sack(&mut script, 2, &[(3, 7)]);
    let lossy = heard.last();
    assert_eq!((lossy.acked, lossy.delivered, lossy.lost), (0, 4 * M, M));
    assert_eq!((lossy.prior_flight, lossy.flight), (8 * M, 3 * M));
    assert!(lossy.recovery, "a loss that is not repaired");
    assert_eq!((lossy.una, lossy.nxt.distance_from(lossy.una)), (first.una, 8 * M));

    // The whole of it.
    script.advance_ms(100);
    ack(&mut script, at(10));
    let last = heard.last();
    assert_eq!((last.acked, last.lost, last.flight), (8 * M, 0, 0));
    assert_eq!(last.una, last.nxt);
    let told = heard.acks().len();
    ack(&mut script, at(10));
    assert_eq!(heard.acks().len(), told, "an ACK of nothing is not told");
}

/// The window over the round trip; twice as fast in slow start.
#[test]
fn what_paces_without_a_rate_of_its_own_follows_window_and_round_trip() {
    let mut config = super::config();
    config.pacing(crate::congestion::Pacing::On);
    let script = sacking_with(&config, ms(100));
    let info = script.connection.info();
    assert_eq!(info.pacing_rate, Some(u64::from(info.cwnd) * 2 * 10), "slow start");
}

#[test]
fn what_came_and_went_is_counted() {
    let mut script = sacking_with(&super::config(), ms(100));
    let before = script.connection.info().stats;
    script.write(2 * M);
    assert_eq!(text_sent(&mut script).len(), 2);
    script.inject(&format!("P. 1:101(100) ack {} win 65535", at(2)));
    let after = script.connection.info().stats;
    assert_eq!(after.bytes_sent - before.bytes_sent, u64::from(2 * M));
    assert_eq!(after.bytes_acked - before.bytes_acked, u64::from(2 * M));
    assert_eq!(after.bytes_received - before.bytes_received, 100);
    assert!(
        after.segments_sent >= before.segments_sent + 2
            && after.segments_received == before.segments_received + 1
    );
    assert_eq!(script.connection.consumed(), 100);
    assert_eq!((after.bytes_retransmitted, after.bytes_lost, after.timeouts), (0, 0, 0));
}

/// Two windows, and what leaves in the 2 ms in which a writer wakes up.
#[test]
fn a_send_buffer_that_sizes_itself_takes_two_windows_and_a_little_more() {
    let mut config = TcpConfig::new();
    config.congestion(crate::testing::FixedWindow::control(100));
    let script = sacking_with(&config, ms(100));
    assert_eq!(script.connection.send_capacity(), 2 * 146_000 + 146_000 / 50);
    config.send_buffer_limit(200_000);
    assert_eq!(sacking_with(&config, ms(100)).connection.send_capacity(), 200_000);
    config.send_buffer(70_000);
    assert_eq!(sacking_with(&config, ms(100)).connection.send_capacity(), 70_000);
    config.congestion(crate::testing::FixedWindow::control(2)).send_buffer_limit(1 << 20);
    assert_eq!(sacking_with(&config, ms(100)).connection.send_capacity(), 64 << 10);
}

#[test]
fn what_waits_to_leave_and_what_it_holds_is_told() {
    let mut script = in_flight(10);
    script.write(2 * M);
    assert_eq!(text_sent(&mut script).len(), 0, "the window is full");
    let connection = &script.connection;
    assert_eq!(
        (connection.unsent(), connection.send_queued(), connection.send_memory()),
        (2920, 17_520, 17_520)
    );
    ack(&mut script, at(1));
    // The piece that the first segment was cut from is held as a whole.
    let connection = &script.connection;
    assert_eq!(
        (connection.unsent(), connection.send_queued(), connection.send_memory()),
        (0, 16_060, 17_520)
    );
    assert!(!connection.nodelay());
    script.connection.set_nodelay(true);
    assert!(script.connection.nodelay());
}

#[test]
fn acknowledgments_at_once_can_be_asked_for() {
    let mut config = super::config();
    config.quick_acks(0);
    let mut script = sacking_with(&config, ms(100));
    script.inject("P. 1:101(100) ack 1 win 65535");
    script.expect_nothing();
    script.advance_ms(500);
    script.forget_sent();
    script.connection.set_quickack(true);
    script.inject("P. 101:201(100) ack 1 win 65535");
    script.expect(". 1:1(0) ack 201");
}

#[test]
fn what_came_out_of_order_can_be_given_up() {
    let mut script = sacking_with(&super::config(), ms(100));
    script.inject("P. 101:201(100) ack 1 win 65535");
    assert!(script.connection.out_of_order_memory() >= 100);
    assert!(script.connection.discard_out_of_order());
    assert_eq!(script.connection.out_of_order_memory(), 0);
    assert!(!script.connection.discard_out_of_order(), "there is none left");
}

#[test]
fn the_phase_of_new_reno_is_told() {
    let mut script = in_flight(10);
    assert_eq!(script.connection.info().controller_phase, "slow start");
    script.advance_ms(100);
    sack(&mut script, 0, &[(1, 4)]);
    script.advance_ms(100);
    ack(&mut script, at(10));
    assert_eq!(script.connection.info().controller_phase, "avoidance");
}

#[test]
fn after_recovery_the_window_is_paced_as_in_avoidance() {
    let mut config = super::config();
    config.pacing(crate::congestion::Pacing::On);
    let mut script = sacking_with(&config, ms(100));
    script.write(10 * M);
    script.advance_ms(100);
    sack(&mut script, 0, &[(1, 4)]);
    script.advance_ms(100);
    ack(&mut script, at(10));
    let info = script.connection.info();
    assert_eq!((info.in_recovery, info.ssthresh), (false, Some(info.cwnd)));
    let nanos = info.srtt.unwrap().as_nanos() as u64;
    assert_eq!(info.pacing_rate, Some(u64::from(info.cwnd) * 1_200_000_000 / nanos));
}
