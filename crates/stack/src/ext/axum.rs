//! `axum::serve` on a listener of a stack.

use std::io;
use std::net::SocketAddr;

use ::axum::extract::connect_info::Connected;
use ::axum::serve::{IncomingStream, Listener};
use tracing::warn;

use crate::{TcpListener, TcpStream};

/// `axum::serve(listener, app)` serves on a stack. A listener whose stack has stopped yields nothing any more: end the
/// server with `with_graceful_shutdown` before the stack.
impl Listener for TcpListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        match Self::accept(self).await {
            Ok(accepted) => accepted,
            // The one error of `accept` is final; an answer is not provided for.
            Err(error) => {
                warn!(%error, "a server on this stack accepts nothing any more");
                std::future::pending().await
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }
}

/// Whom a request came from, for axum's `ConnectInfo`: as `SocketAddr` is with `tokio::net`, which axum lets no other
/// crate provide.
///
/// # Examples
///
/// ```
/// use axum::extract::ConnectInfo;
/// use axum::{Router, routing::get};
/// use tokio_netstack::{TcpListener, ext::PeerAddr};
///
/// async fn serve(listener: TcpListener) -> std::io::Result<()> {
///     let hello = |ConnectInfo(PeerAddr(peer))| async move { format!("hello {peer}") };
///     let app = Router::new().route("/", get(hello));
///     axum::serve(listener, app.into_make_service_with_connect_info::<PeerAddr>()).await
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddr(pub SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for PeerAddr {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}
