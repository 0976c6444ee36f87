//! CUBIC against the equations of RFC 9438 in floating point.

mod edges;

use core::time::Duration;

use netstack_wire::SeqNum;

use super::Cubic;
use crate::congestion::{Ack, Congestion, Controller, Signal};
use crate::time::Instant;

const M: u32 = 1_448;

/// A sender that the window alone limits, on a path without a queue.
#[derive(Debug)]
struct Path {
    cubic: Cubic,
    now: Instant,
    rtt: Duration,
    una: SeqNum,
}

impl Path {
    fn new(rtt_ms: u64) -> Self {
        let mut cubic = Cubic::new(M);
        cubic.start(M, false);
        Self { cubic, now: Instant::from_nanos(1), rtt: Duration::from_millis(rtt_ms), una: SeqNum(1) }
    }

    /// In congestion avoidance, after a loss at `segments` that cost `flight` segments of flight.
    fn after_loss(rtt_ms: u64, segments: u32) -> Self {
        let mut path = Self::new(rtt_ms);
        path.cubic.inherit(segments * M, 0);
        path.lose(segments);
        path
    }

    /// A loss with `flight` segments outstanding, and its recovery.
    fn lose(&mut self, flight: u32) {
        self.cubic.on_congestion(&Congestion::new(self.now, flight * M, Signal::Loss));
        self.now += self.rtt;
        self.cubic.on_recovered(self.now, self.cubic.cwnd());
    }

    fn ack(&mut self, acked: u32, cwnd_limited: bool) {
        self.una += acked;
        let ack = Ack {
            una: self.una,
            nxt: self.una + self.cubic.cwnd(),
            cwnd_limited,
            rtt: Some(self.rtt),
            srtt: self.rtt,
            min_rtt: self.rtt,
            ..Ack::new(self.now, acked)
        };
        self.cubic.on_ack(&ack);
    }

    /// A round trip in which a window is acknowledged, two segments at a time.
    fn round(&mut self) {
        let window = self.cubic.cwnd();
        let acks = window.div_ceil(2 * M);
        for ack in 0..acks {
            self.now += self.rtt / acks;
            self.ack((window - ack * 2 * M).min(2 * M), true);
        }
    }

    fn segments(&self) -> f64 {
        f64::from(self.cubic.cwnd()) / f64::from(M)
    }
}

#[test]
fn the_window_follows_the_curve() {
    // req: R9438-1, R9438-2
    for (rtt, w_max) in [(200, 100), (100, 400), (100, 1_000)] {
        let mut path = Path::after_loss(rtt, w_max);
        assert!((path.segments() - 0.7 * f64::from(w_max)).abs() < 0.1, "beta");
        let k = (0.3 * f64::from(w_max) / 0.4).cbrt();
        // The epoch begins with the first ACK.
        path.ack(M, true);
        let start = path.now;
        let mut plateau_seen = false;
        while path.now - start < Duration::from_secs_f64(2.0 * k) {
            path.round();
            let t = (path.now - start).as_secs_f64();
            let expected = 0.4 * (t - k).powi(3) + f64::from(w_max);
            assert!(
                (path.segments() - expected).abs() <= 1.0,
                "{} segments after {t} s of K = {k}, {expected} expected",
                path.segments()
            );
            if !plateau_seen && t >= k {
                plateau_seen = true;
                assert!((path.segments() - f64::from(w_max)).abs() <= 1.0, "back at W_max after K");
            }
        }
        assert!(plateau_seen);
    }
}

#[test]
fn a_round_trip_grows_the_window_by_half_at_most() {
    // req: R9438-1
    let mut path = Path::after_loss(100, 10);
    path.cubic.epoch = None;
    path.ack(M, true);
    // The curve has run away while nothing was acknowledged.
    path.now += Duration::from_secs(60);
    let before = path.cubic.cwnd();
    path.ack(before, true);
    assert_eq!(path.cubic.cwnd(), before + before / 2);
}

#[test]
fn the_clock_stands_while_the_application_limits() {
    // req: R9438-3, R9438-6
    let mut path = Path::after_loss(100, 100);
    for _ in 0..10 {
        path.round();
    }
    let before = path.cubic.cwnd();
    for _ in 0..100 {
        path.now += path.rtt;
        path.ack(2 * M, false);
    }
    assert_eq!(path.cubic.cwnd(), before, "no growth while the flight is below the window");
    path.now += Duration::from_secs(10);
    path.round();
    assert!(path.cubic.cwnd() - before <= 3 * M, "twenty seconds do not count");

    // Ten seconds of silence after a full window.
    let before = path.cubic.cwnd();
    path.now += Duration::from_secs(10);
    path.cubic.on_sent(path.now, 0, before, false);
    path.round();
    assert!(path.cubic.cwnd() - before <= 3 * M, "{} more", path.cubic.cwnd() - before);
}

