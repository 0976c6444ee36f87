//! Looking at what can be received, and leaving it there.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::UdpSocket;
use super::recv::{PEEK, fill, put};

impl UdpSocket {
    /// Copies the next datagram into `buf`, as far as it fits, and leaves it to be received.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is taken.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(fill(buf, &self.wait_for(PEEK).await?.data))
    }

    /// Looks without waiting, as [`peek`](Self::peek).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is there.
    pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(fill(buf, &self.try_for(PEEK)?.data))
    }

    /// Polls for a datagram to look at, as [`peek`](Self::peek). Only the task of the latest `poll_recv*` or `poll_peek*` call is
    /// woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let datagram = ready!(self.poll_for(cx, PEEK))?;
        put(buf, &datagram.data);
        Poll::Ready(Ok(()))
    }

    /// As [`peek`](Self::peek), and tells who sent it.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is taken.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let datagram = self.wait_for(PEEK).await?;
        Ok((fill(buf, &datagram.data), datagram.from))
    }

    /// Looks without waiting, as [`peek_from`](Self::peek_from).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is there.
    pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let datagram = self.try_for(PEEK)?;
        Ok((fill(buf, &datagram.data), datagram.from))
    }

    /// Polls for a datagram to look at, as [`peek_from`](Self::peek_from). Only the task of the latest `poll_recv*` or
    /// `poll_peek*` call is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let datagram = ready!(self.poll_for(cx, PEEK))?;
        put(buf, &datagram.data);
        Poll::Ready(Ok(datagram.from))
    }

    /// Who sent the next datagram, which is left to be received.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is taken.
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        Ok(self.wait_for(PEEK).await?.from)
    }

    /// Looks without waiting, as [`peek_sender`](Self::peek_sender).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is there.
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        Ok(self.try_for(PEEK)?.from)
    }

    /// Polls for a datagram to look at, as [`peek_sender`](Self::peek_sender). Only the task of the latest `poll_recv*` or
    /// `poll_peek*` call is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.poll_for(cx, PEEK).map_ok(|datagram| datagram.from)
    }
}
