//! The stack: what all its sockets, actors and ingress loops share, and the handle that users hold.

mod builder;
mod change;
mod connections;
pub(crate) mod counters;
mod interface;
mod lifecycle;
#[cfg(all(test, netstack_loom))]
mod models;
mod network;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use netstack_device::DeviceCounters;
use netstack_tcp::{
    Connection, FastOpenCache, FourTuple, Instant, IsnGenerator, Opening, PortAllocator, Segment, SynCookies,
    SynRecord, TcpConfig,
};
use netstack_wire::SeqNum;
use tokio::runtime::Handle;
use tracing::{Instrument, info, warn};

pub use builder::StackBuilder;
pub use connections::ConnectionEntry;
pub use counters::StackCounters;
pub(crate) use interface::{Interface, LOOPBACK};
pub(crate) use lifecycle::StopSignal;
pub use network::DeviceLost;

use crate::actor::{Actor, Shared, order};
use crate::budget::{Budget, Change};
use crate::clock::Clock;
use crate::demux::Table;
use crate::fragment::{FragmentIds, Fragments};
use crate::icmp::Limiter;
use crate::lane::lock;
use crate::listener::{ListenConfig, ListenerShared, Listeners};
use crate::observe::Watch;
use crate::path_mtu::{PathMtus, SentSizes};
use crate::ping::Pings;
use crate::route::Routes;
use crate::secrets::Secrets;
use crate::sync::Mutex;
use crate::udp::Udp;
use counters::Counters;
use interface::Interfaces;
use lifecycle::Lifecycle;

/// What everything in a stack shares.
///
/// Ingress loops hold it weakly: the last handle, socket or closing connection to go ends the stack.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Arc<TcpConfig>,
    pub(crate) listen_config: ListenConfig,
    pub(crate) handle: Handle,
    pub(crate) clock: Clock,
    pub(crate) secrets: Secrets,
    pub(crate) isn: IsnGenerator,
    pub(crate) cookies: SynCookies,
    pub(crate) ports: Mutex<PortAllocator>,
    pub(crate) routes: Routes,
    interfaces: Interfaces,
    pub(crate) table: Table,
    pub(crate) listeners: Listeners,
    pub(crate) udp: Udp,
    pub(crate) counters: Counters,
    pub(crate) budget: Arc<Budget>,
    pub(crate) icmp_limiter: Limiter,
    pub(crate) echo_limiter: Limiter,
    pub(crate) pings: Pings,
    pub(crate) path_mtu: PathMtus,
    pub(crate) sent_sizes: SentSizes,
    /// What is known of servers that gave us cookies.
    pub(crate) fast_open: Mutex<FastOpenCache>,
    pub(crate) fragment_ids: FragmentIds,
    pub(crate) fragments: Fragments,
    /// Who watches the connections.
    pub(crate) watch: Watch,
    /// Whether sockets wait for another device when the last has died.
    outlives_devices: bool,
    lifecycle: Lifecycle,
}

/// How a connection begins.
pub(crate) enum Origin<'a> {
    /// `TcpStream::connect`; or `connect_fastopen`, with text of which what the send buffer has room for is taken off.
    Active { text: Option<&'a mut Bytes> },
    /// A SYN that a listener took; if it reopens a tuple in TIME-WAIT, the initial sequence number has to lie above the one
    /// given. With the SYN as it came if its data is taken and the connection handed over at once.
    Passive {
        syn: SynRecord,
        early: Option<&'a Segment>,
        listener: Arc<ListenerShared>,
        iss_above: Option<SeqNum>,
    },
    /// The SYN of this number, which the application has accepted.
    Deferred { id: u64 },
    /// An ACK that brought a cookie back, and the SYN that it was sent for.
    Cookie { syn: SynRecord, ack: Segment },
}

/// What a connection is made of.
enum Start {
    Connect,
    Accept(SynRecord, Option<SeqNum>),
    Cookie(SynRecord, Segment),
}

impl Inner {
    /// An error once the stack has stopped or is shutting down.
    pub(crate) fn check_running(&self) -> io::Result<()> {
        self.lifecycle.check_running()
    }

