//! The sessions of a stack by their age, and those that wait to be accepted.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::task::Poll;

use netstack_tcp::{FourTuple, Instant};
use tokio::time::sleep_until;

use crate::lane::{Waiter, Waiters, lock};
use crate::route::{with_zone, zone_of};
use crate::stack::Inner;
use crate::sync::Mutex;
use crate::udp::endpoint::{Age, Endpoint, Link};
use crate::udp::queue::{Ended, Pool};
use crate::udp::{Datagram, Delivery, UdpSessionsConfig, queue};

#[derive(Debug, Default)]
struct State {
    /// Not accepted yet; some may have ended since.
    waiting: VecDeque<(Arc<Endpoint>, Link)>,
    waiters: Waiters,
    /// By when each was active last as far as is known: it may have been active since. With its number, which makes it unique.
    by_age: BTreeMap<(u64, u64), Arc<Endpoint>>,
    next_id: u64,
    /// Whether a task ends those that are idle.
    driven: bool,
    /// No new ones.
    closed: bool,
}

/// All sessions that came by one [`UdpSessions`](super::UdpSessions).
#[derive(Debug)]
pub(in crate::udp) struct Registry {
    config: UdpSessionsConfig,
    pool: Arc<Pool>,
    state: Mutex<State>,
}

impl Registry {
    pub(super) fn new(config: UdpSessionsConfig) -> Self {
        let pool = Arc::new(Pool::new(config.total_buffer));
        Self { config, pool, state: Mutex::default() }
    }

