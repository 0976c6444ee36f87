//! A pair of devices in memory, for tests, examples and benchmarks.

use std::collections::VecDeque;
use std::fmt;
use std::io;
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

/// Two devices joined back to back: what one sends, the other receives, at once and in order.
///
/// Each direction holds [`DEFAULT_DEPTH`] frames; see [`pair_with_depth`].
///
/// A frame that needs an offload which `tx` of its sender lacks is refused with [`SendError::Offload`]. One
/// that `tx` of its sender has and `rx` of its receiver lacks is finished on the way, as the kernel does for a
/// network card that cannot. A frame longer than an MTU or than the receiver's `max_frame` is lost and counted.
///
/// When one device of the pair is dropped (each of its halves), the other receives what is left, then the end
/// of file.
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
    let (caps_a, caps_b) = (caps_a.with_queues(1), caps_b.with_queues(1));
    let (counters_a, counters_b) = (Arc::default(), Arc::default());
    let a_to_b = Arc::new(Wire::new(depth.max(1)));
    let b_to_a = Arc::new(Wire::new(depth.max(1)));
    let a = MemoryDevice::new(caps_a, counters_a, &a_to_b, &b_to_a);
    let b = MemoryDevice::new(caps_b, counters_b, &b_to_a, &a_to_b);
    (a, b)
}

/// One end of a [`pair`].
#[derive(Debug)]
pub struct MemoryDevice {
    rx: MemoryRx,
    tx: MemoryTx,
}

impl MemoryDevice {
    fn new(caps: Capabilities, counters: Arc<Counters>, out: &Arc<Wire>, into: &Arc<Wire>) -> Self {
        Self {
            rx: MemoryRx {
                wire: Arc::clone(into),
                caps: caps.clone(),
                counters: Arc::clone(&counters),
                cut: VecDeque::new(),
            },
            tx: MemoryTx { wire: Arc::clone(out), caps, counters },
        }
    }
}

impl Device for MemoryDevice {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        Ok((vec![Box::new(self.rx)], Arc::new(self.tx)))
    }
}

/// One direction.
#[derive(Debug)]
struct Wire {
    queue: Mutex<Queue>,
    waiters: Waiters,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<RxFrame>,
    reader: Option<Waker>,
    sender_gone: bool,
}

impl Wire {
    fn new(depth: usize) -> Self {
        Self { queue: Mutex::default(), waiters: Waiters::new(depth) }
    }

    /// No caller's code runs under the lock.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
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
            let mut queue = self.wire.lock();
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

    fn counters(&self) -> DeviceCounters {
        self.counters.snapshot()
    }
}

impl Drop for MemoryTx {
    fn drop(&mut self) {
        let reader = {
            let mut queue = self.wire.lock();
            queue.sender_gone = true;
            queue.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

#[derive(Debug)]
struct MemoryRx {
    wire: Arc<Wire>,
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
                let mut queue = self.wire.lock();
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
        let left = self.wire.lock().frames.len() + self.cut.len();
        Counters::add(&self.counters.rx_dropped, left);
    }
}

#[cfg(test)]
mod tests;
