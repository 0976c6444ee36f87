//! Explicit congestion notification (RFC 3168), with accurate feedback by choice (RFC 9768): what two ends agree on, what
//! is fed back, what is heard. When the window shrinks in answer is said in [`crate::connection`].

mod accurate;
#[cfg(test)]
mod tests;

use core::time::Duration;

use netstack_wire::tcp::TcpFlags;
use netstack_wire::{Ecn, SeqNum};

use crate::negotiate::SynRecord;
use crate::segment::Segment;
use accurate::Counters;

/// Whether connections use explicit congestion notification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EcnPolicy {
    /// Never.
    Off,
    /// Where the peer asks for it (RFC 3168), as the common kernels do.
    #[default]
    Passive,
    /// Where the peer agrees or asks: our SYN asks too.
    On,
    /// As `On`, with accurate feedback (AccECN, RFC 9768) where the peer knows it.
    Accurate,
}

/// The feedback of congestion marks that two ends agreed on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EcnMode {
    /// None.
    #[default]
    Off,
    /// One signal per round trip (RFC 3168).
    Classic,
    /// A count of marked packets (RFC 9768).
    Accurate,
}

/// SYNs, or SYN-ACKs, that carry the ECN flags before those that follow go without: a device on the path may drop what has
/// them (RFC 3168 6.1.1.1; RFC 9768 3.1.4 wants one more try).
const CLASSIC_SYNS: u8 = 1;
const ACCURATE_SYNS: u8 = 2;
const SYN_ACKS: u8 = 2;

/// The flags of an AccECN SYN, and those that are the ACE field of any other segment.
const ACE: TcpFlags = TcpFlags::AE.union(TcpFlags::CWR).union(TcpFlags::ECE);
const SETUP: TcpFlags = TcpFlags::CWR.union(TcpFlags::ECE);

/// One connection's state.
#[derive(Debug)]
pub(crate) struct EcnState {
    mode: EcnMode,
    bits: u16,
    /// What was IP-ECN on the peer's SYN or SYN-ACK.
    syn: Ecn,
    counters: Counters,
    /// Times in a row that nothing could shrink.
    holds: u8,
    /// SND.MAX when the window last shrank: what lies below was sent before, and tells nothing new (R3168-6).
    point: SeqNum,
}

impl EcnState {
    /// A SYN of ours has asked, or will.
    const ASKS: u16 = 1;
    /// ECT may be set on what we send.
    const SENDS: u16 = 2;
    /// CE was seen: ECE until CWR (R3168-5).
    const ECHO: u16 = 4;
    /// The window shrank: CWR on the next new data (R3168-7).
    const CWR_DUE: u16 = 8;
    /// The window cannot shrink below one segment: a timer says when the next one leaves (R3168-8).
    const HOLD: u16 = 16;
    /// Something marked ECT has arrived at the peer.
    const PROVEN: u16 = 32;
    /// The peer's count is yet to be seen for the first time.
    const FIRST: u16 = 64;
    /// A SYN or SYN-ACK left without ECN flags, or one is to: no ECT for the rest of the connection (RFC 3168 6.1.1).
    const PLAIN: u16 = 128;
    /// Text has left with ECT.
    const TRIED: u16 = 256;

    pub(crate) fn new(policy: EcnPolicy, iss: SeqNum) -> Self {
        let asks = matches!(policy, EcnPolicy::On | EcnPolicy::Accurate);
        Self {
            mode: EcnMode::Off,
            bits: if asks { Self::ASKS } else { 0 },
            syn: Ecn::NotEct,
            counters: Counters::default(),
            holds: 0,
            point: iss,
        }
    }

    fn has(&self, bit: u16) -> bool {
        self.bits & bit != 0
    }

    fn set(&mut self, bit: u16, on: bool) {
        if on {
            self.bits |= bit;
        } else {
            self.bits &= !bit;
        }
    }

    pub(crate) fn mode(&self) -> EcnMode {
        self.mode
    }

    /// Whether ECT is set on new data.
    pub(crate) fn is_sending(&self) -> bool {
        self.mode != EcnMode::Off && self.has(Self::SENDS)
    }

    // ---- Two SYNs ----

    /// ECN flags of our SYN, the `count`th that leaves (from 1).
    pub(crate) fn syn_flags(&mut self, policy: EcnPolicy, count: u8) -> TcpFlags {
        let (flags, tries) = match policy {
            EcnPolicy::Accurate => (ACE, ACCURATE_SYNS),
            _ => (SETUP, CLASSIC_SYNS),
        };
        if !self.has(Self::ASKS) {
            return TcpFlags::empty();
        }
        if count > tries {
            // R3168-9; who has sent a SYN without must not set ECT (RFC 3168 6.1.1).
            self.set(Self::PLAIN, true);
            return TcpFlags::empty();
        }
        flags
    }