    /// Bytes of memory that the queues of all sessions hold.
    pub(in crate::udp) fn held(&self) -> usize {
        self.pool.held()
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.state).by_age.len()
    }

    /// Begins a session with its first datagram.
    pub(in crate::udp) fn open(self: &Arc<Self>, inner: &Arc<Inner>, datagram: Datagram) -> Delivery {
        let counters = &inner.counters;
        let zone = zone_of(with_zone(datagram.from, datagram.interface));
        let link = Link { local: datagram.to, remote: datagram.from, zone };
        let key = FourTuple::new(link.local, link.remote);
        let now = inner.clock.now();
        let mut state = lock(&self.state);
        if state.closed {
            return Delivery::Nobody;
        }
        if state.waiting.len() >= self.config.backlog {
            counters.drop_udp_sessions_full.bump();
            return Delivery::Dropped;
        }
        let id = state.next_id;
        state.next_id += 1;
        let endpoint = Arc::new(Endpoint::session(link, self.config.recv_buffer, &self.pool, id, now));
        if let Some(other) = inner.udp.table.insert_alone(key, &endpoint) {
            // The ingress of another queue was faster.
            drop(state);
            return queue(inner, &other, datagram);
        }
        let delivery = queue(inner, &endpoint, datagram);
        if delivery != Delivery::Queued {
            inner.udp.table.remove(&key, &endpoint);
            return delivery;
        }
        let evicted = (state.by_age.len() >= self.config.max_sessions).then(|| state.take_oldest()).flatten();
        state.by_age.insert((now.as_nanos(), id), Arc::clone(&endpoint));
        state.waiting.push_back((endpoint, link));
        let drive = !std::mem::replace(&mut state.driven, true);
        let waiters = state.waiters.take();
        drop(state);
        waiters.wake();
        counters.udp_sessions_opened.bump();
        if let Some(evicted) = evicted {
            counters.udp_sessions_evicted.bump();
            end(inner, &evicted, Ended::Evicted);
        }
        if drive {
            inner.handle.spawn(expire(Arc::clone(self), Arc::downgrade(inner)));
        }
        delivery
    }

    /// The next session that nobody has accepted.
    pub(super) fn poll_accept(&self, waiter: &Waiter<'_, '_>) -> Poll<io::Result<(Arc<Endpoint>, Link)>> {
        let mut state = lock(&self.state);
        while let Some(next) = state.waiting.pop_front() {
            if !next.0.queue.is_ended() {
                return Poll::Ready(Ok(next));
            }
        }
        if state.closed {
            return Poll::Ready(Err(Ended::Stopped.to_io()));
        }
        state.waiters.register(waiter);
        Poll::Pending
    }

    /// A future does not wait any more.
    pub(super) fn forget_waiter(&self, place: u64) {
        lock(&self.state).waiters.forget(place);
    }

    /// A session is dropped.
    pub(in crate::udp) fn forget(&self, endpoint: &Endpoint) {
        if let Some(age) = &endpoint.age {
            let mut state = lock(&self.state);
            let recorded = age.recorded.load(Relaxed);
            state.by_age.remove(&(recorded, age.id));
        }
    }

    /// Nobody accepts any more: what waits for it ends.
    pub(super) fn close(&self, inner: &Inner) {
        let waiting = {
            let mut state = lock(&self.state);
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        for (endpoint, _) in waiting {
            self.forget(&endpoint);
            end(inner, &endpoint, Ended::Stopped);
        }
    }

    /// The stack stops.
    pub(in crate::udp) fn stop(&self) {
        let (all, waiters) = {
            let mut state = lock(&self.state);
            state.closed = true;
            (state.by_age.values().cloned().collect::<Vec<_>>(), state.waiters.take())
        };
        for endpoint in all {
            endpoint.queue.end(Ended::Stopped);
        }
        waiters.wake();
    }

    /// Ends what was idle for too long. When to look again, `None` with no session left.
    fn expire(&self, inner: &Inner) -> Option<Instant> {
        let idle = u64::try_from(self.config.idle.as_nanos()).unwrap_or(u64::MAX);
        let now = inner.clock.now().as_nanos();
        let mut idle_ones = Vec::new();
        let next = {
            let mut state = lock(&self.state);
            loop {
                let Some(active) = state.oldest() else {
                    state.driven = false;
                    break None;
                };
                let due = active.saturating_add(idle);
                if due > now {
                    break Some(Instant::from_duration(std::time::Duration::from_nanos(due)));
                }
                idle_ones.extend(state.by_age.pop_first().map(|(_, endpoint)| endpoint));
            }
        };
        for endpoint in idle_ones {
            inner.counters.udp_sessions_idle.bump();
            end(inner, &endpoint, Ended::Idle);
        }
        next
    }
}

impl State {
    /// When the first of `by_age` was active, which is the oldest then.
    fn oldest(&mut self) -> Option<u64> {
        loop {
            let (&(recorded, id), endpoint) = self.by_age.first_key_value()?;
            let active = endpoint.age.as_ref().map_or(recorded, Age::active);
            if active == recorded {
                return Some(active);
            }
            // It was active since: put where it belongs. Each such step was paid for by a datagram.
            let (_, endpoint) = self.by_age.pop_first()?;
            if let Some(age) = &endpoint.age {
                age.recorded.store(active, Relaxed);
            }
            self.by_age.insert((active, id), endpoint);
        }
    }

    fn take_oldest(&mut self) -> Option<Arc<Endpoint>> {
        self.oldest()?;
        self.by_age.pop_first().map(|(_, endpoint)| endpoint)
    }
}

/// Ends a session: its next datagram begins a new one.
fn end(inner: &Inner, endpoint: &Arc<Endpoint>, ended: Ended) {
    inner.udp.table.remove(&endpoint.key(), endpoint);
    endpoint.queue.end(ended);
}

/// Ends idle sessions until none is left, or the stack is gone.
async fn expire(registry: Arc<Registry>, inner: Weak<Inner>) {
    loop {
        let next = {
            let Some(inner) = inner.upgrade() else { return };
            registry.expire(&inner).and_then(|next| inner.clock.tokio(next))
        };
        let Some(next) = next else { return };
        sleep_until(next).await;
    }
}
