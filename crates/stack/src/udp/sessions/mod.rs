//! Sessions: the UDP of any-address mode, a socket for each 4-tuple that something arrives on.

mod registry;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::io::ReadBuf;

pub(super) use registry::Registry;

use super::{RecvMsg, UdpSessionsConfig, UdpSocket};
use crate::lane::{Waiter, wait};
use crate::stack::{Inner, Stack};

impl Stack {
    /// Makes a session of each flow of datagrams that no socket is bound for: a stream of [`UdpSession`], one for each pair of a
    /// sender and the address and port that it writes to.
    ///
    /// With [`StackBuilder::any_address`](crate::StackBuilder::any_address) that is whatever destination arrives on the device,
    /// which is what a proxy or a VPN's end needs; without it, every port of the stack's own addresses that has no socket. Nobody
    /// is told any more that a port is closed.
    ///
    /// # Errors
    ///
    /// - [`AddrInUse`](io::ErrorKind::AddrInUse): the stack has a [`UdpSessions`] already; drop it first;
    /// - [`NetworkDown`](io::ErrorKind::NetworkDown): the stack has stopped.
    ///
    /// # Examples
    ///
    /// Answers whatever comes, from the address that it was sent to:
    ///
    /// ```no_run
    /// use tokio_netstack::{Stack, UdpSessionsConfig};
    ///
    /// async fn echo(stack: &Stack) -> std::io::Result<()> {
    ///     let sessions = stack.udp_sessions(UdpSessionsConfig::new())?;
    ///     loop {
    ///         let session = sessions.accept().await?;
    ///         println!("{} writes to {}", session.peer_addr(), session.local_addr());
    ///         tokio::spawn(async move {
    ///             let mut buf = vec![0; 65_536];
    ///             // Ends with an error once the session was idle for its time limit.
    ///             while let Ok(len) = session.recv(&mut buf).await {
    ///                 session.send(&buf[..len]).await?;
    ///             }
    ///             std::io::Result::Ok(())
    ///         });
    ///     }
    /// }
    /// ```
    pub fn udp_sessions(&self, config: UdpSessionsConfig) -> io::Result<UdpSessions> {
        let inner = &self.inner;
        inner.check_running()?;
        let registry = Arc::new(Registry::new(config));
        {
            let mut slot = inner.udp.sessions.write().unwrap_or_else(PoisonError::into_inner);
            if slot.is_some() {
                let text = "the stack gives its UDP sessions to another `UdpSessions`; drop that first";
                return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
            }
            *slot = Some(Arc::clone(&registry));
        }
        let sessions = UdpSessions { registry, inner: Arc::clone(inner) };
        // A stop since the look above may have missed it.
        inner.check_running()?;
        Ok(sessions)
    }
}

/// New sessions as they begin, made by [`Stack::udp_sessions`]; also a [`Stream`], which ends with its first error.
///
/// Dropping it ends the sessions that were not accepted; the accepted ones live on, and new datagrams for nobody are answered
/// with ICMP again.
pub struct UdpSessions {
    registry: Arc<Registry>,
    inner: Arc<Inner>,
}

impl UdpSessions {
    /// Waits for the next session. The datagram that opened it is the first to be received.
    ///
    /// # Errors
    ///
    /// [`NetworkDown`](io::ErrorKind::NetworkDown): the stack has stopped.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it completes, no session is lost.
    pub async fn accept(&self) -> io::Result<UdpSession> {
        wait(|waiter| self.accept_with(waiter), |place| self.registry.forget_waiter(place)).await
    }

    /// Polls for the next session. Only the task of the latest call is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<UdpSession>> {
        self.accept_with(&Waiter::Poll(cx))
    }

    fn accept_with(&self, waiter: &Waiter<'_, '_>) -> Poll<io::Result<UdpSession>> {
        self.registry.poll_accept(waiter).map_ok(|(endpoint, link)| UdpSession {
            socket: UdpSocket::session(endpoint, &self.inner, &self.registry),
            local: link.local,
            peer: link.peer(),
        })
    }

    /// Sessions that there are now, those not accepted yet among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.registry.len()
    }

    /// Whether there is no session.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Stream for UdpSessions {
    type Item = io::Result<UdpSession>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.poll_accept(cx) {
            // It would be the same for ever.
            Poll::Ready(Err(_)) => Poll::Ready(None),
            other => other.map(Some),
        }
    }
}

impl Drop for UdpSessions {
    fn drop(&mut self) {
        let mut slot = self.inner.udp.sessions.write().unwrap_or_else(PoisonError::into_inner);
        slot.take_if(|registry| Arc::ptr_eq(registry, &self.registry));
        drop(slot);
        self.registry.close(&self.inner);
    }
}

impl fmt::Debug for UdpSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSessions").field("sessions", &self.len()).finish_non_exhaustive()
    }
}

/// The datagrams between one sender and the address that it wrote to; made by [`UdpSessions::accept`].
///
/// It ends with [`TimedOut`](io::ErrorKind::TimedOut) when nothing passed for [`UdpSessionsConfig::idle`], and with
/// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted) when it gave way to a newer one; what had arrived before is received
/// first. When it is dropped, or has ended, the sender's next datagram begins a new one.
///
/// It is a connected [`UdpSocket`] beneath: [`socket`](Self::socket) has all its calls.
#[derive(Debug)]
pub struct UdpSession {
    socket: UdpSocket,
    local: SocketAddr,
    peer: SocketAddr,
}

impl UdpSession {
    /// The address and port that the sender wrote to; what is sent comes from there.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The sender.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// The connected socket that it is, for options, batches and readiness.
    #[must_use]
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// [`UdpSocket::recv`].
    ///
    /// # Errors
    ///
    /// As there, and once the session has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no datagram is lost.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buf).await
    }

    /// [`UdpSocket::try_recv`].
    ///
    /// # Errors
    ///
    /// As there, and once the session has ended.
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.try_recv(buf)
    }

    /// [`UdpSocket::poll_recv`].
    ///
    /// # Errors
    ///
    /// As there, and once the session has ended.
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_recv(cx, buf)
    }

    /// [`UdpSocket::recv_msg`].
    ///
    /// # Errors
    ///
    /// As there, and once the session has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no datagram is lost.
    pub async fn recv_msg(&self, buf: &mut [u8]) -> io::Result<RecvMsg> {
        self.socket.recv_msg(buf).await
    }

    /// [`UdpSocket::send`]: a datagram to the sender, from the address that it wrote to.
    ///
    /// # Errors
    ///
    /// As there, and once the session has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the datagram is sent whole or not at all.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.send(buf).await
    }

    /// [`UdpSocket::try_send`].
    ///
    /// # Errors
    ///
    /// As there, and once the session has ended.
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.try_send(buf)
    }

    /// [`UdpSocket::poll_send`].
    ///
    /// # Errors
    ///
    /// As there, and once the session has ended.
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_send(cx, buf)
    }
}
