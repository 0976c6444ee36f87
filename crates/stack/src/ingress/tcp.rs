//! A segment's way to its connection, its listener, or its reset.

use std::net::SocketAddr;
use std::sync::Arc;

use netstack_device::{Checksum, RxFrame};
use netstack_tcp::{FourTuple, Segment, State, SynAction, SynRecord, received_memory, reset_for};
use netstack_wire::SeqNum;
use netstack_wire::ip::IpPacket;
use netstack_wire::tcp::{self, TcpFlags, TcpHeader};
use tracing::trace;

use super::Packet;
use crate::actor::{Arrival, Input, Shared, order};
use crate::demux::Routed;
use crate::listener::ListenerShared;
use crate::stack::Origin;

// What a connection counts for text out of a large frame, whatever is in front of it, is the buffer that the device lent.
const _: () =
    assert!(received_memory(RxFrame::LARGE - 2 * 60) == RxFrame::READ_BUFFER, "they agree on memory");

impl Packet<'_> {
    pub(super) fn tcp(&mut self, frame: &RxFrame, packet: &IpPacket<'_>) {
        let counters = &self.inner.counters;
        let vouched = !matches!(frame.meta.checksum, Checksum::Complete);
        if !vouched && !tcp::checksum_ok(packet.src, packet.dst, packet.payload) {
            return counters.drop_bad_checksum.bump();
        }
        let (header, header_len) = match TcpHeader::parse(packet.payload) {
            Ok(parsed) => parsed,
            Err(error) => return counters.unparsable(error),
        };
        if header.src_port == 0 || header.dst_port == 0 {
            return counters.drop_port_zero.bump();
        }
        let tuple = FourTuple::new(
            SocketAddr::new(packet.dst, header.dst_port),
            SocketAddr::new(packet.src, header.src_port),
        );
        let start = packet.header_len + header_len;
        let segment = Segment {
            payload: frame.data.slice(start..packet.total_len.max(start)),
            ecn: packet.ecn,
            gso_size: frame.meta.gso.map_or(0, |gso| gso.size.get()),
            header,
        };
        trace!(
            "{}",
            tcp::Pretty {
                src: packet.src,
                dst: packet.dst,
                header: &segment.header,
                payload_len: segment.payload.len()
            }
        );
        self.segment(tuple, segment);
    }

    pub(super) fn segment(&mut self, tuple: FourTuple, segment: Segment) {
        let counters = &self.inner.counters;
        // Packets of a connection come in runs. One that is over may have left the table to another.
        if let Some(last) = self.touched.last()
            && last.tuple == tuple
            && !matches!(last.state(), State::Closed | State::TimeWait)
        {
            counters.rx_segments.bump();
            return last.push(Arrival { at: self.at, input: Input::Segment(segment) });
        }
        match self.inner.table.route(&tuple, self.at, &segment) {
            Routed::Actor(shared) => self.deliver(shared, Input::Segment(segment)),
            Routed::Reply(header) => {
                counters.drop_late.bump();
                self.send_header(tuple, &header);
            }
            Routed::Ignored => counters.drop_late.bump(),
            Routed::Undecided => counters.drop_undecided.bump(),
            Routed::Nobody(iss_above) => self.nobody(tuple, &segment, iss_above),
        }
    }

    pub(super) fn deliver(&mut self, shared: Arc<Shared>, input: Input) {
        let counters = &self.inner.counters;
        if matches!(input, Input::Segment(_)) {
            counters.rx_segments.bump();
        }
        shared.push(Arrival { at: self.at, input });
        if shared.touch() {
            self.touched.push(shared);
        }
    }

    /// A segment for no connection: a listener's, or it earns a reset (RFC 9293 3.10.7.1, 3.10.7.2).
    fn nobody(&mut self, tuple: FourTuple, segment: &Segment, iss_above: Option<SeqNum>) {
        let counters = &self.inner.counters;
        let Some(listener) = self.inner.listeners.find(&tuple, &self.inner.secrets) else {
            counters.drop_no_connection.bump();
            return self.send_reset(tuple, reset_for(segment));
        };
        if self.inner.budget.is_exhausted() && is_opening(segment) {
            return counters.drop_budget_syn.bump();
        }
        match listener.handle_syn(self.at, tuple, segment, iss_above.is_some()) {
            SynAction::Spawn(syn) => self.open(syn, segment, listener, iss_above),
            SynAction::Recycle(syn) => {
                if listener.recycle_oldest() {
                    counters.half_open_recycled.bump();
                }
                self.open(syn, segment, listener, iss_above);
            }
            SynAction::Cookie(syn) => self.answer_with_cookie(&syn, &listener),
            SynAction::CheckCookie => self.check_cookie(tuple, segment, &listener),
            SynAction::Incoming(syn) => {
                self.inner.defer(syn, self.interface, &listener, iss_above.is_some());
            }
            SynAction::Reset(header) => {
                counters.drop_not_a_syn.bump();
                self.send_reset(tuple, Some(header));
            }
            SynAction::Drop(reason) => counters.syn_dropped(reason),
            _ => counters.drop_not_a_syn.bump(),
        }
    }

    /// Makes a connection of `segment`, a SYN that `listener` took: half open, or handed over at once.
    fn open(
        &mut self,
        syn: SynRecord,
        segment: &Segment,
        listener: Arc<ListenerShared>,
        iss_above: Option<SeqNum>,
    ) {
        self.inner.counters.fast_open_answered(syn.fast_open);
        let config = listener.config();
        let early = syn.fast_open.is_accepted().then_some(segment);
        let origin = Origin::Passive { syn, early, listener: Arc::clone(&listener), iss_above };
        // Answers leave by the interface that the SYN came in by.
        match self.inner.spawn(syn.tuple, self.interface, &config, origin) {
            // It closed since it took the SYN, and may have missed this handshake.
            Some(shared) if listener.is_closed() => shared.order(order::UNLISTEN),
            Some(_) if early.is_some() => {}
            Some(shared) => listener.half_open(&shared),
            None if early.is_some() => listener.fast_open_withdrawn(self.at),
            None => listener.half_open_ended(),
        }
    }

    pub(super) fn send_reset(&mut self, tuple: FourTuple, header: Option<TcpHeader>) {
        if let Some(header) = header {
            debug_assert!(header.flags.contains(TcpFlags::RST));
            self.inner.counters.tx_resets.bump();
            self.send_header(tuple, &header);
        }
    }

    /// Sends a segment without data that belongs to no actor.
    pub(super) fn send_header(&mut self, tuple: FourTuple, header: &TcpHeader) {
        self.inner.send_segment(self.interface, tuple, header, self.turn);
    }
}

/// Whether a segment asks for a new connection.
fn is_opening(segment: &Segment) -> bool {
    let asked = segment.header.flags;
    asked.contains(TcpFlags::SYN) && !asked.intersects(TcpFlags::ACK | TcpFlags::RST)
}
