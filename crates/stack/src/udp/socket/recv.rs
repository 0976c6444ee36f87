//! Receiving.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes};
use tokio::io::ReadBuf;
use tokio::task::coop;

use super::UdpSocket;
use crate::error::would_block;
use crate::lane::{Waiter, wait};
use crate::udp::RecvMsg;
use crate::udp::queue::{Datagram, Queue};

/// Copies what fits; octets copied.
pub(super) fn fill(buf: &mut [u8], data: &Bytes) -> usize {
    let len = buf.len().min(data.len());
    buf[..len].copy_from_slice(&data[..len]);
    len
}

/// Appends what fits; octets appended.
fn append<B: BufMut + ?Sized>(buf: &mut B, data: &Bytes) -> usize {
    let len = buf.remaining_mut().min(data.len());
    buf.put_slice(&data[..len]);
    len
}

pub(super) fn put(buf: &mut ReadBuf<'_>, data: &Bytes) {
    buf.put_slice(&data[..buf.remaining().min(data.len())]);
}

/// What a `try_*` call makes of an operation that would wait.
fn now<T>(outcome: Poll<io::Result<T>>) -> io::Result<T> {
    match outcome {
        Poll::Ready(result) => result,
        Poll::Pending => Err(would_block()),
    }
}

fn describe(datagram: &Datagram, len: usize) -> RecvMsg {
    RecvMsg {
        len,
        lost: datagram.data.len() - len,
        from: datagram.from,
        to: datagram.to,
        ecn: datagram.ecn.bits(),
        hop_limit: datagram.hop_limit,
        segment_size: len,
    }
}

/// Copies a batch behind one another; only its first datagram may be too long.
fn fill_all(buf: &mut [u8], (first, rest): &(Datagram, Vec<Datagram>)) -> RecvMsg {
    let mut described = describe(first, fill(buf, &first.data));
    for next in rest {
        described.len += fill(&mut buf[described.len..], &next.data);
    }
    described
}

/// A way to look at a socket's queue.
pub(super) type Look = fn(&Queue, &Waiter<'_, '_>) -> Poll<io::Result<Datagram>>;

const NEXT: Look = Queue::poll_next;
pub(super) const PEEK: Look = Queue::poll_peek;

impl UdpSocket {
    /// Waits for what `look` finds, in the task's cooperative budget.
    pub(super) async fn wait_for<T>(
        &self,
        mut look: impl FnMut(&Queue, &Waiter<'_, '_>) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        let queue = &self.endpoint.queue;
        coop::cooperative(wait(|waiter| look(queue, waiter), |place| queue.forget(place))).await
    }

    pub(super) fn poll_for(&self, cx: &mut Context<'_>, look: Look) -> Poll<io::Result<Datagram>> {
        let coop = ready!(coop::poll_proceed(cx));
        let found = ready!(look(&self.endpoint.queue, &Waiter::Poll(cx)));
        coop.made_progress();
        Poll::Ready(found)
    }

    pub(super) fn try_for(&self, look: Look) -> io::Result<Datagram> {
        now(look(&self.endpoint.queue, &Waiter::None))
    }

