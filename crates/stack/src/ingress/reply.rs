//! What ingress itself sends.

use netstack_device::{Meta, SendError, TxFrame};

use super::Packet;
use crate::icmp::Reply;

impl Packet<'_> {
    /// Sends without waiting: whoever caused this packet can cause it again.
    pub(super) fn send(&mut self, reply: Reply) {
        let Reply { mut head, payload, flow } = reply;
        let counters = &self.inner.counters;
        let slices = [payload];
        let payload = if slices[0].is_empty() { &[][..] } else { &slices[..] };
        let frame = TxFrame { head: &mut head, payload, meta: Meta::default(), flow };
        match self.inner.interface(self.interface).tx.try_send(frame, self.turn) {
            Ok(()) => {}
            Err(SendError::Full) => counters.tx_replies_dropped.bump(),
            Err(_) => counters.tx_lost.bump(),
        }
    }
}
