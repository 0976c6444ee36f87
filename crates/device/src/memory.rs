//! A pair of devices in memory, for tests, examples and benchmarks.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use crate::counters::Counters;
use crate::queue::{Halves, gone};
use crate::{
    Acquire, Capabilities, Device, DeviceCounters, Meta, RxBatch, RxFrame, RxQueue, SendError, Turn, TxFrame,
    TxQueue, Waiters, segment_received,
};

/// Frames that each direction of a [`pair`] holds.
pub const DEFAULT_DEPTH: usize = 512;

/// Which queue of the receiving device a frame goes to, where it has several.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Steering {
    /// One queue per flow ([`TxFrame::flow`]), so that a flow stays in order.
    #[default]
    Flow,
    /// Each frame to the next queue, which takes every flow apart: for tests.
    RoundRobin,
}

/// Two devices joined back to back: what one sends, the other receives, at once and in order.
///
/// Each direction holds [`DEFAULT_DEPTH`] frames; see [`pair_with_depth`]. Each device has as many receiving halves
/// as `queues` of its capabilities says, at least one; see [`pair_with_steering`].
///
/// A frame that needs an offload which `tx` of its sender lacks is refused with [`SendError::Offload`]. One
/// that `tx` of its sender has and `rx` of its receiver lacks is finished on the way, as the kernel does for a
/// network card that cannot. A frame longer than an MTU or than the receiver's `max_frame` is lost and counted.
///
/// When one device of the pair is dropped (each of its halves), the other receives what is left, then the end
/// of file. Nothing can be sent to a device any more once one of its receiving halves is dropped.
pub fn pair(caps_a: Capabilities, caps_b: Capabilities) -> (MemoryDevice, MemoryDevice) {
    pair_with_depth(caps_a, caps_b, DEFAULT_DEPTH)
}

/// [`pair`] with room for `depth` frames (at least 1) in each direction. A super-segment takes the room of one
/// frame.
pub fn pair_with_depth(
    caps_a: Capabilities,
    caps_b: Capabilities,
    depth: usize,
) -> (MemoryDevice, MemoryDevice) {
    pair_with_steering(caps_a, caps_b, depth, Steering::Flow)
}

/// [`pair_with_depth`] that says how frames are spread over the queues of their receiver, which share the room of
/// `depth` frames. Only frames in one queue keep their order.
pub fn pair_with_steering(
    caps_a: Capabilities,
    caps_b: Capabilities,
    depth: usize,
    steering: Steering,
) -> (MemoryDevice, MemoryDevice) {
    let (queues_a, queues_b) = (caps_a.queues.max(1), caps_b.queues.max(1));
    let (caps_a, caps_b) = (caps_a.with_queues(queues_a), caps_b.with_queues(queues_b));
    let (counters_a, counters_b) = (Arc::default(), Arc::default());
    let a_to_b = Arc::new(Wire::new(queues_b, depth.max(1), steering));
    let b_to_a = Arc::new(Wire::new(queues_a, depth.max(1), steering));
    let a = MemoryDevice::new(caps_a, counters_a, &a_to_b, &b_to_a);
    let b = MemoryDevice::new(caps_b, counters_b, &b_to_a, &a_to_b);
    (a, b)
}

/// One end of a [`pair`].
#[derive(Debug)]
pub struct MemoryDevice {
    rx: Vec<MemoryRx>,
    tx: MemoryTx,
}

impl MemoryDevice {
    fn new(caps: Capabilities, counters: Arc<Counters>, out: &Arc<Wire>, into: &Arc<Wire>) -> Self {
        let half = |queue| MemoryRx {
            wire: Arc::clone(into),
            queue,
            caps: caps.clone(),
            counters: Arc::clone(&counters),
            cut: VecDeque::new(),
        };
        let rx = (0..into.queues.len()).map(half).collect();
        Self { rx, tx: MemoryTx { wire: Arc::clone(out), caps, counters } }
    }
}

impl Device for MemoryDevice {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        let halves = self.rx.into_iter().map(|rx| Box::new(rx) as Box<dyn RxQueue>);
        Ok((halves.collect(), Arc::new(self.tx)))
    }
}

/// One direction.
#[derive(Debug)]
struct Wire {
    /// At least one.
    queues: Vec<Mutex<Queue>>,
    waiters: Waiters,
    steering: Steering,
    /// Frames spread by [`Steering::RoundRobin`].
    spread: AtomicUsize,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<RxFrame>,
    reader: Option<Waker>,
    sender_gone: bool,
}

impl Wire {
    fn new(queues: usize, depth: usize, steering: Steering) -> Self {
        let queues = (0..queues).map(|_| Mutex::default()).collect();
        Self { queues, waiters: Waiters::new(depth), steering, spread: AtomicUsize::new(0) }
    }

