//! What an actor, its socket and ingress share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use netstack_tcp::congestion::CongestionControl;
use netstack_tcp::{FourTuple, KeepAlive, State, TcpConfig, TcpInfo};

use super::mailbox::{Arrival, Mailbox};
use crate::budget::LEAST;
use crate::error::EndCause;
use crate::lane::{Phase, RecvSide, SendSide, Waiter, Waiters, lock, wait};
use crate::route::with_zone;
use crate::stack::Inner;
use crate::sync::Mutex;
use crate::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU16, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed,
};

/// Orders to an actor, one bit each.
pub(crate) mod order {
    /// The socket was dropped: close both halves.
    pub(crate) const CLOSE: u8 = 1;
    /// Send a reset and end.
    pub(crate) const ABORT: u8 = 2;
    /// The stack has stopped: end without another word.
    pub(crate) const STOP: u8 = 4;
    /// Look at the requests.
    pub(crate) const REQUEST: u8 = 8;
    /// A listener is gone: abort if it is the connection's, unless the handshake is complete.
    pub(crate) const UNLISTEN: u8 = 16;
    /// Another handshake needs the place: end without a word, unless this one is complete.
    pub(crate) const RECYCLE: u8 = 32;
}

/// What `set_linger` asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Linger {
    /// Deliver in the background for as long as it takes.
    #[default]
    Background,
    /// Deliver in the background, and give up after this long.
    Bounded(Duration),
    /// Reset at once.
    Reset,
}

impl From<Option<Duration>> for Linger {
    fn from(linger: Option<Duration>) -> Self {
        match linger {
            None => Self::Background,
            Some(Duration::ZERO) => Self::Reset,
            Some(limit) => Self::Bounded(limit),
        }
    }
}

impl From<Linger> for Option<Duration> {
    fn from(linger: Linger) -> Self {
        match linger {
            Linger::Background => None,
            Linger::Reset => Some(Duration::ZERO),
            Linger::Bounded(limit) => Some(limit),
        }
    }
}

/// What the socket has set, and whether the actor has yet to hear of it.
#[derive(Debug)]
struct Setting<T> {
    value: Option<T>,
    new: bool,
}

impl<T: Copy> Setting<T> {
    fn new(value: Option<T>) -> Option<Self> {
        Some(Self { value, new: true })
    }

    /// Gives what is new once.
    fn take_new(setting: &mut Option<Self>) -> Option<Option<T>> {
        let setting = setting.as_mut()?;
        std::mem::take(&mut setting.new).then_some(setting.value)
    }
}

/// Rare requests of the socket; boxed, for most connections never have one.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    keepalive: Option<Setting<KeepAlive>>,
    user_timeout: Option<Setting<Duration>>,
    pub(crate) congestion: Option<CongestionControl>,
    pub(crate) linger: Linger,
    /// Urgent data became pending, or its end moved, since somebody asked.
    urgent: bool,
    urgent_waiters: Waiters,
    want_info: bool,
    info: Option<TcpInfo>,
    /// The actor has ended: `info` is its last word.
    ended: bool,
    waiters: Waiters,
}

impl Requests {
    /// What the getters need to know of a connection that does not begin with the settings of its stack.
    fn where_different(config: &TcpConfig, of_stack: &TcpConfig) -> Option<Box<Self>> {
        let keepalive = config.keepalive_times();
        let user_timeout = config.user_timeout_limit();
        if keepalive == of_stack.keepalive_times() && user_timeout == of_stack.user_timeout_limit() {
            return None;
        }
        Some(Box::new(Self {
            keepalive: Some(Setting { value: keepalive, new: false }),
            user_timeout: Some(Setting { value: user_timeout, new: false }),
            ..Self::default()
        }))
    }
}

/// What the actor has to do about the requests.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) keepalive: Option<Option<KeepAlive>>,
    pub(crate) user_timeout: Option<Option<Duration>>,
    pub(crate) congestion: Option<CongestionControl>,
    pub(crate) info: bool,
}

