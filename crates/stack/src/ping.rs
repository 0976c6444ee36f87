//! Echo requests of our own (RFC 792, RFC 4443 4): who waits for an answer, and what came.

mod table;

use std::error::Error;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use netstack_tcp::{IcmpNotice, Instant};
use tokio::time::timeout;

use crate::error::{EndCause, invalid};
use crate::icmp::{self, Reply};
use crate::output::{Outgoing, Place, SendPacketError};
use crate::stack::{Inner, Stack};
use table::Request;
pub(crate) use table::{Outcome, Pings};

/// Most octets of data: what a packet of 65,535 octets holds beside its headers.
const MAX_DATA: usize = 65_507;

/// An echo request on its way to be sent; made by [`Stack::ping`].
///
/// Await it, or its [`send`](Self::send).
///
/// ```
/// # use tokio_netstack::{Stack, device};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let caps = device::Capabilities::ip(1500);
/// # let (a, b) = device::memory::pair(caps.clone(), caps);
/// # let stack = Stack::builder().device(a).address("192.0.2.1/24".parse()?).build()?;
/// # let _peer = Stack::builder().device(b).address("192.0.2.2/24".parse()?).build()?;
/// let reply = stack.ping([192, 0, 2, 2]).data_len(1000).timeout(Duration::from_secs(1)).await?;
/// println!("{} octets from {} in {:?}", reply.data_len, reply.from, reply.rtt);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a ping does nothing until it is awaited"]
pub struct Ping {
    inner: Arc<Inner>,
    target: IpAddr,
    data_len: usize,
    hop_limit: u8,
    dont_fragment: bool,
    patience: Duration,
}

/// The answer to a [`Ping`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PingReply {
    /// Who answered: the address that was asked.
    pub from: IpAddr,
    /// From the request's handing over to the device to the reply's arrival there.
    pub rtt: Duration,
    /// Octets of data that came back, each as it was sent.
    pub data_len: usize,
    /// TTL or hop limit that the reply had left.
    pub hop_limit: u8,
}

/// A node on the path, or the target, said by ICMP why there is no answer to a [`Ping`]. Found inside the [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PingError {
    /// Who said so: with a small hop limit, the router where it ran out.
    pub from: IpAddr,
    /// What it said.
    pub reason: PingFailure,
}

/// What an ICMP error says about a [`Ping`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PingFailure {
    /// It cannot be delivered, or made no sense to somebody.
    Notice(IcmpNotice),
    /// It is too big for a link that takes packets of this many octets; remembered for what is sent next.
    TooBig(u16),
}

impl PingError {
    fn kind(&self) -> io::ErrorKind {
        match self.reason {
            PingFailure::Notice(notice) => notice.io_kind(),
            PingFailure::TooBig(_) => io::ErrorKind::InvalidInput,
        }
    }
}

impl fmt::Display for PingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.from;
        match self.reason {
            PingFailure::Notice(notice) => write!(f, "{from} answers: {notice}"),
            PingFailure::TooBig(mtu) => {
                write!(
                    f,
                    "{from} answers: too big for the path, which takes packets of {mtu} octets; send less data"
                )
            }
        }
    }
}

impl Error for PingError {}

impl Stack {
    /// An echo request to `target`, sent when the returned value is awaited.
    pub fn ping(&self, target: impl Into<IpAddr>) -> Ping {
        Ping {
            inner: Arc::clone(&self.inner),
            target: target.into(),
            data_len: 56,
            hop_limit: 64,
            dont_fragment: false,
            patience: Duration::from_secs(5),
        }
    }
}

impl Ping {
    /// Octets of data, 0 to 65,507. Default 56. What the path does not carry in one piece leaves in fragments.
    pub fn data_len(mut self, octets: usize) -> Self {
        self.data_len = octets;
        self
    }

