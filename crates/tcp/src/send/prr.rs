//! Proportional rate reduction: how much may leave during fast recovery (RFC 9937 6).

#[cfg(test)]
mod tests;

/// The counters of one recovery, in octets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Prr {
    /// prr_delivered: delivered since recovery began.
    delivered: u32,
    /// prr_out: sent since.
    out: u32,
    /// RecoverFS: in flight when recovery began.
    recover_fs: u32,
    /// SndCnt, less what left since: cwnd is this above what is in flight (R9937-7).
    pub(crate) budget: u32,
}

/// One ACK during recovery.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// DeliveredData.
    pub(crate) delivered: u32,
    pub(crate) inflight: u32,
    pub(crate) ssthresh: u32,
    pub(crate) mss: u32,
    /// SafeACK: SND.UNA advanced, and nothing more was found lost.
    pub(crate) safe: bool,
}

impl Prr {
    /// Recovery begins with `recover_fs` octets in flight (R9937-1).
    pub(crate) fn start(recover_fs: u32) -> Self {
        Self { recover_fs: recover_fs.max(1), ..Self::default() }
    }

    /// Octets that duplicate ACKs may still report: never more than were in flight (R9937-2).
    pub(crate) fn undelivered(&self) -> u32 {
        self.recover_fs.saturating_sub(self.delivered)
    }

    /// An ACK arrived (R9937-4 to R9937-6).
    pub(crate) fn on_ack(&mut self, step: &Step) {
        let Step { delivered, inflight, ssthresh, mss, safe } = *step;
        self.delivered = self.delivered.saturating_add(delivered);
        let count = if inflight > ssthresh {
            let share = u64::from(self.delivered) * u64::from(ssthresh);
            let share = share.div_ceil(u64::from(self.recover_fs));
            u32::try_from(share).unwrap_or(u32::MAX).saturating_sub(self.out)
        } else {
            let mut count = self.delivered.saturating_sub(self.out).max(delivered);
            if safe {
                count = count.saturating_add(mss);
            }
            count.min(ssthresh - inflight)
        };
        // The first retransmission leaves in any case.
        self.budget = if self.out == 0 && count == 0 { mss } else { count };
    }

    /// `octets` leave.
    pub(crate) fn on_sent(&mut self, octets: u32) {
        self.out = self.out.saturating_add(octets);
        self.budget = self.budget.saturating_sub(octets);
    }
}
