//! A TCP socket before it connects or listens.

mod fast_open;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use netstack_tcp::congestion::CongestionControl;
use netstack_tcp::{KeepAlive, TcpConfig};

use crate::actor::Linger;
use crate::error::invalid;
use crate::lane::lock;
use crate::listener::{ListenConfig, Reservation, TcpListener};
use crate::stack::Stack;
use crate::stream::{TcpStream, check_tos, check_ttl};
use crate::sync::Mutex;

/// A TCP socket that is not connected yet and does not listen: for options that have to be set before, and for a local
/// address of one's choice.
///
/// It begins with the settings of the stack ([`StackBuilder::tcp_config`](crate::StackBuilder::tcp_config)). A connection
/// made by [`connect`](Self::connect), and those that a listener made by [`listen`](Self::listen) accepts, have the
/// settings of the socket.
///
/// # Examples
///
/// ```no_run
/// use tokio_netstack::{Stack, TcpSocket};
///
/// async fn fetch(stack: &Stack) -> std::io::Result<()> {
///     let socket = TcpSocket::new_v4(stack)?;
///     socket.bind(([192, 0, 2, 2], 4000).into())?;
///     socket.set_mss(1200)?;
///     socket.set_tos_v4(0x10)?;
///     let stream = socket.connect(([192, 0, 2, 1], 80).into()).await?;
///     # drop(stream);
///     Ok(())
/// }
/// ```
pub struct TcpSocket {
    stack: Stack,
    v6: bool,
    settings: Mutex<Settings>,
}

struct Settings {
    tcp: TcpConfig,
    linger: Linger,
    reuse_address: bool,
    reuse_port: bool,
    fastopen: u32,
    bound: Option<Reservation>,
}

impl TcpSocket {
    /// A socket for IPv4.
    ///
    /// # Errors
    ///
    /// [`NetworkDown`](io::ErrorKind::NetworkDown): the stack has stopped.
    pub fn new_v4(stack: &Stack) -> io::Result<Self> {
        Self::new(stack, false)
    }

    /// A socket for IPv6; it does not take IPv4 connections.
    ///
    /// # Errors
    ///
    /// [`NetworkDown`](io::ErrorKind::NetworkDown): the stack has stopped.
    pub fn new_v6(stack: &Stack) -> io::Result<Self> {
        Self::new(stack, true)
    }

    fn new(stack: &Stack, v6: bool) -> io::Result<Self> {
        stack.inner.check_running()?;
        let settings = Settings {
            tcp: (*stack.inner.config).clone(),
            linger: Linger::Background,
            reuse_address: false,
            reuse_port: false,
            fastopen: 0,
            bound: None,
        };
        Ok(Self { stack: stack.clone(), v6, settings: Mutex::new(settings) })
    }

    /// Takes a local address and port: port 0 takes a free one of the ephemeral range, and the unspecified address stands
    /// for any of the stack's. From here on nobody else may bind them; connections that are or were there do not
    /// matter.
    ///
    /// # Errors
    ///
    /// - [`AddrInUse`](io::ErrorKind::AddrInUse): another socket or listener has them;
    /// - [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable): the address is not one of the stack's;
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput): the socket is bound already, or of the other family.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        self.check_family(addr.ip())?;
        let mut settings = lock(&self.settings);
        if settings.bound.is_some() {
            return Err(invalid("the socket is bound already"));
        }
        settings.bound = Some(Reservation::take(&self.stack, addr, &settings.listen_config(&self.stack, 1))?);
        Ok(())
    }

    /// Connects to `addr`, from the address bound or else as [`TcpStream::connect`] does.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::connect`] and [`TcpStream::connect_from`];
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): the socket is of the other family.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up.
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        self.check_family(addr.ip())?;
        let Settings { tcp, linger, bound, .. } =
            self.settings.into_inner().unwrap_or_else(PoisonError::into_inner);
        let stream = TcpStream::open_as(&self.stack, bound.as_ref(), addr, Arc::new(tcp)).await?;
        stream.linger_as(linger);
        Ok(stream)
    }

    /// Listens on the address bound, or else on an ephemeral port of every address of the family. `backlog` connections
    /// may wait for `accept`.
    ///
    /// # Errors
    ///
    /// - [`AddrInUse`](io::ErrorKind::AddrInUse): a listener has the address and port;
    /// - [`NetworkDown`](io::ErrorKind::NetworkDown): the stack has stopped.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let settings = self.settings.into_inner().unwrap_or_else(PoisonError::into_inner);
        let config = settings.listen_config(&self.stack, usize::try_from(backlog).unwrap_or(usize::MAX));
        match &settings.bound {
            Some(bound) => TcpListener::listen_at(bound, &config),
            None => {
                let any: IpAddr =
                    if self.v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
                TcpListener::listen(&self.stack, Some(SocketAddr::new(any, 0)), Some(&config))
            }
        }
    }

    /// The address bound; before that the unspecified one with port 0.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let unbound: IpAddr =
            if self.v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let bound = lock(&self.settings).bound.as_ref().map(Reservation::local);
        Ok(bound.unwrap_or_else(|| SocketAddr::new(unbound, 0)))
    }

    fn check_family(&self, ip: IpAddr) -> io::Result<()> {
        if ip.to_canonical().is_ipv6() == self.v6 {
            return Ok(());
        }
        Err(invalid(format!("{ip} is not of the socket's family; make it with `new_v4` or `new_v6`")))
    }

    fn set(&self, change: impl FnOnce(&mut Settings)) -> io::Result<()> {
        change(&mut lock(&self.settings));
        Ok(())
    }

    fn get<T>(&self, look: impl FnOnce(&Settings) -> T) -> io::Result<T> {
        Ok(look(&lock(&self.settings)))
    }
}

