//! The stack's sockets where other crates expect sockets.
//!
//! [`TcpStream`](crate::TcpStream) is `AsyncRead + AsyncWrite + Unpin + Send`, which is all that most of the ecosystem asks
//! for: TLS, WebSocket, HTTP/2, codecs and database clients take it as it is (`docs/ecosystem.md` has a row for each that
//! is tested). What remains is here, behind features that are off by default as they follow the versions of crates that
//! are not at 1.0:
//!
//! | feature | what it brings |
//! |---|---|
//! | `axum` | [`TcpListener`](crate::TcpListener) is an `axum::serve::Listener`; `PeerAddr` for `ConnectInfo` |
//! | `hyper` | `Connector`, with which hyper-util's client connects through a stack |
//! | `hickory` | `StackRuntime`, with which hickory-resolver asks its servers through a stack; with `hyper` too, `Names` |

#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "hickory")]
mod hickory;
#[cfg(feature = "hyper")]
mod hyper;
#[cfg(all(feature = "hyper", feature = "hickory"))]
mod names;

#[cfg(feature = "axum")]
pub use axum::PeerAddr;
#[cfg(feature = "hickory")]
pub use hickory::StackRuntime;
#[cfg(feature = "hyper")]
pub use hyper::{Connecting, Connector, NoNames};
#[cfg(all(feature = "hyper", feature = "hickory"))]
pub use names::Names;

/// Waits for a connection to `address` no longer than `limit`.
#[cfg(any(feature = "hyper", feature = "hickory"))]
async fn within(
    limit: std::time::Duration,
    address: std::net::SocketAddr,
    connecting: impl Future<Output = std::io::Result<crate::TcpStream>>,
) -> std::io::Result<crate::TcpStream> {
    tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| {
        let text = format!("no answer from {address} within {limit:?}");
        Err(std::io::Error::new(std::io::ErrorKind::TimedOut, text))
    })
}
