//! A pair of devices with a link between them, for whole stacks under paused Tokio time.
//!
//! Tokio's timers tick once a millisecond, so frames are delivered in ticks; each is stamped with its exact arrival time
//! ([`RxFrame::at`]), which is what the stack reckons with.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use netstack_device::{
    Capabilities, Checksum, Device, DeviceCounters, Halves, HeadBuf, Meta, Offloads, RxBatch, RxFrame,
    RxQueue, SendError, Turn, TxFrame, TxQueue, segment,
};
use netstack_tcp::Instant;
use netstack_wire::{Ecn, ip};
use tokio::time::Sleep;

use crate::heap::{EventHeap, Side};
use crate::impair::write_ce;
use crate::{Fate, Link, LinkConfig, LinkStats, Trace};

/// Two devices of IP MTU `mtu`, joined by a link; the third value tells what the link has done.
///
/// The devices take super-segments and unfinished checksums; both are finished before the link, which carries packets of
/// the wire. They never refuse a frame for want of room: a bounded queue drops what does not fit, as a router would.
/// When one device is dropped, the other hears silence.
///
/// ```
/// use std::time::Duration;
/// use netstack_sim::{LinkConfig, device, heap::Side};
///
/// let mut path = LinkConfig::new();
/// path.rate(10_000_000).delay(Duration::from_millis(20)).loss(0.01);
/// let (a, b, wire) = device::pair(7, 1500, &path, &path);
/// # drop((a, b));
/// assert_eq!(wire.stats(Side::A).offered, 0);
/// ```
pub fn pair(seed: u64, mtu: usize, a_to_b: &LinkConfig, b_to_a: &LinkConfig) -> (SimDevice, SimDevice, Wire) {
    let shared = Arc::new(Shared(Mutex::new(State {
        epoch: None,
        trace: Trace::new(),
        directions: [Direction::new(Link::new(a_to_b, seed, 0)), Direction::new(Link::new(b_to_a, seed, 1))],
    })));
    let end = |side| SimDevice { shared: Arc::clone(&shared), side, mtu };
    (end(Side::A), end(Side::B), Wire { shared: Arc::clone(&shared) })
}

/// One end of a [`pair`].
pub struct SimDevice {
    shared: Arc<Shared>,
    side: Side,
    mtu: usize,
}

impl fmt::Debug for SimDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDevice").field("side", &self.side).field("mtu", &self.mtu).finish_non_exhaustive()
    }
}

impl Device for SimDevice {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        let counters = Arc::new(Mutex::new(DeviceCounters::default()));
        let tx = SimTx {
            shared: Arc::clone(&self.shared),
            side: self.side,
            mtu: self.mtu,
            counters: Arc::clone(&counters),
        };
        let rx = SimRx { shared: self.shared, side: self.side, sleep: None, counters };
        Ok((vec![Box::new(rx)], Arc::new(tx)))
    }
}

/// A view of the link of a [`pair`]; stays valid while stacks own the devices.
#[derive(Clone)]
pub struct Wire {
    shared: Arc<Shared>,
}

impl Wire {
    /// Hash of every packet so far, both directions: its bytes, when it was sent and when it arrives.
    pub fn trace(&self) -> Trace {
        self.shared.lock().trace
    }

    /// What the direction that leaves `side` has done.
    pub fn stats(&self, side: Side) -> LinkStats {
        self.shared.lock().directions[side as usize].link.stats()
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("trace", &self.trace()).finish_non_exhaustive()
    }
}

struct Shared(Mutex<State>);

impl Shared {
    /// No caller's code runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct State {
    /// Time zero of the links: the first use, so that it is taken on the runtime's clock.
    epoch: Option<tokio::time::Instant>,
    trace: Trace,
    /// By the side that sends.
    directions: [Direction; 2],
}

struct Direction {
    link: Link,
    under_way: EventHeap<Bytes>,
    reader: Option<Waker>,
    /// Nobody will read any more: packets still cross the link, and fall off its end.
    reader_gone: bool,
}

impl Direction {
    fn new(link: Link) -> Self {
        Self { link, under_way: EventHeap::new(), reader: None, reader_gone: false }
    }
}

impl State {
    fn epoch(&mut self) -> tokio::time::Instant {
        *self.epoch.get_or_insert_with(tokio::time::Instant::now)
    }

    fn now(&mut self) -> Instant {
        Instant::from_duration(tokio::time::Instant::now() - self.epoch())
    }

    /// Sends one packet of the wire; gives the reader to wake if it sleeps past the arrival.
    fn send(&mut self, now: Instant, from: Side, mut packet: Bytes) -> Option<Waker> {
        let direction = &mut self.directions[from as usize];
        let fate = direction.link.send(now, packet.len());
        let ecn = ip::parse(&packet).map_or(Ecn::NotEct, |packet| packet.ecn);
        if direction.link.mark(ecn) != ecn {
            let mut marked = Vec::from(packet);
            write_ce(&mut marked);
            packet = marked.into();
        }
        let (at, copy) = match fate {
            Fate::Arrives { at, copy } => (Some(at), copy),
            Fate::QueueFull | Fate::Lost => (None, None),
        };
        self.trace.packet();
        self.trace.word(now.as_nanos() << 1 | from as u64);
        self.trace.word(at.map_or(0, Instant::as_nanos));
        self.trace.word(copy.map_or(0, Instant::as_nanos));
        self.trace.bytes(&packet);
        if direction.reader_gone {
            return None;
        }
        let before = direction.under_way.next_at();
        if let Some(copy) = copy {
            direction.under_way.push(copy, packet.clone());
        }
        direction.under_way.push(at?, packet);
        let sooner = before.is_none_or(|before| direction.under_way.next_at() < Some(before));
        if sooner { direction.reader.take() } else { None }
    }
}

