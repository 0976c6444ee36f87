//! A controller whose window the test sets, and what it is told (R5682-2, R4821-3).

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use super::path_mtu::searching;
use super::{M, ack, at, config, connected_after, connecting, full, ms, text_sent};
use crate::config::TcpConfig;
use crate::congestion::{Ack, Congestion, CongestionControl, Controller, Lost};
use crate::time::Instant;

#[derive(Debug, Clone)]
struct Dial {
    window: Arc<AtomicU32>,
    acks: Arc<Mutex<Vec<Ack>>>,
    lost: Arc<Mutex<Vec<Lost>>>,
}

impl Dial {
    fn new(window: u32) -> Self {
        Self { window: Arc::new(AtomicU32::new(window)), acks: Arc::default(), lost: Arc::default() }
    }

    fn set(&self, window: u32) {
        self.window.store(window, Ordering::Relaxed);
    }

    fn apply(&self, config: &mut TcpConfig) {
        let dial = self.clone();
        config.congestion(CongestionControl::Custom(Arc::new(move || Box::new(dial.clone()))));
    }

    /// Octets of each loss that was told.
    fn losses(&self) -> Vec<u32> {
        self.lost.lock().unwrap().iter().map(|lost| lost.octets).collect()
    }
}

impl Controller for Dial {
    fn name(&self) -> &'static str {
        "dial"
    }

    fn start(&mut self, _mss: u32, _handshake_loss: bool) {}

    fn on_ack(&mut self, ack: &Ack) {
        self.acks.lock().unwrap().push(*ack);
    }

    fn on_congestion(&mut self, _congestion: &Congestion) {}

    fn on_lost(&mut self, lost: &Lost) {
        self.lost.lock().unwrap().push(*lost);
    }

    fn on_recovered(&mut self, _now: Instant, _flight: u32) {}

    fn on_timeout(&mut self, _now: Instant, _flight: u32, _first: bool) {}

    fn on_spurious(&mut self, _now: Instant) {}

    fn on_idle(&mut self, _now: Instant) {}

    fn cwnd(&self) -> u32 {
        self.window.load(Ordering::Relaxed)
    }

    fn ssthresh(&self) -> u32 {
        u32::MAX
    }
}

#[test]
fn after_a_timeout_two_new_segments_are_tried_whatever_the_window_takes() {
    // req: R5682-2
    let dial = Dial::new(10 * M);
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
    let dial = Dial::new(100);
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
    let dial = Dial::new(10 * M);
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
    let rates: Vec<_> = dial.acks.lock().unwrap().iter().map(|ack| ack.rate.map(|rate| rate.rate)).collect();
    // Six segments in 100 ms.
    assert_eq!(rates[0], Some(u64::from(6 * M) * 10), "{rates:?}");
}

#[test]
fn a_lost_probe_of_the_path_is_not_told_as_a_loss() {
    // req: R4821-3
    let dial = Dial::new(100 * M);
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
