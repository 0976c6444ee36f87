//! The bounded queue between ingress and a socket.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::Poll;

use bytes::Bytes;
use netstack_tcp::{IcmpNotice, received_memory};
use netstack_wire::Ecn;

use crate::error::EndCause;
use crate::lane::{Waiter, Waiters, lock};
use crate::route::with_zone;
use crate::sync::{Mutex, MutexGuard};

/// Entries that an empty queue keeps room for.
const KEEP: usize = 64;

/// One datagram, or several of one size that the device delivered as one.
#[derive(Debug, Clone)]
pub(crate) struct Datagram {
    pub(crate) data: Bytes,
    /// Octets of each datagram in `data`, of which the last may be shorter.
    pub(crate) segment: usize,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) ecn: Ecn,
    pub(crate) hop_limit: u8,
    /// Which way it came.
    pub(crate) interface: usize,
}

impl Datagram {
    /// Memory that it holds, charged whole until the last of its datagrams is taken.
    fn memory(&self) -> usize {
        received_memory(self.data.len()) + size_of::<Self>()
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.from, self.to, self.ecn) == (other.from, other.to, other.ecn)
    }
}

/// The first of some datagrams of one sender and size, and the others.
pub(crate) type Batch = (Datagram, Vec<Datagram>);

/// Why nothing comes any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Stopped,
    /// A session that nothing passed through for its time limit.
    Idle,
    /// A session that gave way to others.
    Evicted,
}

impl Ended {
    pub(crate) fn to_io(self) -> io::Error {
        match self {
            Self::Stopped => EndCause::StackStopped.to_io(),
            Self::Idle => io::Error::new(io::ErrorKind::TimedOut, self),
            Self::Evicted => io::Error::new(io::ErrorKind::ConnectionAborted, self),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "the network stack has stopped",
            Self::Idle => "the session was idle for longer than its time limit",
            Self::Evicted => "the session gave way to a newer one: there were as many as may be",
        })
    }
}

impl std::error::Error for Ended {}

/// Memory that several queues share: those of bound sockets, or of sessions. Apart from the budget of connections, so that no
/// flood of datagrams narrows a window (R8085-3).
#[derive(Debug)]
pub(crate) struct Pool {
    held: AtomicUsize,
    limit: usize,
}

impl Pool {
    pub(crate) fn new(limit: usize) -> Self {
        Self { held: AtomicUsize::new(0), limit }
    }

    fn take(&self, memory: usize) -> bool {
        self.held
            .fetch_update(Relaxed, Relaxed, |held| Some(held + memory).filter(|&sum| sum <= self.limit))
            .is_ok()
    }

    /// Bytes of memory that the queues hold now.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    fn give(&self, memory: usize) {
        self.held.fetch_sub(memory, Relaxed);
    }
}

#[derive(Debug)]
struct State {
    datagrams: VecDeque<Datagram>,
    /// Memory of what `datagrams` were when they came.
    held: usize,
    /// Of that, the first one's.
    first: usize,
    limit: usize,
    /// For the next call.
    error: Option<IcmpNotice>,
    /// For whoever asks.
    soft_error: Option<IcmpNotice>,
    ended: Option<Ended>,
    waiters: Waiters,
}

/// Received datagrams and errors, in order, bounded by the memory that they hold.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    dropped: AtomicU64,
    pool: Arc<Pool>,
}

impl Queue {
    pub(crate) fn new(limit: usize, pool: &Arc<Pool>) -> Self {
        let state = State {
            datagrams: VecDeque::new(),
            held: 0,
            first: 0,
            limit,
            error: None,
            soft_error: None,
            ended: None,
            waiters: Waiters::default(),
        };
        Self { state: Mutex::new(state), dropped: AtomicU64::new(0), pool: Arc::clone(pool) }
    }

    /// Takes a datagram in; false, and counted, if there is no room for it (R8085-3). An empty queue has room for any.
    pub(crate) fn push(&self, mut datagram: Datagram) -> bool {
        datagram.from = with_zone(datagram.from, datagram.interface);
        let memory = datagram.memory();
        let mut state = lock(&self.state);
        let fits = state.datagrams.is_empty() || state.held + memory <= state.limit;
        let taken = state.ended.is_none() && fits && self.pool.take(memory);
        if !taken {
            drop(state);
            self.dropped.fetch_add(1, Relaxed);
            return false;
        }
        state.held += memory;
        if state.datagrams.is_empty() {
            state.first = memory;
        }
        state.datagrams.push_back(datagram);
        wake(state);
        true
    }

    /// The next datagram; with none, stores the waiter.
    pub(crate) fn poll_next(&self, waiter: &Waiter<'_, '_>) -> Poll<io::Result<Datagram>> {
        self.poll(waiter, |state| state.take_next(&self.pool))
    }

    /// The next datagrams of one sender and size, as many as `room` octets hold, at least one.
    pub(crate) fn poll_batch(&self, room: usize, waiter: &Waiter<'_, '_>) -> Poll<io::Result<Batch>> {
        self.poll(waiter, |state| state.take_batch(room, &self.pool))
    }

