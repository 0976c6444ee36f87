//! From the first packet to the last: who is running, and who waits for the end.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::Inner;
use crate::error::EndCause;
use crate::lane::{Waiter, Waiters, lock, wait};

/// Tells ingress loops to end. Apart from the stack's shared part, which they hold weakly.
#[derive(Debug, Default)]
pub(crate) struct StopSignal {
    stopped: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
}

impl StopSignal {
    /// Whether the loops are to end; otherwise the task will be woken when they are.
    pub(crate) fn is_raised(&self, cx: &Context<'_>) -> bool {
        if self.stopped.load(Acquire) {
            return true;
        }
        let mut wakers = lock(&self.wakers);
        if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            wakers.push(cx.waker().clone());
        }
        drop(wakers);
        self.stopped.load(Acquire)
    }

    fn raise(&self) {
        self.stopped.store(true, Release);
        for waker in std::mem::take(&mut *lock(&self.wakers)) {
            waker.wake();
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// No new connections; those that there are come to their end.
    Closing,
    Stopped,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    actors: usize,
    waiters: Waiters,
}

/// The phases of a stack's life and the number of its actors.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    state: Mutex<State>,
    signal: Arc<StopSignal>,
}

impl Lifecycle {
    pub(crate) fn new(signal: Arc<StopSignal>) -> Self {
        let state = State { phase: Phase::Running, actors: 0, waiters: Waiters::default() };
        Self { state: Mutex::new(state), signal }
    }

    /// An error unless the stack takes new connections.
    pub(crate) fn check_running(&self) -> io::Result<()> {
        match lock(&self.state).phase {
            Phase::Running => Ok(()),
            Phase::Closing | Phase::Stopped => Err(EndCause::StackStopped.to_io()),
        }
    }

    /// Counts an actor in, if the stack takes new connections.
    pub(crate) fn enter(&self, inner: &Arc<Inner>) -> Option<ActorGuard> {
        let mut state = lock(&self.state);
        if state.phase != Phase::Running {
            return None;
        }
        state.actors += 1;
        Some(ActorGuard(Arc::clone(inner)))
    }

    pub(crate) fn is_stopped(&self) -> bool {
        lock(&self.state).phase == Phase::Stopped
    }

    fn leave(&self) {
        let waiters = {
            let mut state = lock(&self.state);
            state.actors -= 1;
            if state.actors > 0 {
                return;
            }
            state.waiters.take()
        };
        waiters.wake();
    }

    /// Actors that run.
    pub(crate) fn actors(&self) -> usize {
        lock(&self.state).actors
    }

    /// Waits until no actor runs.
    pub(crate) async fn idle(&self) {
        wait(|waiter| self.poll_idle(waiter), |place| self.forget(place)).await;
    }

    fn poll_idle(&self, waiter: &Waiter<'_, '_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if state.actors == 0 {
            return Poll::Ready(());
        }
        state.waiters.register(waiter);
        Poll::Pending
    }

    /// A future does not wait any more.
    fn forget(&self, place: u64) {
        lock(&self.state).waiters.forget(place);
    }

    /// No new connections from here on.
    pub(crate) fn refuse(&self) {
        let mut state = lock(&self.state);
        if state.phase == Phase::Running {
            state.phase = Phase::Closing;
        }
    }

    /// Ends the ingress loops. True for the first call.
    pub(crate) fn stop(&self) -> bool {
        let first = std::mem::replace(&mut lock(&self.state).phase, Phase::Stopped) != Phase::Stopped;
        if first {
            self.signal.raise();
        }
        first
    }
}

/// Counts an actor out when it is dropped.
#[derive(Debug)]
pub(crate) struct ActorGuard(Arc<Inner>);

impl Drop for ActorGuard {
    fn drop(&mut self) {
        self.0.lifecycle.leave();
    }
}