    /// Receives one datagram; what does not fit `buf` is lost. On a connected socket that is one of the peer's. Returns the
    /// octets written; 0 is an empty datagram.
    ///
    /// # Errors
    ///
    /// - [`ConnectionRefused`](io::ErrorKind::ConnectionRefused): the peer of a connected socket answered something sent with
    ///   ICMP, nobody is there; the socket can be used on;
    /// - [`NetworkDown`](io::ErrorKind::NetworkDown): the stack has stopped, and all that had come is read.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it completes, no datagram is lost.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(fill(buf, &self.wait_for(NEXT).await?.data))
    }

    /// Receives without waiting, as [`recv`](Self::recv).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is there.
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(fill(buf, &self.try_for(NEXT)?.data))
    }

    /// Polls for a datagram, as [`recv`](Self::recv). Only the task of the latest `poll_recv*` or `poll_peek*` call is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let datagram = ready!(self.poll_for(cx, NEXT))?;
        put(buf, &datagram.data);
        Poll::Ready(Ok(()))
    }

    /// Receives one datagram and tells who sent it, as [`recv`](Self::recv).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it completes, no datagram is lost.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let datagram = self.wait_for(NEXT).await?;
        Ok((fill(buf, &datagram.data), datagram.from))
    }

    /// Receives without waiting, as [`recv_from`](Self::recv_from).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is there.
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let datagram = self.try_for(NEXT)?;
        Ok((fill(buf, &datagram.data), datagram.from))
    }

    /// Polls for a datagram, as [`recv_from`](Self::recv_from). Only the task of the latest `poll_recv*` or `poll_peek*` call is
    /// woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let datagram = ready!(self.poll_for(cx, NEXT))?;
        put(buf, &datagram.data);
        Poll::Ready(Ok(datagram.from))
    }

    /// Appends one datagram to `buf`, as [`recv`](Self::recv). A `Vec` or `BytesMut` grows to hold it whole.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it completes, no datagram is lost.
    pub async fn recv_buf<B: BufMut + ?Sized>(&self, buf: &mut B) -> io::Result<usize> {
        Ok(append(buf, &self.wait_for(NEXT).await?.data))
    }

    /// Appends a datagram without waiting, as [`recv_buf`](Self::recv_buf).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is there.
    pub fn try_recv_buf<B: BufMut + ?Sized>(&self, buf: &mut B) -> io::Result<usize> {
        Ok(append(buf, &self.try_for(NEXT)?.data))
    }

    /// Appends one datagram to `buf` and tells who sent it, as [`recv_buf`](Self::recv_buf).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it completes, no datagram is lost.
    pub async fn recv_buf_from<B: BufMut + ?Sized>(&self, buf: &mut B) -> io::Result<(usize, SocketAddr)> {
        let datagram = self.wait_for(NEXT).await?;
        Ok((append(buf, &datagram.data), datagram.from))
    }

    /// Appends a datagram without waiting, as [`recv_buf_from`](Self::recv_buf_from).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is there.
    pub fn try_recv_buf_from<B: BufMut + ?Sized>(&self, buf: &mut B) -> io::Result<(usize, SocketAddr)> {
        let datagram = self.try_for(NEXT)?;
        Ok((append(buf, &datagram.data), datagram.from))
    }

    /// Receives one datagram and tells all that is known of it: who sent it and to which address, and how much of it did not
    /// fit `buf`.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it completes, no datagram is lost.
    ///
    /// # Examples
    ///
    /// Answers from the address that was written to:
    ///
    /// ```no_run
    /// # async fn f(socket: tokio_netstack::UdpSocket) -> std::io::Result<()> {
    /// use tokio_netstack::SendMsg;
    ///
    /// let mut buf = [0; 2048];
    /// let query = socket.recv_msg(&mut buf).await?;
    /// let answer = SendMsg::new().to(query.from).from(query.to.ip());
    /// socket.send_msg(&buf[..query.len], &answer).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn recv_msg(&self, buf: &mut [u8]) -> io::Result<RecvMsg> {
        let datagram = self.wait_for(NEXT).await?;
        Ok(describe(&datagram, fill(buf, &datagram.data)))
    }

    /// Receives without waiting, as [`recv_msg`](Self::recv_msg).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is there.
    pub fn try_recv_msg(&self, buf: &mut [u8]) -> io::Result<RecvMsg> {
        let datagram = self.try_for(NEXT)?;
        Ok(describe(&datagram, fill(buf, &datagram.data)))
    }

    /// Polls for a datagram, as [`recv_msg`](Self::recv_msg). Only the task of the latest `poll_recv*` or `poll_peek*` call is
    /// woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv_msg(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<RecvMsg>> {
        let datagram = ready!(self.poll_for(cx, NEXT))?;
        Poll::Ready(Ok(describe(&datagram, fill(buf, &datagram.data))))
    }

    /// Receives the datagrams that are there, as many as fit `buf`, at least one, as long as they are of one sender, to one
    /// address, and of one size; the last may be shorter. [`RecvMsg::segment_size`] tells where to cut. A buffer of 64 KiB
    /// takes whatever comes.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it completes, no datagram is lost.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn f(socket: tokio_netstack::UdpSocket) -> std::io::Result<()> {
    /// let mut buf = vec![0; 65_536];
    /// let batch = socket.recv_batch(&mut buf).await?;
    /// for datagram in buf[..batch.len].chunks(batch.segment_size.max(1)) {
    ///     println!("{} octets from {}", datagram.len(), batch.from);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn recv_batch(&self, buf: &mut [u8]) -> io::Result<RecvMsg> {
        let room = buf.len();
        let batch = self.wait_for(|queue, waiter| queue.poll_batch(room, waiter)).await?;
        Ok(fill_all(buf, &batch))
    }

    /// Receives without waiting, as [`recv_batch`](Self::recv_batch).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is there.
    pub fn try_recv_batch(&self, buf: &mut [u8]) -> io::Result<RecvMsg> {
        let batch = now(self.endpoint.queue.poll_batch(buf.len(), &Waiter::None))?;
        Ok(fill_all(buf, &batch))
    }

    /// Polls for datagrams, as [`recv_batch`](Self::recv_batch). Only the task of the latest `poll_recv*` or `poll_peek*` call
    /// is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv_batch(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<RecvMsg>> {
        let coop = ready!(coop::poll_proceed(cx));
        let batch = ready!(self.endpoint.queue.poll_batch(buf.len(), &Waiter::Poll(cx)))?;
        coop.made_progress();
        Poll::Ready(Ok(fill_all(buf, &batch)))
    }
}