    /// The next datagram, which stays.
    pub(crate) fn poll_peek(&self, waiter: &Waiter<'_, '_>) -> Poll<io::Result<Datagram>> {
        self.poll(waiter, |state| {
            let mut datagram = state.datagrams.front()?.clone();
            datagram.data.truncate(datagram.segment);
            Some(datagram)
        })
    }

    /// Whether a call would not wait: there is a datagram, an error, or the end.
    pub(crate) fn poll_readable(&self, waiter: &Waiter<'_, '_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if state.error.is_some() || !state.datagrams.is_empty() || state.ended.is_some() {
            return Poll::Ready(());
        }
        state.waiters.register(waiter);
        Poll::Pending
    }

    fn poll<T>(
        &self,
        waiter: &Waiter<'_, '_>,
        take: impl FnOnce(&mut State) -> Option<T>,
    ) -> Poll<io::Result<T>> {
        let mut state = lock(&self.state);
        if let Some(notice) = state.error.take() {
            return Poll::Ready(Err(error(notice)));
        }
        if let Some(taken) = take(&mut state) {
            return Poll::Ready(Ok(taken));
        }
        if let Some(ended) = state.ended {
            return Poll::Ready(Err(ended.to_io()));
        }
        state.waiters.register(waiter);
        Poll::Pending
    }

    /// A future does not wait any more.
    pub(crate) fn forget(&self, place: u64) {
        lock(&self.state).waiters.forget(place);
    }

    /// An ICMP error about something sent: a hard one fails the next call, another waits to be asked for.
    pub(crate) fn fail(&self, notice: IcmpNotice) {
        let mut state = lock(&self.state);
        if matches!(notice, IcmpNotice::PortUnreachable | IcmpNotice::ProtocolUnreachable) {
            state.error = Some(notice);
            wake(state);
        } else {
            state.soft_error = Some(notice);
        }
    }

    /// What a call that sends has to report instead.
    pub(crate) fn check(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        match (state.error.take(), state.ended) {
            (Some(notice), _) => Err(error(notice)),
            (None, Some(ended)) => Err(ended.to_io()),
            (None, None) => Ok(()),
        }
    }

    /// The error that came last and was not reported, hard ones first.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        let mut state = lock(&self.state);
        let notice = state.error.take().or_else(|| state.soft_error.take())?;
        Some(error(notice))
    }

    /// Forgets errors: they are about a peer of before.
    pub(crate) fn clear_errors(&self) {
        let mut state = lock(&self.state);
        (state.error, state.soft_error) = (None, None);
    }

    /// Nothing comes any more; what is there can still be read. True for the first call.
    pub(crate) fn end(&self, ended: Ended) -> bool {
        let mut state = lock(&self.state);
        let first = state.ended.is_none();
        if first {
            state.ended = Some(ended);
            wake(state);
        }
        first
    }

    pub(crate) fn is_ended(&self) -> bool {
        lock(&self.state).ended.is_some()
    }

    pub(crate) fn limit(&self) -> usize {
        lock(&self.state).limit
    }

    pub(crate) fn set_limit(&self, limit: usize) {
        lock(&self.state).limit = limit;
    }

    /// Datagrams that found no room.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.pool.give(lock(&self.state).held);
    }
}

impl State {
    fn take_next(&mut self, pool: &Pool) -> Option<Datagram> {
        let front = self.datagrams.front_mut()?;
        if front.data.len() > front.segment {
            let data = front.data.split_to(front.segment);
            return Some(Datagram { data, ..front.clone() });
        }
        let datagram = self.datagrams.pop_front()?;
        self.held -= self.first;
        pool.give(self.first);
        self.first = self.datagrams.front().map_or(0, Datagram::memory);
        if self.datagrams.is_empty() && self.datagrams.capacity() > KEEP {
            self.datagrams = VecDeque::new();
        }
        Some(datagram)
    }

    fn take_batch(&mut self, room: usize, pool: &Pool) -> Option<Batch> {
        let first = self.take_next(pool)?;
        let size = first.data.len();
        let mut left = room.saturating_sub(size);
        let mut rest = Vec::new();
        while let Some(next) = self.datagrams.front() {
            let last = rest.last().unwrap_or(&first);
            let len = next.segment.min(next.data.len());
            // One that is empty would not be seen among others.
            if last.data.len() < size || len == 0 || len > size.min(left) || !next.is_like(last) {
                break;
            }
            left -= len;
            rest.extend(self.take_next(pool));
        }
        Some((first, rest))
    }
}

/// Wakes whoever waits, after the lock is let go.
fn wake(mut state: MutexGuard<'_, State>) {
    if !state.waiters.is_empty() {
        let waiters = state.waiters.take();
        drop(state);
        waiters.wake();
    }
}

fn error(notice: IcmpNotice) -> io::Error {
    io::Error::new(notice.io_kind(), notice.to_string())
}

#[cfg(test)]
mod tests;
