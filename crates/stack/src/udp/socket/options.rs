//! Options and counters.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use super::UdpSocket;
use crate::error::out_of_range;
use crate::udp::endpoint::{MAX_MEMBERSHIPS, Membership};

impl UdpSocket {
    /// Allows datagrams to broadcast addresses. Default: off.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.endpoint.settings.broadcast.store(on, Relaxed);
        Ok(())
    }

    /// Whether datagrams to broadcast addresses are allowed.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn broadcast(&self) -> io::Result<bool> {
        Ok(self.endpoint.settings.broadcast.load(Relaxed))
    }

    /// Whether a datagram that the path does not carry in one piece is refused, instead of sent in fragments; over IPv4 routers
    /// are told the same (DF). Default: off.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn set_dont_fragment(&self, on: bool) -> io::Result<()> {
        self.endpoint.settings.dont_fragment.store(on, Relaxed);
        Ok(())
    }

    /// Whether fragments are forbidden.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn dont_fragment(&self) -> io::Result<bool> {
        Ok(self.endpoint.settings.dont_fragment.load(Relaxed))
    }

    /// Sets the IPv4 TTL, or the IPv6 hop limit, of what is sent to single hosts: 1 to 255. Default 64.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): `ttl` is out of range.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        set_hops(&self.endpoint.settings.hop_limit, ttl, 1)
    }

    /// The IPv4 TTL, or the IPv6 hop limit, of what is sent to single hosts.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(self.endpoint.settings.hop_limit.load(Relaxed).into())
    }

    /// Sets the IPv4 type of service, or the IPv6 traffic class, of what is sent, 0 to 255: the differentiated services code
    /// point in the upper six bits (RFC 2474), ECN in the lower two (RFC 3168 5). Default 0.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): `tos` is out of range.
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        let Ok(tos) = u8::try_from(tos) else {
            return Err(out_of_range("a type of service is 0 to 255", tos));
        };
        self.endpoint.settings.tos.store(tos, Relaxed);
        Ok(())
    }

    /// The IPv4 type of service, or the IPv6 traffic class, of what is sent.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn tos(&self) -> io::Result<u32> {
        Ok(self.endpoint.settings.tos.load(Relaxed).into())
    }

    /// Sets the TTL of what is sent to IPv4 multicast groups, 0 to 255. Default 1: it stays on the link. 0 is sent as 1.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): `ttl` is out of range, or this is an IPv6 socket.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.check_family(true)?;
        set_hops(&self.endpoint.settings.multicast_hops, ttl, 0)
    }

    /// The TTL of what is sent to IPv4 multicast groups.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): this is an IPv6 socket.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.check_family(true)?;
        Ok(self.endpoint.settings.multicast_hops.load(Relaxed).into())
    }

    /// Sets the hop limit of what is sent to IPv6 multicast groups, 0 to 255. Default 1: it stays on the link. 0 is sent as 1.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): `hops` is out of range, or this is an IPv4 socket.
    pub fn set_multicast_hops_v6(&self, hops: u32) -> io::Result<()> {
        self.check_family(false)?;
        set_hops(&self.endpoint.settings.multicast_hops, hops, 0)
    }

    /// The hop limit of what is sent to IPv6 multicast groups.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): this is an IPv4 socket.
    pub fn multicast_hops_v6(&self) -> io::Result<u32> {
        self.check_family(false)?;
        Ok(self.endpoint.settings.multicast_hops.load(Relaxed).into())
    }

    /// Whether members of a group on this very stack, this socket among them, receive what this socket sends to it. Default: on.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): this is an IPv6 socket.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.check_family(true)?;
        self.endpoint.settings.multicast_loop.store(on, Relaxed);
        Ok(())
    }

    /// What [`set_multicast_loop_v4`](Self::set_multicast_loop_v4) has set.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): this is an IPv6 socket.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.check_family(true)?;
        Ok(self.endpoint.settings.multicast_loop.load(Relaxed))
    }

    /// Whether members of a group on this very stack, this socket among them, receive what this socket sends to it. Default: on.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): this is an IPv4 socket.
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.check_family(false)?;
        self.endpoint.settings.multicast_loop.store(on, Relaxed);
        Ok(())
    }

    /// What [`set_multicast_loop_v6`](Self::set_multicast_loop_v6) has set.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): this is an IPv4 socket.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.check_family(false)?;
        Ok(self.endpoint.settings.multicast_loop.load(Relaxed))
    }

    /// Joins a multicast group on the interface that has the address `interface`, or with the unspecified address on all.
    ///
    /// From then on datagrams to the group that reach the stack are received, if the socket is bound to the unspecified address
    /// or to the group itself. The stack does not tell routers of it (IGMP): the device has to bring the group's packets, as
    /// a TUN device does whose host routes them there.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput): no multicast address, or an IPv6 socket;
    /// - [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable): `interface` is not an address of the stack;
    /// - [`QuotaExceeded`](io::ErrorKind::QuotaExceeded): the socket is a member of 256 groups.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn f(stack: &tokio_netstack::Stack) -> std::io::Result<()> {
    /// use std::net::Ipv4Addr;
    /// use tokio_netstack::UdpSocket;
    ///
    /// let socket = UdpSocket::bind(stack, ([0, 0, 0, 0], 5353)).await?;
    /// socket.join_multicast_v4(Ipv4Addr::new(224, 0, 0, 251), Ipv4Addr::UNSPECIFIED)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.join(self.membership_v4(multiaddr, interface)?)
    }

    /// Leaves a group that was joined with the same arguments.
    ///
    /// # Errors
    ///
    /// As [`join_multicast_v4`](Self::join_multicast_v4), and [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable) if the socket
    /// is no such member.
    pub fn leave_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.leave(self.membership_v4(multiaddr, interface)?)
    }

    /// Joins a multicast group on the interface with the number `interface`, counting from 1 in the order of
    /// [`StackBuilder::device`](crate::StackBuilder::device), or with 0 on all. As
    /// [`join_multicast_v4`](Self::join_multicast_v4); the stack does not tell routers of it (MLD).
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput): no multicast address, or an IPv4 socket;
    /// - [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable): there is no such interface;
    /// - [`QuotaExceeded`](io::ErrorKind::QuotaExceeded): the socket is a member of 256 groups.
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.join(self.membership_v6(*multiaddr, interface)?)
    }

    /// Leaves a group that was joined with the same arguments.
    ///
    /// # Errors
    ///
    /// As [`join_multicast_v6`](Self::join_multicast_v6), and [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable) if the socket
    /// is no such member.
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.leave(self.membership_v6(*multiaddr, interface)?)
    }

    fn membership_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<Membership> {
        self.check_group(group.into())?;
        let at = self.inner.routes.interface_of(interface.into());
        if at.is_none() && !interface.is_unspecified() {
            let text = format!("{interface} is not an address of this stack");
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
        }
        Ok(Membership { group: group.into(), interface: at })
    }

    fn membership_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<Membership> {
        self.check_group(group.into())?;
        let at = (interface as usize).checked_sub(1);
        if at.is_some_and(|at| !self.inner.has_interface(at)) {
            let text = format!("there is no interface {interface}: they count from 1, and 0 is all of them");
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
        }
        Ok(Membership { group: group.into(), interface: at })
    }

    fn check_group(&self, group: IpAddr) -> io::Result<()> {
        self.check_family(group.is_ipv4())?;
        if group.is_multicast() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{group} is not a multicast address")))
    }

    fn join(&self, membership: Membership) -> io::Result<()> {
        if self.endpoint.join(membership) {
            return Ok(());
        }
        let text =
            format!("a socket can be a member of {MAX_MEMBERSHIPS} groups; leave one, or use another socket");
        Err(io::Error::new(io::ErrorKind::QuotaExceeded, text))
    }

    fn leave(&self, membership: Membership) -> io::Result<()> {
        if self.endpoint.leave(membership) {
            return Ok(());
        }
        let text = format!("the socket is no member of {} on this interface", membership.group);
        Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text))
    }

    fn check_family(&self, v4: bool) -> io::Result<()> {
        if self.endpoint.bound.is_ipv4() == v4 {
            return Ok(());
        }
        let text = "the socket is of the other address family";
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    }

    /// The last ICMP error about something that was sent to the peer and was not reported yet, and forgets it.
    ///
    /// Port and protocol unreachable fail the next call by themselves; that there is no route, that the hop limit was exceeded and
    /// the like is only told here.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(self.endpoint.queue.take_error())
    }

    /// Datagrams for this socket that were dropped because its queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.endpoint.queue.dropped()
    }

    /// Sets the bound of the receive queue, as [`UdpConfig::recv_buffer`](crate::UdpConfig::recv_buffer) has it. What is there
    /// stays.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn set_recv_buffer(&self, bytes: usize) -> io::Result<()> {
        self.endpoint.queue.set_limit(bytes);
        Ok(())
    }

    /// The bound of the receive queue in bytes of memory.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn recv_buffer(&self) -> io::Result<usize> {
        Ok(self.endpoint.queue.limit())
    }
}

fn set_hops(setting: &AtomicU8, hops: u32, least: u32) -> io::Result<()> {
    match u8::try_from(hops) {
        Ok(value) if hops >= least => {
            setting.store(value, Relaxed);
            Ok(())
        }
        _ => Err(out_of_range(&format!("a TTL or hop limit is {least} to 255"), hops)),
    }
}
