//! From the first packet to the last: who is running, and who waits for the end.

use std::io;
use std::task::{Context, Poll, Waker};

use crate::error::EndCause;
use crate::lane::{Waiter, Waiters, lock, wait};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};

/// Tells the loops that read a device to end. Apart from the stack's shared part, which they hold weakly.
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

    pub(crate) fn raise(&self) {
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
    /// The last device is gone: everything has ended, until there is a device again.
    Lost,
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
}

impl Lifecycle {
    pub(crate) fn new() -> Self {
        let state = State { phase: Phase::Running, actors: 0, waiters: Waiters::default() };
        Self { state: Mutex::new(state) }
    }

    /// An error unless the stack takes new connections.
    pub(crate) fn check_running(&self) -> io::Result<()> {
        match lock(&self.state).phase {
            Phase::Running => Ok(()),
            Phase::Closing | Phase::Lost | Phase::Stopped => Err(EndCause::StackStopped.to_io()),
        }
    }

    /// Counts an actor in, if the stack takes new connections; [`leave`](Self::leave) counts it out.
    pub(crate) fn enter(&self) -> bool {
        let mut state = lock(&self.state);
        let runs = state.phase == Phase::Running;
        if runs {
            state.actors += 1;
        }
        runs
    }

    pub(crate) fn is_stopped(&self) -> bool {
        matches!(lock(&self.state).phase, Phase::Lost | Phase::Stopped)
    }

    /// Whether the stack was told to end: it never runs again.
    pub(crate) fn is_ending(&self) -> bool {
        matches!(lock(&self.state).phase, Phase::Closing | Phase::Stopped)
    }

    pub(crate) fn leave(&self) {
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
        if matches!(state.phase, Phase::Running | Phase::Lost) {
            state.phase = Phase::Closing;
        }
    }

    /// The last device is gone. True if that ends what there is.
    pub(crate) fn lose(&self) -> bool {
        let mut state = lock(&self.state);
        if state.phase == Phase::Running {
            state.phase = Phase::Lost;
            return true;
        }
        state.phase == Phase::Closing
    }

    /// There is a device again.
    pub(crate) fn revive(&self) {
        let mut state = lock(&self.state);
        if state.phase == Phase::Lost {
            state.phase = Phase::Running;
        }
    }

    /// The end, for good. True for the first call.
    pub(crate) fn stop(&self) -> bool {
        std::mem::replace(&mut lock(&self.state).phase, Phase::Stopped) != Phase::Stopped
    }
}
