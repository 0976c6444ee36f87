//! The listening socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::registry::{Place, Reservation};
use super::{ListenConfig, Mode, TcpListenerStream};
use crate::lane::{Waiter, wait};
use crate::stack::Stack;
use crate::stream::{TcpStream, check_ttl};

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
    place: Place,
}

impl TcpListener {
    /// Listens on an address of the stack, or on any with
    /// [`StackBuilder::any_address`](crate::StackBuilder::any_address).
    ///
    /// Port 0 takes a free port of the ephemeral range; [`local_addr`](Self::local_addr) tells which. The unspecified
    /// address (`0.0.0.0`, `[::]`) listens on every address of its own family; bind both for both families. A listener
    /// on one address and another on the unspecified address cannot share a port; see
    /// [`ListenConfig::reuse_port`] for several on the same.
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
        Self::listen(stack, Some(addr.into()), None)
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
        Self::listen(stack, Some(addr.into()), Some(&config))
    }

    /// Listens on every port of every address that the stack accepts, of both families: its own, and with
    /// [`StackBuilder::any_address`](crate::StackBuilder::any_address) all there are. A listener on a port of its own
    /// keeps it.
    ///
    /// [`TcpStream::local_addr`] of an accepted connection says where the peer wanted to go.
    ///
    /// # Errors
    ///
    /// - [`AddrInUse`](io::ErrorKind::AddrInUse): there is such a listener already;
    /// - [`NetworkDown`](io::ErrorKind::NetworkDown): the stack has stopped.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn f(stack: &tokio_netstack::Stack) -> std::io::Result<()> {
    /// use tokio_netstack::TcpListener;
    ///
    /// let listener = TcpListener::bind_all(stack).await?;
    /// let (stream, peer) = listener.accept().await?;
    /// println!("{peer} wants to go to {}", stream.local_addr()?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn bind_all(stack: &Stack) -> io::Result<Self> {
        Self::listen(stack, None, None)
    }

    /// As [`bind_all`](Self::bind_all), with settings of its own.
    ///
    /// # Errors
    ///
    /// As [`bind_all`](Self::bind_all).
    pub async fn bind_all_with(stack: &Stack, config: ListenConfig) -> io::Result<Self> {
        Self::listen(stack, None, Some(&config))
    }

    pub(crate) fn listen(
        stack: &Stack,
        local: Option<SocketAddr>,
        config: Option<&ListenConfig>,
    ) -> io::Result<Self> {
        Ok(Self { place: Place::take(stack, local, config, Mode::Prompt)? })
    }

    /// Turns what a socket holds into a listener.
    pub(crate) fn listen_at(reserved: &Reservation, config: &ListenConfig) -> io::Result<Self> {
        Ok(Self { place: reserved.listen(config)? })
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
        wait(|waiter| self.accept_with(waiter), |place| self.place.shared.forget(place)).await
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
        self.place.shared.poll_accept(waiter).map_ok(|stream| {
            let peer = stream.remote();
            (stream, peer)
        })
    }

    /// Makes a [`Stream`](futures_core::Stream) of the connections.
    #[must_use]
    pub fn into_stream(self) -> TcpListenerStream {
        TcpListenerStream::new(self)
    }

    /// The address and port that this socket listens on; `[::]:0` after [`bind_all`](Self::bind_all).
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.place.shared.local)
    }

    /// Takes data on SYNs from now on (TCP Fast Open, RFC 7413; `TCP_FASTOPEN` of Linux), of up to `pending` connections whose
    /// handshake is not over; 0 switches it off, which is the default.
    ///
    /// A client that asks gets a cookie, bound to its address. When it comes again with the cookie and data, it is accepted at
    /// once: the data can be read, and what is written leaves right behind the SYN-ACK, a round trip before the handshake is
    /// over. Past `pending` such connections, and without a valid cookie, data waits for a plain handshake. A cookie is good
    /// for one to two days, and until the stack ends.
    ///
    /// # Replays
    ///
    /// A SYN that the network repeats after its connection has ended opens another, with the same data: **the application may
    /// see a request twice** (RFC 7413 2.1, 6.3.1). Use it only where that does no harm, as with a `GET`, or with TLS, whose
    /// handshake is what comes twice. A stolen cookie lets its owner's address be forged: then nobody is there
    /// ([`TcpInfo::state`](crate::TcpInfo::state) stays SYN-RECEIVED), while answers go to a victim. `pending` bounds
    /// how many of these there can be; those that the victim resets count for another minute.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn set_fastopen(&self, pending: u32) -> io::Result<()> {
        let Place { shared, inner } = &self.place;
        shared.set_fast_open(inner.secrets.fast_open, pending as usize);
        Ok(())
    }

    /// How many connections may be early; see [`set_fastopen`](Self::set_fastopen).
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn fastopen(&self) -> io::Result<u32> {
        Ok(u32::try_from(self.place.shared.fast_open_limit()).unwrap_or(u32::MAX))
    }

    /// Sets the IPv4 TTL, or the IPv6 hop limit, of connections whose SYN comes from now on, their SYN-ACK included:
    /// 1 to 255.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): `ttl` is out of range.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let hops = check_ttl(ttl)?;
        self.place.shared.set_config(|config| {
            config.hop_limit(hops);
        });
        Ok(())
    }

    /// The IPv4 TTL, or the IPv6 hop limit, of connections whose SYN comes now.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(self.place.shared.config().hop_limit_value().into())
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener").field("local_addr", &self.place.shared.local).finish_non_exhaustive()
    }
}
