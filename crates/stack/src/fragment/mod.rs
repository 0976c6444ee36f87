//! Datagrams in pieces: the identifications of those that are sent, and reassembly of those that are received.
//!
//! Nothing in here does I/O or reads a clock; `ingress/fragment.rs` feeds it, and gives up what has waited too long.

mod ids;
mod pieces;
mod reassembler;

pub(crate) use ids::FragmentIds;
pub(crate) use reassembler::{Expired, Limits, Outcome, Reassembler};

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use netstack_tcp::Instant;

use crate::lane::lock;
use crate::sync::Mutex;

/// The reassembly that the ingress loops of a stack share.
#[derive(Debug)]
pub(crate) struct Fragments {
    reassembler: Mutex<Reassembler>,
    /// When the oldest set expires, in nanoseconds; the largest number if there is none. Read without the lock.
    deadline: AtomicU64,
    /// Whether a task waits for it.
    watched: AtomicBool,
}

impl Fragments {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            reassembler: Mutex::new(Reassembler::new(limits)),
            deadline: AtomicU64::new(u64::MAX),
            watched: AtomicBool::new(false),
        }
    }

    /// Lets `work` have the reassembler.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Reassembler) -> T) -> T {
        let mut reassembler = lock(&self.reassembler);
        let result = work(&mut reassembler);
        let deadline = reassembler.deadline().map_or(u64::MAX, Instant::as_nanos);
        self.deadline.store(deadline, Relaxed);
        result
    }

    /// Whether the caller, who has brought a fragment, is to start a task that waits for the deadline.
    pub(crate) fn watch(&self) -> bool {
        !self.watched.swap(true, Relaxed)
    }

    /// When the task that waits is to look again; `None` if it is to end, as there is nothing left to wait for.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        self.with(|reassembler| {
            let next = reassembler.deadline();
            if next.is_none() {
                // Under the lock: who brings a fragment later starts another.
                self.watched.store(false, Relaxed);
            }
            next
        })
    }

    /// When the oldest set expires.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let nanos = self.deadline.load(Relaxed);
        (nanos != u64::MAX).then(|| Instant::from_duration(std::time::Duration::from_nanos(nanos)))
    }
}
