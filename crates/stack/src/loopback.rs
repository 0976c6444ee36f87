//! The way from the stack to itself: a bounded queue of packets, whose payload is not copied.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use netstack_device::{
    Acquire, Capabilities, DeviceCounters, HeadBuf, Meta, Offloads, SendError, Turn, TxFrame, TxQueue,
    Waiters,
};
use tokio::time::Instant;

use crate::ingress::LoopbackIngress;
use crate::lane::lock;
use crate::stack::{Inner, Interface, StopSignal};
use crate::sync::Mutex;

/// The longest packet that IPv4 knows, so that nothing is cut.
const MTU: usize = 65_535;

/// Packets that wait at most. What they hold is the send buffers' memory.
const DEPTH: usize = 256;

/// A packet on its way.
#[derive(Debug)]
pub(crate) struct Looped {
    pub(crate) head: HeadBuf,
    pub(crate) payload: Vec<Bytes>,
    pub(crate) meta: Meta,
    pub(crate) at: Instant,
}

#[derive(Debug, Default)]
struct Queue {
    packets: VecDeque<Looped>,
    reader: Option<Waker>,
    counters: DeviceCounters,
}

#[derive(Debug)]
pub(crate) struct Loopback {
    queue: Mutex<Queue>,
    waiters: Waiters,
}

/// The end that is read, before somebody does.
pub(crate) struct Reader {
    queue: Arc<Loopback>,
    signal: Arc<StopSignal>,
}

impl Loopback {
    pub(crate) fn open() -> (Interface, Reader) {
        let queue = Arc::new(Self { queue: Mutex::default(), waiters: Waiters::new(DEPTH) });
        let interface = Interface::new(Arc::clone(&queue) as _, &queue.capabilities());
        let signal = Arc::clone(&interface.signal);
        (interface, Reader { queue, signal })
    }

    /// Takes up to `most` packets out, in their order; ready with at least one.
    pub(crate) fn poll_take(&self, cx: &Context<'_>, most: usize, taken: &mut Vec<Looped>) -> Poll<()> {
        let count = {
            let mut queue = lock(&self.queue);
            let count = queue.packets.len().min(most);
            if count == 0 {
                queue.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            taken.extend(queue.packets.drain(..count));
            queue.counters.rx_frames += count as u64;
            count
        };
        self.waiters.release(count);
        Poll::Ready(())
    }
}

impl Reader {
    pub(crate) fn start(self, inner: &Arc<Inner>) {
        let ingress = LoopbackIngress::new(self.queue, Arc::downgrade(inner), self.signal);
        inner.handle.spawn(tokio::task::unconstrained(ingress));
    }
}

impl TxQueue for Loopback {
    fn capabilities(&self) -> Capabilities {
        // Checksums that nobody checks are not computed, and segments are cut nowhere. A super-datagram would have to be.
        Capabilities::ip(MTU).with_tx(Offloads { uso: false, ..Offloads::ALL })
    }

    fn try_send(&self, frame: TxFrame<'_>, turn: &mut Turn) -> Result<(), SendError> {
        if !self.capabilities().tx.accept(frame.meta) {
            return Err(SendError::Offload);
        }
        if frame.len() > MTU {
            self.waiters.leave(turn);
            lock(&self.queue).counters.tx_lost += 1;
            return Err(SendError::Lost(io::ErrorKind::InvalidInput.into()));
        }
        match self.waiters.try_acquire(turn) {
            Acquire::Slot => {}
            Acquire::Full => {
                lock(&self.queue).counters.tx_full += 1;
                return Err(SendError::Full);
            }
            Acquire::Closed => return Err(SendError::Closed(io::ErrorKind::BrokenPipe.into())),
        }
        let head = frame.head.clone();
        let packet = Looped { head, payload: frame.payload.to_vec(), meta: frame.meta, at: Instant::now() };
        let reader = {
            let mut queue = lock(&self.queue);
            queue.packets.push_back(packet);
            queue.counters.tx_frames += 1;
            queue.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }

    fn poll_ready(&self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<()> {
        self.waiters.poll_ready(cx, turn)
    }

    fn leave(&self, turn: &mut Turn) {
        self.waiters.leave(turn);
    }

    fn close(&self) {
        self.waiters.close();
    }

    fn counters(&self) -> DeviceCounters {
        lock(&self.queue).counters
    }
}
