//! HyStart++ (RFC 9406): leaves the first slow start when round trips grow, before the queue overflows.

#[cfg(test)]
mod tests;

use core::time::Duration;

use netstack_wire::SeqNum;

use super::Ack;

/// Bounds of the growth of the round trip that counts, which is an eighth of it (RFC 9406 4.3).
const MIN_RTT_THRESH: Duration = Duration::from_millis(4);
const MAX_RTT_THRESH: Duration = Duration::from_millis(16);
const MIN_RTT_DIVISOR: u32 = 8;
/// Samples of a round before its minimum means something.
const N_RTT_SAMPLE: u32 = 8;
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

/// Conservative slow start.
#[derive(Debug, Clone, Copy)]
struct Conservative {
    /// The round trip that ended slow start: below it that was a mistake.
    baseline: Duration,
    /// Rounds it has lasted, the one it began in counted.
    rounds: u8,
}

/// Rounds and their least round trips (RFC 9406 4.2).
#[derive(Debug, Default)]
pub(super) struct HyStart {
    /// SND.NXT when the round began; `None` before the first ACK.
    window_end: Option<SeqNum>,
    last_min: Option<Duration>,
    current_min: Option<Duration>,
    samples: u32,
    conservative: Option<Conservative>,
}

impl HyStart {
    /// An ACK in slow start, which would let the window grow by `increment`.
    pub(super) fn on_ack(&mut self, ack: &Ack, increment: u32) -> Growth {
        if self.enter_round(ack) {
            return Growth::Leave;
        }
        if let Some(rtt) = ack.rtt {
            self.current_min = Some(self.current_min.map_or(rtt, |min| min.min(rtt)));
            self.samples = self.samples.saturating_add(1);
        }
        self.judge();
        match self.conservative {
            Some(_) => Growth::By(increment / CSS_GROWTH_DIVISOR),
            None => Growth::By(increment),
        }
    }

    pub(super) fn is_conservative(&self) -> bool {
        self.conservative.is_some()
    }

    /// Starts the next round where one is over. True when the last of conservative slow start is.
    fn enter_round(&mut self, ack: &Ack) -> bool {
        match self.window_end {
            Some(end) if ack.una.before(end) => return false,
            Some(_) => {
                self.last_min = self.current_min.take();
                self.samples = 0;
            }
            None => {}
        }
        let ended = self.window_end.replace(ack.nxt).is_some();
        match &mut self.conservative {
            Some(css) if ended && css.rounds >= CSS_ROUNDS => true,
            Some(css) if ended => {
                css.rounds += 1;
                false
            }
            _ => false,
        }
    }

    /// Whether round trips have grown, or were found not to have.
    fn judge(&mut self) {
        if self.samples < N_RTT_SAMPLE {
            return;
        }
        let Some(current) = self.current_min else { return };
        match (self.conservative, self.last_min) {
            (Some(css), _) if current < css.baseline => self.conservative = None,
            (None, Some(last)) => {
                let threshold = (last / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
                if current >= last + threshold {
                    self.conservative = Some(Conservative { baseline: current, rounds: 1 });
                }
            }
            _ => {}
        }
    }
}