    /// Whether the stack has stopped, for now or for good.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lifecycle.is_stopped()
    }

    /// Counts an actor in, if the stack takes new connections.
    fn enter(&self) -> Option<Entered<'_>> {
        self.lifecycle.enter().then_some(Entered(self))
    }

    /// An actor has ended.
    pub(crate) fn leave(&self) {
        self.lifecycle.leave();
    }

    /// Makes a connection and starts its actor; `None` if the tuple is taken, or the stack has stopped.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        tuple: FourTuple,
        interface: usize,
        config: &Arc<TcpConfig>,
        origin: Origin<'_>,
    ) -> Option<Arc<Shared>> {
        let (shared, actor) = self.actor(tuple, interface, config, origin)?;
        let span = tracing::debug_span!("tcp", local = %tuple.local(), remote = %tuple.remote());
        if span.is_none() {
            // Nobody listens, and a span takes memory.
            self.handle.spawn(actor);
        } else {
            self.handle.spawn(actor.instrument(span));
        }
        if self.lifecycle.is_stopped() {
            // It stopped since `enter`, and may have missed this connection.
            shared.order(order::STOP);
        }
        Some(shared)
    }

    /// Makes a connection and its actor, which is to be run; `None` if the tuple is taken, or the stack has stopped.
    fn actor(
        self: &Arc<Self>,
        tuple: FourTuple,
        interface: usize,
        config: &Arc<TcpConfig>,
        origin: Origin<'_>,
    ) -> Option<(Arc<Shared>, Actor)> {
        let entered = self.enter()?;
        let shared = Arc::new(Shared::new(self, tuple, interface, config));
        let (mut text, mut early) = (None, None);
        let (start, listener) = match origin {
            Origin::Active { text: written } => {
                if !self.table.insert(&shared, false) {
                    return None;
                }
                text = written;
                (Start::Connect, None)
            }
            Origin::Passive { syn, early: segment, listener, iss_above } => {
                if !self.table.insert(&shared, iss_above.is_some()) {
                    return None;
                }
                early = segment;
                (Start::Accept(syn, iss_above), Some(listener))
            }
            Origin::Deferred { id } => {
                let pending = self.table.promote(&shared, id)?;
                pending.decided();
                (Start::Accept(pending.syn, pending.iss_above()), None)
            }
            Origin::Cookie { syn, ack } => {
                if !self.table.insert(&shared, false) {
                    return None;
                }
                (Start::Cookie(syn, ack), None)
            }
        };
        // From here on the actor counts itself out.
        std::mem::forget(entered);
        // Who was called answers by where the call came from.
        let pinned = !matches!(start, Start::Connect);
        let now = self.clock.now();
        let mut connection = self.begin(now, tuple, interface, config, start);
        if let Some(mtu) = self.path_mtu.known(tuple.remote().ip()) {
            connection.set_path_mtu(now, mtu);
        }
        if let Some(data) = text {
            self.open_fast(&mut connection, &shared, data);
        }
        shared.set_state(connection.state());
        if let (Some(listener), Some(segment)) = (&listener, early) {
            self.hand_over_early(&shared, listener, segment.clone());
        }
        let actor = Actor::new(connection, Arc::clone(&shared), listener, pinned);
        Some((shared, actor))
    }

    /// What a new connection of `tuple` needs.
    pub(crate) fn opening(&self, now: Instant, tuple: FourTuple, interface: usize) -> Opening {
        Opening {
            tuple,
            iss: self.isn.isn(now, &tuple),
            ts_offset: self.isn.ts_offset(&tuple),
            mtu: self.interface(interface).mtu().min(usize::from(u16::MAX)) as u16,
        }
    }

    fn begin(
        &self,
        now: Instant,
        tuple: FourTuple,
        interface: usize,
        config: &Arc<TcpConfig>,
        start: Start,
    ) -> Connection {
        let mut opening = self.opening(now, tuple, interface);
        let config = Arc::clone(config);
        match start {
            Start::Connect => Connection::connect(now, opening, config),
            Start::Accept(syn, iss_above) => {
                if let Some(above) = iss_above
                    && !opening.iss.after(above)
                {
                    // RFC 6191 2: far enough that nothing of the old connection fits.
                    opening.iss = above + 64_000;
                }
                Connection::accept(now, &syn, opening, config)
            }
            Start::Cookie(syn, ack) => {
                opening.iss = ack.header.ack - 1;
                Connection::from_cookie(now, &syn, &ack, opening, config)
            }
        }
    }

    /// Ends what there is, each connection by `order`, and lets nothing new begin.
    fn close_with(self: &Arc<Self>, order: u8) {
        self.lifecycle.refuse();
        self.listeners.close_all(self);
        self.udp.close_all();
        for shared in self.table.actors() {
            shared.order(order);
        }
    }

    /// The stack is told to stop: every socket gets an error.
    pub(crate) fn stop(self: &Arc<Self>) {
        if self.lifecycle.stop() {
            self.interfaces.stop();
            self.pings.stop();
            self.end_all();
            lock(&self.interfaces.watchers).take().wake();
        }
    }

    /// Tells when the buffers come under pressure and when they are relieved, and makes connections give up what came out of
    /// order when little is left.
    pub(crate) fn watch_budget(&self) {
        let Some(change) = self.budget.change() else { return };
        let used = self.budget.used();
        match change {
            Change::Pressed => {
                self.counters.budget_pressure.bump();
                warn!(used, "the stack's buffers are three quarters full: windows and writers get little");
            }
            Change::Strained => {
                warn!(used, "the stack's buffers are nearly full: out-of-order data is given up");
                for shared in self.table.actors_with_gap() {
                    shared.notify();
                }
            }
            Change::Exhausted => {
                self.counters.budget_exhausted.bump();
                warn!(used, "the stack's buffers are full: new connections are refused");
            }
            Change::Relieved => info!(used, "the stack's buffers are less than half full again"),
        }
    }

    /// Whether there is an interface of this index, which somebody outside of the stack has named.
    pub(crate) fn has_interface(&self, index: usize) -> bool {
        self.device(index).is_ok()
    }

    /// The interface for packets to `remote`, and the address that they come from.
    pub(crate) fn source_for(&self, remote: SocketAddr) -> Option<(usize, SocketAddr)> {
        let (interface, ip) = self.routes.source_for(remote.ip())?;
        Some((interface, SocketAddr::new(ip, 0)))
    }
}

