//! The application's end of UDP.

mod options;
mod peek;
mod recv;
mod send;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use netstack_tcp::FourTuple;
use tokio::io::{Interest, Ready};

use super::endpoint::{Endpoint, Link};
use super::sessions::Registry;
use super::{UdpConfig, room};
use crate::lane::{Waiter, lock, wait};
use crate::route::{canonical, zone_of};
use crate::stack::{Inner, Stack};

/// A UDP socket on an address of the stack (RFC 768), with the calls of `tokio::net::UdpSocket`.
///
/// All calls take `&self`: put it into an [`Arc`] to receive and send in different tasks.
///
/// - **Receiving.** Datagrams wait in a queue bounded by the memory that they hold, [`UdpConfig::recv_buffer`]; past it the newest
///   are dropped and counted ([`dropped`](Self::dropped)). Each call takes one datagram; what does not fit the buffer is
///   lost, and only [`recv_msg`](Self::recv_msg) tells, as it tells the address that the datagram was sent to.
///   [`recv_batch`](Self::recv_batch) takes several of one sender and size.
/// - **Sending.** A datagram goes to the device in the caller's task; with the device full `send*` wait, `try_send*` give
///   [`WouldBlock`](io::ErrorKind::WouldBlock). What is longer than the path's MTU goes in fragments, or is refused where
///   [`set_dont_fragment`](Self::set_dont_fragment) says so; it is never cut. What cannot be sent at all is refused with
///   [`MessageTooLong`](crate::MessageTooLong). [`send_msg`](Self::send_msg) chooses the source address, and sends several datagrams at
///   once.
/// - **Errors.** When a peer says by ICMP that its port is closed, a *connected* socket's next call fails with
///   [`ConnectionRefused`](io::ErrorKind::ConnectionRefused); softer news (no route, hop limit exceeded) is kept for
///   [`take_error`](Self::take_error). A socket that is not connected hears of neither, as with the kernel's.
/// - **Checksums** are always sent. Of what arrives, a checksum of zero passes over IPv4 and never over IPv6 (RFC 768,
///   RFC 8200 8.1); there is no zero-checksum mode (RFC 6936).
///
/// # Examples
///
/// ```
/// use tokio_netstack::{Stack, UdpSocket, device};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let caps = device::Capabilities::ip(1500);
/// let (left, right) = device::memory::pair(caps.clone(), caps);
/// let server = Stack::builder().device(left).address("192.0.2.1/24".parse()?).build()?;
/// let client = Stack::builder().device(right).address("192.0.2.2/24".parse()?).build()?;
///
/// let echo = UdpSocket::bind(&server, ([0, 0, 0, 0], 7)).await?;
/// let socket = UdpSocket::bind(&client, ([0, 0, 0, 0], 0)).await?;
/// socket.connect(([192, 0, 2, 1], 7)).await?;
/// socket.send(b"hello").await?;
///
/// let mut buf = [0; 2048];
/// let (len, peer) = echo.recv_from(&mut buf).await?;
/// echo.send_to(&buf[..len], peer).await?;
/// let len = socket.recv(&mut buf).await?;
/// assert_eq!(&buf[..len], b"hello");
/// # Ok(())
/// # }
/// ```
pub struct UdpSocket {
    endpoint: Arc<Endpoint>,
    inner: Arc<Inner>,
    /// Of a session, who knows its age.
    registry: Option<Arc<Registry>>,
}

impl UdpSocket {
    /// Binds a socket to an address of the stack.
    ///
    /// Port 0 takes a free port of [`StackBuilder::ephemeral_ports`](crate::StackBuilder::ephemeral_ports), drawn at random. The
    /// unspecified address (`0.0.0.0`, `[::]`) receives for every address of its own family; bind two sockets for both. A
    /// multicast address receives that group alone, once it is joined, and can be sent from like the unspecified one.
    ///
    /// # Errors
    ///
    /// - [`AddrInUse`](io::ErrorKind::AddrInUse): another socket has the port, on the same address or where one of the two is
    ///   unspecified, or every ephemeral port is taken;
    /// - [`QuotaExceeded`](io::ErrorKind::QuotaExceeded): the stack has
    ///   [`StackBuilder::max_udp_sockets`](crate::StackBuilder::max_udp_sockets) sockets;
    /// - [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable): the address is not one of the stack's;
    /// - [`NetworkDown`](io::ErrorKind::NetworkDown): the stack has stopped.
    pub async fn bind(stack: &Stack, addr: impl Into<SocketAddr>) -> io::Result<Self> {
        Self::bind_with(stack, addr, UdpConfig::new()).await
    }

