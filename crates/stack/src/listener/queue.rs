//! What ingress, the actors of unaccepted connections and a listening socket share.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use netstack_tcp::{FourTuple, Instant, Segment, SynAction, TcpConfig};

use super::undecided::{Ticket, Undecided};
use super::{ListenConfig, Mode};
use crate::actor::Linger;
use crate::error::EndCause;
use crate::lane::{Waiter, Waiters, lock};
use crate::stack::Inner;
use crate::stream::TcpStream;

#[derive(Debug)]
pub(super) struct Queue {
    counts: netstack_tcp::Listener,
    ready: VecDeque<TcpStream>,
    pub(super) undecided: Undecided,
    waiters: Waiters,
    closed: Option<EndCause>,
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
    pub(super) queue: Mutex<Queue>,
}

impl ListenerShared {
    pub(super) fn new(local: SocketAddr, config: &ListenConfig, tcp: Arc<TcpConfig>, mode: Mode) -> Self {
        let counts = netstack_tcp::Listener::new(config.backlog, config.max_half_open);
        Self {
            local,
            mode,
            config: Mutex::new(tcp),
            linger: config.linger,
            reuse_address: config.reuse_address,
            reuse_port: config.reuse_port,
            decision_timeout: config.decision_timeout,
            queue: Mutex::new(Queue {
                counts: if mode == Mode::Deferred { counts.deferring() } else { counts },
                ready: VecDeque::new(),
                undecided: Undecided::default(),
                waiters: Waiters::default(),
                closed: None,
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

    /// Decides on a segment that belongs to no connection.
    pub(crate) fn handle_syn(&self, at: Instant, tuple: FourTuple, segment: &Segment) -> SynAction {
        lock(&self.queue).counts.handle_syn(at, tuple, segment)
    }

    /// A handshake ended without becoming a connection, or became one past the accept queue.
    pub(crate) fn half_open_ended(&self) {
        lock(&self.queue).counts.half_open_ended();
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

impl fmt::Debug for ListenerShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerShared").field("local", &self.local).finish_non_exhaustive()
    }
}
