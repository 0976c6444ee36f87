//! A capture of all that passes a device, for Wireshark.
//!
//! [`Tee`] wraps a device and writes each frame, in both directions, to a pcapng file: raw IP, nanosecond
//! timestamps, direction flags. A frame that arrives or leaves unfinished is finished first, by the same
//! [`segment`](crate::segment) that finishes frames for devices, so that the capture shows valid packets of the
//! wire's size.
//!
//! The file is written by a thread of its own. What it has not written yet is bounded at 16 MiB; beyond that
//! frames are not recorded. An error of the writer ends the capture, with one warning. Frames not recorded are
//! counted in [`DeviceCounters::capture_lost`]; the traffic itself is never held up.
//!
//! Packets stand in the file in the order in which they were read and sent. One that waited in the device before it was
//! read carries the earlier time of its arrival; `reordercap` sorts such a file by time.
//!
//! The file is complete once the device and its halves are dropped: the last of them waits for the thread, for
//! at most five seconds.

mod recorder;

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;

use crate::queue::Halves;
use crate::{Capabilities, Device, DeviceCounters, RxBatch, RxQueue, SendError, Turn, TxFrame, TxQueue};
use recorder::{Direction, Frame, Recorder};

/// A device that captures what passes through it.
///
/// ```
/// use netstack_device::memory::pair;
/// use netstack_device::pcapng::Tee;
/// use netstack_device::Capabilities;
///
/// # fn main() -> std::io::Result<()> {
/// let (device, _peer) = pair(Capabilities::ip(1500), Capabilities::ip(1500));
/// let captured = Tee::new(device, "memory0", std::io::sink())?; // or a `File`
/// # drop(captured);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Tee<D> {
    device: D,
    recorder: Arc<Recorder>,
}

impl<D: Device> Tee<D> {
    /// Captures `device` to `writer`. `name` is what the capture calls the interface.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn new(device: D, name: &str, writer: impl Write + Send + 'static) -> io::Result<Self> {
        Ok(Self { device, recorder: Arc::new(Recorder::start(name, writer)?) })
    }
}

impl<D: Device> Device for Tee<D> {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        let (queues, tx) = Box::new(self.device).split()?;
        let queues = queues.into_iter().map(|inner| {
            let recorder = Arc::clone(&self.recorder);
            Box::new(TeeRx { inner, recorder }) as Box<dyn RxQueue>
        });
        Ok((queues.collect(), Arc::new(TeeTx { inner: tx, recorder: Arc::clone(&self.recorder) })))
    }
}

struct TeeRx {
    inner: Box<dyn RxQueue>,
    recorder: Arc<Recorder>,
}

impl RxQueue for TeeRx {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RxBatch) -> Poll<io::Result<()>> {
        let before = batch.len();
        let polled = self.inner.poll_recv(cx, batch);
        if self.recorder.is_on() {
            for frame in &batch.frames()[before..] {
                self.recorder.record(Frame::received(frame));
            }
        } else {
            self.recorder.skip(batch.len() - before);
        }
        polled
    }
}

struct TeeTx {
    inner: Arc<dyn TxQueue>,
    recorder: Arc<Recorder>,
}

impl fmt::Debug for TeeTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TeeTx").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl TxQueue for TeeTx {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn try_send(&self, frame: TxFrame<'_>, turn: &mut Turn) -> Result<(), SendError> {
        // The device may write its own header in front, so the frame is taken down before.
        let record = self.recorder.is_on().then(|| Frame {
            head: frame.head.as_slice().to_vec(),
            payload: frame.payload.to_vec(),
            meta: frame.meta,
            at: Instant::now(),
            direction: Direction::Out,
        });
        self.inner.try_send(frame, turn)?;
        match record {
            Some(record) => self.recorder.record(record),
            None => self.recorder.skip(1),
        }
        Ok(())
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
        let mut counters = self.inner.counters();
        counters.capture_lost += self.recorder.lost();
        counters
    }
}

#[cfg(test)]
mod tests;