    /// Binds a socket with settings of its own.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub async fn bind_with(
        stack: &Stack,
        addr: impl Into<SocketAddr>,
        config: UdpConfig,
    ) -> io::Result<Self> {
        let inner = &stack.inner;
        inner.check_running()?;
        let local = canonical(addr.into());
        if !inner.routes.may_bind(local.ip()) && !local.ip().is_multicast() {
            let text =
                format!("{} is not an address of this stack; give it to the builder first", local.ip());
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
        }
        let endpoint = inner.udp.bind(local, &config)?;
        let socket = Self { endpoint, inner: Arc::clone(inner), registry: None };
        // A stop since the look above has ended the sockets that it found, and may have missed this one.
        inner.check_running()?;
        Ok(socket)
    }

    pub(super) fn session(endpoint: Arc<Endpoint>, inner: &Arc<Inner>, registry: &Arc<Registry>) -> Self {
        Self { endpoint, inner: Arc::clone(inner), registry: Some(Arc::clone(registry)) }
    }

    /// Sets the peer: `send` and `recv` are to and from it, and datagrams of others do not come here any more. May be called
    /// again for another peer.
    ///
    /// A socket bound to the unspecified address gets the stack's address nearest to the peer. Sends nothing. Of a link-local
    /// address the scope names the interface, 1 for the first device, as in [`join_multicast_v6`](Self::join_multicast_v6).
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput): port 0, the unspecified address, an address of the other family; or the
    ///   socket is that of a [`UdpSession`](crate::UdpSession);
    /// - [`PermissionDenied`](io::ErrorKind::PermissionDenied): a broadcast address, without
    ///   [`set_broadcast`](Self::set_broadcast);
    /// - [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable): the stack has no address of this family.
    pub async fn connect(&self, addr: impl Into<SocketAddr>) -> io::Result<()> {
        if self.registry.is_some() {
            let text = "the socket of a session has its peer for good";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let addr = addr.into();
        let (remote, zone) = (canonical(addr), zone_of(addr));
        let (_, source) = self.path_to(remote, zone, None)?;
        let link = Link { local: SocketAddr::new(source, self.endpoint.bound.port()), remote, zone };
        let table = &self.inner.udp.table;
        let moving = lock(&self.endpoint.moving);
        let old = self.endpoint.key();
        let new = FourTuple::new(link.local, link.remote);
        if old != new {
            // First in, then out: nothing that comes in between is for nobody.
            table.insert(new, &self.endpoint);
            self.endpoint.set_link(link);
            table.remove(&old, &self.endpoint);
        }
        drop(moving);
        self.endpoint.queue.clear_errors();
        Ok(())
    }

    /// The address that this socket is bound to; once connected, the one that it sends from.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.endpoint.link().map_or(self.endpoint.bound, |link| link.local))
    }

    /// The peer that this socket is connected to.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected): it has none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.link().map(Link::peer).ok_or_else(not_connected)
    }

    /// Waits until [`try_recv`](Self::try_recv) would not fail with `WouldBlock`.
    ///
    /// # Errors
    ///
    /// None at present; an error of the socket shows when it is received from.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is received.
    pub async fn readable(&self) -> io::Result<()> {
        let queue = &self.endpoint.queue;
        wait(|waiter| queue.poll_readable(waiter), |place| queue.forget(place)).await;
        Ok(())
    }

    /// Polls for something to receive. Only the task of the latest call, to this or to another `poll_recv*` or `poll_peek*`, is
    /// woken.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.endpoint.queue.poll_readable(&Waiter::Poll(cx)).map(Ok)
    }

    /// Waits until the device, the one that was last sent to, has room: [`try_send`](Self::try_send) would most likely not fail
    /// with `WouldBlock`. Somebody else may be faster.
    ///
    /// # Errors
    ///
    /// None at present; an error of the socket shows when it sends.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is sent.
    pub async fn writable(&self) -> io::Result<()> {
        wait(|waiter| self.poll_writable(waiter), |place| self.endpoint.room.forget(place)).await;
        Ok(())
    }

    /// Polls for room in the device, as [`writable`](Self::writable) has it. Only the task of the latest call, to this or to
    /// another `poll_send*`, is woken.
    ///
    /// # Errors
    ///
    /// As [`writable`](Self::writable).
    pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_writable(&Waiter::Poll(cx)).map(Ok)
    }

    fn poll_writable(&self, waiter: &Waiter<'_, '_>) -> Poll<()> {
        let interface = self.inner.interface(self.endpoint.interface());
        room::poll_room(&self.endpoint, &interface.tx, &self.inner.handle, waiter)
    }

    /// Waits for readiness of either kind.
    ///
    /// # Errors
    ///
    /// None at present.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is received or sent.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let Endpoint { queue, room, .. } = &*self.endpoint;
        let look = |waiter: &Waiter<'_, '_>| {
            let mut ready = Ready::EMPTY;
            if interest.is_readable() && queue.poll_readable(waiter).is_ready() {
                ready |= Ready::READABLE;
            }
            if interest.is_writable() && self.poll_writable(waiter).is_ready() {
                ready |= Ready::WRITABLE;
            }
            if ready.is_empty() { Poll::Pending } else { Poll::Ready(Ok(ready)) }
        };
        let forget = |place| {
            queue.forget(place);
            room.forget(place);
        };
        match look(&Waiter::None) {
            Poll::Pending => wait(look, forget).await,
            Poll::Ready(ready) => ready,
        }
    }
}

/// The error of a call that needs a peer.
fn not_connected() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the socket has no peer: connect it, or say where to send")
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.inner.udp.unbind(&self.endpoint);
        if let Some(registry) = &self.registry {
            registry.forget(&self.endpoint);
        }
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let link = self.endpoint.link();
        f.debug_struct("UdpSocket")
            .field("local_addr", &link.map_or(self.endpoint.bound, |link| link.local))
            .field("peer_addr", &link.map(|link| link.remote))
            .finish_non_exhaustive()
    }
}
