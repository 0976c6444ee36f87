//! Ingress: from a device's queue to the mailboxes, one loop per queue.
//!
//! A loop reads a batch, judges each packet, and pushes what belongs to a connection into its mailbox; at the end of
//! the batch it wakes each connection once. After some batches it yields, so that actors and other tasks come to their
//! turn.

mod cookie;
mod fragment;
mod icmp;
mod loopback;
mod reply;
mod tcp;
mod udp;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

pub(crate) use loopback::LoopbackIngress;
use netstack_device::{RxBatch, RxFrame, RxQueue, Turn};
use netstack_tcp::Instant;
use netstack_wire::ip::{self, IpPacket};
use netstack_wire::{ParseError, Protocol};

use crate::actor::Shared;
use crate::icmp::Problem;
use crate::route::Destination;
use crate::stack::{Inner, LOOPBACK, StopSignal};

/// What a turn may cost: 1,024 ACKs, 512 packets with data or 64 super-segments. With less, the actors of many flows, which
/// all run in between, cause more ACKs than are read, until the device's queue loses them.
const TURN: usize = 4096;

/// What a packet with data costs.
const PACKET: usize = TURN / 512;

fn cost(frame: &RxFrame) -> usize {
    match frame.data.len() {
        0..=128 => TURN / 1024,
        129..=2048 => PACKET,
        _ => TURN / 64,
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
                        inner.device_lost(this.interface, &this.signal, &error);
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
        self.inner.counters.rx_packets.bump();
        self.judge(frame, false);
    }

    /// Judges a packet, as it was received or `reassembled`, and brings it to its protocol.
    fn judge(&mut self, frame: &RxFrame, reassembled: bool) {
        let counters = &self.inner.counters;
        let packet = match ip::parse(&frame.data) {
            Ok(packet) => packet,
            Err(error) => {
                counters.unparsable(error);
                if error == ParseError::BadFragment {
                    return self.bad_fragment(frame);
                }
                return self.parameter_problem(frame, error);
            }
        };
        if packet.source_routed {
            // Deviation from RFC 1122 3.2.1.8, as RFC 7126 advises.
            return counters.drop_source_routed.bump();
        }
        let Some(destination) = self.destination(&packet) else { return };
        if let Some(at) = packet.fragment {
            if reassembled {
                // Fragments within fragments: no sender makes them.
                return counters.drop_bad_fragment.bump();
            }
            if let Some(whole) = self.fragment(frame, &packet, at) {
                self.judge(&whole, true);
            }
            return;
        }
        if destination == Destination::Group {
            return self.udp_group(frame, &packet);
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
}

impl Packet<'_> {
    /// What the destination of a packet is to us. `None`, counted: it goes no further, for its source is none that there can
    /// be, or nobody here wants it.
    fn destination(&self, packet: &IpPacket<'_>) -> Option<Destination> {
        let counters = &self.inner.counters;
        let routes = self.inner.routes.table();
        if self.interface == LOOPBACK {
            if self.is_looped(packet.src, packet.dst) {
                return Some(Destination::Ours);
            }
            counters.drop_foreign.bump();
            return None;
        }
        if !routes.is_valid_source(packet.src) {
            let own = packet.src == packet.dst;
            if own { &counters.drop_land } else { &counters.drop_bad_source }.bump();
            return None;
        }
        match routes.classify(packet.dst) {
            Destination::Group if packet.protocol != Protocol::UDP => counters.drop_group.bump(),
            Destination::Foreign => counters.drop_foreign.bump(),
            wanted => return Some(wanted),
        }
        None
    }
}

impl std::fmt::Debug for Ingress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingress").field("interface", &self.interface).finish_non_exhaustive()
    }
}
