//! Names of a hyper-util client, looked up by hickory-resolver.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use ::hyper_util::client::legacy::connect::dns::Name;
use hickory_resolver::Resolver;
use tower_service::Service;

use super::StackRuntime;

/// The resolver of a [`Connector`](super::Connector) that asks through a stack.
///
/// Cloning is cheap, and every clone has the same cache.
///
/// # Examples
///
/// ```
/// use hickory_resolver::Resolver;
/// use tokio_netstack::{Stack, ext::{Connector, Names, StackRuntime}};
///
/// fn connector(stack: &Stack, resolver: Resolver<StackRuntime>) -> Connector<Names> {
///     Connector::new(stack).resolver(Names::new(resolver))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Names(Resolver<StackRuntime>);

impl Names {
    /// Looks names up with `resolver`.
    #[must_use]
    pub fn new(resolver: Resolver<StackRuntime>) -> Self {
        Self(resolver)
    }
}

impl Service<Name> for Names {
    type Response = Vec<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.0.clone();
        Box::pin(async move {
            let found = resolver.lookup_ip(name.as_str()).await.map_err(io::Error::other)?;
            // A name service knows no ports; the connector sets its own.
            Ok(found.iter().map(|ip: IpAddr| SocketAddr::new(ip, 0)).collect())
        })
    }
}
