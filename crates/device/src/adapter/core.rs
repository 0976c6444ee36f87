//! What the adapters have in common: the queue in front of a `&mut` writer, and the half that drives both.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::time::Instant;

use super::is_fatal;
use crate::backoff::Backoff;
use crate::counters::Counters;
use crate::queue::{Halves, gone};
use crate::{
    Acquire, Capabilities, DeviceCounters, Meta, RxBatch, RxFrame, RxQueue, SendError, Turn, TxFrame,
    TxQueue, Waiters,
};

/// Frames written per call, so that reading gets its turn.
const WRITES_PER_CALL: usize = 64;

/// One packet at a time, both ways.
pub(super) trait PacketIo: Send {
    /// The next packet. An end is an error of kind `UnexpectedEof`.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>>;

    /// Writes a packet whole. On `Pending` it is offered again.
    fn poll_write(&mut self, cx: &mut Context<'_>, packet: &Bytes) -> Poll<io::Result<()>>;

    /// Pushes out what the writer holds.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

pub(super) fn split(io: impl PacketIo + 'static, mtu: usize, depth: usize) -> Halves {
    let outgoing = Arc::new(Outgoing {
        queue: Mutex::default(),
        waiters: Waiters::new(depth.max(1)),
        counters: Counters::default(),
        caps: Capabilities::ip(mtu),
    });
    let rx = AdapterRx {
        io,
        outgoing: Arc::clone(&outgoing),
        writing: None,
        unflushed: false,
        backoff: Backoff::default(),
        ended: None,
    };
    (vec![Box::new(rx)], Arc::new(AdapterTx(outgoing)))
}

/// Frames on their way to the writer.
struct Outgoing {
    queue: Mutex<Queue>,
    waiters: Waiters,
    counters: Counters,
    caps: Capabilities,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    driver: Option<Waker>,
    closed: bool,
}

impl Outgoing {
    /// No caller's code runs under the lock.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let left = {
            let mut queue = self.lock();
            queue.closed = true;
            std::mem::take(&mut queue.frames)
        };
        Counters::add(&self.counters.tx_lost, left.len());
        self.waiters.close();
    }
}

struct AdapterTx(Arc<Outgoing>);

impl fmt::Debug for AdapterTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdapterTx").field("caps", &self.0.caps).finish_non_exhaustive()
    }
}

impl TxQueue for AdapterTx {
    fn capabilities(&self) -> Capabilities {
        self.0.caps.clone()
    }

