//! Ingress: from a device's queue to the mailboxes, one loop per queue.
//!
//! A loop reads a batch, judges each packet, and pushes what belongs to a connection into its mailbox; at the end of
//! the batch it wakes each connection once. After some batches it yields, so that actors and other tasks come to their
//! turn.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use netstack_device::{Checksum, HeadBuf, Meta, RxBatch, RxFrame, RxQueue, SendError, Turn, TxFrame};
use netstack_tcp::{FourTuple, Instant, Segment, SynAction, reset_for};
use netstack_wire::icmp::IcmpMessage;
use netstack_wire::ip::{self, IpHeader, IpPacket};
use netstack_wire::tcp::{self, TcpFlags, TcpHeader};
use netstack_wire::{ParseError, Protocol, SeqNum, udp};
use tracing::{debug, trace};

use crate::actor::{Arrival, Input, Shared, order};
use crate::demux::Routed;
use crate::icmp::{self, Problem, Reply};
use crate::listener::ListenerShared;
use crate::route::Destination;
use crate::stack::{Inner, Origin, StopSignal};

/// What a turn may cost: 1,024 ACKs, 128 packets with data or 64 super-segments. With less, the actors of many flows, which
/// all run in between, cause more ACKs than are read, until the device's queue loses them.
const TURN: usize = 1024;

/// What a packet with data costs.
const PACKET: usize = 8;

fn cost(frame: &RxFrame) -> usize {
    match frame.data.len() {
        0..=128 => 1,
        129..=2048 => PACKET,
        _ => 2 * PACKET,
    }
}

/// The loop of one device queue. It bounds its turns itself, and is spawned outside of Tokio's cooperative budget, which
/// would end them after 128 frames of any kind.
pub(crate) struct Ingress {
    queue: Box<dyn RxQueue>,
    batch: RxBatch,
    /// Weak: the loop does not keep the stack alive.
    inner: Weak<Inner>,
    signal: Arc<StopSignal>,
    interface: usize,
    /// Connections to wake at the end of the batch.
    touched: Vec<Arc<Shared>>,
}

impl Ingress {
    pub(crate) fn new(
        queue: Box<dyn RxQueue>,
        interface: usize,
        inner: Weak<Inner>,
        signal: Arc<StopSignal>,
    ) -> Self {
        Self { queue, batch: RxBatch::new(), inner, signal, interface, touched: Vec::new() }
    }

    /// Handles what was read. False once the stack is gone.
    fn handle_batch(&mut self) -> bool {
        let Some(inner) = self.inner.upgrade() else { return false };
        let mut turn = Turn::new();
        for frame in self.batch.drain() {
            let mut packet = Packet {
                inner: &inner,
                interface: self.interface,
                touched: &mut self.touched,
                turn: &mut turn,
                at: inner.clock.at(frame.at),
            };
            packet.handle(&frame);
        }
        for shared in self.touched.drain(..) {
            shared.release();
        }
        inner.watch_budget();
        true
    }
}

