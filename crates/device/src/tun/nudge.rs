//! Waking a reader who sleeps while others write.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

/// Writes after which a sleeping reader is worth a look.
const WRITES: u32 = 64;

/// A write runs the kernel's receiving side to its end, so that answers may lie in the device's queue as soon as it returns.
/// Tokio asks epoll for them only between some sixty turns of busy tasks; with long bursts that is milliseconds, in which
/// the queue overflows and ACKs are lost. So a reader who sleeps is woken by those who write, to look for itself.
#[derive(Debug, Default)]
pub(super) struct Nudge {
    sleeps: AtomicBool,
    writes: AtomicU32,
    reader: Mutex<Option<Waker>>,
}

impl Nudge {
    /// The reader found nothing and goes to sleep.
    pub(super) fn sleep(&self, waker: &Waker) {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *reader {
            Some(reader) => reader.clone_from(waker),
            reader => *reader = Some(waker.clone()),
        }
        drop(reader);
        // A write that is missed here or there is made up for by the next ones, and by epoll.
        self.writes.store(0, Relaxed);
        self.sleeps.store(true, Relaxed);
    }

    /// The reader looks into the queue. True if it slept and writers have woken it.
    pub(super) fn awake(&self) -> bool {
        self.sleeps.swap(false, Relaxed) && self.writes.load(Relaxed) >= WRITES
    }

    /// Somebody wrote a frame.
    pub(super) fn written(&self) {
        if self.sleeps.load(Relaxed) && self.writes.fetch_add(1, Relaxed) + 1 == WRITES {
            let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).clone();
            reader.into_iter().for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests;
