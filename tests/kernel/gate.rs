//! A device whose receiving half can be held shut for a while, so that segments cross on the wire.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use netstack_device::{Device, Halves, RxBatch, RxQueue};

/// Opens and shuts a [`Gated`] device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    shut: bool,
    waiting: Vec<Waker>,
}

impl Gate {
    /// Frames that arrive from now on wait in the device.
    pub(crate) fn shut(&self) {
        self.lock().shut = true;
    }

    /// Lets the frames that waited come in.
    pub(crate) fn open(&self) {
        let mut inner = self.lock();
        inner.shut = false;
        let waiting = std::mem::take(&mut inner.waiting);
        drop(inner);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn holds(&self, cx: &Context<'_>) -> bool {
        let mut inner = self.lock();
        if inner.shut {
            inner.waiting.push(cx.waker().clone());
        }
        inner.shut
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A device behind a [`Gate`].
pub(crate) struct Gated<D> {
    pub(crate) device: D,
    pub(crate) gate: Gate,
}

impl<D: Device> Device for Gated<D> {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        let Self { device, gate } = *self;
        let (receivers, sender) = Box::new(device).split()?;
        let gated = |queue| Box::new(GatedQueue { queue, gate: gate.clone() }) as Box<dyn RxQueue>;
        Ok((receivers.into_iter().map(gated).collect(), sender))
    }
}

struct GatedQueue {
    queue: Box<dyn RxQueue>,
    gate: Gate,
}

impl RxQueue for GatedQueue {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RxBatch) -> Poll<io::Result<()>> {
        if self.gate.holds(cx) { Poll::Pending } else { self.queue.poll_recv(cx, batch) }
    }
}