#[test]
fn on_short_paths_the_window_is_renos() {
    // req: R9438-4
    // 20 ms, W_max 20: W_est passes the curve, by 9/17 of a segment a round, then by one.
    let mut path = Path::after_loss(20, 20);
    let mut reno = 14.0;
    for round in 0..40 {
        path.round();
        reno += if reno < 20.0 { 9.0 / 17.0 } else { 1.0 };
        assert!(
            (path.segments() - reno).abs() < 1.0,
            "{} segments in round {round}, {reno} expected",
            path.segments()
        );
    }
}

#[test]
fn losses_by_flight() {
    // req: R9438-5, R9438-2
    for (flight, threshold) in [(100, 70), (10, 7), (3, 2), (2, 2)] {
        let mut path = Path::new(100);
        path.cubic.inherit(flight * M, u32::MAX);
        path.cubic.on_congestion(&Congestion::new(path.now, flight * M, Signal::Loss));
        let expected = (flight * M * 7 / 10).max(2 * M);
        assert_eq!((path.cubic.cwnd(), path.cubic.ssthresh()), (expected, expected));
        assert_eq!(expected / M, threshold);
        assert_eq!(path.cubic.cwnd_prior, flight * M);
    }
    // A mark may leave one segment.
    let mut path = Path::new(100);
    path.cubic.inherit(M, u32::MAX);
    path.cubic.on_congestion(&Congestion::new(path.now, M, Signal::Ecn));
    assert_eq!((path.cubic.cwnd(), path.cubic.ssthresh()), (M, 2 * M));
}

#[test]
fn the_end_of_a_response_is_no_measure_of_the_window() {
    // req: R9438-6
    let mut path = Path::new(100);
    path.cubic.on_congestion(&Congestion::new(path.now, M, Signal::Loss));
    assert_eq!(
        (path.cubic.cwnd(), path.cubic.ssthresh()),
        (7 * M, 7 * M),
        "one segment outstanding of a window of ten"
    );
    // A timeout goes by what is outstanding (R5681-5).
    path.cubic.on_timeout(path.now, 4 * M, true);
    assert_eq!(path.cubic.ssthresh(), 4 * M * 7 / 10);
}

#[test]
fn fast_convergence_gives_room_to_others() {
    // req: R9438-8
    let mut path = Path::after_loss(100, 100);
    assert_eq!(path.cubic.w_max, 100 * M);
    path.cubic.cwnd = 80 * M;
    path.lose(80);
    assert_eq!(path.cubic.w_max, 68 * M);
    path.cubic.cwnd = 90 * M;
    path.lose(90);
    assert_eq!(path.cubic.w_max, 90 * M, "above the last height: no convergence");
    path.cubic.cwnd = 90 * M;
    path.lose(90);
    assert_eq!(path.cubic.w_max, 90 * M, "as high as the last time: none either");
}

#[test]
fn after_a_timeout_the_curve_starts_at_its_plateau() {
    // req: R9438-9
    let mut path = Path::after_loss(100, 100);
    path.cubic.on_timeout(path.now, 70 * M, true);
    assert_eq!((path.cubic.cwnd(), path.cubic.ssthresh()), (M, 49 * M));
    path.cubic.on_timeout(path.now, M, false);
    assert_eq!(path.cubic.ssthresh(), 49 * M);
    path.cubic.on_recovered(path.now, M);
    // Slow start to ssthresh, by two segments an ACK.
    for _ in 0..24 {
        path.ack(2 * M, true);
    }
    assert_eq!(path.cubic.cwnd(), 49 * M);
    path.ack(2 * M, true);
    assert_eq!(path.cubic.w_max, 49 * M);
    let start = path.now;
    let mut reno = 49.0;
    while path.now - start < Duration::from_secs(4) {
        path.round();
        reno += 9.0 / 17.0;
        let t = (path.now - start).as_secs_f64();
        let expected = f64::max(49.0 + 0.4 * t.powi(3), reno);
        assert!(
            (path.segments() - expected).abs() <= 1.5,
            "{} after {t} s, {expected} expected",
            path.segments()
        );
    }
}

