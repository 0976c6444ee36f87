//! Datagrams in pieces: the identifications of those that are sent, and reassembly of those that are received.
//!
//! Nothing in here does I/O or reads a clock; `ingress/fragment.rs` feeds it.

mod ids;
mod pieces;
mod reassembler;

pub(crate) use ids::FragmentIds;
pub(crate) use reassembler::{Expired, Limits, Outcome, Reassembler};

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use netstack_tcp::Instant;

use crate::lane::lock;

/// The reassembly that the ingress loops of a stack share.
#[derive(Debug)]
pub(crate) struct Fragments {
    reassembler: Mutex<Reassembler>,
    /// When the oldest set expires, in nanoseconds; the largest number if there is none. Read without the lock.
    deadline: AtomicU64,
}

impl Fragments {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { reassembler: Mutex::new(Reassembler::new(limits)), deadline: AtomicU64::new(u64::MAX) }
    }

    /// Lets `work` have the reassembler.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Reassembler) -> T) -> T {
        let mut reassembler = lock(&self.reassembler);
        let result = work(&mut reassembler);
        let deadline = reassembler.deadline().map_or(u64::MAX, Instant::as_nanos);
        self.deadline.store(deadline, Relaxed);
        result
    }

    /// When the oldest set expires.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let nanos = self.deadline.load(Relaxed);
        (nanos != u64::MAX).then(|| Instant::from_duration(std::time::Duration::from_nanos(nanos)))
    }
}
