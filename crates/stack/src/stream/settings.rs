//! Settings and figures of a stream.

use std::io;
use std::time::Duration;

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
