//! Streams: the application's end of a connection.

mod chunks;
mod connect;
mod fast_open;
mod settings;
mod split;
mod split_owned;
mod urgent;

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::task::coop;

pub(crate) use settings::{check_tos, check_ttl};
pub use split::{ReadHalf, WriteHalf};
pub use split_owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};

use crate::actor::{Shared, order};
use crate::error::{broken_pipe, would_block};
use crate::lane::{Read, Waiter, Write, wait};

/// A TCP connection between an address of the stack and a peer.
///
/// It reads and writes through [`AsyncRead`] and [`AsyncWrite`], like `tokio::net::TcpStream`:
///
/// - a write copies into the send buffer and is done; the buffer holds what is unsent or unacknowledged;
/// - [`read_chunk`](Self::read_chunk) and [`write_bytes`](Self::write_bytes) hand [`Bytes`](bytes::Bytes) over without a
///   copy;
/// - `flush` has nothing to do; `shutdown` puts a FIN behind what was written and is done, reading goes on;
/// - after a reset, data that arrived before it is read first, then every read fails with
///   [`ConnectionReset`](io::ErrorKind::ConnectionReset): a broken stream never looks like a complete one.
///
/// Dropping the stream closes it in the background: what was written is delivered, then both ends close. If data
/// arrived that was not read, the peer gets a reset instead (RFC 1122 4.2.2.13); so it does with
/// [`set_linger`](Self::set_linger) of zero.
///
/// # Examples
///
/// ```no_run
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio_netstack::{Stack, TcpStream};
///
/// async fn ask(stack: &Stack) -> std::io::Result<String> {
///     let mut stream = TcpStream::connect(stack, ([192, 0, 2, 1], 13)).await?;
///     stream.write_all(b"what time is it?").await?;
///     stream.shutdown().await?;
///     let mut answer = String::new();
///     stream.read_to_string(&mut answer).await?;
///     Ok(answer)
/// }
/// ```
pub struct TcpStream {
    shared: Arc<Shared>,
}

impl TcpStream {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn remote(&self) -> SocketAddr {
        self.shared.remote()
    }