/// One per connection: its name, the mailbox, the two lanes, and how to wake the actor. The demultiplexer's table
/// holds it, so that an idle connection costs one allocation beside its task.
pub(crate) struct Shared {
    pub(crate) tuple: FourTuple,
    pub(crate) inner: Arc<Inner>,
    pub(crate) mailbox: Mailbox,
    pub(crate) send: SendSide,
    pub(crate) recv: RecvSide,
    requests: Mutex<Option<Box<Requests>>>,
    waker: Mutex<Option<Waker>>,
    /// Hash of the flow: picks the device queue and makes the IPv6 flow label.
    pub(crate) flow: u32,
    /// Index of the interface that the connection's packets leave by.
    interface: AtomicU16,
    /// The actor stands in the device's queue of senders.
    waits_for_device: AtomicBool,
    orders: AtomicU8,
    /// The actor was woken and has not run since.
    notified: AtomicBool,
    /// Ingress has put something into the mailbox in this batch.
    touched: AtomicBool,
    /// The connection holds data out of order.
    gap: AtomicBool,
    nodelay: AtomicBool,
    quickack: AtomicBool,
    /// The connection's state at the end of the last turn, as an index into [`State::ALL`].
    state: AtomicU8,
    dscp: AtomicU8,
    hop_limit: AtomicU8,
}

// Where locks are of the system's own making, as on macOS, each takes more.
#[cfg(all(target_os = "linux", not(netstack_loom)))]
const _: () = assert!(size_of::<Shared>() <= 512, "the shared part of a connection stays small");

impl Shared {
    pub(crate) fn new(inner: &Arc<Inner>, tuple: FourTuple, interface: usize, config: &TcpConfig) -> Self {
        Self {
            tuple,
            inner: Arc::clone(inner),
            mailbox: Mailbox::new(config.first_recv_buffer_size()),
            send: SendSide::new(config.first_send_buffer_size(), Phase::Connecting, &inner.budget),
            recv: RecvSide::new(&inner.budget),
            requests: Mutex::new(Requests::where_different(config, &inner.config)),
            waker: Mutex::default(),
            flow: inner.secrets.flow_hash(&tuple),
            interface: AtomicU16::new(interface as u16),
            waits_for_device: AtomicBool::new(false),
            orders: AtomicU8::new(0),
            notified: AtomicBool::new(false),
            touched: AtomicBool::new(false),
            gap: AtomicBool::new(false),
            nodelay: AtomicBool::new(config.is_nodelay()),
            quickack: AtomicBool::new(false),
            state: AtomicU8::new(State::SynSent as u8),
            dscp: AtomicU8::new(config.dscp_value()),
            hop_limit: AtomicU8::new(config.hop_limit_value()),
        }
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.tuple.local()
    }

    /// The peer as the application knows it, with its scope if it is link-local.
    pub(crate) fn remote(&self) -> SocketAddr {
        with_zone(self.tuple.remote(), self.interface())
    }

    /// Index of the interface that the connection's packets leave by.
    pub(crate) fn interface(&self) -> usize {
        self.interface.load(Relaxed).into()
    }

    /// A stack has no interface beyond [`LOOPBACK`](crate::stack::LOOPBACK), the highest of 16 bits.
    pub(crate) fn set_interface(&self, interface: usize) {
        self.interface.store(interface as u16, Relaxed);
    }

    /// Whether the actor stands in the device's queue of senders.
    pub(crate) fn waits_for_device(&self) -> bool {
        self.waits_for_device.load(Relaxed)
    }

    /// The actor says whether it stands in the device's queue of senders.
    pub(crate) fn set_waits_for_device(&self, waits: bool) {
        if self.waits_for_device() != waits {
            self.waits_for_device.store(waits, Relaxed);
        }
    }