#[test]
fn what_was_no_loss_is_taken_back() {
    // req: R9438-10
    let mut path = Path::after_loss(100, 100);
    for _ in 0..10 {
        path.round();
    }
    let before = format!("{:?}", path.cubic.epoch);
    let values = |cubic: &Cubic| (cubic.cwnd, cubic.ssthresh, cubic.w_max, cubic.cwnd_prior);
    let kept = values(&path.cubic);
    path.lose(path.cubic.cwnd() / M);
    assert_ne!(values(&path.cubic), kept);
    path.cubic.on_spurious(path.now);
    assert_eq!(values(&path.cubic), kept);
    assert_eq!(format!("{:?}", path.cubic.epoch), before, "K, the epoch's clock and W_est too");

    // A timeout that repeats is one mistake.
    path.cubic.on_timeout(path.now, 70 * M, true);
    path.cubic.on_timeout(path.now, M, false);
    path.cubic.on_spurious(path.now);
    assert_eq!(values(&path.cubic), kept);

    // Nothing is left to take back, and a window that has outgrown what it was stays.
    path.cubic.on_spurious(path.now);
    assert_eq!(values(&path.cubic), kept);
    path.lose(10);
    path.cubic.cwnd = kept.0 + 1;
    path.cubic.on_spurious(path.now);
    assert_eq!(path.cubic.cwnd, kept.0 + 1);
}

#[test]
fn slow_start_below_the_threshold_and_its_end_without_loss() {
    // req: R9438-11, R9406-5
    let mut path = Path::new(40);
    path.round();
    assert_eq!(path.cubic.cwnd(), 20 * M, "doubled");
    path.round();
    path.rtt = Duration::from_millis(60);
    for _ in 0..7 {
        path.round();
    }
    let left = path.cubic.ssthresh();
    assert_ne!(left, u32::MAX, "round trips have grown for five rounds");
    assert_eq!(path.cubic.phase(), "avoidance");
    assert!(left < 40 * M * 4, "grown by a quarter of the increment: {left}");
    assert!(path.cubic.w_max >= left, "W_max = cwnd");
    assert_eq!(path.cubic.cwnd_prior, left);
}

#[test]
fn hystart_is_for_the_first_slow_start_only() {
    // req: R9406-6
    let mut path = Path::new(40);
    path.round();
    path.cubic.on_congestion(&Congestion::new(path.now, 20 * M, Signal::Ecn));
    assert_eq!(path.cubic.ssthresh(), 14 * M, "a mark ends it");
    path.cubic.on_timeout(path.now, 100 * M, true);
    path.cubic.on_recovered(path.now, M);
    for ack in 0..34 {
        // By then a round trip has enough samples to be compared with.
        path.rtt = Duration::from_millis(if ack < 16 { 40 } else { 400 });
        path.ack(2 * M, true);
    }
    assert_eq!(path.cubic.cwnd(), 69 * M, "plain slow start, whatever the round trip");
    assert_eq!(path.cubic.ssthresh(), 70 * M);
}

#[test]
fn one_ack_adds_eight_segments_at_most_and_one_while_a_timeout_is_repaired() {
    // req: R5681-3
    let mut path = Path::new(40);
    path.ack(60 * M, true);
    assert_eq!(path.cubic.cwnd(), 18 * M);
    path.cubic.on_timeout(path.now, 100 * M, true);
    path.ack(60 * M, true);
    assert_eq!(path.cubic.cwnd(), 2 * M);
    path.cubic.on_recovered(path.now, 2 * M);
    path.ack(60 * M, true);
    assert_eq!(path.cubic.cwnd(), 10 * M);
}

#[test]
fn a_pause_restarts_from_the_initial_window() {
    // req: R5681-15
    let mut path = Path::after_loss(100, 100);
    path.cubic.on_idle(path.now);
    assert_eq!((path.cubic.cwnd(), path.cubic.ssthresh()), (10 * M, 70 * M));

    // On a short path Reno's window had gone far beyond the threshold that slow start comes back to.
    let mut path = Path::after_loss(10, 100);
    for _ in 0..200 {
        path.round();
    }
    assert!(path.cubic.cwnd() > 120 * M);
    path.cubic.on_idle(path.now);
    while path.cubic.cwnd() < 70 * M {
        path.ack(2 * M, true);
    }
    for _ in 0..5 {
        path.ack(2 * M, true);
    }
    assert!(path.cubic.cwnd() <= 71 * M, "no jump: {}", path.cubic.cwnd() / M);
}