impl Future for Ingress {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.signal.is_raised(cx) {
            return Poll::Ready(());
        }
        let mut work = 0;
        while work < TURN {
            match this.queue.poll_recv(cx, &mut this.batch) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {
                    // A super-segment that was put together here was a read for each of its packets.
                    let joined = this.batch.joined() * PACKET;
                    work += (this.batch.frames().iter().map(cost).sum::<usize>() + joined).max(1);
                    if !this.handle_batch() {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(Err(error)) => {
                    if let Some(inner) = this.inner.upgrade() {
                        debug!(%error, "the device is gone, the stack stops");
                        inner.stop();
                    }
                    return Poll::Ready(());
                }
            }
        }
        // More may be there: others first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// One received packet on its way.
struct Packet<'a> {
    inner: &'a Arc<Inner>,
    interface: usize,
    touched: &'a mut Vec<Arc<Shared>>,
    turn: &'a mut Turn,
    /// When it reached the device.
    at: Instant,
}

impl Packet<'_> {
    fn handle(&mut self, frame: &RxFrame) {
        let counters = &self.inner.counters;
        counters.rx_packets.bump();
        let packet = match ip::parse(&frame.data) {
            Ok(packet) => packet,
            Err(error) => {
                counters.unparsable(error);
                return self.parameter_problem(frame, error);
            }
        };
        if packet.source_routed {
            // Deviation from RFC 1122 3.2.1.8, as RFC 7126 advises.
            return counters.drop_source_routed.bump();
        }
        if !self.inner.routes.is_valid_source(packet.src) {
            let own = packet.src == packet.dst;
            return if own { counters.drop_land.bump() } else { counters.drop_bad_source.bump() };
        }
        match self.inner.routes.classify(packet.dst) {
            Destination::Ours => {}
            Destination::Group => return counters.drop_group.bump(),
            Destination::Foreign => return counters.drop_foreign.bump(),
        }
        if packet.fragment.is_some() {
            return counters.drop_fragment.bump();
        }
        let v6 = packet.src.is_ipv6();
        match packet.protocol {
            Protocol::TCP => self.tcp(frame, &packet),
            Protocol::UDP => self.udp(frame, &packet),
            Protocol::ICMP if !v6 => self.icmp(&packet),
            Protocol::ICMPV6 if v6 => self.icmp(&packet),
            Protocol::NO_NEXT_HEADER => counters.drop_protocol.bump(),
            _ => {
                counters.drop_protocol.bump();
                self.complain(frame, &packet, Problem::Protocol);
            }
        }
    }

    fn tcp(&mut self, frame: &RxFrame, packet: &IpPacket<'_>) {
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

    fn segment(&mut self, tuple: FourTuple, segment: Segment) {
        let counters = &self.inner.counters;
        // Packets of a connection come in runs.
        if let Some(last) = self.touched.last()
            && last.tuple == tuple
            && last.send.ended().is_none()
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
            Routed::Nobody(iss_above) => self.nobody(tuple, &segment, iss_above),
        }
    }

    fn deliver(&mut self, shared: Arc<Shared>, input: Input) {
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
        let Some(listener) = self.inner.listeners.find(tuple.local()) else {
            counters.drop_no_connection.bump();
            return self.send_reset(tuple, reset_for(segment));
        };
        if self.inner.budget.is_exhausted() && is_opening(segment) {
            return counters.drop_budget_syn.bump();
        }
        match listener.handle_syn(self.at, tuple, segment) {
            SynAction::Spawn(syn) => {
                let config = Arc::clone(&listener.config);
                let refused = Arc::clone(&listener);
                let origin = Origin::Passive { syn, listener, iss_above };
                self.open(tuple, &config, origin, &refused);
            }
            SynAction::Incoming(syn) => {
                if !self.inner.table.insert_incoming(syn, iss_above.is_some()) {
                    listener.half_open_ended();
                }
            }
            SynAction::Reset(header) => {
                counters.drop_not_a_syn.bump();
                self.send_reset(tuple, Some(header));
            }
            SynAction::Drop(reason) => counters.syn_dropped(reason),
            _ => counters.drop_not_a_syn.bump(),
        }
    }

    fn open(
        &mut self,
        tuple: FourTuple,
        config: &Arc<netstack_tcp::TcpConfig>,
        origin: Origin,
        listener: &ListenerShared,
    ) {
        // Answers leave by the interface that the SYN came in by.
        match self.inner.spawn(tuple, self.interface, config, origin) {
            // It closed since it took the SYN, and may have missed this handshake.
            Some(shared) if listener.is_closed() => shared.order(order::UNLISTEN),
            Some(_) => {}
            None => listener.half_open_ended(),
        }
    }

    fn udp(&mut self, frame: &RxFrame, packet: &IpPacket<'_>) {
        let counters = &self.inner.counters;
        let (header, data) = match udp::UdpHeader::parse(packet.payload) {
            Ok(parsed) => parsed,
            Err(error) => return counters.unparsable(error),
        };
        let vouched = !matches!(frame.meta.checksum, Checksum::Complete);
        if !vouched && !udp::checksum_ok(packet.src, packet.dst, &header, data) {
            return counters.drop_bad_checksum.bump();
        }
        counters.drop_udp_closed.bump();
        self.complain(frame, packet, Problem::PortUnreachable);
    }