    fn try_send(&self, frame: TxFrame<'_>, turn: &mut Turn) -> Result<(), SendError> {
        let Outgoing { waiters, counters, caps, .. } = &*self.0;
        if !caps.tx.accept(frame.meta) {
            Counters::add(&counters.tx_offload_refused, 1);
            return Err(SendError::Offload);
        }
        if let Err(e) = frame.check(caps) {
            Counters::add(&counters.tx_lost, 1);
            waiters.leave(turn);
            return Err(SendError::Lost(e));
        }
        match waiters.try_acquire(turn) {
            Acquire::Slot => {}
            Acquire::Full => {
                Counters::add(&counters.tx_full, 1);
                return Err(SendError::Full);
            }
            Acquire::Closed => return Err(SendError::Closed(gone())),
        }
        let data = frame.to_bytes();
        let driver = {
            let mut queue = self.0.lock();
            if queue.closed {
                return Err(SendError::Closed(gone()));
            }
            queue.frames.push_back(data);
            queue.driver.take()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
        Ok(())
    }

    fn poll_ready(&self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<()> {
        self.0.waiters.poll_ready(cx, turn)
    }

    fn leave(&self, turn: &mut Turn) {
        self.0.waiters.leave(turn);
    }

    fn close(&self) {
        self.0.waiters.close();
    }

    fn counters(&self) -> DeviceCounters {
        self.0.counters.snapshot()
    }
}

struct AdapterRx<I> {
    io: I,
    outgoing: Arc<Outgoing>,
    /// A packet that the writer has not taken yet.
    writing: Option<Bytes>,
    unflushed: bool,
    backoff: Backoff,
    ended: Option<io::Error>,
}

impl<I: PacketIo> RxQueue for AdapterRx<I> {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RxBatch) -> Poll<io::Result<()>> {
        if let Some(error) = self.ended.take() {
            return Poll::Ready(Err(error));
        }
        let before = batch.len();
        let more = match self.drive_out(cx) {
            Ok(more) => more,
            Err(error) => return Poll::Ready(Err(self.end(error))),
        };
        while !batch.is_full() {
            match self.read(cx) {
                Poll::Ready(Ok(frame)) => batch.push(frame),
                Poll::Ready(Err(error)) => {
                    let error = self.end(error);
                    if batch.len() == before {
                        return Poll::Ready(Err(error));
                    }
                    self.ended = Some(error);
                    break;
                }
                Poll::Pending if batch.len() == before && !more => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: PacketIo> AdapterRx<I> {
    /// The next frame that is not one to throw away. An error is a fatal one.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<RxFrame>> {
        let Outgoing { counters, caps, .. } = &*self.outgoing;
        loop {
            std::task::ready!(self.backoff.poll(cx));
            match std::task::ready!(self.io.poll_read(cx)) {
                Ok(data) if data.is_empty() || data.len() > caps.max_frame => {
                    Counters::add(&counters.rx_dropped, 1);
                }
                Ok(data) => {
                    self.backoff.reset();
                    counters.received(data.len(), Meta::default());
                    return Poll::Ready(Ok(RxFrame { data, meta: Meta::default(), at: Instant::now() }));
                }
                Err(error) if is_fatal(&error) => return Poll::Ready(Err(error)),
                Err(error) => {
                    Counters::add(&counters.rx_errors, 1);
                    tracing::debug!(%error, "reading from the device failed; trying again");
                    self.backoff.error();
                }
            }
        }
    }

    /// Writes what is queued; whether there is more that could be written at once. An error is a fatal one.
    fn drive_out(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        for _ in 0..WRITES_PER_CALL {
            let Some(packet) = self.next_to_write(cx) else {
                return self.flush(cx).map(|()| false);
            };
            match self.io.poll_write(cx, &packet) {
                Poll::Ready(Ok(())) => {
                    self.unflushed = true;
                    self.outgoing.counters.sent(packet.len(), Meta::default());
                }
                Poll::Ready(Err(error)) => {
                    Counters::add(&self.outgoing.counters.tx_lost, 1);
                    if is_fatal(&error) {
                        return Err(error);
                    }
                    tracing::debug!(%error, "writing to the device failed; the frame is lost");
                }
                Poll::Pending => {
                    self.writing = Some(packet);
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn next_to_write(&mut self, cx: &mut Context<'_>) -> Option<Bytes> {
        if let Some(packet) = self.writing.take() {
            return Some(packet);
        }
        let (packet, old) = {
            let mut queue = self.outgoing.lock();
            let packet = queue.frames.pop_front();
            let old = match packet {
                None => queue.driver.replace(cx.waker().clone()),
                Some(_) => None,
            };
            (packet, old)
        };
        drop(old);
        if packet.is_some() {
            self.outgoing.waiters.release(1);
        }
        packet
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.unflushed
            && let Poll::Ready(flushed) = self.io.poll_flush(cx)
        {
            self.unflushed = false;
            match flushed {
                Err(error) if is_fatal(&error) => return Err(error),
                Err(error) => {
                    Counters::add(&self.outgoing.counters.tx_lost, 1);
                    tracing::debug!(%error, "flushing the device failed");
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn end(&self, error: io::Error) -> io::Error {
        self.outgoing.close();
        error
    }
}

impl<I> Drop for AdapterRx<I> {
    fn drop(&mut self) {
        if self.writing.is_some() {
            Counters::add(&self.outgoing.counters.tx_lost, 1);
        }
        self.outgoing.close();
    }
}