struct SimTx {
    shared: Arc<Shared>,
    side: Side,
    mtu: usize,
    counters: Arc<Mutex<DeviceCounters>>,
}

impl fmt::Debug for SimTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimTx").field("side", &self.side).field("mtu", &self.mtu).finish_non_exhaustive()
    }
}

impl SimTx {
    fn count(&self, frame: &TxFrame<'_>, lost: bool) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        if lost {
            counters.tx_lost += 1;
            return;
        }
        counters.tx_frames += 1;
        counters.tx_bytes += frame.len() as u64;
        counters.tx_gso += u64::from(frame.meta.gso.is_some());
        counters.tx_partial += u64::from(matches!(frame.meta.checksum, Checksum::Partial { .. }));
    }
}

impl TxQueue for SimTx {
    fn capabilities(&self) -> Capabilities {
        Capabilities::ip(self.mtu).with_tx(Offloads::ALL)
    }

    fn try_send(&self, frame: TxFrame<'_>, _turn: &mut Turn) -> Result<(), SendError> {
        let packets = match finish(&frame, self.mtu) {
            Ok(packets) => packets,
            Err(error) => {
                self.count(&frame, true);
                return Err(SendError::Lost(error));
            }
        };
        self.count(&frame, false);
        let mut reader = None;
        {
            let mut state = self.shared.lock();
            let now = state.now();
            for packet in packets {
                reader = state.send(now, self.side, packet).or(reader);
            }
        }
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }

    fn poll_ready(&self, _cx: &mut Context<'_>, _turn: &mut Turn) -> Poll<()> {
        Poll::Ready(())
    }

    fn leave(&self, _turn: &mut Turn) {}

    fn counters(&self) -> DeviceCounters {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The packets of the wire that a frame stands for, finished, each in one piece.
fn finish(frame: &TxFrame<'_>, mtu: usize) -> io::Result<Vec<Bytes>> {
    let mut pieces = segment(frame.head.as_slice(), frame.payload, frame.meta)?;
    let mut packets = Vec::with_capacity(pieces.remaining());
    let (mut head, mut payload) = (HeadBuf::new(), Vec::new());
    while pieces.next_into(&mut head, &mut payload) {
        let piece = TxFrame { head: &mut head, payload: &payload, meta: Meta::default(), flow: frame.flow };
        if piece.is_empty() || piece.len() > mtu {
            let text = format!("a packet of {} bytes does not fit an MTU of {mtu}", piece.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        packets.push(piece.to_bytes());
    }
    Ok(packets)
}

struct SimRx {
    shared: Arc<Shared>,
    side: Side,
    /// Runs until the first arrival that is still to come.
    sleep: Option<Pin<Box<Sleep>>>,
    counters: Arc<Mutex<DeviceCounters>>,
}

impl SimRx {
    /// Moves what has arrived into `batch`. If that is nothing, stores the waker and gives the next arrival.
    fn take(&self, cx: &Context<'_>, batch: &mut RxBatch) -> (usize, Option<tokio::time::Instant>) {
        let mut state = self.shared.lock();
        let (epoch, now) = (state.epoch(), state.now());
        let direction = &mut state.directions[self.side.other() as usize];
        let (before, bytes) = (batch.len(), batch.bytes());
        while !batch.is_full() {
            let Some((at, data)) = direction.under_way.pop_due(now) else { break };
            batch.push(RxFrame { data, meta: Meta::default(), at: epoch + since_epoch(at) });
        }
        let taken = batch.len() - before;
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.rx_frames += taken as u64;
        counters.rx_bytes += (batch.bytes() - bytes) as u64;
        if taken == 0 {
            direction.reader = Some(cx.waker().clone());
        }
        (taken, direction.under_way.next_at().map(|at| epoch + since_epoch(at)))
    }
}

impl RxQueue for SimRx {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RxBatch) -> Poll<io::Result<()>> {
        if batch.is_full() {
            return Poll::Ready(Ok(()));
        }
        loop {
            let (taken, next) = self.take(cx, batch);
            if taken > 0 {
                return Poll::Ready(Ok(()));
            }
            let Some(next) = next else {
                self.sleep = None;
                return Poll::Pending;
            };
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next)));
            if sleep.deadline() != next {
                sleep.as_mut().reset(next);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for SimRx {
    fn drop(&mut self) {
        let direction = &mut self.shared.lock().directions[self.side.other() as usize];
        direction.reader_gone = true;
        direction.under_way = EventHeap::new();
    }
}

fn since_epoch(at: Instant) -> Duration {
    Duration::from_nanos(at.as_nanos())
}

#[cfg(test)]
mod tests;
