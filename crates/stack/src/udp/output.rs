//! Datagrams on their way out.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use netstack_device::{Capabilities, Gso, GsoKind, Turn};
use netstack_tcp::FourTuple;
use netstack_wire::Protocol;
use netstack_wire::checksum::pseudo_header;
use netstack_wire::udp::{CHECKSUM_OFFSET, HEADER_LEN, UdpHeader};

use super::message::MessageTooLong;
use super::queue::Datagram;
use crate::error::EndCause;
use crate::output::{Outgoing, Place, Rest, SendPacketError};
use crate::stack::Inner;

/// Datagrams that a device is given to cut at most, the kernel's own limit for a long time.
const MAX_CUT: usize = 64;

/// What one call sends: a datagram, or several of one size.
#[derive(Debug)]
pub(super) struct Outbound {
    pub(super) interface: usize,
    pub(super) outgoing: Outgoing,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) data: Bytes,
    /// Octets of each datagram; the last may be shorter.
    pub(super) segment: usize,
    /// Fragments are forbidden only because none are needed as long as the path is what it was.
    pub(super) fits: bool,
    /// Whether members of the group on this stack get a copy.
    pub(super) loops: bool,
    /// Octets of whole datagrams that have left.
    pub(super) sent: usize,
    /// Fragments of the next datagram that have not.
    pub(super) rest: Option<Box<Rest>>,
}

/// How far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    All,
    /// The device is full.
    Full,
}

impl Outbound {
    /// Sends until all has left or the device is full. After an error nothing more is sent.
    pub(super) fn advance(&mut self, inner: &Inner, turn: &mut Turn) -> io::Result<Sent> {
        loop {
            let (next, outcome) = match self.rest.take() {
                Some(rest) => (self.end_of(1), inner.send_rest(rest, turn)),
                None => self.send_next(inner, turn)?,
            };
            match outcome {
                // Lost and counted: the network loses datagrams too.
                Ok(()) | Err(SendPacketError::Lost) => {
                    inner.counters.tx_datagrams.add((next - self.sent).div_ceil(self.segment.max(1)).max(1));
                    self.loop_back(inner, next);
                    self.sent = next;
                    if next == self.data.len() {
                        return Ok(Sent::All);
                    }
                }
                Err(SendPacketError::Full) => return Ok(Sent::Full),
                Err(SendPacketError::Partly(rest)) => {
                    self.rest = Some(rest);
                    return Ok(Sent::Full);
                }
                Err(SendPacketError::TooBig { .. }) if self.fits => {
                    (self.fits, self.outgoing.dont_fragment) = (false, false);
                }
                Err(SendPacketError::TooBig { mtu }) => return Err(self.too_long(mtu).into()),
                Err(SendPacketError::Gone) => return Err(EndCause::StackStopped.to_io()),
            }
        }
    }

    /// Sends the next datagram, or as many as the device cuts itself; up to where, and what became of it.
    fn send_next(&self, inner: &Inner, turn: &mut Turn) -> io::Result<(usize, Result<(), SendPacketError>)> {
        if let Some(count) = self.left_to_device(inner) {
            let end = self.end_of(count);
            let outcome = self.send_unfinished(inner, self.data.slice(self.sent..end), turn);
            if let Some(outcome) = outcome {
                return Ok((end, outcome));
            }
            // It has changed its mind: from here on it is offered less.
        }
        let end = self.end_of(1);
        let data = self.data.slice(self.sent..end);
        let (src, dst) = ((self.from.ip(), self.from.port()), (self.to.ip(), self.to.port()));
        let header =
            UdpHeader::for_payload(src, dst, &data).ok_or_else(|| self.too_long(usize::from(u16::MAX)))?;
        let mut head = [0; HEADER_LEN];
        header.emit(&mut head);
        self.remember(inner, header.len);
        Ok((end, inner.send_packet(self.interface, &self.outgoing, &head, &[data], turn)))
    }

    /// Where `count` more datagrams end.
    fn end_of(&self, count: usize) -> usize {
        (self.sent + count * self.segment).min(self.data.len())
    }

    /// How many of the next datagrams go with a checksum that the device finishes, more than one only if it cuts them; `None` if
    /// it does neither, or has to leave them in fragments.
    fn left_to_device(&self, inner: &Inner) -> Option<usize> {
        let offloads = inner.interface(self.interface).offloads();
        let headers = HEADER_LEN + if self.to.is_ipv4() { 20 } else { 40 };
        let mtu = inner.mtu_to(self.interface, self.to.ip());
        if !offloads.checksum || headers + self.end_of(1) - self.sent > mtu {
            return None;
        }
        let most = (Capabilities::MAX_FRAME - headers) / self.segment.max(1);
        Some(if offloads.uso { most.clamp(1, MAX_CUT) } else { 1 })
    }

