//! Settings and figures of a stream.

use std::io;
use std::time::Duration;

use netstack_tcp::congestion::CongestionControl;
use netstack_tcp::{KeepAlive, TcpInfo};

use super::TcpStream;
use crate::actor::Linger;
use crate::lane::{Waiter, wait};

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
        let linger = match linger {
            None => Linger::Background,
            Some(Duration::ZERO) => Linger::Reset,
            Some(limit) => Linger::Bounded(limit),
        };
        self.shared.request(|requests| requests.linger = linger);
        Ok(())
    }

    /// What [`set_linger`](Self::set_linger) has set.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(match self.shared.linger() {
            Linger::Background => None,
            Linger::Reset => Some(Duration::ZERO),
            Linger::Bounded(limit) => Some(limit),
        })
    }

    /// Switches keep-alive probing on or off (RFC 9293 3.8.4).
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn set_keepalive(&self, keepalive: Option<KeepAlive>) -> io::Result<()> {
        self.shared.request(|requests| requests.keepalive = Some(keepalive));
        Ok(())
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
        match u8::try_from(ttl) {
            Ok(hops @ 1..) => {
                self.shared.set_hop_limit(hops);
                Ok(())
            }
            _ => Err(out_of_range("a TTL or hop limit is 1 to 255", ttl)),
        }
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
        let Ok(tos) = u8::try_from(tos) else {
            return Err(out_of_range("a type of service is 0 to 255", tos));
        };
        self.shared.set_dscp(tos >> 2);
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
        let mut ask = true;
        let shared = &self.shared;
        let poll = |waiter: &Waiter<'_, '_>| shared.poll_info(waiter, std::mem::take(&mut ask));
        Ok(wait(poll, |place| shared.forget(place)).await)
    }
}

fn out_of_range(text: &str, value: u32) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{text}, not {value}"))
}
