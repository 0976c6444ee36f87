//! The sending half: sequence space, buffer, round-trip times, recovery.

mod buffer;
pub(crate) mod mtu;
pub(crate) mod pacing;
pub(crate) mod prr;
pub(crate) mod rack;
pub(crate) mod rate;
pub(crate) mod recovery;
mod rtt;
pub(crate) mod scoreboard;
#[cfg(test)]
mod tests;
pub(crate) mod tlp;
mod validation;

use bytes::Bytes;
use netstack_wire::SeqNum;

use crate::config::TcpConfig;
use crate::congestion::{Algorithm, Congestion, Signal};
use crate::segment::MAX_PAYLOAD;
use crate::time::Instant;
use buffer::SendBuffer;
use mtu::PathMtu;
use pacing::Pacer;
use rack::Rack;
use rate::DeliveryRate;
use recovery::Recovery;
use rtt::RttEstimator;
use scoreboard::Scoreboard;
use tlp::Tlp;
use validation::Validation;

/// Send sequence space and what goes with it (RFC 9293 3.3.1).
///
/// ```text
///      una             nxt  max         una + wnd
///       |  outstanding  |    |  usable      |
///       |               |    |  window      |
/// ```
///
/// Between `nxt` and `max` lies at most what a window probe carried: it is sent again once the window takes it.
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
    pub(crate) path: PathMtu,
    pub(crate) rtt: RttEstimator,
    /// The timeout takes a sample once what lies above is acknowledged: one for each round trip (R6298-7).
    pub(crate) rtt_round: SeqNum,
    /// End of the last segment sent short of the MSS: the Nagle algorithm holds the next short one back until it is
    /// acknowledged.
    pub(crate) small_end: SeqNum,
    pub(crate) board: Scoreboard,
    pub(crate) rack: Rack,
    pub(crate) tlp: Tlp,
    pub(crate) recovery: Recovery,
    pub(crate) rate: DeliveryRate,
    /// Boxed, and made when first needed: few connections pace.
    pub(crate) pacer: Option<Box<Pacer>>,
    pub(crate) congestion: Algorithm,
    /// Retransmissions in a row of the segment at `una`.
    pub(crate) retries: u8,
    /// Persist probes in a row, for their back-off.
    pub(crate) probes: u8,
    /// The persist timer fired: the next transmission is a probe, or overrides silly-window avoidance.
    pub(crate) force: bool,
    /// The largest pipe since `flight_peak_end` was set, for congestion window validation (R5681-16).
    pub(crate) flight_peak: u32,
    pub(crate) flight_peak_end: SeqNum,
    /// Boxed, and there only while the window is larger than an initial one.
    pub(crate) validation: Option<Box<Validation>>,
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
            path: PathMtu::default(),
            rtt: RttEstimator::new(config),
            rtt_round: iss,
            small_end: iss,
            board: Scoreboard::new(iss),
            rack: Rack::new(),
            tlp: Tlp::default(),
            recovery: Recovery::new(iss),
            rate: DeliveryRate::default(),
            pacer: None,
            congestion: Algorithm::new(&config.congestion, u32::from(mss), iss.0),
            retries: 0,
            probes: 0,
            force: false,
            flight_peak: 0,
            flight_peak_end: iss,
            validation: None,
            last_sent: Instant::ZERO,
        }
    }

    /// FlightSize: octets sent and not acknowledged (RFC 5681 2).
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

    /// Whether lost text waits to be sent again.
    pub(crate) fn has_holes(&self) -> bool {
        self.board.held() > 0
    }

    /// FlightSize as congestion control takes it: what limited transmit added is left out (R5681-5).
    pub(crate) fn congested_flight(&self) -> u32 {
        self.flight_size().min(self.congestion.cwnd())
    }

    /// The path is congested, as `signal` says, with `flight` octets outstanding. Of a window that was not used what was used
    /// counts (R7661-3).
    pub(crate) fn congestion(&self, now: Instant, flight: u32, signal: Signal) -> Congestion {
        let (cwnd, mss) = (self.congestion.cwnd(), u32::from(self.mss));
        let unused = self.validation.as_deref().filter(|validation| validation.is_unused(cwnd, mss));
        let used = unused.and_then(Validation::pipe_ack);
        Congestion {
            validated: used.is_none(),
            ..Congestion::new(now, flight.max(used.unwrap_or(0)).min(cwnd), signal)
        }
    }

    /// Whether PRR says what may leave (RFC 9937).
    pub(crate) fn is_prr_in_charge(&self) -> bool {
        self.recovery.is_fast() && self.congestion.uses_prr()
    }

    /// The window that governs now: in fast recovery what PRR adds to what is in flight (R9937-7).
    pub(crate) fn cwnd(&self) -> u32 {
        if self.is_prr_in_charge() {
            self.board.pipe().saturating_add(self.recovery.prr_budget())
        } else {
            self.congestion.cwnd()
        }
    }

    /// Octets that congestion control lets leave now, `mss` of them at least while nothing is in flight.
    pub(crate) fn room(&self, mss: u32) -> u32 {
        let pipe = self.board.pipe();
        let room = if self.is_prr_in_charge() {
            self.recovery.prr_budget()
        } else {
            self.congestion.cwnd().saturating_sub(pipe)
        };
        if pipe == 0 { room.max(mss) } else { room }
    }

    /// Whether the records in flight take no more memory than their text is worth: twice what full segments need.
    pub(crate) fn may_record(&self, mss: u32) -> bool {
        let records = self.board.records();
        records < 64 || records < 2 * (self.congestion.cwnd() / mss) as usize
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
}