    /// Sends with what the device finishes left to it; `None` if it refuses.
    fn send_unfinished(
        &self,
        inner: &Inner,
        data: Bytes,
        turn: &mut Turn,
    ) -> Option<Result<(), SendPacketError>> {
        // It fits a frame.
        let len = (HEADER_LEN + data.len()) as u16;
        let sum = pseudo_header(self.from.ip(), self.to.ip(), Protocol::UDP.0, len.into());
        let header =
            UdpHeader { src_port: self.from.port(), dst_port: self.to.port(), len, checksum: sum.fold() };
        let mut head = [0; HEADER_LEN];
        header.emit(&mut head);
        let size = NonZeroU16::new(self.segment.min(usize::from(len)) as u16);
        let gso = size.filter(|_| data.len() > self.segment);
        let gso = gso.map(|size| Gso { kind: GsoKind::Udp, size, ecn: false });
        self.remember(inner, (HEADER_LEN + self.segment.min(data.len())) as u16);
        inner.send_unfinished(self.interface, &self.outgoing, (&head, CHECKSUM_OFFSET), &[data], gso, turn)
    }

    /// Remembers that a datagram leaves whose UDP header says `len`, if a router may say that it is too big: over IPv4 none says
    /// so of what it may cut itself.
    fn remember(&self, inner: &Inner, len: u16) {
        let ip_header = if self.to.is_ipv4() { 20 } else { 40 };
        let whole = self.to.is_ipv6() || self.outgoing.dont_fragment;
        if whole && len > inner.path_mtu.floor(self.to.ip()).least() - ip_header {
            inner.sent_sizes.note(&FourTuple::new(self.from, self.to), len);
        }
    }

    /// The error for a packet above `mtu` octets.
    fn too_long(&self, mtu: usize) -> MessageTooLong {
        MessageTooLong { max: room_in(mtu, self.to) }
    }

    /// Hands the datagram that has just left to members of its group on this stack.
    fn loop_back(&self, inner: &Inner, end: usize) {
        if self.loops {
            let datagram = Datagram {
                data: self.data.slice(self.sent..end),
                segment: self.segment,
                from: self.from,
                to: self.to,
                ecn: self.outgoing.ecn,
                hop_limit: self.outgoing.hop_limit,
                interface: self.interface,
            };
            inner.udp.deliver_group(inner, &datagram, self.interface);
        }
    }
}

/// Octets of data in a packet of `mtu` octets to `to`.
pub(super) fn room_in(mtu: usize, to: SocketAddr) -> usize {
    let ip_header = if to.is_ipv4() { 20 } else { 40 };
    mtu.saturating_sub(ip_header + HEADER_LEN)
}

/// An [`Outbound`] and its place in the device's FIFO.
#[derive(Debug)]
struct Job {
    inner: Arc<Inner>,
    outbound: Outbound,
    place: Place,
}

impl Job {
    fn advance(&mut self) -> io::Result<Sent> {
        let turn = self.place.turn(&self.inner.interface(self.outbound.interface).tx);
        self.outbound.advance(&self.inner, turn)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while self.advance()? == Sent::Full {
            ready!(self.place.poll_ready(cx));
        }
        Poll::Ready(Ok(self.outbound.sent))
    }
}

/// A call that sends. Dropped in the middle of a datagram it lets a task finish that: what has left of it would be of no use
/// otherwise.
#[derive(Debug)]
pub(super) struct Sending(Option<Job>);

impl Sending {
    pub(super) fn new(inner: &Arc<Inner>, outbound: Outbound, place: Option<Place>) -> Self {
        let place = place.unwrap_or_else(|| Place::new(&inner.interface(outbound.interface).tx));
        Self(Some(Job { inner: Arc::clone(inner), outbound, place }))
    }

    /// Sends without waiting: the octets of datagrams that have left, or will without being asked again; `None` if the device
    /// has no room at all.
    pub(super) fn now(mut self) -> io::Result<Option<usize>> {
        let Some(job) = &mut self.0 else { return Ok(None) };
        let sent = job.advance()?;
        let Outbound { sent: octets, segment, ref data, ref rest, .. } = job.outbound;
        Ok(match (sent, rest) {
            (Sent::All, _) => Some(octets),
            (Sent::Full, Some(_)) => Some((octets + segment).min(data.len())),
            (Sent::Full, None) => Some(octets).filter(|&octets| octets > 0),
        })
    }

    /// Sends all of it, waiting where the device is full.
    pub(super) async fn all(mut self) -> io::Result<usize> {
        poll_fn(|cx| match &mut self.0 {
            Some(job) => job.poll(cx),
            None => Poll::Ready(Ok(0)),
        })
        .await
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(mut job) = self.0.take()
            && job.outbound.rest.is_some()
        {
            let end = job.outbound.sent + job.outbound.segment;
            job.outbound.data.truncate(end);
            let handle = job.inner.handle.clone();
            handle.spawn(async move { poll_fn(|cx| job.poll(cx)).await });
        }
    }
}
