//! NewReno by tables.

use crate::congestion::{
    Ack, Algorithm, Congestion, CongestionControl, Controller, NewReno, Signal, initial_window,
};
use crate::time::Instant;

const M: u32 = 1_000;
const NOW: Instant = Instant::ZERO;

fn ack(acked: u32) -> Ack {
    Ack::new(NOW, acked)
}

fn loss(flight: u32) -> Congestion {
    Congestion::new(NOW, flight, Signal::Loss)
}

/// A controller in congestion avoidance at `segments`.
fn avoiding(segments: u32) -> NewReno {
    let mut reno = NewReno::new(M);
    reno.on_congestion(&loss(2 * segments * M));
    reno.on_recovered(NOW, 2 * segments * M);
    assert_eq!((reno.cwnd(), reno.ssthresh()), (segments * M, segments * M));
    reno
}

#[test]
fn the_initial_window_by_segment_size() {
    // req: R6928-1
    for (mss, window) in [
        (88, 880),
        (536, 5_360),
        (1_220, 12_200),
        (1_448, 14_480),
        (1_460, 14_600),
        (1_500, 14_600),
        (8_000, 16_000),
        (9_000, 18_000),
    ] {
        assert_eq!(initial_window(mss, false), window, "MSS {mss}");
        assert_eq!(initial_window(mss, true), mss, "MSS {mss} after a lost SYN");
        let mut algorithm = Algorithm::new(&CongestionControl::NewReno, 536, 0);
        algorithm.start(mss, false);
        assert_eq!((algorithm.cwnd(), algorithm.ssthresh()), (window, u32::MAX));
    }
}

#[test]
fn slow_start_by_acknowledged_octets() {
    // req: R5681-3
    let mut reno = NewReno::new(M);
    for (acked, cwnd) in
        [(1, 10_001), (999, 11_000), (1_000, 12_000), (1_001, 13_000), (60_000, 14_000), (0, 14_000)]
    {
        reno.on_ack(&ack(acked));
        assert_eq!(reno.cwnd(), cwnd, "{acked} acknowledged");
    }
}

#[test]
fn avoidance_by_a_segment_for_each_window() {
    // req: R5681-4
    let mut reno = avoiding(10);
    for round in 10..30 {
        for _ in 0..round {
            assert!(reno.cwnd() <= round * M, "not before the round is over");
            reno.on_ack(&ack(M));
        }
        assert_eq!(reno.cwnd(), (round + 1) * M);
    }
    // Stretch ACKs count as much as many small ones; half a window gives nothing.
    let mut reno = avoiding(10);
    reno.on_ack(&ack(5 * M));
    assert_eq!(reno.cwnd(), 10 * M);
    reno.on_ack(&ack(5 * M));
    assert_eq!(reno.cwnd(), 11 * M);
}

#[test]
fn losses_by_flight() {
    // req: R5681-5
    for (flight, threshold) in [(0, 2 * M), (M, 2 * M), (4 * M, 2 * M), (10 * M, 5 * M), (101 * M, 50_500)] {
        let mut reno = NewReno::new(M);
        reno.on_congestion(&loss(flight));
        assert_eq!((reno.cwnd(), reno.ssthresh()), (threshold, threshold), "flight {flight}");
    }
}

#[test]
fn timeouts_of_one_segment() {
    // req: R5681-6, R5681-7
    let mut reno = NewReno::new(M);
    reno.on_timeout(NOW, 10 * M, true);
    assert_eq!((reno.cwnd(), reno.ssthresh()), (M, 5 * M));
    for _ in 0..5 {
        reno.on_timeout(NOW, M, false);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (M, 5 * M));
    }
    reno.on_timeout(NOW, M, true);
    assert_eq!(reno.ssthresh(), 2 * M);
}

#[test]
fn the_end_of_recovery_by_flight() {
    // req: R6582-5, R5681-14
    for (flight, cwnd) in [(0, 10 * M), (M, 10 * M), (10 * M, 11 * M), (19 * M, 20 * M), (30 * M, 20 * M)] {
        let mut reno = avoiding(20);
        reno.on_congestion(&loss(40 * M));
        reno.on_recovered(NOW, flight);
        assert_eq!(reno.cwnd(), cwnd, "flight {flight}");
    }
}

#[test]
fn what_does_not_move_the_window() {
    // req: R5681-15, R5681-16
    let mut reno = NewReno::new(M);
    for _ in 0..100 {
        reno.on_ack(&Ack { cwnd_limited: false, ..ack(50 * M) });
    }
    assert_eq!(reno.cwnd(), 10 * M);
    reno.on_idle(NOW);
    assert_eq!(reno.cwnd(), 10 * M);
    for _ in 0..100 {
        reno.on_ack(&ack(M));
    }
    reno.on_idle(NOW);
    assert_eq!(reno.cwnd(), 10 * M, "min(IW, cwnd)");
    let mut reno = avoiding(3);
    reno.on_idle(NOW);
    assert_eq!(reno.cwnd(), 3 * M);
}

#[test]
fn the_largest_windows_do_not_overflow() {
    let mut reno = NewReno::new(u32::from(u16::MAX));
    for _ in 0..200_000 {
        reno.on_ack(&ack(u32::MAX));
    }
    reno.on_recovered(NOW, u32::MAX);
    reno.on_congestion(&loss(u32::MAX));
    assert_eq!(reno.ssthresh(), u32::MAX / 2);
}

#[test]
fn a_mistaken_loss_is_undone() {
    let mut reno = avoiding(20);
    reno.on_congestion(&loss(20 * M));
    reno.on_spurious(NOW);
    assert_eq!((reno.cwnd(), reno.ssthresh()), (20 * M, 20 * M));
    reno.on_timeout(NOW, 20 * M, true);
    reno.on_timeout(NOW, M, false);
    reno.on_spurious(NOW);
    assert_eq!((reno.cwnd(), reno.ssthresh()), (20 * M, 20 * M));
}

#[test]
fn recovery_leaves_the_window_to_others() {
    let mut reno = avoiding(20);
    reno.on_congestion(&loss(20 * M));
    reno.on_ack(&ack(15 * M));
    reno.on_ack(&ack(15 * M));
    assert_eq!(reno.cwnd(), 10 * M);
    reno.on_timeout(NOW, 10 * M, true);
    reno.on_ack(&ack(M));
    assert_eq!(reno.cwnd(), 2 * M, "slow start after a timeout, during recovery too");
    reno.on_recovered(NOW, 2 * M);
    assert_eq!(reno.cwnd(), 2 * M);
}