    /// Resets the connection and drops the stream.
    pub(crate) fn abort(self) {
        self.shared.order(order::ABORT);
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.shared.local())
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// None at present; the result mirrors `tokio::net`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.shared.remote())
    }

    /// Splits into a reading and a writing half that borrow the stream.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn f(mut stream: tokio_netstack::TcpStream) -> std::io::Result<()> {
    /// let (mut reader, mut writer) = stream.split();
    /// tokio::io::copy(&mut reader, &mut writer).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::split(self)
    }

    /// Splits into halves that may live in different tasks. Dropping the writing half shuts writing down; dropping both
    /// closes the connection.
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split_owned::split(self)
    }

    // ---- Reading ----

    /// Waits until [`try_read`](Self::try_read) would not fail with `WouldBlock`.
    ///
    /// # Errors
    ///
    /// None at present; an error of the connection shows when it is read.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is consumed.
    pub async fn readable(&self) -> io::Result<()> {
        let lane = &self.shared.recv;
        wait(|waiter| lane.poll_readable(waiter), |place| lane.forget(place)).await;
        Ok(())
    }

    /// Polls for readability. Only the task of the latest call, to this or to `poll_read` or [`poll_peek`](Self::poll_peek),
    /// is woken.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.recv.poll_readable(&Waiter::Poll(cx)).map(Ok)
    }

    /// Reads what is there into `buf`, without waiting. `Ok(0)` is the end of the stream, or an empty `buf`.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is there; the reason why the connection broke, once all
    /// data that came before is read.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn f(stream: tokio_netstack::TcpStream) -> std::io::Result<()> {
    /// let mut buf = [0; 4096];
    /// loop {
    ///     stream.readable().await?;
    ///     match stream.try_read(&mut buf) {
    ///         Ok(0) => break,
    ///         Ok(n) => println!("{n} bytes"),
    ///         Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => continue,
    ///         Err(e) => return Err(e),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.try_read_vectored(&mut [IoSliceMut::new(buf)])
    }

    /// Like [`try_read`](Self::try_read), into several buffers in turn.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let want = bufs.iter().map(|buf| buf.len()).fold(0, usize::saturating_add);
        let (mut at, mut filled) = (0, 0);
        let outcome = self.poll_read_with(want, &Waiter::None, |mut piece| {
            while !piece.is_empty() {
                let room = &mut bufs[at][filled..];
                let part = room.len().min(piece.len());
                room[..part].copy_from_slice(&piece[..part]);
                piece = &piece[part..];
                filled += part;
                if filled == bufs[at].len() {
                    (at, filled) = (at + 1, 0);
                }
            }
        });
        now_or_would_block(outcome)
    }

    /// Like [`try_read`](Self::try_read), into the room that `buf` has left.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        let want = buf.remaining_mut();
        now_or_would_block(self.poll_read_with(want, &Waiter::None, |piece| buf.put_slice(piece)))
    }

    /// Copies what can be read next into `buf` and leaves it to be read.
    ///
    /// # Errors
    ///
    /// The reason why the connection broke, once all data that came before is read.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is consumed.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        wait(|waiter| self.peek_with(buf, waiter), |place| self.shared.recv.forget(place)).await
    }

    /// Polls for what can be read next. Only the task of the latest call, to this or to `poll_read`, is woken.
    ///
    /// # Errors
    ///
    /// As [`peek`](Self::peek).
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let read = self.shared.recv.peek(buf.remaining(), &Waiter::Poll(cx), |piece| buf.put_slice(piece));
        read.map(|read| self.read_outcome(read))
    }

    fn peek_with(&self, buf: &mut [u8], waiter: &Waiter<'_, '_>) -> Poll<io::Result<usize>> {
        let mut filled = 0;
        let want = buf.len();
        let read = self.shared.recv.peek(want, waiter, |piece| {
            buf[filled..filled + piece.len()].copy_from_slice(piece);
            filled += piece.len();
        });
        read.map(|read| self.read_outcome(read))
    }

    fn poll_read_with(
        &self,
        want: usize,
        waiter: &Waiter<'_, '_>,
        sink: impl FnMut(&[u8]),
    ) -> Poll<io::Result<usize>> {
        self.shared.recv.read(want, waiter, sink).map(|read| self.read_outcome(read))
    }

    fn read_outcome(&self, read: Result<Read, crate::error::EndCause>) -> io::Result<usize> {
        match read {
            Ok(Read::Data { len, update }) => {
                if update {
                    self.shared.notify();
                }
                Ok(len)
            }
            Ok(Read::Eof) => Ok(0),
            Err(cause) => Err(cause.to_io()),
        }
    }

    pub(crate) fn poll_read_shared(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let coop = ready!(coop::poll_proceed(cx));
        let want = buf.remaining();
        ready!(self.poll_read_with(want, &Waiter::Poll(cx), |piece| buf.put_slice(piece)))?;
        coop.made_progress();
        Poll::Ready(Ok(()))
    }

    // ---- Writing ----

    /// Waits until [`try_write`](Self::try_write) would not fail with `WouldBlock`.
    ///
    /// # Errors
    ///
    /// None at present; an error of the connection shows when it is written to.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is written.
    pub async fn writable(&self) -> io::Result<()> {
        let lane = &self.shared.send;
        wait(|waiter| lane.poll_writable(waiter), |place| lane.forget(place)).await;
        Ok(())
    }

    /// Polls for writability. Only the task of the latest call, to this or to `poll_write`, is woken.
    ///
    /// # Errors
    ///
    /// As [`writable`](Self::writable).
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.send.poll_writable(&Waiter::Poll(cx)).map(Ok)
    }

    /// Writes as much of `buf` as there is room for, without waiting; at most 64 KiB.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the send buffer is full; [`BrokenPipe`](io::ErrorKind::BrokenPipe)
    /// after a shutdown; the reason why the connection broke.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_write_vectored(&[IoSlice::new(buf)])
    }

    /// Like [`try_write`](Self::try_write), from several buffers in turn.
    ///
    /// # Errors
    ///
    /// As [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        now_or_would_block(self.poll_write_with(bufs, &Waiter::None))
    }

    fn poll_write_with(&self, bufs: &[IoSlice<'_>], waiter: &Waiter<'_, '_>) -> Poll<io::Result<usize>> {
        self.shared.send.write(bufs, waiter).map(|write| self.write_outcome(write))
    }

    fn write_outcome(&self, write: Write) -> io::Result<usize> {
        match write {
            Write::Data { len, first } => {
                if first {
                    self.shared.notify();
                }
                Ok(len)
            }
            Write::Closed(None) => Err(broken_pipe()),
            Write::Closed(Some(cause)) => Err(cause.to_write_error()),
        }
    }

    pub(crate) fn poll_write_shared(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let coop = ready!(coop::poll_proceed(cx));
        let written = ready!(self.poll_write_with(bufs, &Waiter::Poll(cx)));
        coop.made_progress();
        Poll::Ready(written)
    }

    /// Puts a FIN behind what was written.
    pub(crate) fn shut(&self) -> io::Result<()> {
        match self.shared.send.shut() {
            Ok(first) => {
                if first {
                    self.shared.notify();
                }
                Ok(())
            }
            Err(cause) if cause.is_normal() => Ok(()),
            Err(cause) => Err(io::Error::new(io::ErrorKind::NotConnected, cause)),
        }
    }

    /// Waits for readiness of either kind.
    ///
    /// # Errors
    ///
    /// None at present.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is consumed or written.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let (recv, send) = (&self.shared.recv, &self.shared.send);
        let look = |waiter: &Waiter<'_, '_>| {
            let mut ready = Ready::EMPTY;
            if interest.is_readable() && recv.poll_readable(waiter).is_ready() {
                ready |= Ready::READABLE;
            }
            if interest.is_writable() && send.poll_writable(waiter).is_ready() {
                ready |= Ready::WRITABLE;
            }
            if ready.is_empty() { Poll::Pending } else { Poll::Ready(Ok(ready)) }
        };
        let forget = |place| {
            recv.forget(place);
            send.forget(place);
        };
        match look(&Waiter::None) {
            Poll::Pending => wait(look, forget).await,
            Poll::Ready(ready) => ready,
        }
    }
}

/// What a `try_*` call makes of an operation that would wait.
fn now_or_would_block<T>(outcome: Poll<io::Result<T>>) -> io::Result<T> {
    match outcome {
        Poll::Ready(result) => result,
        Poll::Pending => Err(would_block()),
    }
}

impl AsRef<Self> for TcpStream {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_read_shared(cx, buf)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_shared(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_shared(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Ready at once: what was written is on its way without being asked.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Puts a FIN behind what was written and is ready at once; reading goes on.
    ///
    /// Fails with [`NotConnected`](io::ErrorKind::NotConnected) on a broken connection.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shut())
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        self.shared.order(order::CLOSE);
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("local_addr", &self.shared.local())
            .field("peer_addr", &self.shared.remote())
            .finish_non_exhaustive()
    }
}
