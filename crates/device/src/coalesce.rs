//! Receive coalescing in software: what the kernel's GRO does, for devices that give packet after packet.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::{
    Capabilities, Device, DeviceCounters, Halves, Offloads, RxBatch, RxQueue, SendError, Turn, TxFrame,
    TxQueue,
};

mod run;
#[cfg(test)]
mod tests;

use run::Run;

/// A device whose received TCP segments are put together as the kernel's GRO would.
///
/// Segments of one flow that follow each other in one batch become a super-segment with
/// [`Gso`](crate::Gso) metadata, so that a connection handles one where there were up to forty. What the receiver can tell
/// apart stays apart:
///
/// - the IP headers are alike: addresses, DSCP and ECN (a packet marked CE never joins one that is not), TTL or hop limit,
///   flow label, DF; no IPv4 options and no extension headers. IPv4 identifications are all the same with DF, or go up
///   by one;
/// - the TCP headers are alike: ports, acknowledgment, window, options bit by bit (hence timestamps), AE and ECE; of the
///   other flags ACK alone, and PSH on the last segment. CWR stays apart, as a cut leaves it on the first piece only: of
///   the values of Accurate ECN's counter (RFC 9768) that is every other pair;
/// - sequence numbers follow each other, and each segment but the last is as long as the first;
/// - each checksum was verified, here or by the device; a segment that fails is passed on as it is.
///
/// A segment of the flow that does not join ends what has grown, so that a flow keeps its order; that of different flows may
/// change. Frames that no rule is about, and those that the device itself had put together, pass unchanged. The time of a
/// super-segment is that of its first segment.
///
/// ```
/// use netstack_device::{Capabilities, Coalescing, Device, memory};
///
/// let (device, _peer) = memory::pair(Capabilities::ip(1500), Capabilities::ip(1500));
/// let (_queues, tx) = Box::new(Coalescing::new(device)).split()?;
/// assert!(tx.capabilities().rx.tso4);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Coalescing<D> {
    inner: D,
}

impl<D: Device> Coalescing<D> {
    /// Wraps `inner`.
    pub fn new(inner: D) -> Self {
        Self { inner }
    }
}

impl<D: Device> Device for Coalescing<D> {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        let (queues, tx) = Box::new(self.inner).split()?;
        let wrap = |inner| {
            let rx = CoalescingRx { inner, read: RxBatch::new(), runs: Vec::new(), ended: None };
            Box::new(rx) as Box<dyn RxQueue>
        };
        Ok((queues.into_iter().map(wrap).collect(), Arc::new(CoalescingTx { inner: tx })))
    }
}

/// Frames of the device that a call reads at most: what became of few frames were many reads.
const READS: usize = 2 * RxBatch::MAX_FRAMES;

struct CoalescingRx {
    inner: Box<dyn RxQueue>,
    /// What the device gave.
    read: RxBatch,
    /// What has become of it, in the order of the first frames. Empty between calls.
    runs: Vec<Run>,
    /// A fatal error that came behind frames.
    ended: Option<io::Error>,
}

impl CoalescingRx {
    /// Takes what was read into the runs.
    fn coalesce(&mut self) {
        for frame in self.read.drain() {
            let new = Run::new(frame);
            if let Some(flow) = new.flow()
                && let Some(run) = self.runs.iter_mut().rev().find(|run| run.grows(flow))
                && run.join(&new)
            {
                continue;
            }
            self.runs.push(new);
        }
    }
}

impl RxQueue for CoalescingRx {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RxBatch) -> Poll<io::Result<()>> {
        if let Some(error) = self.ended.take() {
            return Poll::Ready(Err(error));
        }
        let (frames, bytes) = batch.room();
        let (mut taken, mut reads) = (0, 0);
        // Each frame may end as one of its own: no more are read than the batch can take like that.
        while self.runs.len() < frames && taken < bytes && reads < READS {
            self.read.set_limits((frames - self.runs.len()).min(READS - reads), bytes - taken);
            match self.inner.poll_recv(cx, &mut self.read) {
                Poll::Ready(Ok(())) if self.read.is_empty() => break,
                Poll::Ready(Ok(())) => {
                    taken += self.read.bytes();
                    reads += self.read.len();
                    self.coalesce();
                }
                Poll::Ready(Err(error)) if self.runs.is_empty() => return Poll::Ready(Err(error)),
                Poll::Ready(Err(error)) => {
                    self.ended = Some(error);
                    break;
                }
                Poll::Pending if self.runs.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        batch.note_joined(reads - self.runs.len());
        for run in self.runs.drain(..) {
            batch.push(run.into_frame());
        }
        Poll::Ready(Ok(()))
    }
}

#[derive(Debug)]
struct CoalescingTx {
    inner: Arc<dyn TxQueue>,
}

impl TxQueue for CoalescingTx {
    fn capabilities(&self) -> Capabilities {
        let caps = self.inner.capabilities();
        let rx = Offloads { checksum: true, tso4: true, tso6: true, ..caps.rx };
        caps.with_rx(rx)
    }

    fn try_send(&self, frame: TxFrame<'_>, turn: &mut Turn) -> Result<(), SendError> {
        self.inner.try_send(frame, turn)
    }

    fn poll_ready(&self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<()> {
        self.inner.poll_ready(cx, turn)
    }

    fn leave(&self, turn: &mut Turn) {
        self.inner.leave(turn);
    }

    fn close(&self) {
        self.inner.close();
    }

    fn counters(&self) -> DeviceCounters {
        self.inner.counters()
    }
}
