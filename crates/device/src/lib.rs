//! Packet devices for a user-space network stack: what frames come in by and go out by.
//!
//! This crate owns the device traits and everything that moves frames: the in-memory [pair](memory), adapters,
//! captures, the Linux TUN device, and the finishing of frames in software for devices that cannot.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod adapter;
mod backoff;
mod capabilities;
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
pub use counters::DeviceCounters;
pub use frame::{HeadBuf, RxBatch, RxFrame, TxFrame};
pub use meta::{Checksum, Gso, GsoKind, Meta};
pub use queue::{Device, Halves, RxQueue, SendError, TxQueue};
pub use segment::{OffloadError, Segments, complete_checksum, segment, segment_received};
pub use waiters::{Acquire, Turn, Waiters};
