//! Deferred accept: the application sees a SYN before it is answered.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use netstack_tcp::TcpConfig;

use super::registry::Place;
use super::{ListenConfig, ListenerShared, Mode, Ticket};
use crate::lane::{Waiter, wait};
use crate::route::with_zone;
use crate::stack::{Inner, Origin, Stack};
use crate::stream::TcpStream;

impl Stack {
    /// Listens on every port of every address that the stack accepts, and hands out each SYN before it is answered: what
    /// a forwarder needs that connects onwards first. Short for [`TcpIncoming::bind_all`].
    ///
    /// # Errors
    ///
    /// As [`TcpIncoming::bind_all`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn f(stack: &tokio_netstack::Stack) -> std::io::Result<()> {
    /// let incoming = stack.tcp_incoming()?;
    /// while let Some(syn) = incoming.next().await {
    ///     tokio::spawn(async move {
    ///         let mut upstream = match tokio::net::TcpStream::connect(syn.local_addr()).await {
    ///             Ok(upstream) => upstream,
    ///             Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => return Ok(syn.reject()),
    ///             Err(_) => return Ok(syn.ignore()),
    ///         };
    ///         let mut stream = syn.accept().await?;
    ///         tokio::io::copy_bidirectional(&mut stream, &mut upstream).await.map(drop)
    ///     });
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn tcp_incoming(&self) -> io::Result<TcpIncoming> {
        TcpIncoming::bind_all(self, self.inner.listen_config.clone())
    }
}

/// A listener that leaves each SYN to the application, which accepts, rejects or ignores it.
///
/// Nothing is sent before the application decides; to the peer its SYN is on its way. When the peer repeats the SYN it joins
/// the [`Incoming`] that is there. [`ListenConfig::max_half_open`] bounds how many SYNs wait or are in their handshake, and
/// [`ListenConfig::decision_timeout`] how long they wait.
///
/// It is a [`Stream`] too. Dropping it rejects the SYNs that were not handed out; those that were live on.
pub struct TcpIncoming {
    place: Place,
}

impl TcpIncoming {
    /// Takes the SYNs for one address and port, in the manner of [`TcpListener::bind`](crate::TcpListener::bind).
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`](crate::TcpListener::bind).
    pub fn bind(stack: &Stack, addr: impl Into<SocketAddr>, config: ListenConfig) -> io::Result<Self> {
        Ok(Self { place: Place::take(stack, Some(addr.into()), Some(&config), Mode::Deferred)? })
    }

    /// Takes the SYNs for every port of every address that the stack accepts, in the manner of
    /// [`TcpListener::bind_all`](crate::TcpListener::bind_all). A listener on a port of its own keeps it.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind_all`](crate::TcpListener::bind_all).
    pub fn bind_all(stack: &Stack, config: ListenConfig) -> io::Result<Self> {
        Ok(Self { place: Place::take(stack, None, Some(&config), Mode::Deferred)? })
    }

    /// Waits for the next SYN; `None` once the stack has stopped.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it completes, no SYN is lost.
    pub async fn next(&self) -> Option<Incoming> {
        wait(|waiter| self.next_with(waiter), |place| self.place.shared.forget(place)).await
    }

    /// Polls for the next SYN. Only the task of the latest call is woken.
    pub fn poll_incoming(&self, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        self.next_with(&Waiter::Poll(cx))
    }

    fn next_with(&self, waiter: &Waiter<'_, '_>) -> Poll<Option<Incoming>> {
        let Place { shared, inner } = &self.place;
        shared.poll_undecided(waiter).map(|ticket| {
            let ticket = ticket?;
            Some(Incoming { inner: Arc::clone(inner), listener: Arc::clone(shared), ticket, decided: false })
        })
    }

    /// The address and port that SYNs are taken for; `[::]:0` stands for all.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors [`TcpListener::local_addr`](crate::TcpListener::local_addr).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.place.shared.local)
    }
}

impl Stream for TcpIncoming {
    type Item = Incoming;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        self.poll_incoming(cx)
    }
}

impl fmt::Debug for TcpIncoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpIncoming").field("local_addr", &self.place.shared.local).finish_non_exhaustive()
    }
}

/// A SYN that waits for a decision; made by [`TcpIncoming`].
///
/// Dropping it rejects it, so that an error on the way to a decision does not keep the peer waiting;
/// [`ignore`](Self::ignore) says nothing.
#[must_use = "dropping it rejects the connection"]
pub struct Incoming {
    inner: Arc<Inner>,
    listener: Arc<ListenerShared>,
    ticket: Ticket,
    decided: bool,
}

impl Incoming {
    /// Where the peer wants to go: the destination of its SYN.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.ticket.tuple.local()
    }

    /// Who wants to connect. Nothing shows yet that it is really there.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        with_zone(self.ticket.tuple.remote(), self.ticket.interface)
    }

    /// Answers the SYN, and waits until the connection is open.
    ///
    /// # Errors
    ///
    /// - [`ConnectionAborted`](io::ErrorKind::ConnectionAborted): the time limit has passed, or the peer has taken its SYN
    ///   back;
    /// - [`TimedOut`](io::ErrorKind::TimedOut): the peer did not complete the handshake within
    ///   [`TcpConfig::syn_ack_timeout`];
    /// - [`ConnectionReset`](io::ErrorKind::ConnectionReset): the peer answered with a reset;
    /// - [`NetworkDown`](io::ErrorKind::NetworkDown): the stack has stopped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future resets the connection.
    pub async fn accept(self) -> io::Result<TcpStream> {
        let config = self.listener.config();
        self.accept_as(&config).await
    }

    /// As [`accept`](Self::accept), with settings of TCP for this connection alone.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future resets the connection.
    pub async fn accept_with(self, config: TcpConfig) -> io::Result<TcpStream> {
        self.accept_as(&Arc::new(config)).await
    }

    async fn accept_as(mut self, config: &Arc<TcpConfig>) -> io::Result<TcpStream> {
        let (inner, ticket) = (&self.inner, self.ticket);
        inner.check_running()?;
        let origin = Origin::Deferred { id: ticket.id };
        let shared = inner.spawn(ticket.tuple, ticket.interface, config, origin).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the peer has given up, or the SYN waited longer than the listener's decision timeout",
            )
        })?;
        self.decided = true;
        // Until its handshake is over it counts as half open.
        let _half_open = HalfOpen(&self.listener);
        let stream = TcpStream::new(shared).connected().await?;
        inner.counters.connections_accepted.bump();
        Ok(stream)
    }

    /// Answers with a reset: the peer's connection is refused.
    pub fn reject(self) {
        drop(self);
    }

    /// Forgets the SYN without an answer. When the peer repeats it, it comes as another [`Incoming`].
    pub fn ignore(mut self) {
        self.decided = true;
        self.inner.withdraw(self.ticket);
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.decided {
            self.inner.reject(self.ticket);
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("local_addr", &self.local_addr())
            .field("peer_addr", &self.peer_addr())
            .finish_non_exhaustive()
    }
}

/// A handshake that counts towards the listener's limit.
struct HalfOpen<'a>(&'a ListenerShared);

impl Drop for HalfOpen<'_> {
    fn drop(&mut self) {
        self.0.half_open_ended();
    }
}
