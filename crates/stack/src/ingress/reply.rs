//! What is sent without a connection.

use bytes::Bytes;
use netstack_device::{HeadBuf, Meta, SendError, Turn, TxFrame};
use netstack_tcp::FourTuple;
use netstack_wire::Protocol;
use netstack_wire::ip::IpHeader;
use netstack_wire::tcp::{self, TcpHeader};
use tracing::trace;

use super::Packet;
use crate::icmp::Reply;
use crate::stack::Inner;

impl Packet<'_> {
    pub(super) fn send(&mut self, reply: Reply) {
        self.inner.send_reply(self.interface, reply, self.turn);
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
        let mut ip = IpHeader::new(src, dst, Protocol::TCP, len);
        let flow = self.secrets.flow_hash(&tuple);
        ip.flow_label = flow;
        let mut head = HeadBuf::new();
        head.push(ip.header_len(), |buf| {
            ip.emit(buf);
        });
        head.push(len, |buf| {
            header.emit(buf);
            tcp::write_checksum(src, dst, buf, std::iter::empty::<&[u8]>());
        });
        trace!("{}", tcp::Pretty { src, dst, header, payload_len: 0 });
        self.send_reply(interface, Reply { head, payload: Bytes::new(), flow }, turn);
    }

    /// Sends without waiting: whoever caused this packet can cause it again.
    fn send_reply(&self, interface: usize, reply: Reply, turn: &mut Turn) {
        let Reply { mut head, payload, flow } = reply;
        let slices = [payload];
        let payload = if slices[0].is_empty() { &[][..] } else { &slices[..] };
        let frame = TxFrame { head: &mut head, payload, meta: Meta::default(), flow };
        match self.interface(interface).tx.try_send(frame, turn) {
            Ok(()) => {}
            Err(SendError::Full) => self.counters.tx_replies_dropped.bump(),
            Err(_) => self.counters.tx_lost.bump(),
        }
    }
}
