//! Halves that borrow a stream.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::TcpStream;

/// The reading half of a [`TcpStream`], made by [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a>(&'a TcpStream);

/// The writing half of a [`TcpStream`], made by [`TcpStream::split`].
///
/// Dropping it closes nothing; `shutdown` closes the sending half.
#[derive(Debug)]
pub struct WriteHalf<'a>(&'a TcpStream);

pub(super) fn split(stream: &mut TcpStream) -> (ReadHalf<'_>, WriteHalf<'_>) {
    (ReadHalf(stream), WriteHalf(stream))
}

impl AsRef<TcpStream> for ReadHalf<'_> {
    fn as_ref(&self) -> &TcpStream {
        self.0
    }
}

impl AsRef<TcpStream> for WriteHalf<'_> {
    fn as_ref(&self) -> &TcpStream {
        self.0
    }
}

/// The methods that both kinds of halves take over from the stream.
macro_rules! read_half_methods {
    () => {
        /// See [`TcpStream::readable`].
        ///
        /// # Errors
        ///
        /// As there.
        ///
        /// # Cancel safety
        ///
        /// Cancel safe.
        pub async fn readable(&self) -> io::Result<()> {
            self.stream().readable().await
        }

        /// See [`TcpStream::try_read`].
        ///
        /// # Errors
        ///
        /// As there.
        pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
            self.stream().try_read(buf)
        }

        /// See [`TcpStream::peek`].
        ///
        /// # Errors
        ///
        /// As there.
        ///
        /// # Cancel safety
        ///
        /// Cancel safe.
        pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.stream().peek(buf).await
        }

        /// See [`TcpStream::read_chunk`].
        ///
        /// # Errors
        ///
        /// As there.
        ///
        /// # Cancel safety
        ///
        /// Cancel safe.
        pub async fn read_chunk(&self, max: usize) -> io::Result<Bytes> {
            self.stream().read_chunk(max).await
        }

        /// See [`TcpStream::try_read_chunk`].
        ///
        /// # Errors
        ///
        /// As there.
        pub fn try_read_chunk(&self, max: usize) -> io::Result<Bytes> {
            self.stream().try_read_chunk(max)
        }

        /// See [`TcpStream::poll_read_chunk`].
        ///
        /// # Errors
        ///
        /// As there.
        pub fn poll_read_chunk(&self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Bytes>> {
            self.stream().poll_read_chunk(cx, max)
        }
    };
}

macro_rules! write_half_methods {
    () => {
        /// See [`TcpStream::writable`].
        ///
        /// # Errors
        ///
        /// As there.
        ///
        /// # Cancel safety
        ///
        /// Cancel safe.
        pub async fn writable(&self) -> io::Result<()> {
            self.stream().writable().await
        }

        /// See [`TcpStream::try_write`].
        ///
        /// # Errors
        ///
        /// As there.
        pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
            self.stream().try_write(buf)
        }

        /// See [`TcpStream::try_write_vectored`].
        ///
        /// # Errors
        ///
        /// As there.
        pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
            self.stream().try_write_vectored(bufs)
        }

        /// See [`TcpStream::write_bytes`].
        ///
        /// # Errors
        ///
        /// As there.
        ///
        /// # Cancel safety
        ///
        /// Cancel safe.
        pub async fn write_bytes(&self, data: &mut Bytes) -> io::Result<usize> {
            self.stream().write_bytes(data).await
        }

        /// See [`TcpStream::try_write_bytes`].
        ///
        /// # Errors
        ///
        /// As there.
        pub fn try_write_bytes(&self, data: &mut Bytes) -> io::Result<usize> {
            self.stream().try_write_bytes(data)
        }

        /// See [`TcpStream::poll_write_bytes`].
        ///
        /// # Errors
        ///
        /// As there.
        pub fn poll_write_bytes(&self, cx: &mut Context<'_>, data: &mut Bytes) -> Poll<io::Result<usize>> {
            self.stream().poll_write_bytes(cx, data)
        }
    };
}

macro_rules! common_half_methods {
    () => {
        /// The address of the peer.
        ///
        /// # Errors
        ///
        /// None at present; the result mirrors `tokio::net`.
        pub fn peer_addr(&self) -> io::Result<SocketAddr> {
            self.stream().peer_addr()
        }

        /// The address of this end.
        ///
        /// # Errors
        ///
        /// None at present; the result mirrors `tokio::net`.
        pub fn local_addr(&self) -> io::Result<SocketAddr> {
            self.stream().local_addr()
        }
    };
}

pub(super) use {common_half_methods, read_half_methods, write_half_methods};

impl ReadHalf<'_> {
    fn stream(&self) -> &TcpStream {
        self.0
    }

    common_half_methods!();
    read_half_methods!();
}

impl WriteHalf<'_> {
    fn stream(&self) -> &TcpStream {
        self.0
    }

    common_half_methods!();
    write_half_methods!();
}

impl AsyncRead for ReadHalf<'_> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read_shared(cx, buf)
    }
}

impl AsyncWrite for WriteHalf<'_> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write_shared(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_shared(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shut())
    }
}