    /// Wakes the actor, once per turn of its.
    pub(crate) fn notify(&self) {
        if !self.notified.swap(true, AcqRel) {
            let waker = lock(&self.waker).clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// The actor starts a turn: whatever is signalled from here on wakes it again.
    pub(crate) fn begin_turn(&self, cx: &Context<'_>) {
        {
            let mut slot = lock(&self.waker);
            match &mut *slot {
                Some(waker) => waker.clone_from(cx.waker()),
                slot => *slot = Some(cx.waker().clone()),
            }
        }
        self.notified.swap(false, AcqRel);
    }

    /// Ingress has something for the connection. Data is dropped when the stack's buffers hold twice their budget and the
    /// connection has its share, or past that share: not acknowledged, it comes again.
    pub(crate) fn push(&self, mut arrival: Arrival) {
        let counters = &self.inner.counters;
        if self.inner.budget.is_overrun() && arrival.input.payload_len() > 0 {
            if self.mailbox.holds_data() || self.recv.memory() >= LEAST {
                return counters.drop_budget.bump();
            }
            arrival.input.cut(LEAST);
        }
        self.mailbox.push(arrival, counters, &self.inner.budget);
    }

    /// The actor says how much memory the connection holds out of order.
    pub(crate) fn set_out_of_order(&self, memory: usize) {
        if memory > 0 || self.has_gap() {
            self.gap.store(memory > 0, Relaxed);
            self.recv.set_out_of_order(memory);
        }
    }

    /// Whether the connection holds data out of order.
    pub(crate) fn has_gap(&self) -> bool {
        self.gap.load(Relaxed)
    }

    /// Ingress notes that it will notify this connection at the end of the batch. True for the first in the batch.
    pub(crate) fn touch(&self) -> bool {
        !self.touched.swap(true, AcqRel)
    }

    /// The end of the batch: ingress notifies the actor.
    pub(crate) fn release(&self) {
        // Another queue's ingress may have relied on this one: what it pushed is seen by the turn that follows.
        self.touched.swap(false, AcqRel);
        self.notify();
    }

    /// Gives the actor an order.
    pub(crate) fn order(&self, bits: u8) {
        self.orders.fetch_or(bits, AcqRel);
        self.notify();
    }

    /// The actor takes its orders.
    pub(crate) fn take_orders(&self) -> u8 {
        if self.orders.load(Relaxed) == 0 { 0 } else { self.orders.swap(0, AcqRel) }
    }

    /// Whether the Nagle algorithm is off.
    pub(crate) fn nodelay(&self) -> bool {
        self.nodelay.load(Acquire)
    }

    /// Changes the requests and lets the actor look at them.
    pub(crate) fn request(&self, change: impl FnOnce(&mut Requests)) {
        change(lock(&self.requests).get_or_insert_default());
        self.order(order::REQUEST);
    }

    pub(crate) fn set_nodelay(&self, on: bool) {
        self.nodelay.store(on, Relaxed);
        self.order(order::REQUEST);
    }

    pub(crate) fn quickack(&self) -> bool {
        self.quickack.load(Acquire)
    }

    pub(crate) fn set_quickack(&self, on: bool) {
        self.quickack.store(on, Relaxed);
        self.order(order::REQUEST);
    }

    /// The state at the end of the actor's last turn.
    pub(crate) fn state(&self) -> State {
        // The index is that of a state.
        State::ALL[usize::from(self.state.load(Relaxed))]
    }

    /// The actor tells the state.
    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Relaxed);
    }

    pub(crate) fn keepalive(&self) -> Option<KeepAlive> {
        let requests = lock(&self.requests);
        let set = requests.as_ref().and_then(|requests| requests.keepalive.as_ref());
        set.map_or_else(|| self.inner.config.keepalive_times(), |setting| setting.value)
    }

    pub(crate) fn set_keepalive(&self, keepalive: Option<KeepAlive>) {
        self.request(|requests| requests.keepalive = Setting::new(keepalive));
    }

    pub(crate) fn dscp(&self) -> u8 {
        self.dscp.load(Relaxed)
    }

    pub(crate) fn set_dscp(&self, dscp: u8) {
        self.dscp.store(dscp, Relaxed);
        self.order(order::REQUEST);
    }

    pub(crate) fn hop_limit(&self) -> u8 {
        self.hop_limit.load(Relaxed)
    }

    pub(crate) fn set_hop_limit(&self, hops: u8) {
        self.hop_limit.store(hops, Relaxed);
        self.order(order::REQUEST);
    }

    pub(crate) fn user_timeout(&self) -> Option<Duration> {
        let requests = lock(&self.requests);
        let set = requests.as_ref().and_then(|requests| requests.user_timeout.as_ref());
        set.map_or_else(|| self.inner.config.user_timeout_limit(), |setting| setting.value)
    }

