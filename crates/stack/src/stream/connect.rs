//! Opening a connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use netstack_tcp::{FourTuple, TcpConfig};

use super::TcpStream;
use crate::actor::{Shared, order};
use crate::error::invalid;
use crate::lane::{lock, wait};
use crate::listener::Reservation;
use crate::route::{canonical, is_loopback, zone_of};
use crate::stack::{Inner, Origin, Stack};

impl TcpStream {
    /// Connects to `remote`, from the stack's address that is nearest to it and a port of the ephemeral range. The scope of
    /// a link-local address names the interface, 1 for the first device.
    ///
    /// # Errors
    ///
    /// - [`ConnectionRefused`](io::ErrorKind::ConnectionRefused): the peer answered with a reset, or an ICMP error said
    ///   that nobody is there;
    /// - [`TimedOut`](io::ErrorKind::TimedOut): no answer within the limit of
    ///   [`TcpConfig::syn_timeout`](crate::TcpConfig::syn_timeout);
    /// - [`HostUnreachable`](io::ErrorKind::HostUnreachable), [`NetworkUnreachable`](io::ErrorKind::NetworkUnreachable):
    ///   an ICMP error said so, or (the latter) no route leads there;
    /// - [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable): the stack has no address of this family, or no port is
    ///   free;
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput): port 0, an address that is no single host (unspecified,
    ///   multicast, broadcast); nothing is sent;
    /// - [`NetworkDown`](io::ErrorKind::NetworkDown): the stack has stopped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn f(stack: &tokio_netstack::Stack) -> std::io::Result<()> {
    /// use std::net::Ipv4Addr;
    /// use tokio_netstack::TcpStream;
    ///
    /// let stream = TcpStream::connect(stack, (Ipv4Addr::new(192, 0, 2, 1), 7)).await?;
    /// println!("connected from {}", stream.local_addr()?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(stack: &Stack, remote: impl Into<SocketAddr>) -> io::Result<Self> {
        Self::open(stack, None, remote.into()).await
    }

    /// Connects to `remote` from the address `local`; port 0 takes one of the ephemeral range, and the unspecified
    /// address any of the stack's.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and
    ///
    /// - [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable): `local` is not an address of the stack;
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput): `local` and `remote` are of different families;
    /// - [`AddrInUse`](io::ErrorKind::AddrInUse): there is a connection between the two already, or one in TIME-WAIT, or
    ///   a listener on `local`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up.
    pub async fn connect_from(
        stack: &Stack,
        local: impl Into<SocketAddr>,
        remote: impl Into<SocketAddr>,
    ) -> io::Result<Self> {
        Self::open(stack, Some(local.into()), remote.into()).await
    }

    async fn open(stack: &Stack, local: Option<SocketAddr>, remote: SocketAddr) -> io::Result<Self> {
        let target = Target::new(&stack.inner, local.map(canonical), remote)?;
        target.start(&stack.inner.config, None)?.connected().await
    }

    /// Connects from what a socket holds, or from anywhere, with settings of its own.
    pub(crate) async fn open_as(
        stack: &Stack,
        bound: Option<&Reservation>,
        remote: SocketAddr,
        config: Arc<TcpConfig>,
    ) -> io::Result<Self> {
        Target::bound(stack, bound, remote)?.start(&config, None)?.connected().await
    }

    /// Waits until the connection is open. Dropping the future gives it up: in SYN-SENT without a packet (S-CLOSE-2), in
    /// SYN-RECEIVED with a reset.
    pub(crate) async fn connected(self) -> io::Result<Self> {
        struct Attempt<'a>(Option<&'a Shared>);
        impl Drop for Attempt<'_> {
            fn drop(&mut self) {
                if let Some(shared) = self.0 {
                    shared.order(order::ABORT);
                }
            }
        }
        let lane = &self.shared.send;
        let mut attempt = Attempt(Some(&self.shared));
        let connected = wait(|waiter| lane.poll_connected(waiter), |place| lane.forget(place)).await;
        attempt.0 = None;
        drop(attempt);
        connected.map(|()| self).map_err(|cause| cause.to_io())
    }
}

/// Where a connection is to go, and from where.
pub(super) struct Target<'a> {
    inner: &'a Arc<Inner>,
    interface: usize,
    /// Port 0 stands for any.
    local: SocketAddr,
    remote: SocketAddr,
    /// The local address and port are held for this connection.
    reserved: bool,
}

impl<'a> Target<'a> {
    fn new(inner: &'a Arc<Inner>, local: Option<SocketAddr>, remote: SocketAddr) -> io::Result<Self> {
        inner.check_running()?;
        let (remote, zone) = (canonical(remote), zone_of(remote));
        check_remote(inner, remote)?;
        let (interface, local) = choose_local(inner, local, remote, zone)?;
        Ok(Self { inner, interface, local, remote, reserved: false })
    }

    /// From what a socket holds, or from anywhere.
    pub(super) fn bound(
        stack: &'a Stack,
        bound: Option<&Reservation>,
        remote: SocketAddr,
    ) -> io::Result<Self> {
        let target = Self::new(&stack.inner, bound.map(Reservation::local), remote)?;
        Ok(Self { reserved: bound.is_some(), ..target })
    }

