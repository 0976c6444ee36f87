//! The FIFO of senders that wait for a slot of a device.

use std::collections::VecDeque;
use std::sync::PoisonError;
#[cfg(not(netstack_loom))]
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

// The models of tokio-netstack try all orders in which this lock can be taken.
#[cfg(netstack_loom)]
use loom::sync::{Mutex, MutexGuard};

/// A sender's place in the FIFO of a device; each sender owns one per device.
///
/// It starts with no place. A turn that goes away while it has one must be handed to
/// [`TxQueue::leave`](crate::TxQueue::leave), or its slot is lost.
#[derive(Debug, Default)]
pub struct Turn {
    /// 0: no place. Tickets are never used twice.
    ticket: u64,
}

impl Turn {
    /// A turn without a place.
    pub const fn new() -> Self {
        Self { ticket: 0 }
    }

    /// Whether it has a place: it waits, or holds a slot.
    pub const fn has_place(&self) -> bool {
        self.ticket != 0
    }
}

/// The answer of [`Waiters::try_acquire`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Acquire {
    /// The caller has a slot now, to be given back with [`Waiters::release`].
    Slot,
    /// No slot for this turn.
    Full,
    /// The device is closed.
    Closed,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    /// `None`: the sender has left.
    waker: Option<Waker>,
}

#[derive(Debug)]
struct State {
    /// Slots neither in use nor held for a sender. Above 0 only while nobody waits.
    free: usize,
    /// Those who wait, in the order of their tickets. A sender whose ticket is not in here any more,
    /// and who has not left, holds a slot.
    waiting: VecDeque<Waiter>,
    /// Entries of `waiting` whose sender has left.
    holes: usize,
    last_ticket: u64,
    closed: bool,
}

/// The slots of a device's sending queue and the FIFO of those who wait for one.
///
/// A slot that becomes free goes to the sender that waits longest and is held for it, so a sender that
/// comes along later cannot take it away. Every call costs O(log n) at most.
///
/// ```
/// use netstack_device::{Acquire, Turn, Waiters};
///
/// let waiters = Waiters::new(1);
/// let (mut a, mut b) = (Turn::new(), Turn::new());
/// assert_eq!(waiters.try_acquire(&mut a), Acquire::Slot);
/// assert_eq!(waiters.try_acquire(&mut b), Acquire::Full);
/// waiters.release(1);
/// assert_eq!(waiters.try_acquire(&mut b), Acquire::Slot);
/// ```
#[derive(Debug)]
pub struct Waiters {
    state: Mutex<State>,
}

impl Waiters {
    /// `slots` free slots and nobody waiting.
    pub fn new(slots: usize) -> Self {
        Self {
            state: Mutex::new(State {
                free: slots,
                waiting: VecDeque::new(),
                holes: 0,
                last_ticket: 0,
                closed: false,
            }),
        }
    }

    /// Takes a slot: the one held for this turn, or a free one while nobody waits.
    pub fn try_acquire(&self, turn: &mut Turn) -> Acquire {
        let mut state = self.lock();
        if state.closed {
            return Acquire::Closed;
        }
        if turn.has_place() {
            if state.find(turn).is_some() {
                return Acquire::Full;
            }
            turn.ticket = 0;
            return Acquire::Slot;
        }
        if state.free == 0 {
            return Acquire::Full;
        }
        state.free -= 1;
        Acquire::Slot
    }

    /// Gives `slots` slots back and wakes as many senders, longest waiting first.
    pub fn release(&self, slots: usize) {
        if slots == 0 {
            return;
        }
        self.lock().free += slots;
        self.hand_out();
    }

    /// See [`TxQueue::poll_ready`](crate::TxQueue::poll_ready).
    pub fn poll_ready(&self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<()> {
        let mut state = self.lock();
        if state.closed {
            return Poll::Ready(());
        }
        if turn.has_place() {
            let Some(at) = state.find(turn) else {
                return Poll::Ready(());
            };
            // Another task may have taken the sender over since.
            let old = match &mut state.waiting[at].waker {
                Some(waker) if waker.will_wake(cx.waker()) => None,
                waker => waker.replace(cx.waker().clone()),
            };
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        state.last_ticket += 1;
        turn.ticket = state.last_ticket;
        if state.free > 0 {
            state.free -= 1;
            return Poll::Ready(());
        }
        state.waiting.push_back(Waiter { ticket: turn.ticket, waker: Some(cx.waker().clone()) });
        Poll::Pending
    }

    /// See [`TxQueue::leave`](crate::TxQueue::leave).
    pub fn leave(&self, turn: &mut Turn) {
        if !turn.has_place() {
            return;
        }
        let mut state = self.lock();
        if state.closed {
            turn.ticket = 0;
            return;
        }
        let found = state.find(turn);
        turn.ticket = 0;
        if let Some(at) = found {
            let waker = state.waiting[at].waker.take();
            state.holes += 1;
            state.compact();
            drop(state);
            drop(waker);
        } else {
            state.free += 1;
            drop(state);
            self.hand_out();
        }
    }

    /// Closes the queue and wakes everyone.
    pub fn close(&self) {
        let waiting = {
            let mut state = self.lock();
            state.closed = true;
            state.holes = 0;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().filter_map(|w| w.waker).for_each(Waker::wake);
    }

    /// Number of senders that wait and hold no slot yet.
    pub fn waiting(&self) -> usize {
        let state = self.lock();
        state.waiting.len() - state.holes
    }

    /// Gives free slots to those who wait; wakes each outside the lock.
    fn hand_out(&self) {
        loop {
            let next = self.lock().grant();
            match next {
                Some(waker) => waker.wake(),
                None => return,
            }
        }
    }

    /// No caller's code runs under the lock, so a poisoned one still holds a consistent state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Where the turn waits; `None` if it holds a slot.
    fn find(&self, turn: &Turn) -> Option<usize> {
        self.waiting.binary_search_by_key(&turn.ticket, |w| w.ticket).ok()
    }

    fn grant(&mut self) -> Option<Waker> {
        while self.free > 0 {
            let waiter = self.waiting.pop_front()?;
            if waiter.waker.is_some() {
                self.free -= 1;
                return waiter.waker;
            }
            self.holes -= 1;
        }
        None
    }

    /// Keeps those who left from piling up while the device stands still.
    fn compact(&mut self) {
        if self.holes * 2 > self.waiting.len() {
            self.waiting.retain(|w| w.waker.is_some());
            self.holes = 0;
        }
    }
}

#[cfg(test)]
mod tests;
