//! The sending half: sequence space, buffer, round-trip times, recovery.

mod buffer;
#[allow(dead_code, reason = "transmission asks it once segments have records")]
pub(crate) mod pacing;
#[allow(dead_code, reason = "the records of segments carry its state")]
pub(crate) mod rate;
mod recovery;
mod rtt;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use netstack_wire::SeqNum;

pub(crate) use recovery::{AckKind, Recovery};

use crate::config::TcpConfig;
use crate::congestion::Algorithm;
use crate::negotiate::Negotiated;
use crate::segment::MAX_PAYLOAD;
use crate::time::Instant;
use buffer::SendBuffer;
use rtt::RttEstimator;

/// The one segment that is being timed (R6298-7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timing {
    /// The next new segment will be timed.
    Idle,
    /// The segment that ends at `end` left at `sent`, for the first time.
    Running { end: SeqNum, sent: Instant },
    /// A retransmission at `since` made the measurement ambiguous (R6298-6); a timestamp from then on still tells.
    Spoiled { since: Instant },
}

/// Send sequence space and what goes with it (RFC 9293 3.3.1).
///
/// ```text
///      una          nxt         max         una + wnd
///       |  in flight |  to be    |  usable      |
///       |            |  resent   |  window      |
/// ```
///
/// `nxt` falls back to `una` on a retransmission timeout; `max` never does.
#[derive(Debug)]
pub(crate) struct SendHalf {
    /// ISS: initial send sequence number.
    pub(crate) iss: SeqNum,
    /// SND.UNA: oldest unacknowledged.
    pub(crate) una: SeqNum,
    /// SND.NXT: next to send.
    pub(crate) nxt: SeqNum,
    /// One above the highest ever sent.
    pub(crate) max: SeqNum,
    /// SND.WND, in octets.
    pub(crate) wnd: u32,
    /// MAX.SND.WND: the largest window the peer ever announced.
    pub(crate) wnd_max: u32,
    /// SND.WL1: sequence number of the last window update.
    pub(crate) wl1: SeqNum,
    /// SND.WL2: acknowledgment number of the last window update.
    pub(crate) wl2: SeqNum,
    /// SND.UP: one above the last urgent octet, while it is unacknowledged.
    pub(crate) urgent: Option<SeqNum>,
    pub(crate) buffer: SendBuffer,
    /// The application has closed: a FIN follows the buffer's last octet.
    pub(crate) fin_queued: bool,
    /// The peer has acknowledged the FIN.
    pub(crate) fin_acked: bool,
    /// Payload octets of a full segment without options, before they are taken off.
    pub(crate) mss: u16,
    pub(crate) rtt: RttEstimator,
    pub(crate) timing: Timing,
    /// End of the last segment sent short of the MSS: the Nagle algorithm holds the next short one back until it is
    /// acknowledged.
    pub(crate) small_end: SeqNum,
    pub(crate) recovery: Recovery,
    pub(crate) congestion: Algorithm,
    /// Retransmissions in a row of the segment at `una`.
    pub(crate) retries: u8,
    /// Persist probes in a row, for their back-off.
    pub(crate) probes: u8,
    /// The persist timer fired: the next transmission is a probe, or overrides silly-window avoidance.
    pub(crate) force: bool,
    /// The largest flight since `flight_peak_end` was set, for congestion window validation (R5681-16).
    pub(crate) flight_peak: u32,
    pub(crate) flight_peak_end: SeqNum,
    /// When data last left (R5681-15).
    pub(crate) last_sent: Instant,
}

impl SendHalf {
    pub(crate) fn new(iss: SeqNum, mss: u16, config: &TcpConfig) -> Self {
        Self {
            iss,
            una: iss,
            nxt: iss,
            max: iss,
            wnd: 0,
            wnd_max: 0,
            wl1: SeqNum(0),
            wl2: SeqNum(0),
            urgent: None,
            buffer: SendBuffer::default(),
            fin_queued: false,
            fin_acked: false,
            mss,
            rtt: RttEstimator::new(config),
            timing: Timing::Idle,
            small_end: iss,
            recovery: Recovery::new(iss),
            congestion: Algorithm::new(&config.congestion, u32::from(mss), iss.0),
            retries: 0,
            probes: 0,
            force: false,
            flight_peak: 0,
            flight_peak_end: iss,
            last_sent: Instant::ZERO,
        }
    }

    /// FlightSize: octets sent and not acknowledged (RFC 5681 2); after a timeout, those sent again.
    pub(crate) fn flight_size(&self) -> u32 {
        self.nxt.distance_from(self.una)
    }

    /// Whether anything that was sent is unacknowledged, FIN and SYN counted.
    pub(crate) fn is_outstanding(&self) -> bool {
        self.una != self.max
    }

    /// One above the last octet written so far.
    pub(crate) fn data_end(&self) -> SeqNum {
        self.una + self.buffer.len()
    }

    /// Octets from `nxt` to the end of what was written. After the FIN was sent `nxt` lies one above: none.
    pub(crate) fn unsent(&self) -> u32 {
        self.buffer.len().saturating_sub(self.flight_size())
    }

    /// Whether the FIN is to be sent, or sent again, at `nxt`.
    pub(crate) fn fin_is_next(&self) -> bool {
        self.fin_queued && !self.fin_acked && self.nxt == self.data_end()
    }

    /// Whether data or FIN wait to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent() > 0 || self.fin_is_next()
    }

    /// One above the last octet the peer's window takes.
    pub(crate) fn window_end(&self) -> SeqNum {
        self.una + self.wnd
    }

    /// Octets that the peer's window still takes from `nxt` on.
    pub(crate) fn usable_window(&self) -> u32 {
        self.wnd.saturating_sub(self.flight_size())
    }

    /// The sequence number of a segment that carries nothing: the highest sent, but never beyond the peer's window, for
    /// there its ACK and window fields would be ignored.
    pub(crate) fn ack_seq(&self) -> SeqNum {
        if self.max.after(self.window_end()) { self.window_end().max(self.una) } else { self.max }
    }

    /// Payload octets of a full segment with `options_len` octets of options (MUST-16).
    pub(crate) fn effective_mss(&self, options_len: usize) -> u32 {
        // With the largest MTU a segment would not fit beside its headers otherwise.
        u32::from(self.mss).saturating_sub(options_len as u32).clamp(1, MAX_PAYLOAD as u32)
    }

    pub(crate) fn slices(&self, at: SeqNum, len: u32, out: &mut Vec<Bytes>) -> u32 {
        self.buffer.slices(at.distance_from(self.una), len, out)
    }

    /// Sets the send MSS from what the peer announced and what the path takes (MUST-15, MUST-16).
    pub(crate) fn set_mss(&mut self, agreed: &Negotiated, path_mss: u16) {
        self.mss = agreed.peer_mss.min(path_mss);
    }
}
