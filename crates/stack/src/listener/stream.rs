//! A listener as a stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::TcpListener;
use crate::stream::TcpStream;

/// The connections of a [`TcpListener`] as a [`Stream`]; made by [`TcpListener::into_stream`].
///
/// When the stack stops it yields the error, then ends. [`TcpStream::peer_addr`] says who connected.
///
/// # Examples
///
/// ```no_run
/// use std::future::poll_fn;
/// use std::pin::pin;
///
/// use futures_core::Stream;
/// # async fn f(listener: tokio_netstack::TcpListener) -> std::io::Result<()> {
/// let mut connections = pin!(listener.into_stream());
/// // Or `next` of a `StreamExt`.
/// while let Some(stream) = poll_fn(|cx| connections.as_mut().poll_next(cx)).await {
///     println!("{} connected", stream?.peer_addr()?);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TcpListenerStream {
    listener: TcpListener,
    failed: bool,
}

impl TcpListenerStream {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, failed: false }
    }

    /// The listener.
    #[must_use]
    pub fn into_inner(self) -> TcpListener {
        self.listener
    }
}

impl AsRef<TcpListener> for TcpListenerStream {
    fn as_ref(&self) -> &TcpListener {
        &self.listener
    }
}

impl Stream for TcpListenerStream {
    type Item = io::Result<TcpStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.failed {
            return Poll::Ready(None);
        }
        let accepted = ready!(self.listener.poll_accept(cx)).map(|(stream, _)| stream);
        self.failed = accepted.is_err();
        Poll::Ready(Some(accepted))
    }
}
