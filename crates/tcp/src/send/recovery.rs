//! Fast retransmit and fast recovery without a scoreboard (RFC 5681 3.2, RFC 6582), limited transmit (RFC 3042).

use netstack_wire::SeqNum;
use netstack_wire::tcp::SackBlock;

/// Duplicate ACKs that stand for a loss (RFC 5681 3.2).
const DUP_THRESH: u16 = 3;

/// What an acknowledgment meant to recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AckKind {
    /// No recovery is in progress.
    Ordinary,
    /// Part of what was outstanding at the loss: the next hole is to be sent at once (R6582-3).
    Partial,
    /// All that was outstanding at the loss: recovery is over (R6582-5).
    Full,
}

/// Where the connection is between losses.
#[derive(Debug)]
pub(crate) struct Recovery {
    /// Duplicate ACKs in a row.
    dup_acks: u16,
    /// Whether fast recovery is in progress.
    active: bool,
    /// Highest sequence number sent when the last loss was found (R6582-1).
    recover: SeqNum,
    /// Octets that duplicate ACKs and the window at entry allow beyond ssthresh.
    inflation: u32,
    /// The newest SACK block seen on a duplicate: with SACK only new information counts (R5681-11).
    last_block: SackBlock,
    /// The segment at SND.UNA is to be sent again, at once.
    pub(crate) resend_head: bool,
    /// A partial ACK of this recovery has restarted the timer (R6582-4).
    timer_restarted: bool,
}

impl Recovery {
    pub(crate) fn new(iss: SeqNum) -> Self {
        Self {
            dup_acks: 0,
            active: false,
            recover: iss,
            inflation: 0,
            last_block: SackBlock { left: iss, right: iss },
            resend_head: false,
            timer_restarted: false,
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.active
    }

    /// What may be in flight beside the controller's window: the inflation of fast recovery, or limited transmit's two
    /// segments, if what comes next is `new` text (R3042-1).
    pub(crate) fn allowance(&self, mss: u32, new: bool) -> u32 {
        match (self.active, new) {
            (true, _) => self.inflation,
            (false, true) => u32::from(self.dup_acks.min(DUP_THRESH - 1)) * mss,
            (false, false) => 0,
        }
    }

    /// Whether a duplicate with `block` as its first SACK block tells something new.
    pub(crate) fn is_news(&mut self, block: SackBlock) -> bool {
        let news = self.last_block != block;
        self.last_block = block;
        news
    }

    /// Counts a duplicate ACK; true when it is the one that starts fast retransmit (R5681-12, R6582-1).
    pub(crate) fn on_duplicate(&mut self, una: SeqNum, mss: u32) -> bool {
        self.dup_acks = self.dup_acks.saturating_add(1);
        if self.active {
            self.inflation = self.inflation.saturating_add(mss);
            return false;
        }
        self.dup_acks == DUP_THRESH && una.after(self.recover)
    }

    /// Fast retransmit begins with `max` as the highest sequence number sent.
    pub(crate) fn enter(&mut self, max: SeqNum, mss: u32) {
        self.active = true;
        self.recover = max;
        self.inflation = u32::from(DUP_THRESH) * mss;
        self.resend_head = true;
        self.timer_restarted = false;
    }

    /// New data up to `una` is acknowledged, `acked` octets of it.
    pub(crate) fn on_new_ack(&mut self, una: SeqNum, acked: u32, mss: u32) -> AckKind {
        self.dup_acks = 0;
        if !self.active {
            if una.after(self.recover) {
                // Kept close, so that it stays comparable while the sequence space wraps.
                self.recover = una - 1;
            }
            return AckKind::Ordinary;
        }
        if una.before(self.recover) {
            self.inflation = self.inflation.saturating_sub(acked);
            if acked >= mss {
                self.inflation += mss;
            }
            self.resend_head = true;
            return AckKind::Partial;
        }
        self.active = false;
        self.inflation = 0;
        self.resend_head = false;
        AckKind::Full
    }

    /// Whether this partial ACK is the first of the recovery, which alone restarts the timer (R6582-4).
    pub(crate) fn takes_timer_restart(&mut self) -> bool {
        !core::mem::replace(&mut self.timer_restarted, true)
    }

    /// A retransmission timeout ends recovery; duplicates of what was sent before it start none (R6582-6).
    pub(crate) fn on_timeout(&mut self, max: SeqNum) {
        self.dup_acks = 0;
        self.active = false;
        self.recover = max;
        self.inflation = 0;
        self.resend_head = false;
    }
}