    /// ECN flags of our SYN-ACK, the `count`th that leaves (from 1).
    pub(crate) fn syn_ack_flags(&mut self, count: u8) -> TcpFlags {
        if self.mode != EcnMode::Off && count > SYN_ACKS {
            self.refuse();
        }
        match self.mode {
            _ if self.has(Self::PLAIN) => TcpFlags::empty(),
            EcnMode::Off => TcpFlags::empty(),
            EcnMode::Classic => TcpFlags::ECE,
            EcnMode::Accurate => accurate::handshake_flags(self.syn),
        }
    }

    /// No ECN flags on what is left of the handshake, no ECT for the rest of the connection; what the peer marks is fed back
    /// all the same.
    fn refuse(&mut self) {
        self.set(Self::PLAIN, true);
        self.set(Self::SENDS, false);
    }

    /// The peer's SYN arrived (R3168-1, R9768-1). `passive`: before any SYN of ours.
    pub(crate) fn take_syn(&mut self, policy: EcnPolicy, passive: bool, syn: &SynRecord) {
        if policy == EcnPolicy::Off || !(passive || self.has(Self::ASKS)) {
            return;
        }
        let flags = syn.ecn_flags;
        let accurate = policy == EcnPolicy::Accurate && flags.intersects(ACE) && flags != SETUP;
        if accurate {
            // Flags of no meaning yet count as a request too (RFC 9768 3.1.3).
            self.agree_accurately(syn.ecn);
        } else if flags.contains(SETUP) && syn.ecn == Ecn::NotEct {
            // A mark on a SYN, which must not bear one, is a path's play with the field.
            self.agree(EcnMode::Classic);
        }
    }

    /// The peer's SYN-ACK arrived (R3168-2, R9768-2).
    pub(crate) fn take_syn_ack(&mut self, policy: EcnPolicy, syn: &SynRecord) {
        if !self.has(Self::ASKS) {
            return;
        }
        let flags = syn.ecn_flags;
        if policy == EcnPolicy::Accurate && !flags.is_empty() && flags != ACE && flags != TcpFlags::ECE {
            self.agree_accurately(syn.ecn);
            self.counters.begin(syn.ecn);
            if !accurate::confirms_not_ect(flags) {
                // Our SYN came with a mark that it did not leave with.
                self.distrust();
            }
        } else if flags.contains(TcpFlags::ECE) && !flags.contains(TcpFlags::CWR) && syn.ecn == Ecn::NotEct {
            self.agree(EcnMode::Classic);
        }
    }

    fn agree(&mut self, mode: EcnMode) {
        self.mode = mode;
        let plain = self.has(Self::PLAIN);
        self.set(Self::SENDS, !plain);
        tracing::debug!(?mode, ect = !plain, "ECN agreed");
    }

    fn agree_accurately(&mut self, syn: Ecn) {
        self.syn = syn;
        self.agree(EcnMode::Accurate);
        self.set(Self::FIRST, true);
    }

    /// The peer's SYN arrived once more, before the handshake was over: without ECN flags it is one that gave up asking.
    pub(crate) fn syn_repeated(&mut self, seg: &Segment) {
        if self.mode != EcnMode::Off && !seg.header.flags.intersects(ACE) {
            self.refuse();
        }
    }

    /// The ACK of our SYN-ACK: its ACE field says how the SYN-ACK arrived (RFC 9768 3.2.2.1).
    pub(crate) fn take_handshake_ack(&mut self, seg: &Segment) {
        let bare = seg.is_empty() && seg.header.options.sack.is_empty();
        if self.mode != EcnMode::Accurate || seg.has(TcpFlags::SYN) || !bare {
            return;
        }
        self.set(Self::FIRST, false);
        if !accurate::confirms_not_ect(seg.header.flags) {
            self.distrust();
        }
    }

    /// The feedback cannot be right: something on the path changes it. No more ECT, no more heed (RFC 9768 3.2.2.3, 3.2.2.4).
    fn distrust(&mut self) {
        tracing::debug!("the path changes ECN fields");
        self.set(Self::SENDS, false);
    }

    // ---- As the receiver ----

    /// An acceptable segment arrived; `seg` stands for `packets` of the wire. Whether it is worth an ACK at once.
    pub(crate) fn on_arrival(&mut self, seg: &Segment, packets: u32) -> bool {
        let marked = seg.ecn == Ecn::Ce;
        let text = !seg.payload.is_empty();
        match self.mode {
            EcnMode::Off => false,
            EcnMode::Accurate => self.counters.on_arrival(marked, text, packets),
            EcnMode::Classic if text => {
                let reduced = seg.has(TcpFlags::CWR);
                if reduced {
                    self.set(Self::ECHO, false);
                }
                // A mark on the segment with CWR starts anew.
                let news = marked && !self.has(Self::ECHO);
                if marked {
                    self.set(Self::ECHO, true);
                }
                // The peer's window is small now: neither signal waits for a second segment.
                news || reduced
            }
            EcnMode::Classic => false,
        }
    }

