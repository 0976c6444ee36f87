//! The least round trip of the last ten seconds, and ProbeRTT, which lets the queue run empty to see it (draft 5.3.4).

use core::time::Duration;

use super::{Ack, Bbr, Phase};
use crate::time::Instant;

/// How long a least round trip counts.
const MIN_RTT_FILTER_LEN: Duration = Duration::from_secs(10);
/// After this long without a new least one the queue is drained to measure it.
const PROBE_RTT_INTERVAL: Duration = Duration::from_secs(5);
/// How long.
const PROBE_RTT_DURATION: Duration = Duration::from_millis(200);

/// Round trips, and where ProbeRTT stands.
#[derive(Debug, Default)]
pub(super) struct MinRtt {
    /// The model's round trip; `None` before the first sample.
    pub(super) min: Option<Duration>,
    min_stamp: Instant,
    /// The least since the last ProbeRTT was due.
    recent: Option<Duration>,
    recent_stamp: Instant,
    expired: bool,
    /// When ProbeRTT may end; `None` until the flight is small enough.
    done_at: Option<Instant>,
    round_done: bool,
    /// What left before this much was delivered left in ProbeRTT: its rate is not the path's.
    pub(super) limited_until: u64,
}

impl Bbr {
    pub(super) fn update_min_rtt(&mut self, ack: &Ack) {
        let rtt = &mut self.rtt;
        rtt.expired = rtt.recent.is_some() && ack.now - rtt.recent_stamp > PROBE_RTT_INTERVAL;
        let Some(sample) = ack.rtt else { return };
        if rtt.expired || rtt.recent.is_none_or(|recent| sample < recent) {
            rtt.recent = Some(sample);
            rtt.recent_stamp = ack.now;
        }
        let expired = ack.now - rtt.min_stamp > MIN_RTT_FILTER_LEN;
        // One as short as the least is the least of the ten seconds that follow it.
        if expired || rtt.min.is_none_or(|min| rtt.recent.is_some_and(|recent| recent <= min)) {
            rtt.min = rtt.recent;
            rtt.min_stamp = rtt.recent_stamp;
        }
    }

    pub(super) fn check_probe_rtt(&mut self, ack: &Ack) {
        if self.phase != Phase::ProbeRtt && self.rtt.expired && !self.idle_restart {
            self.save_cwnd();
            self.phase = Phase::ProbeRtt;
            self.rtt.done_at = None;
            self.cycle.stopping = true;
            self.bw.start_round();
        }
        if self.phase == Phase::ProbeRtt {
            self.handle_probe_rtt(ack);
        }
        self.idle_restart = false;
    }

    fn handle_probe_rtt(&mut self, ack: &Ack) {
        self.rtt.limited_until = self.bw.delivered + u64::from(ack.flight);
        if self.rtt.done_at.is_none() {
            if ack.flight <= self.probe_rtt_cwnd() {
                self.rtt.done_at = Some(ack.now + PROBE_RTT_DURATION);
                self.rtt.round_done = false;
                self.bw.start_round();
            }
            return;
        }
        self.rtt.round_done |= self.bw.round_start;
        if self.rtt.round_done {
            self.check_probe_rtt_done(ack.now);
        }
    }

    pub(super) fn check_probe_rtt_done(&mut self, now: Instant) {
        if self.rtt.done_at.is_some_and(|at| now > at) {
            self.rtt.recent_stamp = now;
            self.rtt.expired = false;
            self.phase = Phase::Startup;
            self.restore_cwnd();
            self.reset_short_term_model();
            if self.full_pipe.reached {
                self.start_probe_bw_down(now);
                self.phase = Phase::Cruise;
            }
        }
    }
}
