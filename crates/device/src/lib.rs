//! Packet devices for a user-space network stack: what frames come in by and go out by.
//!
//! This crate owns the [device traits](Device) and all that moves frames:
//!
//! - [`memory`]: two devices back to back, for tests, examples and benchmarks;
//! - `tun`: the Linux TUN device (feature `tun`, on by default), and `netns`: a private network namespace to use one
//!   in without touching the machine;
//! - [`adapter`]: devices out of any `Stream` + `Sink`, or `AsyncRead` + `AsyncWrite`, of packets;
//! - [`pcapng`]: a capture of what passes a device;
//! - [`segment`] and [`complete_checksum`]: finishing frames in software, for devices and captures that cannot
//!   leave that to anyone else;
//! - [`Coalescing`]: received segments put together in software, for devices without offload;
//! - [`testing`]: what every device must do, as a suite.
//!
//! It knows nothing of connections. Everything but `tun` and `netns` builds on any system.
//!
//! # Frames
//!
//! A [`TxFrame`] is a header buffer with spare room in front and payload as slices of the send buffer, so that a
//! device copies once or not at all. An [`RxFrame`] is one piece, with the time at which it reached the device. Both
//! carry [`Meta`]: whether the checksum is finished, and how a super-segment of up to 64 KiB is to be cut. What may be
//! left unfinished in which direction is in the device's [`Capabilities`].
//!
//! # Sending when there is no room
//!
//! The sending half is shared by all connections (`&self`) and never blocks. When it says [`SendError::Full`] the
//! sender joins a FIFO with its [`Turn`], is woken when a slot is its own, and uses the slot or leaves. So nobody
//! starves and nothing is dropped for want of room.
//!
//! # Errors
//!
//! - What passes (an I/O error, no buffers, link down) loses the frame being sent: [`SendError::Lost`]. On receiving it
//!   is waited out inside the device, with back-off. It is never an error of [`RxQueue::poll_recv`].
//! - What does not pass (end of file, the device is gone) is an error of `poll_recv` and [`SendError::Closed`], and
//!   wakes everyone who waits.
//! - Whatever is lost moves a counter of [`DeviceCounters`].
//!
//! # Writing a device
//!
//! Implement [`RxQueue`] and [`TxQueue`], and [`Device`] to make them of one value. A device with a queue that can be
//! full takes its slots from [`Waiters`], which does the waiting:
//!
//! ```
//! use std::collections::VecDeque;
//! use std::io;
//! use std::sync::{Arc, Mutex};
//! use std::task::{Context, Poll, Waker};
//!
//! use netstack_device::{
//!     Acquire, Capabilities, Device, DeviceCounters, Halves, Meta, RxBatch, RxFrame, RxQueue, SendError, Turn,
//!     TxFrame, TxQueue, Waiters,
//! };
//!
//! /// Gives back what is sent.
//! struct Loopback;
//!
//! #[derive(Debug)]
//! struct Shared {
//!     queue: Mutex<(VecDeque<RxFrame>, Option<Waker>)>,
//!     waiters: Waiters,
//! }
//!
//! struct Rx(Arc<Shared>);
//!
//! #[derive(Debug)]
//! struct Tx(Arc<Shared>);
//!
//! impl Device for Loopback {
//!     fn split(self: Box<Self>) -> io::Result<Halves> {
//!         let shared = Arc::new(Shared { queue: Mutex::default(), waiters: Waiters::new(64) });
//!         Ok((vec![Box::new(Rx(Arc::clone(&shared)))], Arc::new(Tx(shared))))
//!     }
//! }
//!
//! impl RxQueue for Rx {
//!     fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RxBatch) -> Poll<io::Result<()>> {
//!         let mut taken = 0;
//!         while !batch.is_full() {
//!             let mut queue = self.0.queue.lock().expect("no thread panics with the lock held");
//!             let Some(frame) = queue.0.pop_front() else {
//!                 if taken == 0 {
//!                     queue.1 = Some(cx.waker().clone());
//!                     return Poll::Pending;
//!                 }
//!                 break;
//!             };
//!             batch.push(frame);
//!             taken += 1;
//!         }
//!         self.0.waiters.release(taken);
//!         Poll::Ready(Ok(()))
//!     }
//! }
//!
//! impl Drop for Rx {
//!     fn drop(&mut self) {
//!         self.0.waiters.close();
//!     }
//! }
//!
//! impl TxQueue for Tx {
//!     fn capabilities(&self) -> Capabilities {
//!         Capabilities::ip(1500)
//!     }
//!
//!     fn try_send(&self, frame: TxFrame<'_>, turn: &mut Turn) -> Result<(), SendError> {
//!         if !self.capabilities().tx.accept(frame.meta) {
//!             return Err(SendError::Offload);
//!         }
//!         match self.0.waiters.try_acquire(turn) {
//!             Acquire::Slot => {}
//!             Acquire::Full => return Err(SendError::Full),
//!             Acquire::Closed => return Err(SendError::Closed(io::ErrorKind::UnexpectedEof.into())),
//!         }
//!         let frame = RxFrame { data: frame.to_bytes(), meta: Meta::default(), at: tokio::time::Instant::now() };
//!         let mut queue = self.0.queue.lock().expect("no thread panics with the lock held");
//!         queue.0.push_back(frame);
//!         let reader = queue.1.take();
//!         drop(queue);
//!         reader.into_iter().for_each(Waker::wake);
//!         Ok(())
//!     }
//!
//!     fn poll_ready(&self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<()> {
//!         self.0.waiters.poll_ready(cx, turn)
//!     }
//!
//!     fn leave(&self, turn: &mut Turn) {
//!         self.0.waiters.leave(turn);
//!     }
//!
//!     fn close(&self) {
//!         self.0.waiters.close();
//!     }
//!
//!     fn counters(&self) -> DeviceCounters {
//!         DeviceCounters::default() // count, in a real one
//!     }
//! }
//!
//! let (queues, _tx) = Box::new(Loopback).split()?;
//! assert_eq!(queues.len(), 1);
//! # Ok::<(), io::Error>(())
//! ```
//!
//! Then run [`testing::conformance`] over a pair of them.

pub mod adapter;
mod backoff;
mod capabilities;
mod coalesce;
mod counters;
mod frame;
pub mod memory;
mod meta;
#[cfg(all(target_os = "linux", feature = "tun"))]
pub mod netns;
pub mod pcapng;
mod queue;
mod segment;
pub mod testing;
#[cfg(all(target_os = "linux", feature = "tun"))]
pub mod tun;
mod waiters;

pub use capabilities::{Capabilities, Medium, Offloads};
pub use coalesce::Coalescing;
pub use counters::DeviceCounters;
pub use frame::{HeadBuf, RxBatch, RxFrame, TxFrame};
pub use meta::{Checksum, Gso, GsoKind, Meta};
pub use queue::{Device, Halves, RxQueue, SendError, TxQueue};
pub use segment::{OffloadError, Segments, complete_checksum, segment, segment_received};
pub use waiters::{Acquire, Turn, Waiters};
