//! Settings and figures of a stream.

use std::io;
use std::time::Duration;

use netstack_tcp::congestion::CongestionControl;
use netstack_tcp::{KeepAlive, TcpInfo};

use super::TcpStream;
use crate::actor::Linger;
use crate::error::out_of_range;

impl TcpStream {
    /// Switches the Nagle algorithm off (`true`) or on (RFC 9293 3.7.4).
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.shared.set_nodelay(nodelay);
        Ok(())
    }

    /// Whether the Nagle algorithm is off.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn nodelay(&self) -> io::Result<bool> {
        Ok(self.shared.nodelay())
    }

    /// Says what happens to undelivered data when the stream is dropped. Dropping never blocks.
    ///
    /// - `None`, the default: delivery goes on in the background, for as long as the connection's limits allow;
    /// - zero: the connection is reset at once, and what is undelivered is lost;
    /// - another duration: delivery goes on in the background for this long, then the connection is reset.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.shared.request(|requests| requests.linger = linger.into());
        Ok(())
    }

    /// [`set_linger`](Self::set_linger) of zero: dropping the stream resets the connection.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// Takes over what a socket or listener was told.
    pub(crate) fn linger_as(&self, linger: Linger) {
        if linger != Linger::Background {
            self.shared.request(|requests| requests.linger = linger);
        }
    }

    /// What [`set_linger`](Self::set_linger) has set.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(self.shared.linger().into())
    }

    /// Switches keep-alive probing on or off (RFC 9293 3.8.4).
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn set_keepalive(&self, keepalive: Option<KeepAlive>) -> io::Result<()> {
        self.shared.set_keepalive(keepalive);
        Ok(())
    }

    /// The times of keep-alive probing, if it is on.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn keepalive(&self) -> io::Result<Option<KeepAlive>> {
        Ok(self.shared.keepalive())
    }

    /// Switches delayed ACKs off (`true`) or on: without them every segment with data is acknowledged at once
    /// (RFC 9293 3.8.6.3, SHLD-18). Unlike Linux's `TCP_QUICKACK` it stays as it is set.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        self.shared.set_quickack(quickack);
        Ok(())
    }

    /// Whether delayed ACKs are off. The first segments of a connection are acknowledged at once all the same
    /// ([`TcpConfig::quick_acks`](crate::TcpConfig::quick_acks)).
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn quickack(&self) -> io::Result<bool> {
        Ok(self.shared.quickack())
    }

    /// Sets how long data may stay without progress before the connection is given up (RFC 9293 3.8.3, R2; Linux's
    /// `TCP_USER_TIMEOUT`); `None` is for ever. In whole milliseconds, rounded up, 49 days at most.
    ///
    /// It counts from the last progress on: a silence that lasts already may end the connection at once.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn set_user_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.shared.set_user_timeout(limit);
        Ok(())
    }

    /// How long data may stay without progress before the connection is given up; `None` is for ever.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn user_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.shared.user_timeout())
    }

    /// Changes the congestion controller, at any time; the new one starts from the window of the old. Of new connections
    /// [`TcpConfig::congestion`](crate::TcpConfig::congestion) decides.
    ///
    /// # Errors
    ///
    /// None at present.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use tokio_netstack::CongestionControl;
    ///
    /// # async fn f(stream: tokio_netstack::TcpStream) -> std::io::Result<()> {
    /// stream.set_congestion(CongestionControl::Bbr)?;
    /// assert_eq!(stream.congestion().await?, "bbr");
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_congestion(&self, choice: CongestionControl) -> io::Result<()> {
        self.shared.request(|requests| requests.congestion = Some(choice));
        Ok(())
    }

    /// The name of the congestion controller in use; [`info`](Self::info) has its figures.
    ///
    /// # Errors
    ///
    /// None at present.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn congestion(&self) -> io::Result<&'static str> {
        Ok(self.info().await?.controller)
    }

    /// Sets the IPv4 TTL, or the IPv6 hop limit, of what is sent from now on: 1 to 255 (RFC 9293 3.9.2).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): `ttl` is out of range.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.shared.set_hop_limit(check_ttl(ttl)?);
        Ok(())
    }

    /// The IPv4 TTL, or the IPv6 hop limit, of what is sent.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(self.shared.hop_limit().into())
    }

    /// Sets the IPv4 type of service, or the IPv6 traffic class, of what is sent from now on, 0 to 255. The upper six
    /// bits are the differentiated services code point (RFC 2474); the lower two are ECN's and stay as they are.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): `tos` is out of range.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn f(stream: tokio_netstack::TcpStream) -> std::io::Result<()> {
    /// const EXPEDITED_FORWARDING: u32 = 46;
    /// stream.set_tos(EXPEDITED_FORWARDING << 2)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.shared.set_dscp(check_tos(tos)?);
        Ok(())
    }

    /// The IPv4 type of service, or the IPv6 traffic class, of what is sent, without the bits of ECN.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn tos(&self) -> io::Result<u32> {
        Ok(u32::from(self.shared.dscp()) << 2)
    }

    /// The connection's figures, in the manner of Linux's `TCP_INFO`: asks the connection's task, and gives the last
    /// figures once the connection is over.
    ///
    /// # Errors
    ///
    /// None at present.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn f(stream: tokio_netstack::TcpStream) -> std::io::Result<()> {
    /// let info = stream.info().await?;
    /// println!("{}: {:?} round trip, {} bytes in flight", info.state, info.srtt, info.in_flight);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn info(&self) -> io::Result<TcpInfo> {
        Ok(self.shared.info().await)
    }
}

/// The hop limit that `ttl` is.
pub(crate) fn check_ttl(ttl: u32) -> io::Result<u8> {
    match u8::try_from(ttl) {
        Ok(hops @ 1..) => Ok(hops),
        _ => Err(out_of_range("a TTL or hop limit is 1 to 255", ttl)),
    }
}

/// The code point in a type of service.
pub(crate) fn check_tos(tos: u32) -> io::Result<u8> {
    u8::try_from(tos).map(|tos| tos >> 2).map_err(|_| out_of_range("a type of service is 0 to 255", tos))
}
