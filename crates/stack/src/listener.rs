//! Listening sockets.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll};

use netstack_tcp::{FourTuple, Instant, PortAllocator, Segment, SynAction, TcpConfig};

use crate::actor::order;
use crate::error::EndCause;
use crate::lane::{Waiter, Waiters, lock, wait};
use crate::route::{canonical, unspecified};
use crate::stack::{Inner, Stack};
use crate::stream::TcpStream;

/// Settings of a listener.
///
/// # Examples
///
/// ```
/// use tokio_netstack::ListenConfig;
///
/// let mut config = ListenConfig::new();
/// config.backlog(4).max_half_open(64);
/// ```
#[derive(Debug, Clone)]
pub struct ListenConfig {
    pub(crate) backlog: usize,
    pub(crate) max_half_open: usize,
    pub(crate) tcp: Option<TcpConfig>,
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self { backlog: 1024, max_half_open: 1024, tcp: None }
    }
}

impl ListenConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Open connections that may wait for `accept`, at least 1; accepted ones do not count. Default 1024.
    ///
    /// With the queue full, new SYNs are dropped, and a handshake under way waits for a place with the peer
    /// retransmitting.
    pub fn backlog(&mut self, connections: usize) -> &mut Self {
        self.backlog = connections.max(1);
        self
    }

    /// Handshakes that may be under way, at least 1. Default 1024; further SYNs are dropped.
    pub fn max_half_open(&mut self, handshakes: usize) -> &mut Self {
        self.max_half_open = handshakes.max(1);
        self
    }

    /// Settings of the connections accepted. Default: those of the stack.
    pub fn tcp(&mut self, config: TcpConfig) -> &mut Self {
        self.tcp = Some(config);
        self
    }
}

#[derive(Debug)]
struct Queue {
    counts: netstack_tcp::Listener,
    ready: VecDeque<TcpStream>,
    waiters: Waiters,
    closed: Option<EndCause>,
}

/// What ingress, the actors of unaccepted connections and the socket share.
pub(crate) struct ListenerShared {
    local: SocketAddr,
    pub(crate) config: Arc<TcpConfig>,
    queue: Mutex<Queue>,
}

impl ListenerShared {
    /// Decides on a segment that belongs to no connection.
    pub(crate) fn handle_syn(&self, at: Instant, tuple: FourTuple, segment: &Segment) -> SynAction {
        lock(&self.queue).counts.handle_syn(at, tuple, segment)
    }

    /// A handshake ended without becoming a connection.
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

    fn poll_accept(&self, waiter: &Waiter<'_, '_>) -> Poll<io::Result<TcpStream>> {
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

    /// A future does not wait any more.
    fn forget(&self, place: u64) {
        lock(&self.queue).waiters.forget(place);
    }

    /// Whether nobody will accept any more.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.queue).closed.is_some()
    }

    /// Ends the listener: whoever waits in `accept` gets an error, whoever was not accepted a reset.
    pub(crate) fn close(&self) {
        let (ready, waiters) = {
            let mut queue = lock(&self.queue);
            queue.closed = Some(EndCause::StackStopped);
            (std::mem::take(&mut queue.ready), queue.waiters.take())
        };
        for stream in ready {
            stream.abort();
        }
        waiters.wake();
    }
}

impl fmt::Debug for ListenerShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerShared").field("local", &self.local).finish_non_exhaustive()
    }
}

/// The listeners of a stack, by port.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    by_port: RwLock<BTreeMap<u16, Vec<Arc<ListenerShared>>>>,
}

impl Listeners {
    /// Who listens on `local`: the exact address before the unspecified one.
    pub(crate) fn find(&self, local: SocketAddr) -> Option<Arc<ListenerShared>> {
        let by_port = self.by_port.read().unwrap_or_else(PoisonError::into_inner);
        let here = by_port.get(&local.port())?;
        let bound_to = |ip: IpAddr| here.iter().find(|listener| listener.local.ip() == ip);
        bound_to(local.ip()).or_else(|| bound_to(unspecified(local.ip()))).cloned()
    }

    /// Whether a listener's port stands in the way of an outgoing connection from `local`.
    pub(crate) fn occupies(&self, local: SocketAddr) -> bool {
        self.find(local).is_some()
    }

