//! A link in memory that is both a stream and sink and a reader and writer of packets, four at most on the way.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Default)]
struct Channel {
    packets: VecDeque<Bytes>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    closed: bool,
}

impl Channel {
    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}

pub(super) struct Link {
    from: Arc<Mutex<Channel>>,
    to: Arc<Mutex<Channel>>,
}

impl Link {
    pub(super) fn pair() -> (Self, Self) {
        let (a, b) = (Arc::<Mutex<Channel>>::default(), Arc::default());
        (Self { from: Arc::clone(&a), to: Arc::clone(&b) }, Self { from: b, to: a })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for channel in [&self.from, &self.to] {
            let mut channel = channel.lock().unwrap();
            channel.closed = true;
            channel.wake();
        }
    }
}

impl Stream for Link {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut channel = self.from.lock().unwrap();
        let next = channel.packets.pop_front();
        if next.is_none() && !channel.closed {
            channel.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        channel.writer.take().into_iter().for_each(Waker::wake);
        Poll::Ready(next)
    }
}

impl Sink<Bytes> for Link {
    type Error = io::Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut channel = self.to.lock().unwrap();
        if channel.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if channel.packets.len() >= 4 {
            channel.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, packet: Bytes) -> io::Result<()> {
        let mut channel = self.to.lock().unwrap();
        channel.packets.push_back(packet);
        channel.reader.take().into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Link {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_next(cx).map(|packet| {
            buf.put_slice(&packet.unwrap_or_default());
            Ok(())
        })
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        std::task::ready!(self.as_mut().poll_ready(cx))?;
        self.start_send(Bytes::copy_from_slice(data))?;
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
