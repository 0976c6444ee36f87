//! Anything that reads and writes one packet per call as a device.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::DEFAULT_DEPTH;
use super::core::{PacketIo, split};
use crate::queue::{Halves, gone};
use crate::{Capabilities, Device};

/// A device out of an `AsyncRead` + `AsyncWrite` that moves one whole packet per call, as the crates for TUN
/// devices do. A byte stream (a socket, a pipe) is not one: it does not keep the bounds of packets.
///
/// A read of 0 bytes is the end of the device. A write that takes a part of a packet has lost it.
pub struct ReadWrite<T> {
    inner: T,
    mtu: usize,
    depth: usize,
}

impl<T> ReadWrite<T> {
    /// A device with this IP MTU.
    pub fn new(inner: T, mtu: usize) -> Self {
        Self { inner, mtu, depth: DEFAULT_DEPTH }
    }

    /// Frames queued in front of the writer; [`DEFAULT_DEPTH`] if not set, at least 1.
    #[must_use]
    pub fn queue_depth(mut self, frames: usize) -> Self {
        self.depth = frames;
        self
    }
}

impl<T> fmt::Debug for ReadWrite<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadWrite")
            .field("mtu", &self.mtu)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Device for ReadWrite<T> {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        // One byte more than fits: a longer packet shows, and is dropped whole.
        let buf = vec![0; self.mtu.min(Capabilities::MAX_FRAME) + 1];
        Ok(split(Io { inner: self.inner, buf }, self.mtu, self.depth))
    }
}

struct Io<T> {
    inner: T,
    buf: Vec<u8>,
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> PacketIo for Io<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let mut buf = ReadBuf::new(&mut self.buf);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buf))?;
        Poll::Ready(match buf.filled() {
            [] => Err(gone()),
            packet => Ok(Bytes::copy_from_slice(packet)),
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, packet: &Bytes) -> Poll<io::Result<()>> {
        let n = ready!(Pin::new(&mut self.inner).poll_write(cx, packet))?;
        if n == packet.len() {
            return Poll::Ready(Ok(()));
        }
        let text = format!("{n} of {} bytes of a packet were written", packet.len());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::WriteZero, text)))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
}
