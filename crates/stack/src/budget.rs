//! The byte budget: what all buffers of a stack may hold together.
//!
//! One atomic counter, charged in units of 4 KiB: a charge per buffer covers what it holds, and only what
//! passes a unit touches the counter. As the budget fills, ever more is asked for: windows and writers get less, what came
//! out of order is given up, new connections are refused. What a peer was promised room for is
//! still taken, up to twice the budget; past that it is dropped unacknowledged, and the peer sends it again. Throughout,
//! each connection may hold [`LEAST`] bytes each way, so that each comes forward.
//!
//! Windows and writers alike get a share of what is left, the same for each: a quarter at first, and less of it the less is
//! left, so that many connections may stall for good before others are down to the least. Both share three quarters of the
//! budget; an eighth is kept for what is received and an eighth for what is written, so that neither starves the other: a relay
//! that is full of what it received is drained by its writers. A writer past its share waits for acknowledgements of its own
//! bytes, never for another connection.
//!
//! A window is a promise, and stays one when the budget fills up. So a connection begins with a small one, out of a pool
//! that is never larger than the budget, and earns more as its reader takes data: many connections that nobody reads cannot
//! fill more than was left. A connection that stays quiet gives its part of the pool back.

use std::sync::Arc;
use std::time::Duration;

use netstack_tcp::Instant;

use crate::lane::lock;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};

/// Bytes that are charged together.
const UNIT: usize = 4096;

/// What a connection may hold in each direction, however little is left.
pub(crate) const LEAST: usize = 4096;

/// The window that a connection begins with, if the pool allows it.
const FIRST_WINDOW: usize = 64 * 1024;

/// First windows are counted by the period in which they were promised, and no longer than the one after it.
const PERIOD: Duration = Duration::from_secs(15);

/// The default: far more than ordinary use takes, less than a server's memory.
pub(crate) const DEFAULT: usize = 1 << 30;

/// What has changed about the budget since somebody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// What both directions share is used up.
    Pressed,
    /// What came out of order is to be given up.
    Strained,
    /// All of it is used up: no connection is taken.
    Exhausted,
    /// Half of the budget is free.
    Relieved,
}

/// The first window of a connection, which counts in the pool of those until more is earned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Promise {
    #[default]
    None,
    /// So many KiB, in this period.
    Made {
        kib: u8,
        period: u16,
    },
    Earned,
}

/// First windows of connections whose readers have not earned more.
#[derive(Debug, Default)]
struct Pool {
    period: u16,
    /// Bytes promised in this period, and in the one before.
    promised: [usize; 2],
}

impl Pool {
    fn advance(&mut self, period: u16) {
        self.promised = match period.wrapping_sub(self.period) {
            0 => return,
            1 => [0, self.promised[0]],
            _ => [0, 0],
        };
        self.period = period;
    }

    /// Counts `bytes` of `period` no more.
    fn forget(&mut self, bytes: usize, period: u16) {
        let age = usize::from(self.period.wrapping_sub(period));
        if let Some(promised) = self.promised.get_mut(age) {
            *promised = promised.saturating_sub(bytes);
        }
    }
}

/// A counter in a cache line of its own: many cores write to it.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counter(AtomicUsize);

impl Counter {
    fn get(&self) -> usize {
        self.0.load(Relaxed)
    }

    fn change(&self, old: u32, new: u32) {
        if new > old {
            self.0.fetch_add((new - old) as usize * UNIT, Relaxed);
        } else if new < old {
            self.0.fetch_sub((old - new) as usize * UNIT, Relaxed);
        }
    }
}

