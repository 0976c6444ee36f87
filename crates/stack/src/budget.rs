//! The byte budget: what all buffers of a stack may hold together.
//!
//! One atomic counter, charged in units of 4 KiB: a charge per buffer covers what it holds, and only what
//! passes a unit touches the counter. As the budget fills, ever more is asked for: windows open less, writers wait, windows
//! stop opening, what came out of order is given up, new connections are refused. What a peer was promised room for is
//! still taken, up to twice the budget; past that it is dropped unacknowledged, and the peer sends it again. Throughout,
//! each connection may hold [`LEAST`] bytes each way, so that each comes forward.
//!
//! A window is a promise, and stays one when the budget fills up. So a connection begins with a small one, out of a pool
//! that is never larger than the budget, and earns more as its reader takes data: many connections that nobody reads cannot
//! fill more than was left.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use crate::lane::{Waiter, Waiters, lock};

/// Bytes that are charged together.
const UNIT: usize = 4096;

/// What a connection may hold in each direction, however little is left.
pub(crate) const LEAST: usize = 4096;

/// Bytes that one woken writer is expected to take.
const PORTION: usize = 64 * 1024;

/// The window that a connection begins with, if the pool allows it.
const FIRST_WINDOW: usize = 64 * 1024;

/// The default: far more than ordinary use takes, less than a server's memory.
pub(crate) const DEFAULT: usize = 1 << 30;

/// A place in the queue of lanes whose writers wait for bytes to come free.
pub(crate) type Ticket = NonZeroU64;

/// What a lane may take from its writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) bytes: usize,
    /// The lane's turn has come; else these are bytes that it may always have, and it keeps its place.
    pub(crate) in_turn: bool,
}

/// What has changed about the budget since somebody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Writers wait from here on.
    Pressed,
    /// What came out of order is to be given up.
    Strained,
    /// Half of the budget is free.
    Relieved,
}

/// The first window of a connection, which counts in the pool of those until more is earned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Promise {
    #[default]
    None,
    Made(u32),
    Earned,
}

/// The budget of one stack.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
    /// First windows of connections whose readers have not earned more.
    promised: AtomicUsize,
    pressed: AtomicBool,
    strained: AtomicBool,
    /// Lanes in `queue`, to be read without its lock.
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
}