/// Each setting with its getter: those of `tokio::net::TcpSocket`, then others.
impl TcpSocket {
    /// Lets the socket share its address and port with others that allow it too, as long as none of them listens
    /// (`SO_REUSEADDR`). Default: off. Connections in TIME-WAIT never stand in the way of a socket here.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn set_reuseaddr(&self, reuseaddr: bool) -> io::Result<()> {
        self.set(|settings| settings.reuse_address = reuseaddr)
    }

    /// What [`set_reuseaddr`](Self::set_reuseaddr) has set.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.get(|settings| settings.reuse_address)
    }

    /// Lets several listeners have the same address and port, see [`ListenConfig::reuse_port`]. Default: off.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn set_reuseport(&self, reuseport: bool) -> io::Result<()> {
        self.set(|settings| settings.reuse_port = reuseport)
    }

    /// What [`set_reuseport`](Self::set_reuseport) has set.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn reuseport(&self) -> io::Result<bool> {
        self.get(|settings| settings.reuse_port)
    }

    /// Fixes the send buffer, in octets; see [`TcpConfig::send_buffer`].
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        self.set(|settings| {
            settings.tcp.send_buffer(size as usize);
        })
    }

    /// The send buffer in octets, or the limit up to which it sizes itself.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        // At most 1 GiB.
        self.get(|settings| settings.tcp.send_buffer_size() as u32)
    }

    /// Fixes the receive buffer, in octets; see [`TcpConfig::recv_buffer`].
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        self.set(|settings| {
            settings.tcp.recv_buffer(size as usize);
        })
    }

    /// The receive buffer in octets, or the limit up to which it sizes itself.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        // At most 1 GiB.
        self.get(|settings| settings.tcp.recv_buffer_size() as u32)
    }

    /// Switches keep-alive probing on, with the times of [`KeepAlive::default`], or off.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.set_keepalive_times(keepalive.then(KeepAlive::default))
    }

    /// Whether keep-alive probing is on.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn keepalive(&self) -> io::Result<bool> {
        Ok(self.keepalive_times()?.is_some())
    }

    /// Switches keep-alive probing on with these times, or off; see [`TcpStream::set_keepalive`].
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn set_keepalive_times(&self, keepalive: Option<KeepAlive>) -> io::Result<()> {
        self.set(|settings| {
            settings.tcp.keepalive(keepalive);
        })
    }

    /// The times of keep-alive probing, if it is on.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn keepalive_times(&self) -> io::Result<Option<KeepAlive>> {
        self.get(|settings| settings.tcp.keepalive_times())
    }

    /// Says what happens to undelivered data when a stream is dropped; see [`TcpStream::set_linger`].
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.set(|settings| settings.linger = Linger::from(linger))
    }

    /// Resets a connection when its stream is dropped; see [`TcpStream::set_linger`].
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// What [`set_linger`](Self::set_linger) has set.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.get(|settings| settings.linger.into())
    }

    /// Switches the Nagle algorithm off (`true`) or on.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.set(|settings| {
            settings.tcp.nodelay(nodelay);
        })
    }

    /// Whether the Nagle algorithm is off.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.get(|settings| settings.tcp.is_nodelay())
    }

    /// Sets the type of service of an IPv4 socket, 0 to 255; see [`TcpStream::set_tos`].
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): out of range, or an IPv6 socket.
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        self.check_family(Ipv4Addr::UNSPECIFIED.into())?;
        self.set_tos(tos)
    }

    /// The type of service of an IPv4 socket, without the bits of ECN.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): an IPv6 socket.
    pub fn tos_v4(&self) -> io::Result<u32> {
        self.check_family(Ipv4Addr::UNSPECIFIED.into())?;
        self.tos()
    }

    /// Sets the traffic class of an IPv6 socket, 0 to 255; see [`TcpStream::set_tos`].
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): out of range, or an IPv4 socket.
    pub fn set_tclass_v6(&self, tclass: u32) -> io::Result<()> {
        self.check_family(Ipv6Addr::UNSPECIFIED.into())?;
        self.set_tos(tclass)
    }

    /// The traffic class of an IPv6 socket, without the bits of ECN.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): an IPv4 socket.
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.check_family(Ipv6Addr::UNSPECIFIED.into())?;
        self.tos()
    }

    fn set_tos(&self, tos: u32) -> io::Result<()> {
        let dscp = check_tos(tos)?;
        self.set(|settings| {
            settings.tcp.dscp(dscp);
        })
    }

    fn tos(&self) -> io::Result<u32> {
        self.get(|settings| u32::from(settings.tcp.dscp_value()) << 2)
    }

    /// Sets the IPv4 TTL, or the IPv6 hop limit, 1 to 255.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): out of range.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let hops = check_ttl(ttl)?;
        self.set(|settings| {
            settings.tcp.hop_limit(hops);
        })
    }

    /// The IPv4 TTL, or the IPv6 hop limit.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn ttl(&self) -> io::Result<u32> {
        self.get(|settings| settings.tcp.hop_limit_value().into())
    }

    /// Sets an upper bound on the MSS that is announced and used (`TCP_MAXSEG`), at least 88 octets.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): below 88.
    pub fn set_mss(&self, mss: u16) -> io::Result<()> {
        if mss < LEAST_MSS {
            return Err(invalid(format!("an MSS is at least {LEAST_MSS}, not {mss}")));
        }
        self.set(|settings| {
            settings.tcp.mss(mss);
        })
    }

    /// The upper bound on the MSS; 65,535 where the device's MTU alone decides.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn mss(&self) -> io::Result<u16> {
        self.get(|settings| settings.tcp.mss_limit())
    }

    /// Sets how long data may stay without progress; see [`TcpStream::set_user_timeout`].
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn set_user_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.set(|settings| {
            settings.tcp.user_timeout(limit);
        })
    }

    /// How long data may stay without progress; `None` is for ever.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn user_timeout(&self) -> io::Result<Option<Duration>> {
        self.get(|settings| settings.tcp.user_timeout_limit())
    }

    /// Chooses the congestion controller.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn set_congestion(&self, choice: CongestionControl) -> io::Result<()> {
        self.set(|settings| {
            settings.tcp.congestion(choice);
        })
    }

    /// The congestion controller chosen.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn congestion(&self) -> io::Result<CongestionControl> {
        self.get(|settings| settings.tcp.congestion_control().clone())
    }
}

/// With less, options would leave no room for data.
const LEAST_MSS: u16 = 88;

impl Settings {
    fn listen_config(&self, stack: &Stack, backlog: usize) -> ListenConfig {
        let mut config = stack.inner.listen_config.clone();
        config
            .backlog(backlog)
            .reuse_port(self.reuse_port)
            .fastopen(self.fastopen as usize)
            .tcp(self.tcp.clone());
        config.reuse_address = self.reuse_address;
        config.linger = self.linger;
        config
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = lock(&self.settings);
        f.debug_struct("TcpSocket")
            .field("v6", &self.v6)
            .field("local_addr", &settings.bound.as_ref().map(Reservation::local))
            .finish_non_exhaustive()
    }
}
