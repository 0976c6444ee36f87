//! Sending.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use netstack_tcp::FourTuple;
use netstack_wire::Protocol;
use tokio::task::coop;

use super::{UdpSocket, not_connected};
use crate::error::would_block;
use crate::lane::Waiter;
use crate::output::Outgoing;
use crate::route::{canonical, zone_of};
use crate::udp::SendMsg;
use crate::udp::message::Tos;
use crate::udp::output::{Outbound, Sending, room_in};

impl UdpSocket {
    /// Sends a datagram to the peer, whole. Returns the length of `buf`.
    ///
    /// # Errors
    ///
    /// - [`NotConnected`](io::ErrorKind::NotConnected): the socket has no peer;
    /// - [`ConnectionRefused`](io::ErrorKind::ConnectionRefused): the peer answered something sent before with ICMP, nobody is
    ///   there; this datagram was not sent, and the socket can be used on;
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput) with [`MessageTooLong`](crate::MessageTooLong): longer than a datagram can
    ///   be (65,507 octets over IPv4, 65,527 over IPv6), or than the path carries where
    ///   [`set_dont_fragment`](Self::set_dont_fragment) forbids fragments; nothing was sent;
    /// - [`NetworkDown`](io::ErrorKind::NetworkDown): the stack has stopped.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the datagram is sent whole, or if the future is dropped before it completes perhaps not at all.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.send_msg(buf, &SendMsg::new()).await
    }

    /// Sends without waiting, as [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`WouldBlock`](io::ErrorKind::WouldBlock) when the device is full.
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_send_msg(buf, &SendMsg::new())
    }

    /// Polls to send, as [`send`](Self::send). Only the task of the latest `poll_send*` call is woken.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send_msg(cx, buf, &SendMsg::new())
    }

    /// Sends a datagram to `target`, whole; a connected socket may send to others than its peer. Returns the length of `buf`.
    /// The scope of a link-local or multicast address names the interface, 1 for the first device.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and
    ///
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput): port 0, the unspecified address, or one of the other family;
    /// - [`PermissionDenied`](io::ErrorKind::PermissionDenied): a broadcast address, without
    ///   [`set_broadcast`](Self::set_broadcast);
    /// - [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable): the stack has no address of this family, or no interface of that
    ///   scope.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn send_to(&self, buf: &[u8], target: impl Into<SocketAddr>) -> io::Result<usize> {
        self.send_msg(buf, &SendMsg::new().to(target)).await
    }

    /// Sends without waiting, as [`send_to`](Self::send_to).
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to), and [`WouldBlock`](io::ErrorKind::WouldBlock) when the device is full.
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.try_send_msg(buf, &SendMsg::new().to(target))
    }

    /// Polls to send, as [`send_to`](Self::send_to). Only the task of the latest `poll_send*` call is woken.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to).
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.poll_send_msg(cx, buf, &SendMsg::new().to(target))
    }

    /// Sends as `msg` says: to and from a chosen address, or several datagrams of one size at once
    /// ([`SendMsg::segment_size`]), which the device cuts where it can. Returns the length of `buf`.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to), and [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable) for a source that is not an
    /// address of the stack. After an error the first of several datagrams may have left.
    ///
    /// # Cancel safety
    ///
    /// A single datagram as [`send`](Self::send). Of several, if the future is dropped before it completes, the first may have
    /// left, each of them whole.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn f(socket: tokio_netstack::UdpSocket, packets: &[u8]) -> std::io::Result<()> {
    /// use tokio_netstack::SendMsg;
    ///
    /// let msg = SendMsg::new().to(([192, 0, 2, 1], 4433)).segment_size(1200);
    /// socket.send_msg(packets, &msg).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_msg(&self, buf: &[u8], msg: &SendMsg) -> io::Result<usize> {
        let sending = self.prepare(buf, msg, false)?;
        let sent = coop::cooperative(sending.all()).await?;
        self.endpoint.touch(&self.inner);
        Ok(sent)
    }

    /// Sends without waiting, as [`send_msg`](Self::send_msg). Of several datagrams it sends what the device takes, and returns
    /// the octets of those.
    ///
    /// # Errors
    ///
    /// As [`send_msg`](Self::send_msg), and [`WouldBlock`](io::ErrorKind::WouldBlock) when the device is full.
    pub fn try_send_msg(&self, buf: &[u8], msg: &SendMsg) -> io::Result<usize> {
        self.send_now(buf, msg)?.ok_or_else(would_block)
    }

    /// Polls to send, as [`try_send_msg`](Self::try_send_msg): ready once the device has taken at least one datagram. Only the
    /// task of the latest `poll_send*` call is woken.
    ///
    /// # Errors
    ///
    /// As [`send_msg`](Self::send_msg).
    pub fn poll_send_msg(&self, cx: &mut Context<'_>, buf: &[u8], msg: &SendMsg) -> Poll<io::Result<usize>> {
        let coop = ready!(coop::poll_proceed(cx));
        loop {
            if let Some(sent) = self.send_now(buf, msg)? {
                coop.made_progress();
                return Poll::Ready(Ok(sent));
            }
            ready!(self.poll_writable(&Waiter::Poll(cx)));
        }
    }

    fn send_now(&self, buf: &[u8], msg: &SendMsg) -> io::Result<Option<usize>> {
        let sent = self.prepare(buf, msg, true)?.now()?;
        self.endpoint.touch(&self.inner);
        Ok(sent)
    }

    /// What a call sends; with the slot of the device that pollers waited for, if it is `polled`.
    fn prepare(&self, buf: &[u8], msg: &SendMsg, polled: bool) -> io::Result<Sending> {
        self.endpoint.queue.check()?;
        let link = self.endpoint.link();
        let (to, zone) = match (msg.to, link) {
            (Some(to), _) => (canonical(to), zone_of(to)),
            (None, Some(link)) => (link.remote, link.zone),
            (None, None) => return Err(not_connected()),
        };
        // Once connected, it sends from the address that answers come to, whatever would be nearest by now.
        let from = msg.from.map(|ip| ip.to_canonical()).or_else(|| link.map(|link| link.local.ip()));
        let (interface, source) = self.path_to(to, zone, from)?;
        self.endpoint.set_interface(interface);
        let from = SocketAddr::new(source, self.endpoint.bound.port());
        let settings = &self.endpoint.settings;
        let multicast = to.ip().is_multicast();
        let hops = if multicast { &settings.multicast_hops } else { &settings.hop_limit };
        let tos = Tos(settings.tos.load(Relaxed));
        let flow = self.inner.secrets.flow_hash(&FourTuple::new(from, to));
        let mut outgoing = Outgoing::new(source, to.ip(), Protocol::UDP, flow);
        outgoing.hop_limit = msg.hop_limit.unwrap_or_else(|| hops.load(Relaxed));
        outgoing.dscp = tos.dscp();
        outgoing.ecn = msg.ecn.map_or(tos, Tos).ecn();
        let segment = msg.segment_size.unwrap_or(buf.len()).min(buf.len());
        // As a device cuts them, so that a batch is the same with one that does not.
        let whole = segment < buf.len() && segment <= room_in(self.inner.mtu_to(interface, to.ip()), to);
        let forbidden = settings.dont_fragment.load(Relaxed);
        outgoing.dont_fragment = whole || forbidden;
        let outbound = Outbound {
            interface,
            outgoing,
            from,
            to,
            data: Bytes::copy_from_slice(buf),
            segment,
            fits: whole && !forbidden,
            loops: multicast && settings.multicast_loop.load(Relaxed),
            sent: 0,
            rest: None,
        };
        let place = if polled { self.endpoint.room.take() } else { None };
        Ok(Sending::new(&self.inner, outbound, place))
    }

    /// The interface and source address for datagrams to `to`, by the interface `zone` if its scope names one.
    pub(super) fn path_to(
        &self,
        to: SocketAddr,
        zone: Option<usize>,
        from: Option<IpAddr>,
    ) -> io::Result<(usize, IpAddr)> {
        let routes = &self.inner.routes;
        let bound = self.endpoint.bound.ip();
        let ip = to.ip();
        let refuse = |kind, text: &str| Err(io::Error::new(kind, format!("cannot send to {to}: {text}")));
        if to.port() == 0 || ip.is_unspecified() {
            return refuse(io::ErrorKind::InvalidInput, "a destination has an address and a port");
        }
        if ip.is_ipv4() != bound.is_ipv4() || from.is_some_and(|from| from.is_ipv4() != ip.is_ipv4()) {
            return refuse(io::ErrorKind::InvalidInput, "the socket is of the other address family");
        }
        if !ip.is_multicast() && routes.is_group(ip) && !self.endpoint.settings.broadcast.load(Relaxed) {
            return refuse(
                io::ErrorKind::PermissionDenied,
                "broadcasts have to be allowed with `set_broadcast`",
            );
        }
        let chosen = from.filter(|from| !from.is_unspecified());
        if let Some(from) = chosen
            && !routes.may_bind(from)
        {
            let text = format!("{from} is not an address of this stack");
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
        }
        let own = || Some(bound).filter(|bound| !bound.is_unspecified() && !bound.is_multicast());
        if let Some(zone) = zone.filter(|_| !routes.table().is_local(ip)) {
            return match chosen.or_else(own).or_else(|| routes.source_by(ip, zone)) {
                _ if !self.inner.has_interface(zone) => {
                    refuse(io::ErrorKind::AddrNotAvailable, "there is no interface of its scope's number")
                }
                Some(source) if routes.may_send_from(source) => Ok((zone, source)),
                _ => refuse(io::ErrorKind::AddrNotAvailable, "the interface has no address that fits"),
            };
        }
        let unreachable = "no route leads there; `Stack::add_route` adds one";
        match (chosen.or_else(own), routes.source_for(ip)) {
            (Some(source), _) => match routes.interface_from(source, ip) {
                Some(interface) if routes.may_send_from(source) => Ok((interface, source)),
                Some(_) => refuse(
                    io::ErrorKind::AddrNotAvailable,
                    "the stack has lost the address that it is bound to",
                ),
                None => refuse(io::ErrorKind::NetworkUnreachable, unreachable),
            },
            (None, Some(path)) => Ok(path),
            (None, None) => refuse(io::ErrorKind::AddrNotAvailable, "the stack has no address of its family"),
        }
    }

    /// Octets of a packet, with its IP header, that the path to `target` carries in one piece, as far as is known (RFC 8085 3.2).
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to) for such a target.
    pub fn path_mtu(&self, target: impl Into<SocketAddr>) -> io::Result<usize> {
        let addr = target.into();
        let target = canonical(addr);
        let (interface, _) = self.path_to(target, zone_of(addr), None)?;
        Ok(self.inner.mtu_to(interface, target.ip()))
    }

    /// Octets of data that a datagram to `target` carries without being sent in fragments, as far as is known: what is left of
    /// [`path_mtu`](Self::path_mtu) for data.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to) for such a target.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn f(socket: tokio_netstack::UdpSocket, data: &[u8]) -> std::io::Result<()> {
    /// use std::net::SocketAddr;
    /// use tokio_netstack::SendMsg;
    ///
    /// let target: SocketAddr = ([192, 0, 2, 1], 4433).into();
    /// let size = socket.max_unfragmented(target)?;
    /// socket.send_msg(data, &SendMsg::new().to(target).segment_size(size)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_unfragmented(&self, target: impl Into<SocketAddr>) -> io::Result<usize> {
        let target = target.into();
        Ok(room_in(self.path_mtu(target)?, canonical(target)))
    }
}
