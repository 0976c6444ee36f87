//! HyStart++ (RFC 9406): leaves the first slow start when round trips grow, before the queue overflows.

#[cfg(test)]
mod tests;

use netstack_wire::SeqNum;

use super::Ack;

/// Bounds of the growth of the round trip that counts, which is an eighth of it (RFC 9406 4.3), in microseconds.
const MIN_RTT_THRESH: u32 = 4_000;
const MAX_RTT_THRESH: u32 = 16_000;
const MIN_RTT_DIVISOR: u32 = 8;
/// Samples of a round before its minimum means something.
const N_RTT_SAMPLE: u8 = 8;
/// In place of a round trip that was not measured.
const NO_SAMPLE: u32 = u32::MAX;
/// Conservative slow start grows by this part of slow start's increment.
const CSS_GROWTH_DIVISOR: u32 = 4;
/// Rounds that conservative slow start lasts.
const CSS_ROUNDS: u8 = 5;

/// What slow start may do after an ACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// Grow by this many octets.
    By(u32),
    /// The path is full: congestion avoidance starts here.
    Leave,
}

/// Rounds and their least round trips (RFC 9406 4.2), in microseconds.
#[derive(Debug)]
pub(super) struct HyStart {
    /// SND.NXT when the round began; `None` before the first ACK.
    window_end: Option<SeqNum>,
    /// [`NO_SAMPLE`] without one, as `current_min`.
    last_min: u32,
    current_min: u32,
    /// The round trip that ended slow start: below it that was a mistake.
    baseline: u32,
    samples: u8,
    /// Rounds that conservative slow start has lasted, the one it began in counted; 0 outside of it.
    rounds: u8,
}

impl Default for HyStart {
    fn default() -> Self {
        Self {
            window_end: None,
            last_min: NO_SAMPLE,
            current_min: NO_SAMPLE,
            baseline: NO_SAMPLE,
            samples: 0,
            rounds: 0,
        }
    }
}

impl HyStart {
    /// An ACK in slow start, which would let the window grow by `increment`.
    pub(super) fn on_ack(&mut self, ack: &Ack, increment: u32) -> Growth {
        if self.enter_round(ack) {
            return Growth::Leave;
        }
        if let Some(rtt) = ack.rtt {
            let rtt = u32::try_from(rtt.as_micros()).unwrap_or(NO_SAMPLE);
            self.current_min = self.current_min.min(rtt);
            self.samples = self.samples.saturating_add(1);
        }
        self.judge();
        Growth::By(if self.is_conservative() { increment / CSS_GROWTH_DIVISOR } else { increment })
    }

    pub(super) fn is_conservative(&self) -> bool {
        self.rounds > 0
    }

    /// Starts the next round where one is over. True when the last of conservative slow start is.
    fn enter_round(&mut self, ack: &Ack) -> bool {
        match self.window_end {
            Some(end) if ack.una.before(end) => return false,
            Some(_) => {
                self.last_min = core::mem::replace(&mut self.current_min, NO_SAMPLE);
                self.samples = 0;
            }
            None => {}
        }
        let ended = self.window_end.replace(ack.nxt).is_some();
        if !ended || !self.is_conservative() {
            return false;
        }
        let last = self.rounds >= CSS_ROUNDS;
        if !last {
            self.rounds += 1;
        }
        last
    }

    /// Whether round trips have grown, or were found not to have.
    fn judge(&mut self) {
        if self.samples < N_RTT_SAMPLE {
            return;
        }
        let (current, last) = (self.current_min, self.last_min);
        if self.is_conservative() {
            if current < self.baseline {
                self.rounds = 0;
            }
        } else if last != NO_SAMPLE {
            let threshold = (last / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
            if current >= last.saturating_add(threshold) {
                (self.baseline, self.rounds) = (current, 1);
            }
        }
    }
}