    /// How long to wait for the answer, sending included. Default five seconds.
    pub fn timeout(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// TTL or hop limit, 1 to 255. Default 64.
    pub fn hop_limit(mut self, hops: u8) -> Self {
        self.hop_limit = hops.max(1);
        self
    }

    /// Forbids fragmentation, here and on the path. Default: allowed.
    pub fn dont_fragment(mut self, on: bool) -> Self {
        self.dont_fragment = on;
        self
    }

    /// Sends one request and waits for its answer. Identifier, sequence number and data cannot be guessed, and an answer
    /// counts only if all of them come back.
    ///
    /// # Errors
    ///
    /// - [`TimedOut`](io::ErrorKind::TimedOut): no answer in time;
    /// - what an ICMP error says, as [`IcmpNotice::io_kind`] has it, with a [`PingError`] inside;
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput): the target is no single host, or the request is too big;
    /// - [`NetworkUnreachable`](io::ErrorKind::NetworkUnreachable): the stack has no address of the target's family;
    /// - [`ResourceBusy`](io::ErrorKind::ResourceBusy): 1,024 pings wait already;
    /// - [`NetworkDown`](io::ErrorKind::NetworkDown): the stack has stopped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the wait and leaves nothing behind; the request may have left.
    pub async fn send(self) -> io::Result<PingReply> {
        self.inner.check_running()?;
        let (target, octets) = (self.target, self.data_len);
        if octets > MAX_DATA {
            return Err(invalid(format!("a ping carries at most {MAX_DATA} octets of data, not {octets}")));
        }
        if !is_single_host(target) {
            return Err(invalid(format!("{target} is no single host: ping a unicast address")));
        }
        let Some((interface, local)) = self.inner.routes.source_for(target) else {
            let text = format!("no address of this stack can reach {target}");
            return Err(io::Error::new(io::ErrorKind::NetworkUnreachable, text));
        };
        let waiting = self.inner.pings.register(local, target, octets)?;
        let answer = async {
            let sent = self.transmit(interface, local, waiting.request()).await?;
            waiting.outcome(sent).await
        };
        match timeout(self.patience, answer).await {
            Ok(outcome) => outcome,
            Err(_) => {
                Err(io::Error::new(io::ErrorKind::TimedOut, format!("{target} did not answer in time")))
            }
        }
    }

    /// Hands the request to the device, once that has room, and says when.
    async fn transmit(&self, interface: usize, local: IpAddr, request: &Request) -> io::Result<Instant> {
        let inner = &self.inner;
        let Reply { src, dst, protocol, message } = icmp::message(local, self.target, &request.message());
        let flow = inner.secrets.portless_flow_hash(src, dst);
        let outgoing = Outgoing {
            hop_limit: self.hop_limit,
            dont_fragment: self.dont_fragment,
            ..Outgoing::new(src, dst, protocol, flow)
        };
        let mut place = Place::new(&inner.interface(interface).tx);
        let payload = [message];
        let (mut rest, mut began) = (None, None);
        loop {
            let now = *began.get_or_insert_with(|| inner.clock.now());
            let turn = place.turn(&inner.interface(interface).tx);
            let sent = match rest.take() {
                None => inner.send_packet(interface, &outgoing, &[], &payload, turn),
                Some(rest) => inner.send_rest(rest, turn),
            };
            match sent {
                // Lost: as on the wire, no answer comes.
                Ok(()) | Err(SendPacketError::Lost) => return Ok(now),
                Err(SendPacketError::Full) => began = None,
                Err(SendPacketError::Partly(others)) => rest = Some(others),
                Err(SendPacketError::TooBig { mtu }) => {
                    let text =
                        format!("{} octets of data are too many for a path that takes {mtu}", self.data_len);
                    return Err(invalid(text));
                }
                Err(SendPacketError::Gone) => return Err(EndCause::StackStopped.to_io()),
            }
            std::future::poll_fn(|cx| place.poll_ready(cx)).await;
        }
    }
}

impl IntoFuture for Ping {
    type Output = io::Result<PingReply>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// Whether `ip` may name a single host.
fn is_single_host(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || broadcast)
}