/// Lanes whose writers wait, the longest first.
#[derive(Debug, Default)]
struct Queue {
    last: u64,
    lanes: BTreeMap<Ticket, Waiters>,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
            promised: AtomicUsize::new(0),
            pressed: AtomicBool::new(false),
            strained: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            queue: Mutex::default(),
        }
    }

    /// Bytes charged.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// Where writers have to wait.
    fn write_limit(&self) -> usize {
        self.limit - self.limit / 4
    }

    /// Where windows stop opening.
    fn window_limit(&self) -> usize {
        self.limit - self.limit / 8
    }

    /// Where what came out of order is given up.
    fn order_limit(&self) -> usize {
        self.limit - self.limit / 16
    }

    /// Whether new connections are refused.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.used() >= self.limit.max(1)
    }

    /// Whether even what was promised room is not taken any more.
    pub(crate) fn is_overrun(&self) -> bool {
        self.used() >= self.limit.saturating_mul(2).max(1)
    }

    /// What a connection may buffer for its reader, which has read `earned` bytes so far: a share of what is left. 0 says that
    /// nothing is to be held out of order either.
    pub(crate) fn window(&self, promise: &mut Promise, earned: u64) -> usize {
        let used = self.used();
        if used >= self.order_limit() {
            0
        } else if used >= self.window_limit() {
            LEAST
        } else {
            // As fast as a sender in slow start may double its flight.
            let earned = usize::try_from(earned.saturating_mul(2)).unwrap_or(usize::MAX);
            let promised = self.promise(promise, earned);
            earned.max(promised).min((self.limit - used) / 4).max(LEAST)
        }
    }

    /// The first window of a connection that has earned another of `earned` bytes.
    fn promise(&self, promise: &mut Promise, earned: usize) -> usize {
        match *promise {
            Promise::None => {
                let pool = self.limit.saturating_sub(self.promised.load(Relaxed));
                let first = FIRST_WINDOW.min(pool / 8);
                self.promised.fetch_add(first, Relaxed);
                *promise = Promise::Made(first as u32);
                first
            }
            Promise::Made(first) if earned >= first as usize => {
                self.release(promise);
                first as usize
            }
            Promise::Made(first) => first as usize,
            Promise::Earned => 0,
        }
    }

    /// The connection has earned its window, or has ended.
    pub(crate) fn release(&self, promise: &mut Promise) {
        if let Promise::Made(first) = std::mem::replace(promise, Promise::Earned) {
            self.promised.fetch_sub(first as usize, Relaxed);
        }
    }

    /// What became different since the last call, by any caller.
    pub(crate) fn change(&self) -> Option<Change> {
        let used = self.used();
        if used > 0
            && used >= self.write_limit()
            && !self.pressed.load(Relaxed)
            && !self.pressed.swap(true, Relaxed)
        {
            return Some(Change::Pressed);
        }
        if used > 0
            && used >= self.order_limit()
            && !self.strained.load(Relaxed)
            && !self.strained.swap(true, Relaxed)
        {
            return Some(Change::Strained);
        }
        if used < self.limit.div_ceil(2) && self.pressed.load(Relaxed) && self.pressed.swap(false, Relaxed) {
            self.strained.store(false, Relaxed);
            return Some(Change::Relieved);
        }
        None
    }

    /// Gives a surplus back, and wakes writers for it.
    pub(crate) fn give(&self, surplus: Surplus) {
        if surplus.0 > 0 {
            self.used.fetch_sub(surplus.0, SeqCst);
            self.wake_writers();
        }
    }

    // ---- Writers ----

    /// What a lane that holds `held` bytes may take from its writer now. It goes before nobody who has waited longer.
    pub(crate) fn may_write(&self, held: usize, ticket: Option<Ticket>) -> Allowance {
        let free = self.write_limit().saturating_sub(self.used.load(SeqCst));
        let least = LEAST.saturating_sub(held);
        if free >= UNIT && self.is_next(ticket) {
            Allowance { bytes: free.max(least), in_turn: true }
        } else {
            Allowance { bytes: least, in_turn: false }
        }
    }

    /// Whether nobody in the queue has waited longer than the lane of this ticket.
    fn is_next(&self, ticket: Option<Ticket>) -> bool {
        if self.waiting.load(SeqCst) == 0 {
            return true;
        }
        let queue = lock(&self.queue);
        queue.lanes.keys().next().is_none_or(|first| ticket.is_some_and(|ticket| ticket <= *first))
    }

    /// Puts a waiter of a lane into the queue, at the place of its ticket if it has one. Whoever calls this has to try again
    /// afterwards: what came free before woke nobody.
    pub(crate) fn wait(&self, ticket: Option<Ticket>, waiter: &Waiter<'_, '_>) -> Ticket {
        let mut queue = lock(&self.queue);
        let ticket = ticket.unwrap_or_else(|| {
            queue.last += 1;
            Ticket::new(queue.last).unwrap_or(Ticket::MAX)
        });
        queue.lanes.entry(ticket).or_default().register(waiter);
        self.waiting.store(queue.lanes.len(), SeqCst);
        ticket
    }

    /// The lane of `ticket` waits no longer.
    pub(crate) fn leave(&self, ticket: Ticket) {
        let mut queue = lock(&self.queue);
        queue.lanes.remove(&ticket);
        self.waiting.store(queue.lanes.len(), SeqCst);
    }

    /// One future of the lane of `ticket` waits no longer.
    pub(crate) fn forget(&self, ticket: Ticket, place: u64) {
        let mut queue = lock(&self.queue);
        if let Some(waiters) = queue.lanes.get_mut(&ticket) {
            waiters.forget(place);
            if waiters.is_empty() {
                queue.lanes.remove(&ticket);
            }
        }
        self.waiting.store(queue.lanes.len(), SeqCst);
    }

    /// Wakes as many of those who wait as there is room for, the longest waiting first. To be called with no lock held.
    pub(crate) fn wake_writers(&self) {
        if self.waiting.load(SeqCst) == 0 {
            return;
        }
        let free = self.write_limit().saturating_sub(self.used.load(SeqCst));
        if free < UNIT {
            return;
        }
        let mut woken = Vec::new();
        {
            let mut queue = lock(&self.queue);
            for _ in 0..=free / PORTION {
                let Some((_, waiters)) = queue.lanes.pop_first() else { break };
                woken.push(waiters);
            }
            self.waiting.store(queue.lanes.len(), SeqCst);
        }
        for waiters in woken {
            waiters.wake();
        }
    }
}

/// What one buffer is charged with, in units.
#[derive(Debug, Default)]
pub(crate) struct Charge(u32);

/// Bytes that a buffer holds no more, and that are charged still.
#[derive(Debug)]
#[must_use = "bytes that are not given back are lost to the budget"]
pub(crate) struct Surplus(usize);

impl Charge {
    /// The buffer now takes `bytes` of memory. What is too much is to be [given back](Budget::give) once the buffer's lock is
    /// let go, for that wakes others.
    pub(crate) fn set(&mut self, bytes: usize, budget: &Budget) -> Surplus {
        let old = self.0;
        self.0 = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        if self.0 > old {
            budget.used.fetch_add((self.0 - old) as usize * UNIT, SeqCst);
        }
        Surplus(old.saturating_sub(self.0) as usize * UNIT)
    }
}

/// The charge of a buffer that is shared, with its budget. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Account {
    budget: Arc<Budget>,
    /// Written under the lock of the buffer only.
    units: AtomicU32,
}

impl Account {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), units: AtomicU32::new(0) }
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// As [`Charge::set`]; the caller holds the lock of the buffer.
    pub(crate) fn set(&self, bytes: usize) -> Surplus {
        let mut charge = Charge(self.units.load(Relaxed));
        let surplus = charge.set(bytes, &self.budget);
        self.units.store(charge.0, Relaxed);
        surplus
    }

    /// As [`Budget::give`].
    pub(crate) fn give(&self, surplus: Surplus) {
        self.budget.give(surplus);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let surplus = self.set(0);
        self.give(surplus);
    }
}

#[cfg(test)]
mod tests;
