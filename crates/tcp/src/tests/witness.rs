//! A congestion controller whose window the test sets, and what it is told.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use crate::config::TcpConfig;
use crate::congestion::{Ack, Congestion, CongestionControl, Controller, Lost};
use crate::time::Instant;

/// It has no more than a controller must have, but for the news that it keeps. All clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Witness {
    window: Arc<AtomicU32>,
    acks: Arc<Mutex<Vec<Ack>>>,
    lost: Arc<Mutex<Vec<Lost>>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

/// What left, and whether the application bounded it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) octets: u32,
    pub(crate) app_limited: bool,
}

impl Witness {
    pub(crate) fn new(window: u32) -> Self {
        let window = Arc::new(AtomicU32::new(window));
        Self { window, acks: Arc::default(), lost: Arc::default(), sent: Arc::default() }
    }

    pub(crate) fn set(&self, window: u32) {
        self.window.store(window, Ordering::Relaxed);
    }

    pub(crate) fn apply(&self, config: &mut TcpConfig) {
        let witness = self.clone();
        config.congestion(CongestionControl::Custom(Arc::new(move || Box::new(witness.clone()))));
    }

    pub(crate) fn acks(&self) -> Vec<Ack> {
        self.acks.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Ack {
        *self.acks.lock().unwrap().last().expect("an ACK was told")
    }

    /// Octets of each loss that was told.
    pub(crate) fn losses(&self) -> Vec<u32> {
        self.lost.lock().unwrap().iter().map(|lost| lost.octets).collect()
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }
}

impl Controller for Witness {
    fn name(&self) -> &'static str {
        "witness"
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

    fn on_sent(&mut self, _now: Instant, _flight: u32, octets: u32, app_limited: bool) {
        self.sent.lock().unwrap().push(Sent { octets, app_limited });
    }

    fn on_idle(&mut self, _now: Instant) {}

    fn cwnd(&self) -> u32 {
        self.window.load(Ordering::Relaxed)
    }

    fn ssthresh(&self) -> u32 {
        u32::MAX
    }
}
