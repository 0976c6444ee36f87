//! What the two SYNs agree on: MSS, window scale, timestamps, SACK.

use netstack_wire::tcp::{TcpFlags, TcpOptions, Timestamps};
use netstack_wire::{Ecn, SeqNum};

use crate::config::TcpConfig;
use crate::fast_open::FastOpenAnswer;
use crate::segment::Segment;
use crate::time::Instant;
use crate::tuple::FourTuple;

/// The least MSS that is taken from a peer: with less, the options would leave no room for data.
const MIN_PEER_MSS: u16 = 88;

/// A SYN that arrived, reduced to what a connection needs of it; what stands in the demultiplexer until somebody decides
/// to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SynRecord {
    /// The connection it asks for, seen from our end.
    pub tuple: FourTuple,
    /// The peer's initial sequence number.
    pub irs: SeqNum,
    /// The window field, never scaled in a SYN (R7323-3).
    pub window: u16,
    /// The peer's MSS option.
    pub mss: Option<u16>,
    /// The peer's window scale option, as it came.
    pub window_scale: Option<u8>,
    /// The peer's timestamp (TSval), if it offered the option.
    pub ts_val: Option<u32>,
    /// Whether the peer permits SACK.
    pub sack_permitted: bool,
    /// Which of the flags AE, CWR and ECE it has: whether the peer asks for ECN (R3168-1, R9768-1).
    pub ecn_flags: TcpFlags,
    /// The ECN field of the IP header that carried it.
    pub ecn: Ecn,
    /// What its Fast Open option came to, as the listener has judged it.
    pub fast_open: FastOpenAnswer,
    /// When it arrived.
    pub received_at: Instant,
}

impl SynRecord {
    /// Reads the SYN `seg`, whose Fast Open option counts for nothing. Text and FIN on it are left to the peer's retransmission
    /// (S-LISTEN-4, S-LISTEN-6).
    #[must_use]
    pub fn from_segment(tuple: FourTuple, seg: &Segment, now: Instant) -> Self {
        let options = &seg.header.options;
        Self {
            tuple,
            irs: seg.header.seq,
            window: seg.header.window,
            mss: options.mss,
            window_scale: options.window_scale,
            ts_val: options.timestamps.map(|ts| ts.val),
            sack_permitted: options.sack_permitted,
            ecn_flags: seg.ecn_flags(),
            ecn: seg.ecn,
            fast_open: FastOpenAnswer::Ignored,
            received_at: now,
        }
    }
}

/// The features in force on a connection; before the peer's SYN is seen: those that we offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Negotiated {
    pub(crate) timestamps: bool,
    pub(crate) sack: bool,
    pub(crate) window_scaling: bool,
    /// Shift of the windows we announce, 0 without scaling.
    pub(crate) rcv_shift: u8,
    /// Shift of the windows the peer announces, at most 14 (R7323-5).
    pub(crate) snd_shift: u8,
    /// The peer's MSS option, or the default for its IP version (MUST-15).
    pub(crate) peer_mss: u16,
}

impl Negotiated {
    /// What our SYN offers.
    pub(crate) fn offer(config: &TcpConfig, tuple: &FourTuple) -> Self {
        Self {
            timestamps: config.timestamps,
            sack: config.sack,
            window_scaling: config.window_scaling,
            rcv_shift: if config.window_scaling { config.window_shift() } else { 0 },
            snd_shift: 0,
            peer_mss: Self::default_mss(tuple),
        }
    }

    /// The MSS of a peer that names none (MUST-15).
    pub(crate) fn default_mss(tuple: &FourTuple) -> u16 {
        if tuple.is_ipv6() { 1220 } else { 536 }
    }

    /// Keeps of our offer what the peer's SYN has too (R2018-1, R7323-1, R7323-7).
    pub(crate) fn agree(&mut self, syn: &SynRecord) {
        self.timestamps &= syn.ts_val.is_some();
        self.sack &= syn.sack_permitted;
        match syn.window_scale.filter(|_| self.window_scaling) {
            Some(shift) => self.snd_shift = shift.min(14),
            None => {
                self.window_scaling = false;
                self.rcv_shift = 0;
            }
        }
        if let Some(mss) = syn.mss {
            self.peer_mss = mss;
        }
        self.peer_mss = self.peer_mss.max(MIN_PEER_MSS);
    }

    /// The options of our SYN or SYN-ACK.
    pub(crate) fn syn_options(&self, mss: u16, ts: Timestamps) -> TcpOptions {
        TcpOptions {
            mss: Some(mss),
            window_scale: self.window_scaling.then_some(self.rcv_shift),
            sack_permitted: self.sack,
            timestamps: self.timestamps.then_some(ts),
            ..TcpOptions::default()
        }
    }
}

/// Whether `seg` is a SYN that opens a connection: SYN alone of SYN, ACK, RST.
pub(crate) fn is_opening_syn(seg: &Segment) -> bool {
    seg.has(TcpFlags::SYN) && !seg.has(TcpFlags::ACK) && !seg.has(TcpFlags::RST)
}