/// The budget of one stack.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    pressed: AtomicBool,
    strained: AtomicBool,
    exhausted: AtomicBool,
    used: Counter,
    /// The part of `used` that was written by applications.
    written: Counter,
    pool: Mutex<Pool>,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            pressed: AtomicBool::new(false),
            strained: AtomicBool::new(false),
            exhausted: AtomicBool::new(false),
            used: Counter::default(),
            written: Counter::default(),
            pool: Mutex::default(),
        }
    }

    /// Bytes charged.
    pub(crate) fn used(&self) -> usize {
        self.used.get()
    }

    /// What both directions share.
    fn shared(&self) -> usize {
        self.limit - self.limit / 4
    }

    /// Where what came out of order is given up.
    fn order_limit(&self) -> usize {
        self.limit - self.limit / 16
    }

    /// Whether new connections are refused.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.used() >= self.limit.max(1)
    }

    /// Whether what both directions share was used up, and half of the budget has not become free since.
    pub(crate) fn is_pressed(&self) -> bool {
        self.pressed.load(Relaxed)
    }

    /// Whether even what was promised room is not taken any more.
    pub(crate) fn is_overrun(&self) -> bool {
        self.used() >= self.limit.saturating_mul(2).max(1)
    }

    /// A connection's share of what is left for one direction, which holds `own` of the `used` bytes.
    fn share(&self, used: usize, own: usize) -> usize {
        let kept = self.limit / 8;
        let shared = self.shared();
        let share = share_of(shared.saturating_sub(used), shared);
        share.max(share_of(kept.saturating_sub(own), kept)).max(LEAST)
    }

    /// What a connection may hold of what was written to it.
    pub(crate) fn send_share(&self) -> usize {
        self.share(self.used(), self.written.get())
    }

    /// What a connection may buffer for its reader, which has read `earned` bytes so far. 0 says that nothing is to be held out
    /// of order either.
    pub(crate) fn window(&self, promise: &mut Promise, earned: u64, now: Instant) -> usize {
        let used = self.used();
        if used >= self.order_limit() {
            return 0;
        }
        // As fast as a sender in slow start may double its flight.
        let earned = usize::try_from(earned.saturating_mul(2)).unwrap_or(usize::MAX);
        let promised = self.promise(promise, earned, now);
        let received = used.saturating_sub(self.written.get());
        earned.max(promised).max(LEAST).min(self.share(used, received))
    }

    /// The first window of a connection that has earned another of `earned` bytes.
    fn promise(&self, promise: &mut Promise, earned: usize, now: Instant) -> usize {
        let period = (now.as_nanos() / PERIOD.as_nanos() as u64) as u16;
        match *promise {
            Promise::Earned => return 0,
            Promise::Made { kib, .. } if earned >= usize::from(kib) << 10 => {
                self.release(promise);
                return usize::from(kib) << 10;
            }
            Promise::Made { kib, period: made } if period.wrapping_sub(made) < 2 => {
                return usize::from(kib) << 10;
            }
            // It was quiet, and counts no more.
            Promise::Made { .. } | Promise::None => {}
        }
        let mut pool = lock(&self.pool);
        pool.advance(period);
        let left = self.limit.saturating_sub(pool.promised[0].saturating_add(pool.promised[1]));
        // At most 64.
        let kib = (FIRST_WINDOW.min(left / 8) >> 10) as u8;
        pool.promised[0] += usize::from(kib) << 10;
        *promise = Promise::Made { kib, period };
        usize::from(kib) << 10
    }

    /// The connection has earned its window, or has ended.
    pub(crate) fn release(&self, promise: &mut Promise) {
        if let Promise::Made { kib, period } = std::mem::replace(promise, Promise::Earned) {
            lock(&self.pool).forget(usize::from(kib) << 10, period);
        }
    }

    /// What became different since the last call, by any caller.
    pub(crate) fn change(&self) -> Option<Change> {
        let used = self.used();
        let reached = |limit, flag: &AtomicBool| {
            used > 0 && used >= limit && !flag.load(Relaxed) && !flag.swap(true, Relaxed)
        };
        if reached(self.shared(), &self.pressed) {
            return Some(Change::Pressed);
        }
        if reached(self.order_limit(), &self.strained) {
            return Some(Change::Strained);
        }
        if reached(self.limit, &self.exhausted) {
            return Some(Change::Exhausted);
        }
        for flag in [&self.strained, &self.exhausted] {
            if used < self.limit - self.limit / 8 && flag.load(Relaxed) {
                flag.store(false, Relaxed);
            }
        }
        if used < self.limit.div_ceil(2) && self.pressed.load(Relaxed) && self.pressed.swap(false, Relaxed) {
            return Some(Change::Relieved);
        }
        None
    }
}

/// A quarter of `left`, in the proportion in which it is left of `whole`.
fn share_of(left: usize, whole: usize) -> usize {
    let proportion = left / (whole / 1024 + 1);
    (left / 64).saturating_mul(proportion) / 64
}

/// `bytes` in units.
fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

/// What one buffer is charged with, in units.
#[derive(Debug, Default)]
pub(crate) struct Charge(u32);

impl Charge {
    /// The buffer now takes `bytes` of memory.
    pub(crate) fn set(&mut self, bytes: usize, budget: &Budget) {
        let old = std::mem::replace(&mut self.0, units(bytes));
        budget.used.change(old, self.0);
    }
}

/// Which way the bytes of a buffer go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Received,
    Written,
}

/// The charge of a buffer that is shared, with its budget. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Account {
    budget: Arc<Budget>,
    /// Written under the lock of the buffer only.
    units: AtomicU32,
    direction: Direction,
}

impl Account {
    pub(crate) fn new(budget: &Arc<Budget>, direction: Direction) -> Self {
        Self { budget: Arc::clone(budget), units: AtomicU32::new(0), direction }
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// As [`Charge::set`]; the caller holds the lock of the buffer.
    pub(crate) fn set(&self, bytes: usize) {
        let (old, new) = (self.units.load(Relaxed), units(bytes));
        if old == new {
            return;
        }
        self.units.store(new, Relaxed);
        if self.direction == Direction::Written {
            self.budget.written.change(old, new);
        }
        self.budget.used.change(old, new);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests;