    /// Sends an ICMP error about a packet to one of our unicast addresses from a single host, no fragment and no ICMP
    /// error: those were dropped before (R792-4, R4443-4).
    fn complain(&mut self, frame: &RxFrame, packet: &IpPacket<'_>, problem: Problem) {
        self.send_error(|| icmp::error_about(packet, &frame.data, problem));
    }

    /// Sends an ICMP error, if the rate allows one.
    fn send_error(&mut self, error: impl FnOnce() -> Reply) {
        let counters = &self.inner.counters;
        if !self.inner.icmp_limiter.allow(self.at) {
            return counters.icmp_errors_limited.bump();
        }
        counters.tx_icmp_errors.bump();
        self.send(error());
    }

    /// Tells the sender of an IPv6 packet what is wrong with its headers, where that is due (R8200-3, R8200-5, R8200-6).
    fn parameter_problem(&mut self, frame: &RxFrame, error: ParseError) {
        let Some(problem) = error.parameter_problem() else { return };
        let Some((src, dst)) = icmp::addresses_v6(&frame.data) else { return };
        let routes = &self.inner.routes;
        if !routes.is_valid_source(src.into()) {
            return;
        }
        let from = match routes.classify(dst.into()) {
            Destination::Ours => dst.into(),
            Destination::Group if problem.even_if_multicast => match routes.source_for(src.into()) {
                Some((_, from)) => from,
                None => return,
            },
            Destination::Group | Destination::Foreign => return,
        };
        self.send_error(|| icmp::parameter_problem(from, src.into(), problem, &frame.data));
    }

    fn icmp(&mut self, packet: &IpPacket<'_>) {
        let counters = &self.inner.counters;
        let message = match icmp::parse(packet) {
            Ok(message) => message,
            Err(error) => return counters.unparsable(error),
        };
        if let IcmpMessage::EchoRequest { id, seq, data } = message {
            counters.tx_echo_replies.bump();
            return self.send(icmp::echo_reply(packet, id, seq, data));
        }
        let Some(notified) = icmp::notified(&message, packet.src.is_ipv6()) else {
            return counters.drop_icmp_ignored.bump();
        };
        match self.inner.table.actor(&notified.tuple) {
            Some(shared) => {
                counters.rx_icmp_errors.bump();
                self.deliver(shared, Input::Icmp { seq: notified.seq, notice: notified.notice });
            }
            None => counters.rx_icmp_unmatched.bump(),
        }
    }

    fn send_reset(&mut self, tuple: FourTuple, header: Option<TcpHeader>) {
        if let Some(header) = header {
            debug_assert!(header.flags.contains(TcpFlags::RST));
            self.inner.counters.tx_resets.bump();
            self.send_header(tuple, &header);
        }
    }

    /// Sends a segment without data that belongs to no actor.
    fn send_header(&mut self, tuple: FourTuple, header: &TcpHeader) {
        let (src, dst) = (tuple.local().ip(), tuple.remote().ip());
        let len = header.header_len();
        let mut ip = IpHeader::new(src, dst, Protocol::TCP, len);
        let flow = self.inner.secrets.flow_hash(&tuple);
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
        self.send(Reply { head, payload: Bytes::new(), flow });
    }

    /// Sends without waiting: whoever caused this packet can cause it again.
    fn send(&mut self, reply: Reply) {
        let Reply { mut head, payload, flow } = reply;
        let counters = &self.inner.counters;
        let slices = [payload];
        let payload = if slices[0].is_empty() { &[][..] } else { &slices[..] };
        let frame = TxFrame { head: &mut head, payload, meta: Meta::default(), flow };
        match self.inner.interfaces[self.interface].tx.try_send(frame, self.turn) {
            Ok(()) => {}
            Err(SendError::Full) => counters.tx_replies_dropped.bump(),
            Err(_) => counters.tx_lost.bump(),
        }
    }
}

/// Whether a segment asks for a new connection.
fn is_opening(segment: &Segment) -> bool {
    let asked = segment.header.flags;
    asked.contains(TcpFlags::SYN) && !asked.intersects(TcpFlags::ACK | TcpFlags::RST)
}

impl std::fmt::Debug for Ingress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingress").field("interface", &self.interface).finish_non_exhaustive()
    }
}
