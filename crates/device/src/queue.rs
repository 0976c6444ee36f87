//! The traits of a device.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::{Capabilities, DeviceCounters, RxBatch, Turn, TxFrame};

/// Why a frame was not sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// No slot is free, or others wait ahead. Keep the frame and wait with [`TxQueue::poll_ready`].
    Full,
    /// The device cannot finish this frame (or no longer can: ask for its capabilities anew). Finish it
    /// with [`segment`](crate::segment) or [`complete_checksum`](crate::complete_checksum) and send
    /// again. The place in the queue is kept.
    Offload,
    /// This frame is gone, and counted; carry on. The place in the queue is given up.
    Lost(io::Error),
    /// The device is gone.
    Closed(io::Error),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the device's queue is full"),
            Self::Offload => f.write_str("the device cannot finish this frame"),
            Self::Lost(e) => write!(f, "frame lost: {e}"),
            Self::Closed(e) => write!(f, "device closed: {e}"),
        }
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Lost(e) | Self::Closed(e) => Some(e),
            Self::Full | Self::Offload => None,
        }
    }
}

/// The receiving half of one queue.
pub trait RxQueue: Send {
    /// Reads frames into `batch` until none is there or the batch is full.
    ///
    /// - `Ready(Ok(()))`: at least one frame was added, or there was progress without a frame; call
    ///   again before sleeping. A batch that is full on entry gives this at once.
    /// - `Pending`: nothing was added; the waker of this call will be woken.
    /// - `Ready(Err(_))`: the device is gone for good. Errors that pass are counted and waited out inside.
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RxBatch) -> Poll<io::Result<()>>;
}

/// The sending half of a device, shared by all its senders.
///
/// Each sender owns a [`Turn`], its place in the device's FIFO of waiters:
///
/// 1. [`try_send`](Self::try_send). On [`SendError::Full`],
/// 2. [`poll_ready`](Self::poll_ready) until it is ready: a slot is now held for this sender.
/// 3. `try_send` again, or [`leave`](Self::leave) if there is no longer anything to send.
///
/// A slot held and not used is a slot that nobody else can use.
pub trait TxQueue: Send + Sync + fmt::Debug {
    /// What the device can do now. Offloads may shrink over time, never grow.
    fn capabilities(&self) -> Capabilities;

    /// Sends one frame, without blocking.
    ///
    /// # Errors
    /// See [`SendError`]. `Full` also while others wait ahead of this turn.
    fn try_send(&self, frame: TxFrame<'_>, turn: &mut Turn) -> Result<(), SendError>;

    /// Joins the FIFO, or refreshes the waker of a place already held. Ready when a slot is held for
    /// this turn, or when the device is closed (which `try_send` then says).
    fn poll_ready(&self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<()>;

    /// Gives the place up, and hands a slot held on to the next. Call it when a sender goes away.
    fn leave(&self, turn: &mut Turn);

    /// The stack lets go of the device, which another takes the place of: whoever waits for a slot is woken, and nothing is
    /// sent any more. A device with a FIFO passes it on to [`Waiters::close`](crate::Waiters::close); by default nothing
    /// happens.
    fn close(&self) {}

    /// What happened so far, in both directions.
    fn counters(&self) -> DeviceCounters;
}

/// The halves of a device: one receiver per queue, and the sender for all.
pub type Halves = (Vec<Box<dyn RxQueue>>, Arc<dyn TxQueue>);

/// A packet device, before it is taken into use.
pub trait Device: Send {
    /// Splits the device into its halves.
    ///
    /// # Errors
    /// What the device needs for this, say memory or a runtime, is not there.
    fn split(self: Box<Self>) -> io::Result<Halves>;
}

impl<D: Device + ?Sized> Device for Box<D> {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        (*self).split()
    }
}

/// The error of a device whose other side is gone.
pub(crate) fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the other side of the device is gone")
}
