//! The two byte buffers between a connection's actor and its socket, one per direction.
//!
//! A lane is a queue of pieces under a short `std::sync::Mutex`, held while pointers move: never while bytes are
//! copied, never over protocol code, I/O or an `.await`. A waker is taken out, the lock is let go, then the waker is
//! called. Signals travel on edges only: the first byte into an empty lane, a window worth announcing, an end.

mod recv;
mod send;
#[cfg(test)]
mod tests;

pub(crate) use recv::{Read, RecvSide};
pub(crate) use send::{Phase, Room, SendSide, Write};

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// Locks `mutex`. No code of ours can panic while it holds one of these locks, so a poisoned lock still guards
/// consistent data.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who asks: the one task behind `poll_*`, any of those behind `&self` futures, or nobody who would wait.
#[derive(Debug)]
pub(crate) enum Waiter<'a, 'b> {
    /// `AsyncRead`, `AsyncWrite` and their like: the newest caller replaces the one before.
    Poll(&'a mut Context<'b>),
    /// A future over a shared reference, of which there may be many.
    Shared(&'a mut Context<'b>),
    /// A `try_*` call.
    None,
}

/// Tasks that wait for one kind of edge.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    slot: Option<Waker>,
    shared: Vec<Waker>,
}

impl Waiters {
    /// Stores the newest waker of `waiter`.
    pub(crate) fn register(&mut self, waiter: &Waiter<'_, '_>) {
        match waiter {
            Waiter::Poll(cx) => match &mut self.slot {
                Some(waker) => waker.clone_from(cx.waker()),
                slot => *slot = Some(cx.waker().clone()),
            },
            Waiter::Shared(cx) => {
                if !self.shared.iter().any(|waker| waker.will_wake(cx.waker())) {
                    self.shared.push(cx.waker().clone());
                }
            }
            Waiter::None => {}
        }
    }

    /// Takes everyone out, to be woken after the lock is let go.
    #[must_use]
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slot.is_none() && self.shared.is_empty()
    }

    /// Wakes everyone.
    pub(crate) fn wake(self) {
        if let Some(waker) = self.slot {
            waker.wake();
        }
        for waker in self.shared {
            waker.wake();
        }
    }
}
