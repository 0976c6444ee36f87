//! Ingress of what the stack sends to itself.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use netstack_device::{Checksum, Meta, RxFrame, Turn};
use netstack_tcp::{FourTuple, Segment};
use netstack_wire::tcp::{TcpFlags, TcpHeader};
use netstack_wire::{Ecn, Protocol};

use super::{PACKET, Packet, TURN};
use crate::actor::Shared;
use crate::loopback::{Loopback, Looped};
use crate::stack::{Inner, LOOPBACK, StopSignal};

/// Packets handled before connections are woken.
const BATCH: usize = 64;

/// The loop that reads the loopback queue, as [`Ingress`](super::Ingress) reads a device's.
#[derive(Debug)]
pub(crate) struct LoopbackIngress {
    queue: Arc<Loopback>,
    batch: Vec<Looped>,
    /// Weak: the loop does not keep the stack alive.
    inner: Weak<Inner>,
    signal: Arc<StopSignal>,
    touched: Vec<Arc<Shared>>,
}

impl LoopbackIngress {
    pub(crate) fn new(queue: Arc<Loopback>, inner: Weak<Inner>, signal: Arc<StopSignal>) -> Self {
        Self { queue, batch: Vec::new(), inner, signal, touched: Vec::new() }
    }

    /// Handles what was read. False once the stack is gone.
    fn handle_batch(&mut self) -> bool {
        let Some(inner) = self.inner.upgrade() else { return false };
        let mut turn = Turn::new();
        for looped in self.batch.drain(..) {
            let mut packet = Packet {
                inner: &inner,
                interface: LOOPBACK,
                touched: &mut self.touched,
                turn: &mut turn,
                at: inner.clock.at(looped.at),
            };
            packet.looped(looped);
        }
        for shared in self.touched.drain(..) {
            shared.release();
        }
        inner.watch_budget();
        true
    }
}

impl Future for LoopbackIngress {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.signal.is_raised(cx) {
            return Poll::Ready(());
        }
        let mut work = 0;
        while work < TURN {
            if this.queue.poll_take(cx, BATCH, &mut this.batch).is_pending() {
                return Poll::Pending;
            }
            work += this.batch.len() * PACKET;
            if !this.handle_batch() {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The headers of a TCP segment as our own connections write them: no IP options, no extension headers.
struct Headers {
    src: IpAddr,
    dst: IpAddr,
    ecn: Ecn,
    tcp: TcpHeader,
}

impl Headers {
    fn read(head: &[u8]) -> Option<Self> {
        let (src, dst, traffic_class, protocol, len): (IpAddr, IpAddr, u8, u8, usize) = match head.first()? {
            0x45 => {
                let [_, class, _, _, _, _, _, _, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
                    *head.first_chunk::<20>()?;
                let (src, dst) = (Ipv4Addr::new(s0, s1, s2, s3), Ipv4Addr::new(d0, d1, d2, d3));
                (src.into(), dst.into(), class, protocol, 20)
            }
            first if first >> 4 == 6 => {
                let fixed = head.first_chunk::<40>()?;
                let (src, dst) = fixed[8..].split_first_chunk::<16>()?;
                let (src, dst) = (Ipv6Addr::from(*src), Ipv6Addr::from(*dst.first_chunk::<16>()?));
                (src.into(), dst.into(), (fixed[0] << 4) | (fixed[1] >> 4), fixed[6], 40)
            }
            _ => return None,
        };
        if Protocol(protocol) != Protocol::TCP {
            return None;
        }
        let (tcp, _) = TcpHeader::parse(&head[len..]).ok()?;
        Some(Self { src, dst, ecn: Ecn::from_bits(traffic_class), tcp })
    }
}

impl Packet<'_> {
    /// A TCP segment's payload goes to its connection as it is, slice by slice; everything else is put into one piece, and
    /// takes the way of packets from a device.
    fn looped(&mut self, looped: Looped) {
        let Looped { head, payload, meta, at } = looped;
        match Headers::read(head.as_slice()).filter(|_| !payload.is_empty()) {
            Some(headers) => self.looped_segment(headers, payload, meta),
            None => {
                let mut data = Vec::with_capacity(head.len() + payload.iter().map(Bytes::len).sum::<usize>());
                data.extend_from_slice(head.as_slice());
                payload.iter().for_each(|slice| data.extend_from_slice(slice));
                // Nobody has touched it on its way.
                let meta = Meta { checksum: Checksum::Trusted, gso: None };
                self.handle(&RxFrame { data: data.into(), meta, at });
            }
        }
    }

    fn looped_segment(&mut self, headers: Headers, payload: Vec<Bytes>, meta: Meta) {
        let Headers { src, dst, ecn, tcp: whole } = headers;
        self.inner.counters.rx_packets.bump();
        if !self.is_looped(src, dst) {
            return self.inner.counters.drop_foreign.bump();
        }
        let tuple =
            FourTuple::new(SocketAddr::new(dst, whole.dst_port), SocketAddr::new(src, whole.src_port));
        let gso_size = meta.gso.map_or(0, |gso| gso.size.get());
        let (mut at, last) = (0, payload.len() - 1);
        for (index, payload) in payload.into_iter().enumerate() {
            let mut header = whole;
            header.seq += at;
            header.urgent = u32::from(whole.urgent).saturating_sub(at) as u16;
            if index < last {
                header.flags = header.flags - (TcpFlags::FIN | TcpFlags::PSH);
            }
            // A packet holds less than 64 KiB.
            at += payload.len() as u32;
            self.segment(tuple, Segment { header, payload, ecn, gso_size });
        }
    }

    /// Whether a packet of the loopback queue is one from the stack to itself still: an address may have gone meanwhile.
    pub(super) fn is_looped(&self, src: IpAddr, dst: IpAddr) -> bool {
        let table = self.inner.routes.table();
        table.is_local(src) && table.is_local(dst)
    }
}