    /// Takes whole milliseconds, rounded up; more than 49 days count as that.
    pub(crate) fn set_user_timeout(&self, limit: Option<Duration>) {
        let limit = limit.map(whole_millis);
        self.request(|requests| requests.user_timeout = Setting::new(limit));
    }

    pub(crate) fn linger(&self) -> Linger {
        lock(&self.requests).as_ref().map_or(Linger::Background, |requests| requests.linger)
    }

    /// The actor takes the changes asked for; whether information is wanted stays until it is given.
    pub(crate) fn take_requests(&self) -> Wanted {
        let mut requests = lock(&self.requests);
        requests.as_mut().map_or_else(Wanted::default, |requests| Wanted {
            keepalive: Setting::take_new(&mut requests.keepalive),
            user_timeout: Setting::take_new(&mut requests.user_timeout),
            congestion: requests.congestion.take(),
            info: requests.want_info,
        })
    }

    /// The actor learned of urgent data.
    pub(crate) fn give_urgent(&self) {
        let waiters = {
            let mut requests = lock(&self.requests);
            let requests = requests.get_or_insert_default();
            requests.urgent = true;
            requests.urgent_waiters.take()
        };
        waiters.wake();
    }

    /// Ready once for each piece of news about urgent data; an error when the connection is over.
    pub(crate) fn poll_urgent(&self, waiter: &Waiter<'_, '_>) -> Poll<Result<(), EndCause>> {
        let mut requests = lock(&self.requests);
        let slot = requests.get_or_insert_default();
        if std::mem::take(&mut slot.urgent) {
            return Poll::Ready(Ok(()));
        }
        // The lane's end comes before `ended`, which comes before the last wake-up.
        if slot.ended
            && let Some(cause) = self.send.ended()
        {
            return Poll::Ready(Err(cause));
        }
        slot.urgent_waiters.register(waiter);
        Poll::Pending
    }

    /// The actor answers `poll_info`; for the last time when it has `ended`.
    pub(crate) fn give_info(&self, info: TcpInfo, ended: bool) {
        let (waiters, urgent_waiters) = {
            let mut requests = lock(&self.requests);
            let requests = requests.get_or_insert_default();
            requests.want_info = false;
            requests.info = Some(info);
            requests.ended = ended;
            let urgent_waiters = if ended { requests.urgent_waiters.take() } else { Waiters::default() };
            (requests.waiters.take(), urgent_waiters)
        };
        waiters.wake();
        urgent_waiters.wake();
    }

    /// A future of `poll_info` or `poll_urgent` does not wait any more.
    pub(crate) fn forget(&self, place: u64) {
        if let Some(requests) = &mut *lock(&self.requests) {
            requests.waiters.forget(place);
            requests.urgent_waiters.forget(place);
        }
    }

    /// Asks the actor for its figures; gives the last ones once it has ended.
    pub(crate) async fn info(&self) -> TcpInfo {
        let mut ask = true;
        let poll = |waiter: &Waiter<'_, '_>| self.poll_info(waiter, std::mem::take(&mut ask));
        wait(poll, |place| self.forget(place)).await
    }

    /// Ready with what the actor said after `ask` was set, or with its last words once it has ended.
    fn poll_info(&self, waiter: &Waiter<'_, '_>, ask: bool) -> Poll<TcpInfo> {
        let mut requests = lock(&self.requests);
        let slot = requests.get_or_insert_default();
        if ask && !slot.ended {
            slot.want_info = true;
            slot.info = None;
        }
        if let Some(info) = &slot.info {
            return Poll::Ready(info.clone());
        }
        slot.waiters.register(waiter);
        drop(requests);
        if ask {
            self.order(order::REQUEST);
        }
        Poll::Pending
    }
}

/// At least 1, and at most 49 days.
fn whole_millis(limit: Duration) -> Duration {
    let millis = u32::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX).max(1);
    Duration::from_millis(millis.into())
}

impl Drop for Shared {
    fn drop(&mut self) {
        // What came after the actor's end.
        self.mailbox.take(&self.inner.budget);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("tuple", &self.tuple).finish_non_exhaustive()
    }
}