    /// The queue for a frame of this flow.
    fn pick(&self, flow: u32) -> usize {
        let number = match self.steering {
            Steering::Flow => flow as usize,
            Steering::RoundRobin => self.spread.fetch_add(1, Relaxed),
        };
        number % self.queues.len()
    }

    /// No caller's code runs under the lock.
    fn lock(&self, queue: usize) -> MutexGuard<'_, Queue> {
        self.queues[queue].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct MemoryTx {
    wire: Arc<Wire>,
    caps: Capabilities,
    counters: Arc<Counters>,
}

impl fmt::Debug for MemoryTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTx")
            .field("caps", &self.caps)
            .field("waiting", &self.wire.waiters.waiting())
            .finish_non_exhaustive()
    }
}

impl TxQueue for MemoryTx {
    fn capabilities(&self) -> Capabilities {
        self.caps.clone()
    }

    fn try_send(&self, frame: TxFrame<'_>, turn: &mut Turn) -> Result<(), SendError> {
        if !self.caps.tx.accept(frame.meta) {
            Counters::add(&self.counters.tx_offload_refused, 1);
            return Err(SendError::Offload);
        }
        if let Err(e) = frame.check(&self.caps) {
            Counters::add(&self.counters.tx_lost, 1);
            self.wire.waiters.leave(turn);
            return Err(SendError::Lost(e));
        }
        match self.wire.waiters.try_acquire(turn) {
            Acquire::Slot => {}
            Acquire::Full => {
                Counters::add(&self.counters.tx_full, 1);
                return Err(SendError::Full);
            }
            Acquire::Closed => return Err(SendError::Closed(gone())),
        }
        let data = frame.to_bytes();
        self.counters.sent(data.len(), frame.meta);
        let reader = {
            let mut queue = self.wire.lock(self.wire.pick(frame.flow));
            queue.frames.push_back(RxFrame { data, meta: frame.meta, at: Instant::now() });
            queue.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }

    fn poll_ready(&self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<()> {
        self.wire.waiters.poll_ready(cx, turn)
    }

    fn leave(&self, turn: &mut Turn) {
        self.wire.waiters.leave(turn);
    }

    fn close(&self) {
        self.wire.waiters.close();
    }

    fn counters(&self) -> DeviceCounters {
        self.counters.snapshot()
    }
}

impl Drop for MemoryTx {
    fn drop(&mut self) {
        for queue in 0..self.wire.queues.len() {
            let reader = {
                let mut queue = self.wire.lock(queue);
                queue.sender_gone = true;
                queue.reader.take()
            };
            if let Some(reader) = reader {
                reader.wake();
            }
        }
    }
}

#[derive(Debug)]
struct MemoryRx {
    wire: Arc<Wire>,
    /// Index of the queue that it reads.
    queue: usize,
    caps: Capabilities,
    counters: Arc<Counters>,
    /// Pieces of a super-segment cut on arrival, of which the batch took only some.
    cut: VecDeque<RxFrame>,
}

impl RxQueue for MemoryRx {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RxBatch) -> Poll<io::Result<()>> {
        let before = batch.len();
        let mut taken = 0;
        while !batch.is_full() {
            if let Some(piece) = self.cut.pop_front() {
                self.deliver(piece, batch);
                continue;
            }
            let next = {
                let mut queue = self.wire.lock(self.queue);
                let next = queue.frames.pop_front();
                if next.is_none() && batch.len() == before && taken == 0 {
                    if queue.sender_gone {
                        return Poll::Ready(Err(gone()));
                    }
                    queue.reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                next
            };
            let Some(frame) = next else { break };
            taken += 1;
            self.arrive(frame);
        }
        self.wire.waiters.release(taken);
        Poll::Ready(Ok(()))
    }
}

impl MemoryRx {
    /// Finishes what this device does not take unfinished.
    fn arrive(&mut self, frame: RxFrame) {
        if self.caps.rx.accept(frame.meta) {
            self.cut.push_back(frame);
            return;
        }
        match segment_received(&frame.data, frame.meta) {
            Ok(pieces) => {
                self.cut.extend(pieces.map(|data| RxFrame { data, meta: Meta::default(), at: frame.at }))
            }
            Err(_) => Counters::add(&self.counters.rx_dropped, 1),
        }
    }

    fn deliver(&self, frame: RxFrame, batch: &mut RxBatch) {
        let longest = if frame.meta.gso.is_some() { self.caps.max_frame } else { self.caps.mtu };
        if frame.data.len() > longest {
            Counters::add(&self.counters.rx_dropped, 1);
            return;
        }
        self.counters.received(frame.data.len(), frame.meta);
        batch.push(frame);
    }
}

impl Drop for MemoryRx {
    fn drop(&mut self) {
        self.wire.waiters.close();
        let left = self.wire.lock(self.queue).frames.len() + self.cut.len();
        Counters::add(&self.counters.rx_dropped, left);
    }
}

#[cfg(test)]
mod tests;