/// Counts an actor out that was never made.
struct Entered<'a>(&'a Inner);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.interfaces.stop();
    }
}

/// A TCP/IP stack over one or more packet devices: the handle that sockets are made from.
///
/// Cloning is cheap, and every clone is the same stack.
///
/// # Order of dropping
///
/// Handles, listeners and streams may be dropped in any order; none of it blocks, but that a device may take its time to
/// be dropped (a [`pcapng::Tee`](crate::device::pcapng::Tee) waits some seconds for its writer). The stack itself, with
/// its devices, goes when the last `Stack`, [`TcpListener`](crate::TcpListener) and [`TcpStream`](crate::TcpStream) is dropped and
/// the last dropped stream has been delivered and closed in the background. To be sure that everything written has
/// reached its peer before the program ends, drop the streams, then await [`shutdown`](Self::shutdown), then let go of
/// the runtime. When the runtime goes first, connections end where they are: their sockets report
/// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted).
///
/// # Examples
///
/// ```
/// use tokio_netstack::{Stack, TcpListener, TcpStream, device};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let caps = device::Capabilities::ip(1500);
/// let (a, b) = device::memory::pair(caps.clone(), caps);
/// let server = Stack::builder().device(a).address("192.0.2.1/24".parse()?).build()?;
/// let client = Stack::builder().device(b).address("192.0.2.2/24".parse()?).build()?;
///
/// let listener = TcpListener::bind(&server, ([192, 0, 2, 1], 7)).await?;
/// let stream = TcpStream::connect(&client, ([192, 0, 2, 1], 7)).await?;
/// let (_accepted, peer) = listener.accept().await?;
/// assert_eq!(peer, stream.local_addr()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Stack {
    pub(crate) inner: Arc<Inner>,
}

impl Stack {
    /// Starts to describe a stack.
    pub fn builder() -> StackBuilder {
        StackBuilder::new()
    }

    /// What the stack did so far.
    #[must_use]
    pub fn counters(&self) -> StackCounters {
        self.inner.counters.snapshot()
    }

    /// Bytes of memory that hold data of connections now, charged in steps of 4 KiB; see
    /// [`StackBuilder::buffer_budget`]. 0 when every connection is idle.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.inner.budget.used()
    }

    /// Bytes of memory that received datagrams hold until they are read, of UDP sockets and sessions together; see
    /// [`StackBuilder::udp_memory`].
    #[must_use]
    pub fn udp_buffered(&self) -> usize {
        self.inner.udp.held()
    }

    /// What a device did so far, `index` counting in the order of [`StackBuilder::device`] and
    /// [`add_device`](Self::add_device); the last word of one that is gone.
    #[must_use]
    pub fn device_counters(&self, index: usize) -> Option<DeviceCounters> {
        self.inner.interfaces.devices().get(index).map(|interface| interface.tx.counters())
    }

    /// Connections that have a task: all states but TIME-WAIT.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.inner.lifecycle.actors()
    }

    /// Connections in TIME-WAIT.
    #[must_use]
    pub fn time_wait_count(&self) -> usize {
        self.inner.table.time_wait_count()
    }

    /// Ends the stack in order.
    ///
    /// Listeners stop, new connections are refused with an error, and every connection is closed as if its stream were
    /// dropped: what was written is delivered, then both ends close. What no listener has accepted is reset. Resolves when
    /// no connection is left but those in TIME-WAIT; from then on nothing is received, and the devices go with the last
    /// handle.
    ///
    /// A peer that does not answer holds it up until the connection's own limits end it: wrap the call in
    /// `tokio::time::timeout`, and call [`abort`](Self::abort) when that expires.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the stack closing; call it again to wait for the rest.
    pub async fn shutdown(&self) {
        self.inner.close_with(order::CLOSE);
        self.inner.lifecycle.idle().await;
        self.inner.stop();
    }

    /// Resets every connection and ends the stack. Sockets report [`ConnectionAborted`](io::ErrorKind::ConnectionAborted)
    /// or [`NetworkDown`](io::ErrorKind::NetworkDown).
    ///
    /// Resets that a full device has not taken within a second are given up.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the stack closing; call it again to wait for the rest.
    pub async fn abort(&self) {
        self.inner.close_with(order::ABORT);
        // Either way the stack stops now.
        let _ = tokio::time::timeout(ABORT_PATIENCE, self.inner.lifecycle.idle()).await;
        self.inner.stop();
    }
}

/// How long an abort waits for a full device.
const ABORT_PATIENCE: Duration = Duration::from_secs(1);

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("connections", &self.connection_count())
            .field("time_wait", &self.time_wait_count())
            .finish_non_exhaustive()
    }
}
