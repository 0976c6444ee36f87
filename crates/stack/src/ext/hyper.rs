//! HTTP clients of hyper-util through a stack.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::hyper_util::client::legacy::connect::dns::Name;
use ::hyper_util::client::legacy::connect::{Connected, Connection};
use ::hyper_util::rt::TokioIo;
use http::Uri;
use http::uri::Scheme;
use tower_service::Service;

use super::within;
use crate::error::invalid;
use crate::{Stack, TcpStream};

/// What a connection of hyper-util's client knows of itself: nothing beyond the defaults.
impl Connection for TcpStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// Connects hyper-util's client through a stack.
///
/// A host that is an address is connected to. Any other is looked up by the resolver that [`resolver`](Self::resolver)
/// gives it, a service of the kind that hyper-util's own `HttpConnector` takes; without one it is an error. A stack has no
/// way to ask the system's resolver, which would answer for the system's network;
/// features `hyper` and `hickory` together have `Names`, which asks through the stack.
///
/// The addresses found are tried in their order, each for at most the [`connect_timeout`](Self::connect_timeout).
///
/// # Examples
///
/// ```
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
/// use tokio_netstack::{Stack, ext::Connector};
///
/// # type Body = String;
/// fn client(stack: &Stack) -> Client<Connector, Body> {
///     Client::builder(TokioExecutor::new()).build(Connector::new(stack))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Connector<R = NoNames> {
    stack: Stack,
    resolver: R,
    connect_timeout: Option<Duration>,
    http_only: bool,
}

impl Connector {
    /// A connector to hosts that are given as addresses.
    #[must_use]
    pub fn new(stack: &Stack) -> Self {
        Self { stack: stack.clone(), resolver: NoNames, connect_timeout: None, http_only: true }
    }
}

impl<R> Connector<R> {
    /// Looks names up with `resolver`: a `tower_service::Service<Name>` that answers with addresses, whose port is not
    /// looked at.
    #[must_use]
    pub fn resolver<S>(self, resolver: S) -> Connector<S> {
        let Self { stack, connect_timeout, http_only, .. } = self;
        Connector { stack, resolver, connect_timeout, http_only }
    }

    /// How long to wait for an answer of each address. Default: as long as
    /// [`TcpConfig::syn_timeout`](crate::TcpConfig::syn_timeout).
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = Some(limit);
        self
    }

    /// Whether to refuse every scheme but `http`. Default: yes, as the connection is not encrypted. A connector of TLS
    /// that is put around this one needs it off.
    #[must_use]
    pub fn enforce_http(mut self, on: bool) -> Self {
        self.http_only = on;
        self
    }
}

/// What a [`Connector`] waits for.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<TokioIo<TcpStream>>> + Send>>;

impl<R, A> Service<Uri> for Connector<R>
where
    R: Service<Name, Response = A> + Clone + Send + 'static,
    R::Error: Into<Box<dyn Error + Send + Sync>>,
    R::Future: Send,
    A: IntoIterator<Item = SocketAddr>,
    A::IntoIter: Send,
{
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Connecting;

    /// The resolver is asked for readiness when it is needed.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&uri).await.map(TokioIo::new) })
    }
}

impl<R, A> Connector<R>
where
    R: Service<Name, Response = A>,
    R::Error: Into<Box<dyn Error + Send + Sync>>,
    A: IntoIterator<Item = SocketAddr>,
{
    async fn connect(self, uri: &Uri) -> io::Result<TcpStream> {
        let Destination { host, port } = Destination::of(uri, self.http_only)?;
        if let Ok(ip) = host.parse::<IpAddr>() {
            return attempt(&self.stack, SocketAddr::new(ip, port), self.connect_timeout).await;
        }
        let addresses = resolve(self.resolver, host).await?;
        let mut last = None;
        for mut address in addresses {
            address.set_port(port);
            match attempt(&self.stack, address, self.connect_timeout).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"))))
    }
}

async fn attempt(stack: &Stack, address: SocketAddr, limit: Option<Duration>) -> io::Result<TcpStream> {
    let connecting = TcpStream::connect(stack, address);
    match limit {
        Some(limit) => within(limit, address, connecting).await,
        None => connecting.await,
    }
}

async fn resolve<R>(mut resolver: R, host: &str) -> io::Result<R::Response>
where
    R: Service<Name>,
    R::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let failed = |error: R::Error| {
        let source: Box<dyn Error + Send + Sync> = error.into();
        io::Error::new(io::ErrorKind::NotFound, format!("cannot look {host} up: {source}"))
    };
    let name: Name = host.parse().map_err(io::Error::other)?;
    std::future::poll_fn(|cx| resolver.poll_ready(cx)).await.map_err(failed)?;
    resolver.call(name).await.map_err(failed)
}

/// Where a URI leads.
struct Destination<'a> {
    host: &'a str,
    port: u16,
}

impl<'a> Destination<'a> {
    fn of(uri: &'a Uri, http_only: bool) -> io::Result<Self> {
        let scheme = uri.scheme();
        if http_only && scheme != Some(&Scheme::HTTP) {
            return Err(invalid(format!(
                "{uri}: only http:// is connected to; put a connector of TLS around this one, with enforce_http(false)"
            )));
        }
        let host = uri.host().ok_or_else(|| invalid(format!("{uri} names no host")))?;
        // An IPv6 address is in brackets there (RFC 3986 3.2.2).
        let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let secure = matches!(uri.scheme_str(), Some("https" | "wss"));
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(Self { host, port })
    }
}

/// The resolver of a [`Connector`] that has been given none: knows no name.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNames;

impl Service<Name> for NoNames {
    type Response = [SocketAddr; 0];
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<[SocketAddr; 0]>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        let text = "the connector was given no resolver; call Connector::resolver, or use an address";
        std::future::ready(Err(io::Error::new(io::ErrorKind::Unsupported, text)))
    }
}
