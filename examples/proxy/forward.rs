//! The forwarder.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio_netstack::{Incoming, Stack, TcpIncoming, UdpSession, UdpSessions, UdpSessionsConfig};

/// How long a destination has to answer. A client that repeats its SYN sees silence until then, as without a forwarder.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a relay holds of each direction.
const BUFFER: usize = 64 * 1024;

/// No datagram is larger.
const DATAGRAM: usize = 65_535;

/// Datagrams of one direction before it is the other's turn.
const BURST: usize = 64;

/// How the host's sockets are made.
#[derive(Debug, Default)]
pub(crate) struct Dial {
    /// The interface that they are bound to.
    pub(crate) interface: Option<String>,
}

impl Dial {
    async fn tcp(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(interface) = &self.interface {
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        tokio::time::timeout(PATIENCE, socket.connect(to)).await?
    }

    async fn udp(&self, to: SocketAddr) -> io::Result<UdpSocket> {
        let any: IpAddr =
            if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).await?;
        if let Some(interface) = &self.interface {
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        socket.connect(to).await?;
        Ok(socket)
    }
}

/// Forwards all that arrives, in tasks of the current runtime, until the stack ends.
///
/// # Errors
/// The stack has stopped.
pub(crate) fn start(stack: &Stack, dial: Dial) -> io::Result<()> {
    let dial = Arc::new(dial);
    tokio::spawn(tcp(stack.tcp_incoming()?, Arc::clone(&dial)));
    tokio::spawn(udp(stack.udp_sessions(UdpSessionsConfig::new())?, dial));
    Ok(())
}

async fn tcp(incoming: TcpIncoming, dial: Arc<Dial>) {
    while let Some(syn) = incoming.next().await {
        let dial = Arc::clone(&dial);
        tokio::spawn(async move {
            let (from, to) = (syn.peer_addr(), syn.local_addr());
            match relay(syn, &dial).await {
                Ok((up, down)) => tracing::debug!(%from, %to, up, down, "ended"),
                Err(error) => tracing::debug!(%from, %to, %error, "ended early"),
            }
        });
    }
}

/// Dials, and answers the client as the destination has answered.
async fn relay(syn: Incoming, dial: &Dial) -> io::Result<(u64, u64)> {
    let mut upstream = match dial.tcp(syn.local_addr()).await {
        Ok(upstream) => upstream,
        Err(error) => {
            match error.kind() {
                io::ErrorKind::TimedOut => syn.ignore(),
                _ => syn.reject(),
            }
            return Err(error);
        }
    };
    let mut client = syn.accept().await?;
    tokio::io::copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER).await
}

async fn udp(sessions: UdpSessions, dial: Arc<Dial>) {
    while let Ok(session) = sessions.accept().await {
        let dial = Arc::clone(&dial);
        tokio::spawn(async move {
            let (from, to) = (session.peer_addr(), session.local_addr());
            if let Err(error) = exchange(&session, &dial).await {
                tracing::debug!(%from, %to, %error, "ended");
            }
        });
    }
}

/// Passes on what is there, for a turn. The buffer is there only while something passes: a thousand idle sessions hold none.
macro_rules! pass_on {
    ($from:expr, $to:expr) => {
        let mut buf = Vec::with_capacity(DATAGRAM);
        for _ in 0..BURST {
            buf.clear();
            if !unless_refused($from.try_recv_buf(&mut buf))? {
                break;
            }
            if !unless_refused($to.send(&buf).await)? {
                // That was about an earlier datagram: this one has not left.
                unless_refused($to.send(&buf).await)?;
            }
        }
    };
}

/// Carries datagrams both ways until the session has been idle for its time limit. That a port is closed ends nothing: it may
/// be open for the next datagram, which then has to come from the same port as the ones before.
async fn exchange(session: &UdpSession, dial: &Dial) -> io::Result<()> {
    let upstream = dial.udp(session.local_addr()).await?;
    let client = session.socket();
    loop {
        tokio::select! {
            ready = client.readable() => {
                ready?;
                pass_on!(client, upstream);
            }
            ready = upstream.readable() => {
                ready?;
                pass_on!(upstream, client);
            }
        }
    }
}

/// Whether a datagram passed: not if there was none, or if an earlier one was refused, which is told only once.
fn unless_refused(passed: io::Result<usize>) -> io::Result<bool> {
    match passed {
        Ok(_) => Ok(true),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
