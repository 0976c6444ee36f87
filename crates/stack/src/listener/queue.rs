//! What ingress, the actors of unaccepted connections and a listening socket share.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use netstack_tcp::{
    CookieKey, FourTuple, Instant, Segment, State, SynAction, SynCookies, SynPolicy, TcpConfig,
};
use tracing::warn;

use super::undecided::{Ticket, Undecided};
use super::{ListenConfig, Mode};
use crate::actor::{Linger, Shared, order};
use crate::error::EndCause;
use crate::lane::{Waiter, Waiters, lock};
use crate::stack::Inner;
use crate::stream::TcpStream;
use crate::sync::Mutex;

#[derive(Debug)]
pub(super) struct Queue {
    counts: netstack_tcp::Listener,
    ready: VecDeque<TcpStream>,
    pub(super) undecided: Undecided,
    waiters: Waiters,
    closed: Option<EndCause>,
    /// Handshakes by age, where the oldest may have to make room; some have opened or ended.
    half_open: VecDeque<Weak<Shared>>,
    /// Until when the last cookie is good that somebody was told of.
    cookies_told_until: Option<Instant>,
}

/// One listening socket, as ingress and actors see it.
pub(crate) struct ListenerShared {
    /// Port 0 stands for every port, and the unspecified IPv6 address with it for every address of either family.
    pub(super) local: SocketAddr,
    pub(super) mode: Mode,
    config: Mutex<Arc<TcpConfig>>,
    linger: Linger,
    pub(super) reuse_address: bool,
    pub(super) reuse_port: bool,
    pub(super) decision_timeout: Duration,
    policy: SynPolicy,
    max_half_open: usize,
    pub(super) queue: Mutex<Queue>,
}

impl ListenerShared {
    pub(super) fn new(local: SocketAddr, config: &ListenConfig, tcp: Arc<TcpConfig>, mode: Mode) -> Self {
        let counts =
            netstack_tcp::Listener::new(config.backlog, config.max_half_open).with_policy(config.syn_policy);
        Self {
            local,
            mode,
            config: Mutex::new(tcp),
            linger: config.linger,
            reuse_address: config.reuse_address,
            reuse_port: config.reuse_port,
            decision_timeout: config.decision_timeout,
            policy: config.syn_policy,
            max_half_open: config.max_half_open,
            queue: Mutex::new(Queue {
                counts: if mode == Mode::Deferred { counts.deferring() } else { counts },
                ready: VecDeque::new(),
                undecided: Undecided::default(),
                waiters: Waiters::default(),
                closed: None,
                half_open: VecDeque::new(),
                cookies_told_until: None,
            }),
        }
    }

    /// Settings of the connections accepted from now on.
    pub(crate) fn config(&self) -> Arc<TcpConfig> {
        Arc::clone(&lock(&self.config))
    }

    /// Changes the settings of the connections accepted from now on.
    pub(super) fn set_config(&self, change: impl FnOnce(&mut TcpConfig)) {
        change(Arc::make_mut(&mut lock(&self.config)));
    }

    /// Decides on a segment that belongs to no connection; its tuple may be one in TIME-WAIT that it `reopens`.
    pub(crate) fn handle_syn(
        &self,
        at: Instant,
        tuple: FourTuple,
        segment: &Segment,
        reopens: bool,
    ) -> SynAction {
        let counts = &mut lock(&self.queue).counts;
        if reopens {
            counts.handle_reopening_syn(at, tuple, segment)
        } else {
            counts.handle_syn(at, tuple, segment)
        }
    }

    /// A handshake is under way, which may have to make room for another.
    pub(crate) fn half_open(&self, shared: &Arc<Shared>) {
        if self.policy != SynPolicy::RecycleOldest {
            return;
        }
        let mut queue = lock(&self.queue);
        if queue.half_open.len() >= self.max_half_open.saturating_mul(4) {
            // Most of them have opened or ended since.
            queue.half_open.retain(is_half_open);
        }
        queue.half_open.push_back(Arc::downgrade(shared));
    }

    /// Ends the handshake that has been under way for the longest time. False if there is none that has not been told yet.
    pub(crate) fn recycle_oldest(&self) -> bool {
        loop {
            // It may be the last reference, which is dropped outside the lock.
            let Some(oldest) = lock(&self.queue).half_open.pop_front() else { return false };
            if let Some(shared) = oldest.upgrade().filter(|_| is_half_open(&oldest)) {
                shared.order(order::RECYCLE);
                return true;
            }
        }
    }

    /// Cookies are being sent; said once for as long as they are.
    pub(crate) fn tell_of_cookies(&self, now: Instant) {
        let until = now + SynCookies::LIFETIME;
        let before = lock(&self.queue).cookies_told_until.replace(until);
        if before.is_none_or(|before| before <= now) && self.policy == SynPolicy::CookiesWhenFull {
            warn!(local = %self.local, "as many handshakes are under way as may be: SYN cookies are sent");
        }
    }

