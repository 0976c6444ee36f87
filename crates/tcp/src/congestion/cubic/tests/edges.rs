//! The curve at its edges, and its clock.

use super::super::curve::Epoch;
use super::{M, Path};
use crate::congestion::Controller;

#[test]
fn where_renos_window_has_reached_that_of_the_last_loss_it_grows_as_reno_does() {
    // req: R9438-4
    let window = 10 * M;
    assert_eq!(Epoch::new(window, window, M).reno(window, window, window, M), window + M);
    assert_eq!(Epoch::new(window, window, M).reno(window, window, window + 1, M), window + M * 9 / 17);
}

#[test]
fn where_both_windows_are_the_same_the_curve_leads() {
    // req: R9438-1, R9438-4
    // A round trip so long that the target is half as much again: an octet of growth for two that are acknowledged.
    let mut path = Path::new(10_000);
    path.cubic.inherit(100 * M, 0);
    for _ in 0..100 {
        path.ack(1, true);
    }
    let grown = path.cubic.cwnd() - 100 * M;
    assert!((49..=50).contains(&grown), "{grown}");
}

#[test]
fn growth_too_small_for_an_octet_is_owed() {
    // req: R9438-1
    let mut epoch = Epoch::new(10 * M, 10 * M, M);
    let grown: u32 = (0..1_000).map(|_| epoch.share(1, 7, 100)).sum();
    assert_eq!(grown, 70);
    assert_eq!(epoch.share(150, 7, 100), 7, "no more than all of it, however much is acknowledged");
}

#[test]
fn the_clock_runs_while_something_is_in_flight() {
    // req: R9438-3
    // One ACK for each window; between two of them, a segment leaves.
    let windows = [0, M, 20 * M].map(|flight| {
        let mut path = Path::after_loss(100, 400);
        let start = path.cubic.cwnd();
        for _ in 0..60 {
            path.now += path.rtt / 2;
            if flight > 0 {
                path.cubic.on_sent(path.now, flight, M, false);
            }
            path.now += path.rtt / 2;
            path.ack(path.cubic.cwnd(), true);
        }
        path.cubic.cwnd() - start
    });
    assert!(windows[0] > 100 * M, "{windows:?}");
    assert_eq!(windows, [windows[0]; 3]);
}
