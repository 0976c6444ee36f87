//! What is sent without a connection.

use bytes::Bytes;
use netstack_device::Turn;
use netstack_tcp::FourTuple;
use netstack_wire::Protocol;
use netstack_wire::tcp::{self, MAX_HEADER_LEN, TcpHeader};
use tracing::{debug, trace};

use super::Packet;
use crate::icmp::Reply;
use crate::output::{Outgoing, SendPacketError};
use crate::stack::Inner;

impl Packet<'_> {
    /// Sends an ICMP message.
    pub(super) fn send(&mut self, reply: Reply) {
        let Reply { src, dst, protocol, message } = reply;
        let flow = self.inner.secrets.portless_flow_hash(src, dst);
        let outgoing = Outgoing::new(src, dst, protocol, flow);
        self.inner.send_now(self.interface, &outgoing, &[], message, self.turn);
    }
}

impl Inner {
    /// Sends a segment without data that belongs to no actor.
    pub(crate) fn send_segment(
        &self,
        interface: usize,
        tuple: FourTuple,
        header: &TcpHeader,
        turn: &mut Turn,
    ) {
        let (src, dst) = (tuple.local().ip(), tuple.remote().ip());
        let len = header.header_len();
        let mut head = [0; MAX_HEADER_LEN];
        header.emit(&mut head[..len]);
        tcp::write_checksum(src, dst, &mut head[..len], std::iter::empty::<&[u8]>());
        trace!("{}", tcp::Pretty { src, dst, header, payload_len: 0 });
        let flow = self.secrets.flow_hash(&tuple);
        let outgoing = Outgoing { dont_fragment: true, ..Outgoing::new(src, dst, Protocol::TCP, flow) };
        self.send_now(interface, &outgoing, &head[..len], Bytes::new(), turn);
    }

    /// Sends without waiting: whoever caused this packet can cause it again.
    fn send_now(&self, interface: usize, outgoing: &Outgoing, head: &[u8], payload: Bytes, turn: &mut Turn) {
        let slices = [payload];
        let payload = if slices[0].is_empty() { &[][..] } else { &slices[..] };
        match self.send_packet(interface, outgoing, head, payload, turn) {
            Ok(()) | Err(SendPacketError::Lost) => {}
            Err(SendPacketError::Full | SendPacketError::Partly(_)) => {
                self.counters.tx_replies_dropped.bump()
            }
            Err(SendPacketError::TooBig { mtu }) => {
                debug!(dst = %outgoing.dst, mtu, "an answer is too long");
                self.counters.tx_lost.bump();
            }
            Err(SendPacketError::Gone) => self.counters.tx_lost.bump(),
        }
    }
}
