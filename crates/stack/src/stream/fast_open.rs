//! Opening a connection with data on its SYN.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use netstack_tcp::TcpConfig;

use super::TcpStream;
use super::connect::Target;
use crate::listener::Reservation;
use crate::stack::Stack;

impl TcpStream {
    /// Connects to `remote` and writes `data`, of which as much as fits leaves on the SYN (TCP Fast Open, RFC 7413; Linux's
    /// `MSG_FASTOPEN`): the peer's application can read it, and answer, a round trip earlier.
    ///
    /// The first time the peer is asked for a cookie, and `data` follows a plain handshake. The stack keeps cookies of 1,024
    /// pairs of addresses, each for two days; from then on `data` leaves on the SYN. Where the peer, or something on the path,
    /// will not have that, it follows the handshake all the same, the SYN is repeated without it, and Fast Open is not tried
    /// there for a minute, longer each time. [`TcpInfo::fast_open`](crate::TcpInfo::fast_open) tells what became of it.
    ///
    /// # Replays
    ///
    /// A SYN that the network repeats after its connection has ended opens another, with the same data: the peer's
    /// application may see `data` **twice** (RFC 7413 2.1, 6.3.1). Only for requests that may be repeated without harm.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect). The peer may have acted on `data` all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up, or resets the connection. The peer may have acted on `data` all the same, or
    /// on a part of it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn f(stack: &tokio_netstack::Stack) -> std::io::Result<()> {
    /// use tokio::io::AsyncReadExt;
    /// use tokio_netstack::{FastOpen, TcpStream};
    ///
    /// let request = b"GET / HTTP/1.0\r\n\r\n";
    /// let mut stream = TcpStream::connect_fastopen(stack, ([192, 0, 2, 1], 80), request).await?;
    /// if stream.info().await?.fast_open == FastOpen::Used {
    ///     println!("a round trip saved");
    /// }
    /// let mut answer = Vec::new();
    /// stream.read_to_end(&mut answer).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_fastopen(
        stack: &Stack,
        remote: impl Into<SocketAddr>,
        data: &[u8],
    ) -> io::Result<Self> {
        let config = Arc::clone(&stack.inner.config);
        Self::open_fast_as(stack, None, remote.into(), config, data).await
    }

    /// As [`connect_fastopen`](Self::connect_fastopen), from what a socket holds, or from anywhere, with settings of its own.
    pub(crate) async fn open_fast_as(
        stack: &Stack,
        bound: Option<&Reservation>,
        remote: SocketAddr,
        config: Arc<TcpConfig>,
        data: &[u8],
    ) -> io::Result<Self> {
        let mut data = Bytes::copy_from_slice(data);
        let target = Target::bound(stack, bound, remote)?;
        let stream = target.start(&config, Some(&mut data))?.connected().await?;
        while !data.is_empty() {
            stream.write_bytes(&mut data).await?;
        }
        Ok(stream)
    }
}
