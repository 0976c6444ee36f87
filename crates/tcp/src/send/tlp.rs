//! The tail loss probe: a segment that draws an ACK out of a silent peer before the retransmission timer fires
//! (RFC 8985 7).

#[cfg(test)]
mod tests;

use core::time::Duration;

use netstack_wire::SeqNum;

use super::scoreboard::Echo;
use crate::time::Instant;

/// How long the peer may hold back its ACK of a lone segment (TLP.max_ack_delay): what common receivers wait. The second
/// round trip of the timeout is margin enough.
const MAX_ACK_DELAY: Duration = Duration::from_millis(40);

/// The least wait, which RFC 8985 leaves to the timer's step: a peer is busy for this long, and no timer is finer.
const MIN_PTO: Duration = Duration::from_millis(2);

/// The wait without a round-trip sample (RFC 8985 7.2).
const WITHOUT_SRTT: Duration = Duration::from_secs(1);

/// A probe whose fate is not known.
#[derive(Debug, Clone, Copy)]
struct Probe {
    /// TLP.end_seq: SND.NXT behind it.
    end: SeqNum,
    sent_at: Instant,
    /// TLP.is_retrans.
    resent: bool,
    /// FlightSize when it left.
    flight: u32,
}

/// What an ACK means to a probe.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TlpAck {
    pub(crate) ack: SeqNum,
    /// SND.UNA advanced.
    pub(crate) advanced: bool,
    /// Right edge of a reported duplicate.
    pub(crate) dsack: Option<SeqNum>,
    /// It repeats the last ACK and tells of nothing.
    pub(crate) duplicate: bool,
    pub(crate) echo: Option<Echo>,
}

/// TLP's variables.
#[derive(Debug, Default)]
pub(crate) struct Tlp {
    probe: Option<Box<Probe>>,
    /// A probe is to leave.
    pub(crate) due: bool,
    /// No round trip was measured since the last probe (R8985-15).
    unmeasured: bool,
}

impl Tlp {
    /// Whether a probe may be prepared for.
    pub(crate) fn may_arm(&self) -> bool {
        self.probe.is_none() && !self.unmeasured
    }

    /// Whether a probe has left of which nothing is known yet.
    pub(crate) fn awaits_answer(&self) -> bool {
        self.probe.is_some()
    }

    /// PTO (R8985-13): how long to wait for an ACK of what was sent last; `lone` if one segment is in flight.
    pub(crate) fn timeout(srtt: Option<Duration>, lone: bool) -> Duration {
        match srtt {
            Some(srtt) => (2 * srtt).max(MIN_PTO) + if lone { MAX_ACK_DELAY } else { Duration::ZERO },
            None => WITHOUT_SRTT,
        }
    }

    /// Whether a probe is to be pushed: nothing follows it until it is answered, and a receiver that holds back the ACK of a
    /// lone segment need not, once it was read. That matters where this delay is longer than the probe's own.
    pub(crate) fn is_pushed(srtt: Option<Duration>) -> bool {
        srtt.is_some_and(|srtt| 2 * srtt < MAX_ACK_DELAY)
    }

    /// A probe leaves; `end` is SND.NXT behind it.
    pub(crate) fn on_sent(&mut self, now: Instant, end: SeqNum, resent: bool, flight: u32) {
        self.due = false;
        self.unmeasured = true;
        self.probe = Some(Box::new(Probe { end, sent_at: now, resent, flight }));
    }

    /// A round trip was measured.
    pub(crate) fn on_sample(&mut self) {
        self.unmeasured = false;
    }

    /// Whether a duplicate reported up to `end` is the probe's own doing.
    pub(crate) fn explains(&self, end: SeqNum) -> bool {
        self.probe.as_ref().is_some_and(|probe| probe.resent && probe.end == end)
    }

    /// The loss that the probe repaired, as the flight it happened in (RFC 8985 7.4.2).
    pub(crate) fn on_ack(&mut self, ack: &TlpAck) -> Option<u32> {
        let probe = **self.probe.as_ref().filter(|probe| !ack.ack.before(probe.end))?;
        let answered =
            !probe.resent || ack.dsack == Some(probe.end) || (ack.duplicate && ack.dsack.is_none());
        // Beyond what the RFC tells: an ACK that echoes the probe shows that the probe filled the gap.
        let echoed = ack.advanced && ack.echo.is_some_and(|echo| !echo.is_before(probe.sent_at));
        if answered {
            self.probe = None;
            return None;
        }
        if ack.ack.after(probe.end) || echoed {
            self.probe = None;
            return Some(probe.flight);
        }
        None
    }

    /// Loss detection goes on without the probe.
    pub(crate) fn forget(&mut self) {
        self.probe = None;
        self.due = false;
    }
}
