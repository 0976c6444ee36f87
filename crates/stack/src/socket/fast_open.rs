//! TCP Fast Open of a socket.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

use super::{Settings, TcpSocket};
use crate::stream::TcpStream;

impl TcpSocket {
    /// Lets the listener that the socket becomes take data on SYNs, of up to `pending` connections whose handshake is not over;
    /// see [`TcpListener::set_fastopen`](crate::TcpListener::set_fastopen). Default 0: never.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn set_fastopen(&self, pending: u32) -> io::Result<()> {
        self.set(|settings| settings.fastopen = pending)
    }

    /// What [`set_fastopen`](Self::set_fastopen) has set.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn fastopen(&self) -> io::Result<u32> {
        self.get(|settings| settings.fastopen)
    }

    /// Connects to `addr` as [`connect`](Self::connect) does, with `data` on the SYN where the peer takes it; see
    /// [`TcpStream::connect_fastopen`], **what it says of replays** included.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect). The peer may have acted on `data` all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up, or resets the connection. The peer may have acted on `data` all the same.
    pub async fn connect_fastopen(self, addr: SocketAddr, data: &[u8]) -> io::Result<TcpStream> {
        self.check_family(addr.ip())?;
        let Settings { tcp, linger, bound, .. } =
            self.settings.into_inner().unwrap_or_else(PoisonError::into_inner);
        let stream = TcpStream::open_fast_as(&self.stack, bound.as_ref(), addr, Arc::new(tcp), data).await?;
        stream.linger_as(linger);
        Ok(stream)
    }
}
