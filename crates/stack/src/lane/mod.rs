//! The two byte buffers between a connection's actor and its socket, one per direction.
//!
//! A lane is a queue of pieces under a short `std::sync::Mutex`, held while pointers move: never while bytes are
//! copied, never over protocol code, I/O or an `.await`. A waker is taken out, the lock is let go, then the waker is
//! called. Signals travel on edges only: the first byte into an empty lane, a window worth announcing, an end.

mod blocks;
mod recv;
mod send;
#[cfg(test)]
mod tests;

pub(crate) use recv::{Read, RecvSide};
pub(crate) use send::{Phase, Room, SendSide, Write};

use std::future::poll_fn;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use crate::sync::{Mutex, MutexGuard};

/// Locks `mutex`. No code of ours can panic while it holds one of these locks, so a poisoned lock still guards
/// consistent data.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who asks: the one task behind `poll_*`, one of the futures over a shared reference, or nobody who would wait.
#[derive(Debug)]
pub(crate) enum Waiter<'a, 'b> {
    /// `AsyncRead`, `AsyncWrite` and their like: the newest caller replaces the one before.
    Poll(&'a mut Context<'b>),
    /// A future made by [`wait`], with its place.
    Shared(&'a mut Context<'b>, u64),
    /// A `try_*` call.
    None,
}

/// Tasks that wait for one kind of edge.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    slot: Option<Waker>,
    /// Boxed, for most connections never have one.
    shared: Option<Box<Places>>,
}

/// Futures that wait, each with its place.
#[derive(Debug, Default)]
struct Places(Vec<(u64, Waker)>);

impl Waiters {
    /// Stores the newest waker of `waiter`.
    pub(crate) fn register(&mut self, waiter: &Waiter<'_, '_>) {
        match waiter {
            Waiter::Poll(cx) => match &mut self.slot {
                Some(waker) => waker.clone_from(cx.waker()),
                slot => *slot = Some(cx.waker().clone()),
            },
            Waiter::Shared(cx, place) => {
                let places = &mut self.shared.get_or_insert_default().0;
                match places.iter_mut().find(|(other, _)| other == place) {
                    Some((_, waker)) => waker.clone_from(cx.waker()),
                    None => places.push((*place, cx.waker().clone())),
                }
            }
            Waiter::None => {}
        }
    }

    /// A future does not wait any more.
    pub(crate) fn forget(&mut self, place: u64) {
        if let Some(places) = &mut self.shared {
            places.0.retain(|(other, _)| *other != place);
        }
        self.shared.take_if(|places| places.0.is_empty());
    }

    /// Takes everyone out, to be woken after the lock is let go.
    #[must_use]
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slot.is_none() && self.shared.is_none()
    }

    /// Wakes everyone.
    pub(crate) fn wake(self) {
        if let Some(waker) = self.slot {
            waker.wake();
        }
        for (_, waker) in self.shared.map(|places| places.0).into_iter().flatten() {
            waker.wake();
        }
    }
}

/// Waits until `poll` is ready, with a place of its own among the waiters. `forget` gives the place up: a future that is
/// dropped while it waits leaves nothing behind.
pub(crate) async fn wait<T>(mut poll: impl FnMut(&Waiter<'_, '_>) -> Poll<T>, forget: impl Fn(u64)) -> T {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut place = Place { number: NEXT.fetch_add(1, Relaxed), waits: false, forget };
    poll_fn(|cx| {
        let polled = poll(&Waiter::Shared(cx, place.number));
        place.waits |= polled.is_pending();
        polled
    })
    .await
}

struct Place<F: Fn(u64)> {
    number: u64,
    waits: bool,
    forget: F,
}

impl<F: Fn(u64)> Drop for Place<F> {
    fn drop(&mut self) {
        if self.waits {
            (self.forget)(self.number);
        }
    }
}