    /// Enters a listener; port 0 takes any free port that `ports` yields.
    fn insert(
        &self,
        local: SocketAddr,
        config: &ListenConfig,
        tcp: Arc<TcpConfig>,
        ports: &Mutex<PortAllocator>,
    ) -> io::Result<Arc<ListenerShared>> {
        // Before the listeners' lock, as in `connect`: an allocator asks for listeners while it is locked.
        let allocator = (local.port() == 0).then(|| lock(ports));
        let mut by_port = self.by_port.write().unwrap_or_else(PoisonError::into_inner);
        let taken = |port: u16| {
            let mut here = by_port.get(&port).into_iter().flatten();
            here.any(|other| overlap(other.local.ip(), local.ip()))
        };
        let port = if let Some(mut allocator) = allocator {
            let nobody = SocketAddr::new(unspecified(local.ip()), 0);
            allocator.pick(local.ip(), nobody, taken).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "every ephemeral port has a listener on this address",
                )
            })?
        } else if taken(local.port()) {
            let text = format!("{local} has a listener already; close it, or bind another address or port");
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        } else {
            local.port()
        };
        let shared = Arc::new(ListenerShared {
            local: SocketAddr::new(local.ip(), port),
            config: tcp,
            queue: Mutex::new(Queue {
                counts: netstack_tcp::Listener::new(config.backlog, config.max_half_open),
                ready: VecDeque::new(),
                waiters: Waiters::default(),
                closed: None,
            }),
        });
        by_port.entry(port).or_default().push(Arc::clone(&shared));
        Ok(shared)
    }

    fn remove(&self, listener: &Arc<ListenerShared>) {
        let mut by_port = self.by_port.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = by_port.get_mut(&listener.local.port()) {
            here.retain(|other| !Arc::ptr_eq(other, listener));
            if here.is_empty() {
                by_port.remove(&listener.local.port());
            }
        }
    }

    /// Closes every listener.
    pub(crate) fn close_all(&self) {
        let all = {
            let mut by_port = self.by_port.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *by_port)
        };
        for listener in all.into_values().flatten() {
            listener.close();
        }
    }
}

/// Whether two listeners of one port would answer for the same address.
fn overlap(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4() && (a == b || a.is_unspecified() || b.is_unspecified())
}

/// A TCP socket that listens for connections.
///
/// Dropping it closes it: connections not yet accepted and handshakes under way are reset, accepted connections live on.
///
/// # Examples
///
/// ```no_run
/// use tokio_netstack::{Stack, TcpListener};
///
/// async fn serve(stack: &Stack) -> std::io::Result<()> {
///     let listener = TcpListener::bind(stack, ([0, 0, 0, 0], 7)).await?;
///     loop {
///         let (mut stream, peer) = listener.accept().await?;
///         println!("{peer} connected");
///         tokio::spawn(async move {
///             let (mut reader, mut writer) = stream.split();
///             tokio::io::copy(&mut reader, &mut writer).await
///         });
///     }
/// }
/// ```
pub struct TcpListener {
    shared: Arc<ListenerShared>,
    inner: Arc<Inner>,
}

impl TcpListener {
    /// Listens on an address of the stack.
    ///
    /// Port 0 takes a free port of the ephemeral range; [`local_addr`](Self::local_addr) tells which. The unspecified
    /// address (`0.0.0.0`, `[::]`) listens on every address of its own family; bind both for both families. A listener
    /// on one address and another on the unspecified address cannot share a port.
    ///
    /// # Errors
    ///
    /// - [`AddrInUse`](io::ErrorKind::AddrInUse): another listener has the address and port;
    /// - [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable): the address is not one of the stack's;
    /// - [`NetworkDown`](io::ErrorKind::NetworkDown): the stack has stopped.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn f(stack: &tokio_netstack::Stack) -> std::io::Result<()> {
    /// use tokio_netstack::TcpListener;
    ///
    /// let listener = TcpListener::bind(stack, ([192, 0, 2, 2], 0)).await?;
    /// println!("listening on {}", listener.local_addr()?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn bind(stack: &Stack, addr: impl Into<SocketAddr>) -> io::Result<Self> {
        Self::bind_with(stack, addr, stack.inner.listen_config.clone()).await
    }

    /// Listens on an address of the stack, with settings of its own.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub async fn bind_with(
        stack: &Stack,
        addr: impl Into<SocketAddr>,
        config: ListenConfig,
    ) -> io::Result<Self> {
        let inner = &stack.inner;
        inner.check_running()?;
        let local = canonical(addr.into());
        if !inner.routes.may_bind(local.ip()) {
            let text =
                format!("{} is not an address of this stack; give it to the builder first", local.ip());
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
        }
        let tcp = config.tcp.clone().map_or_else(|| Arc::clone(&inner.config), Arc::new);
        let shared = inner.listeners.insert(local, &config, tcp, &inner.ports)?;
        let listener = Self { shared, inner: Arc::clone(inner) };
        // A stop since the look above has closed the listeners that it found, and may have missed this one.
        inner.check_running()?;
        Ok(listener)
    }

    /// Waits for the next connection.
    ///
    /// A connection that the peer has closed, or even reset, since its handshake is returned all the same, with the
    /// data that came before.
    ///
    /// # Errors
    ///
    /// [`NetworkDown`](io::ErrorKind::NetworkDown): the stack has stopped. Nothing else fails: an error of a connection
    /// shows when that connection is used.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it completes, no connection is lost.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        wait(|waiter| self.accept_with(waiter), |place| self.shared.forget(place)).await
    }

    /// Polls for the next connection. Only the task of the latest call is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.accept_with(&Waiter::Poll(cx))
    }

    fn accept_with(&self, waiter: &Waiter<'_, '_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.shared.poll_accept(waiter).map_ok(|stream| {
            let peer = stream.remote();
            (stream, peer)
        })
    }

    /// The address and port that this socket listens on.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.shared.local)
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.inner.listeners.remove(&self.shared);
        self.shared.close();
        for half_open in self.inner.table.connecting_at(self.shared.local.port()) {
            half_open.order(order::UNLISTEN);
        }
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener").field("local_addr", &self.shared.local).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