    /// Takes a place in the accept queue for a handshake that nothing was kept of.
    pub(crate) fn reserve_for_cookie(&self) -> bool {
        lock(&self.queue).counts.reserve_for_cookie()
    }

    /// Gives a place in the accept queue back.
    pub(crate) fn dequeued(&self) {
        lock(&self.queue).counts.dequeued();
    }

    /// A handshake ended without becoming a connection, or became one past the accept queue.
    pub(crate) fn half_open_ended(&self) {
        lock(&self.queue).counts.half_open_ended();
    }

    /// Takes data on SYNs of up to `limit` connections whose handshake is not over.
    pub(super) fn set_fast_open(&self, key: [u8; 16], limit: usize) {
        lock(&self.queue).counts.set_fast_open(CookieKey::new(key), limit);
    }

    pub(super) fn fast_open_limit(&self) -> usize {
        lock(&self.queue).counts.fast_open_limit()
    }

    /// The handshake of a connection that was handed over early is over; `reset` says that a RST has ended it.
    pub(crate) fn fast_open_ended(&self, now: Instant, reset: bool) {
        lock(&self.queue).counts.fast_open_ended(now, reset);
    }

    /// Nothing became of a SYN whose data was to be taken: its place in the accept queue is free.
    pub(crate) fn fast_open_withdrawn(&self, now: Instant) {
        let counts = &mut lock(&self.queue).counts;
        counts.dequeued();
        counts.fast_open_ended(now, false);
    }

    /// Takes a place in the accept queue for a handshake that may be complete.
    pub(crate) fn reserve(&self) -> bool {
        lock(&self.queue).counts.reserve()
    }

    /// Takes the reservation back.
    pub(crate) fn unreserve(&self) {
        lock(&self.queue).counts.unreserve();
    }

    /// Puts a connection into the place reserved for it; resets it if the listener is gone.
    pub(crate) fn push(&self, stream: TcpStream) {
        stream.linger_as(self.linger);
        let mut queue = lock(&self.queue);
        if queue.closed.is_some() {
            drop(queue);
            stream.abort();
            return;
        }
        queue.ready.push_back(stream);
        let waiters = queue.waiters.take();
        drop(queue);
        waiters.wake();
    }

    /// Puts up a SYN for the application to decide on; false if the listener is gone. With `true` in the second place,
    /// nobody drives the time limit yet.
    pub(super) fn put_up(&self, ticket: Ticket, deadline: Instant) -> (bool, bool) {
        let mut queue = lock(&self.queue);
        if queue.closed.is_some() {
            return (false, false);
        }
        let drive = queue.undecided.put_up(ticket, deadline);
        let waiters = queue.waiters.take();
        drop(queue);
        waiters.wake();
        (true, drive)
    }

    pub(super) fn poll_accept(&self, waiter: &Waiter<'_, '_>) -> Poll<io::Result<TcpStream>> {
        let mut queue = lock(&self.queue);
        if let Some(stream) = queue.ready.pop_front() {
            queue.counts.dequeued();
            return Poll::Ready(Ok(stream));
        }
        if let Some(cause) = queue.closed {
            return Poll::Ready(Err(cause.to_io()));
        }
        queue.waiters.register(waiter);
        Poll::Pending
    }

    /// Ready with the oldest SYN that was not handed out, or with nothing once the listener is closed.
    pub(super) fn poll_undecided(&self, waiter: &Waiter<'_, '_>) -> Poll<Option<Ticket>> {
        let mut queue = lock(&self.queue);
        if let Some(ticket) = queue.undecided.hand_out() {
            return Poll::Ready(Some(ticket));
        }
        if queue.closed.is_some() {
            return Poll::Ready(None);
        }
        queue.waiters.register(waiter);
        Poll::Pending
    }

    /// A future does not wait any more.
    pub(super) fn forget(&self, place: u64) {
        lock(&self.queue).waiters.forget(place);
    }

    /// Whether nobody will accept any more.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.queue).closed.is_some()
    }

    /// Ends the listener: whoever waits in `accept` gets an error, whoever was not accepted a reset. SYNs that the
    /// application has been given are its own to decide on.
    pub(crate) fn close(&self, inner: &Arc<Inner>) {
        let (ready, fresh, waiters) = {
            let mut queue = lock(&self.queue);
            queue.closed = Some(EndCause::StackStopped);
            let fresh: Vec<_> = std::iter::from_fn(|| queue.undecided.hand_out()).collect();
            (std::mem::take(&mut queue.ready), fresh, queue.waiters.take())
        };
        for stream in ready {
            stream.abort();
        }
        for ticket in fresh {
            inner.reject(ticket);
        }
        waiters.wake();
    }
}

fn is_half_open(connection: &Weak<Shared>) -> bool {
    connection.upgrade().is_some_and(|shared| shared.state() == State::SynReceived)
}

impl fmt::Debug for ListenerShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerShared").field("local", &self.local).finish_non_exhaustive()
    }
}
