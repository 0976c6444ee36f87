//! Reading and writing without a copy.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::task::coop;

use super::{TcpStream, now_or_would_block};
use crate::lane::{Waiter, wait};

impl TcpStream {
    /// Reads the next piece of the stream, at most `max` bytes, as a slice of the memory that it was received in:
    /// nothing is copied. An empty `Bytes` is the end of the stream, or a `max` of 0.
    ///
    /// How the stream is cut into pieces depends on the segments that arrived, and means nothing; payload that arrived in
    /// pieces of less than 2 KiB was copied together on the way. A piece counts as read once it is returned: the receive
    /// window opens, while the memory stays in use as long as the `Bytes` or a slice of it lives. A program that keeps a
    /// few bytes of a piece for long copies them.
    ///
    /// It mixes with the other ways to read, byte for byte.
    ///
    /// # Errors
    ///
    /// The reason why the connection broke, once all data that came before is read.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it completes, nothing was read.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn f(stream: tokio_netstack::TcpStream) -> std::io::Result<()> {
    /// loop {
    ///     let chunk = stream.read_chunk(usize::MAX).await?;
    ///     if chunk.is_empty() {
    ///         break;
    ///     }
    ///     println!("{} bytes", chunk.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read_chunk(&self, max: usize) -> io::Result<Bytes> {
        coop::consume_budget().await;
        let lane = &self.shared.recv;
        wait(|waiter| self.poll_read_chunk_with(max, waiter), |place| lane.forget(place)).await
    }

    /// Like [`read_chunk`](Self::read_chunk), without waiting.
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
    /// stream.readable().await?;
    /// match stream.try_read_chunk(64 * 1024) {
    ///     Ok(chunk) => println!("{} bytes", chunk.len()),
    ///     Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => println!("another task was faster"),
    ///     Err(e) => return Err(e),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_read_chunk(&self, max: usize) -> io::Result<Bytes> {
        now_or_would_block(self.poll_read_chunk_with(max, &Waiter::None))
    }

    /// Polls for what [`read_chunk`](Self::read_chunk) gives. Only the task of the latest call, to this, `poll_read`,
    /// [`poll_peek`](Self::poll_peek) or [`poll_read_ready`](Self::poll_read_ready), is woken.
    ///
    /// # Errors
    ///
    /// As [`read_chunk`](Self::read_chunk).
    pub fn poll_read_chunk(&self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Bytes>> {
        let coop = ready!(coop::poll_proceed(cx));
        let chunk = ready!(self.poll_read_chunk_with(max, &Waiter::Poll(cx)));
        coop.made_progress();
        Poll::Ready(chunk)
    }

    fn poll_read_chunk_with(&self, max: usize, waiter: &Waiter<'_, '_>) -> Poll<io::Result<Bytes>> {
        let mut chunk = Bytes::new();
        let read = ready!(self.shared.recv.read_chunk(max, waiter, &mut chunk));
        Poll::Ready(self.read_outcome(read).map(|_| chunk))
    }

    /// Writes a prefix of `data`, as much as the send buffer has room for, and takes it off `data`; waits while there is
    /// no room. Returns how many bytes were taken: 0 only if `data` was empty.
    ///
    /// Nothing is copied: the memory is sent, and if need be sent again, from where it is, and stays in use until the
    /// peer has acknowledged it. Less than 512 bytes are copied into the send buffer, which costs less.
    ///
    /// It mixes with the other ways to write: bytes leave in the order in which they were taken.
    ///
    /// # Errors
    ///
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) after a shutdown, or the reason why the connection broke; `data` is as it
    /// was.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it completes, nothing was written and `data` is as it was. In a loop
    /// that is cancelled, `data` holds what is left to write.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn f(stream: tokio_netstack::TcpStream, file: Vec<u8>) -> std::io::Result<()> {
    /// let mut data = bytes::Bytes::from(file);
    /// while !data.is_empty() {
    ///     stream.write_bytes(&mut data).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn write_bytes(&self, data: &mut Bytes) -> io::Result<usize> {
        coop::consume_budget().await;
        let lane = &self.shared.send;
        wait(|waiter| self.poll_write_bytes_with(data, waiter), |place| lane.forget(place)).await
    }

    /// Like [`write_bytes`](Self::write_bytes), without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the send buffer is full; else as
    /// [`write_bytes`](Self::write_bytes). `data` is as it was.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn f(stream: tokio_netstack::TcpStream, mut data: bytes::Bytes) -> std::io::Result<()> {
    /// while !data.is_empty() {
    ///     stream.writable().await?;
    ///     match stream.try_write_bytes(&mut data) {
    ///         Ok(n) => println!("{n} bytes taken, {} left", data.len()),
    ///         Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => continue,
    ///         Err(e) => return Err(e),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_write_bytes(&self, data: &mut Bytes) -> io::Result<usize> {
        now_or_would_block(self.poll_write_bytes_with(data, &Waiter::None))
    }

    /// Polls [`write_bytes`](Self::write_bytes). Only the task of the latest call, to this, `poll_write` or
    /// [`poll_write_ready`](Self::poll_write_ready), is woken.
    ///
    /// # Errors
    ///
    /// As [`write_bytes`](Self::write_bytes).
    pub fn poll_write_bytes(&self, cx: &mut Context<'_>, data: &mut Bytes) -> Poll<io::Result<usize>> {
        let coop = ready!(coop::poll_proceed(cx));
        let written = ready!(self.poll_write_bytes_with(data, &Waiter::Poll(cx)));
        coop.made_progress();
        Poll::Ready(written)
    }

    fn poll_write_bytes_with(&self, data: &mut Bytes, waiter: &Waiter<'_, '_>) -> Poll<io::Result<usize>> {
        self.shared.send.write_bytes(data, waiter).map(|write| self.write_outcome(write))
    }
}
