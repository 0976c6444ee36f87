//! Any stream and sink of packets as a device.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;
use pin_project::pin_project;

use super::core::{PacketIo, split};
use super::{DEFAULT_DEPTH, into_io};
use crate::Device;
use crate::queue::{Halves, gone};

/// What a stream may yield as a packet.
pub trait IntoPacket {
    /// The packet, or why there is none.
    ///
    /// # Errors
    /// That of the stream.
    fn into_packet(self) -> io::Result<Bytes>;
}

impl IntoPacket for Bytes {
    fn into_packet(self) -> io::Result<Bytes> {
        Ok(self)
    }
}

impl IntoPacket for Vec<u8> {
    fn into_packet(self) -> io::Result<Bytes> {
        Ok(self.into())
    }
}

impl<P: IntoPacket, E: Into<Box<dyn Error + Send + Sync>>> IntoPacket for Result<P, E> {
    fn into_packet(self) -> io::Result<Bytes> {
        self.map_err(|e| into_io(e.into()))?.into_packet()
    }
}

/// A device out of a `Stream` of packets (`Bytes`, `Vec<u8>`, or a `Result` of one) that is a `Sink` of `Bytes`
/// too. [`Join`] makes one of two halves.
///
/// ```
/// use bytes::Bytes;
/// use futures_util::{SinkExt, StreamExt};
/// use futures_util::{sink, stream};
/// use netstack_device::adapter::{Join, StreamSink};
///
/// let packets = stream::pending::<Bytes>();
/// let nowhere = sink::drain::<Bytes>();
/// let device = StreamSink::new(Join::new(packets, nowhere), 1500);
/// ```
pub struct StreamSink<S> {
    inner: S,
    mtu: usize,
    depth: usize,
}

impl<S> StreamSink<S> {
    /// A device with this IP MTU.
    pub fn new(inner: S, mtu: usize) -> Self {
        Self { inner, mtu, depth: DEFAULT_DEPTH }
    }

    /// Frames queued in front of the sink; [`DEFAULT_DEPTH`] if not set, at least 1.
    #[must_use]
    pub fn queue_depth(mut self, frames: usize) -> Self {
        self.depth = frames;
        self
    }
}

impl<S> fmt::Debug for StreamSink<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSink")
            .field("mtu", &self.mtu)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

impl<S> Device for StreamSink<S>
where
    S: Stream<Item: IntoPacket>
        + Sink<Bytes, Error: Into<Box<dyn Error + Send + Sync>>>
        + Unpin
        + Send
        + 'static,
{
    fn split(self: Box<Self>) -> io::Result<Halves> {
        Ok(split(Io(self.inner), self.mtu, self.depth))
    }
}

struct Io<S>(S);

impl<S> PacketIo for Io<S>
where
    S: Stream<Item: IntoPacket> + Sink<Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + Send,
{
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let item = ready!(Pin::new(&mut self.0).poll_next(cx));
        Poll::Ready(item.map_or_else(|| Err(gone()), IntoPacket::into_packet))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, packet: &Bytes) -> Poll<io::Result<()>> {
        let mut sink = Pin::new(&mut self.0);
        ready!(sink.as_mut().poll_ready(cx)).map_err(|e| into_io(e.into()))?;
        Poll::Ready(sink.start_send(packet.clone()).map_err(|e| into_io(e.into())))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx).map_err(|e| into_io(e.into()))
    }
}

/// A stream and a sink as one, the two ends of two channels for instance.
#[pin_project]
#[derive(Debug)]
pub struct Join<St, Si> {
    #[pin]
    stream: St,
    #[pin]
    sink: Si,
}

impl<St, Si> Join<St, Si> {
    /// Joins the two.
    pub fn new(stream: St, sink: Si) -> Self {
        Self { stream, sink }
    }
}

impl<St: Stream, Si> Stream for Join<St, Si> {
    type Item = St::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<St::Item>> {
        self.project().stream.poll_next(cx)
    }
}

impl<T, St, Si: Sink<T>> Sink<T> for Join<St, Si> {
    type Error = Si::Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Si::Error>> {
        self.project().sink.poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, item: T) -> Result<(), Si::Error> {
        self.project().sink.start_send(item)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Si::Error>> {
        self.project().sink.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Si::Error>> {
        self.project().sink.poll_close(cx)
    }
}
