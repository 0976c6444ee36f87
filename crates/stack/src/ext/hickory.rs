//! hickory-resolver through a stack.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hickory_resolver::net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_resolver::net::runtime::{DnsUdpSocket, RuntimeProvider, TokioHandle, TokioTime};
use tokio::io::ReadBuf;

use super::within;
use crate::{Stack, TcpStream, UdpSocket};

/// Lets hickory-resolver ask its servers over the UDP and TCP of a stack.
///
/// # Examples
///
/// ```
/// use hickory_resolver::Resolver;
/// use hickory_resolver::config::{NameServerConfig, ResolverConfig};
/// use tokio_netstack::{Stack, ext::StackRuntime};
///
/// async fn look_up(stack: &Stack, name: &str) -> Result<(), Box<dyn std::error::Error>> {
///     let server = NameServerConfig::udp_and_tcp([192, 0, 2, 53].into());
///     let config = ResolverConfig::from_name_servers(vec![server]);
///     let resolver = Resolver::builder_with_config(config, StackRuntime::new(stack)).build()?;
///     for address in resolver.lookup_ip(name).await?.iter() {
///         println!("{address}");
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct StackRuntime {
    stack: Stack,
    tasks: TokioHandle,
}

impl StackRuntime {
    /// Asks through `stack`.
    #[must_use]
    pub fn new(stack: &Stack) -> Self {
        Self { stack: stack.clone(), tasks: TokioHandle::default() }
    }
}

impl std::fmt::Debug for StackRuntime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StackRuntime").field("stack", &self.stack).finish_non_exhaustive()
    }
}

/// How long hickory-resolver itself waits for a connection that it gives no limit for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

type Opening<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl RuntimeProvider for StackRuntime {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = UdpSocket;
    type Tcp = AsyncIoTokioAsStd<TcpStream>;

    fn create_handle(&self) -> TokioHandle {
        self.tasks.clone()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        limit: Option<Duration>,
    ) -> Opening<Self::Tcp> {
        let stack = self.stack.clone();
        Box::pin(async move {
            let connecting = async {
                match local {
                    Some(local) => TcpStream::connect_from(&stack, local, server).await,
                    None => TcpStream::connect(&stack, server).await,
                }
            };
            let stream = within(limit.unwrap_or(CONNECT_TIMEOUT), server, connecting).await?;
            // Queries are small and wait for an answer.
            stream.set_nodelay(true)?;
            Ok(AsyncIoTokioAsStd(stream))
        })
    }

    fn bind_udp(&self, local: SocketAddr, _: SocketAddr) -> Opening<UdpSocket> {
        let stack = self.stack.clone();
        Box::pin(async move { UdpSocket::bind(&stack, local).await })
    }
}

impl DnsUdpSocket for UdpSocket {
    type Time = TokioTime;

    fn poll_recv_from(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut buf = ReadBuf::new(buf);
        let from = ready!(Self::poll_recv_from(self, cx, &mut buf))?;
        Poll::Ready(Ok((buf.filled().len(), from)))
    }

    fn poll_send_to(&self, cx: &mut Context<'_>, buf: &[u8], target: SocketAddr) -> Poll<io::Result<usize>> {
        Self::poll_send_to(self, cx, buf, target)
    }
}
