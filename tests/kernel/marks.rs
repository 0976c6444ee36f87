//! A device that marks data on its way to the kernel, as a congested router does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};

use netstack_device::{Capabilities, Device, DeviceCounters, Halves, SendError, Turn, TxFrame, TxQueue};

/// Where an IPv6 header has the ECN field, and what it says (RFC 3168 5).
const FIELD: usize = 1;
const CE: u8 = 0x30;
const ECT_0: u8 = 0x20;

/// What a [`Marked`] device does, and what it saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Every so many frames one is marked; none for 0.
    every: AtomicU32,
    frames: AtomicU32,
    answers: AtomicU32,
}

impl Marks {
    /// Marks one frame with data over IPv6 in `frames` from now on, and none for 0.
    pub(crate) fn every(&self, frames: u32) {
        self.0.every.store(frames, Relaxed);
    }

    /// Super-segments with CWR that the kernel was asked to cut, and took.
    pub(crate) fn answers(&self) -> u32 {
        self.0.answers.load(Relaxed)
    }

    fn is_due(&self) -> bool {
        let every = self.0.every.load(Relaxed);
        every > 0 && self.0.frames.fetch_add(1, Relaxed).is_multiple_of(every)
    }
}

/// A device with [`Marks`].
pub(crate) struct Marked<D> {
    pub(crate) device: D,
    pub(crate) marks: Marks,
}

impl<D: Device> Device for Marked<D> {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        let Self { device, marks } = *self;
        let (receivers, sender) = Box::new(device).split()?;
        Ok((receivers, Arc::new(MarkedQueue { queue: sender, marks })))
    }
}

#[derive(Debug)]
struct MarkedQueue {
    queue: Arc<dyn TxQueue>,
    marks: Marks,
}

impl TxQueue for MarkedQueue {
    fn capabilities(&self) -> Capabilities {
        self.queue.capabilities()
    }

    fn try_send(&self, frame: TxFrame<'_>, turn: &mut Turn) -> Result<(), SendError> {
        let header = frame.head.as_mut_slice();
        let capable = header[0] >> 4 == 6 && header[FIELD] & CE == ECT_0;
        if capable && !frame.payload.is_empty() && self.marks.is_due() {
            header[FIELD] |= CE;
        }
        let answers = frame.meta.gso.is_some_and(|gso| gso.ecn);
        self.queue.try_send(frame, turn)?;
        if answers {
            self.marks.0.answers.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn poll_ready(&self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<()> {
        self.queue.poll_ready(cx, turn)
    }

    fn leave(&self, turn: &mut Turn) {
        self.queue.leave(turn);
    }

    fn close(&self) {
        self.queue.close();
    }

    fn counters(&self) -> DeviceCounters {
        self.queue.counters()
    }
}