    /// Takes a tuple and sends the SYN; with `text`, opens fast, and takes off what the send buffer has room for.
    pub(super) fn start(
        &self,
        config: &Arc<TcpConfig>,
        mut text: Option<&mut Bytes>,
    ) -> io::Result<TcpStream> {
        let Self { inner, interface, local, remote, reserved } = *self;
        let tuple_from = |port| FourTuple::new(SocketAddr::new(local.ip(), port), remote);
        let in_use = |port| {
            let tuple = tuple_from(port);
            (!reserved && inner.listeners.occupies(tuple.local())) || inner.table.contains(&tuple)
        };
        // Only on purpose.
        let meets_itself = |port| tuple_from(port).local() == remote;
        // Nobody else waits for this one to end: with few ports free it is long.
        let mut walk = lock(&inner.ports).walk(local.ip(), remote);
        loop {
            let port = match local.port() {
                0 => {
                    let free = walk.find(|&port| !meets_itself(port) && !in_use(port));
                    lock(&inner.ports).stop(&walk);
                    free.ok_or_else(|| {
                        let text = format!("every ephemeral port is in use for connections to {remote}");
                        io::Error::new(io::ErrorKind::AddrNotAvailable, text)
                    })?
                }
                port if in_use(port) => return Err(in_use_error(local, remote)),
                port => port,
            };
            let origin = Origin::Active { text: text.as_deref_mut() };
            let spawned = inner.spawn(tuple_from(port), interface, config, origin);
            if let Some(shared) = spawned {
                inner.counters.connections_opened.bump();
                return Ok(TcpStream::new(shared));
            }
            // Another task, or an incoming SYN, took the tuple in between; or the stack has stopped.
            inner.check_running()?;
            if local.port() != 0 {
                return Err(in_use_error(local, remote));
            }
        }
    }
}

fn in_use_error(local: SocketAddr, remote: SocketAddr) -> io::Error {
    let text = format!("{local} is taken for connections to {remote}; use another port, or port 0");
    io::Error::new(io::ErrorKind::AddrInUse, text)
}

/// Refuses destinations that no connection can have (R1122-4, MUST-46).
fn check_remote(inner: &Inner, remote: SocketAddr) -> io::Result<()> {
    let ip = remote.ip();
    let text = if remote.port() == 0 {
        "port 0 is not a destination"
    } else if ip.is_unspecified() || inner.routes.is_group(ip) {
        "a TCP connection needs the address of a single host"
    } else {
        return Ok(());
    };
    Err(invalid(format!("cannot connect to {remote}: {text}")))
}

/// The interface and the local address; port 0 stands for any.
fn choose_local(
    inner: &Inner,
    local: Option<SocketAddr>,
    remote: SocketAddr,
    zone: Option<usize>,
) -> io::Result<(usize, SocketAddr)> {
    let zone = zone.filter(|_| !inner.routes.table().is_local(remote.ip()));
    let any = || match zone {
        // From an address of that interface, which the connection's packets leave by as long as it is there.
        Some(zone) => {
            let source = inner.routes.source_by(remote.ip(), zone).ok_or_else(|| no_zone(remote, zone));
            source.map(|ip| (zone, SocketAddr::new(ip, 0)))
        }
        None => inner.source_for(remote).ok_or_else(|| unreachable(inner, remote.ip())),
    };
    let Some(local) = local else { return any() };
    if local.is_ipv4() != remote.is_ipv4() {
        return Err(invalid(format!("{local} and {remote} are of different families")));
    }
    if local.ip().is_unspecified() {
        let (interface, chosen) = any()?;
        return Ok((interface, SocketAddr::new(chosen.ip(), local.port())));
    }
    let (ip, table) = (local.ip(), inner.routes.table());
    if !table.may_bind(ip) {
        let text = format!("{ip} is not an address of this stack");
        return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
    }
    if is_loopback(ip) && !table.is_local(remote.ip()) {
        let text =
            format!("{ip} reaches the stack itself alone, not {remote}; bind to an address of a device");
        return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
    }
    let interface = table.interface_from(ip, remote.ip()).ok_or_else(|| unreachable(inner, remote.ip()))?;
    if let Some(zone) = zone.filter(|zone| *zone != interface) {
        return Err(no_zone(remote, zone));
    }
    Ok((interface, local))
}

/// Why there is no way to `remote`, whose scope names the interface `zone`.
fn no_zone(remote: SocketAddr, zone: usize) -> io::Error {
    let text = format!(
        "{} cannot be reached by interface {}, counted from 1: the scope of the address names one without an address that \
         fits",
        remote.ip(),
        zone + 1
    );
    io::Error::new(io::ErrorKind::AddrNotAvailable, text)
}

/// Why there is no way to `remote`.
fn unreachable(inner: &Inner, remote: IpAddr) -> io::Error {
    let family = if remote.is_ipv4() { "IPv4" } else { "IPv6" };
    if inner.routes.table().has_family(remote) {
        let text =
            format!("no route over a device that is up leads to {remote}: add one with `Stack::add_route`");
        return io::Error::new(io::ErrorKind::NetworkUnreachable, text);
    }
    let text = format!(
        "the stack has no {family} address to reach {remote} from: add one with `Stack::add_address`"
    );
    io::Error::new(io::ErrorKind::AddrNotAvailable, text)
}