    /// ECN flags of a segment other than SYN and RST. `opening`: it is the bare ACK of a SYN-ACK.
    pub(crate) fn feedback(&mut self, opening: bool) -> TcpFlags {
        match self.mode {
            EcnMode::Off => TcpFlags::empty(),
            EcnMode::Classic if self.has(Self::ECHO) => TcpFlags::ECE,
            EcnMode::Classic => TcpFlags::empty(),
            EcnMode::Accurate => {
                self.counters.on_told();
                if opening { accurate::handshake_flags(self.syn) } else { self.counters.ace() }
            }
        }
    }

    /// Whether a super-segment that leaves now would lose its feedback: segmentation clears CWR, which is the middle bit of
    /// the ACE field, in all pieces but the first.
    pub(crate) fn leaves_one_by_one(&self) -> bool {
        self.mode == EcnMode::Accurate && self.counters.ace().contains(TcpFlags::CWR)
    }

    // ---- As the sender ----

    /// IP-ECN of new data (R3168-4), and CWR if it is due on it.
    pub(crate) fn mark_new_data(&mut self) -> (Ecn, TcpFlags) {
        let cwr = self.has(Self::CWR_DUE);
        self.set(Self::CWR_DUE, false);
        let ecn = if self.is_sending() { Ecn::Ect0 } else { Ecn::NotEct };
        if ecn == Ecn::Ect0 {
            self.set(Self::TRIED, true);
        }
        (ecn, if cwr { TcpFlags::CWR } else { TcpFlags::empty() })
    }

    /// How many marks `seg` reports, an acceptable ACK; `packets` of the wire are newly acknowledged by it. One at most
    /// where the feedback is classic.
    pub(crate) fn marks_reported(&mut self, seg: &Segment, packets: u32) -> u32 {
        let flags = seg.header.flags;
        match self.mode {
            EcnMode::Off => 0,
            // Nothing of ours can have been marked.
            EcnMode::Classic if self.has(Self::PLAIN) => 0,
            EcnMode::Classic => u32::from(flags.contains(TcpFlags::ECE)),
            EcnMode::Accurate if flags.contains(TcpFlags::SYN) => 0,
            EcnMode::Accurate => {
                if self.has(Self::FIRST) {
                    self.set(Self::FIRST, false);
                    if !flags.intersects(ACE) {
                        // The count starts above zero (RFC 9768 3.2.2.4).
                        self.distrust();
                    }
                }
                if packets == 0 {
                    // It may be old, or be the ACK of a handshake, where the field means something else.
                    return 0;
                }
                let marks = self.counters.reported(flags, packets);
                if self.has(Self::SENDS) { marks } else { 0 }
            }
        }
    }

    /// Whether marks reported with the acknowledgment of `ack` are an answer to what was sent since the window last shrank.
    pub(crate) fn is_news(&self, ack: SeqNum) -> bool {
        ack.after(self.point)
    }

    /// SND.UNA is `una`, by an ACK that reported `marks`. The point stays close below, so that it is comparable while the
    /// sequence space wraps.
    pub(crate) fn on_acked(&mut self, una: SeqNum, marks: u32) {
        if una.after(self.point) {
            self.point = una - 1;
        }
        if marks == 0 {
            // The path is clear again; and the timer of a hold may stop with the last octet in flight.
            self.holds = 0;
            self.release();
        }
    }

    /// The window shrank, for whatever reason, with `max` as SND.MAX.
    pub(crate) fn on_reduction(&mut self, max: SeqNum) {
        self.point = max;
        self.set(Self::CWR_DUE, self.mode == EcnMode::Classic);
    }

    /// The window is one segment, and congested still: nothing leaves before a timeout.
    pub(crate) fn hold(&mut self) {
        self.set(Self::HOLD, true);
        self.holds = self.holds.saturating_add(1);
    }

    pub(crate) fn is_holding(&self) -> bool {
        self.has(Self::HOLD)
    }

    /// The length of a hold, out of the retransmission timeout: each in a row lasts twice as long (R9438-7).
    pub(crate) fn hold_time(&self, rto: Duration) -> Duration {
        rto.saturating_mul(1 << self.holds.saturating_sub(1).min(16))
    }

    /// The retransmission timer fired. Whether new data waited for it.
    pub(crate) fn release(&mut self) -> bool {
        let held = self.is_holding();
        self.set(Self::HOLD, false);
        held
    }

    /// An ACK shows that something came through. Once anything was sent again, that decides nothing any more.
    pub(crate) fn on_delivered(&mut self) {
        self.set(Self::PROVEN, self.has(Self::TRIED));
    }

    /// Data is sent again. If none that bore ECT ever arrived, the path may drop what does. What left on a SYN, or as a probe
    /// of a closed window, bore none, and says nothing.
    pub(crate) fn on_resent(&mut self) {
        if self.is_sending() && self.has(Self::TRIED) && !self.has(Self::PROVEN) {
            tracing::debug!("nothing with ECT has arrived: sent without from now on");
            self.set(Self::SENDS, false);
        }
    }
}
