//! Waiting for room in the device.
//!
//! A future that sends stands in the device's FIFO itself. `poll_*` calls and `writable` cannot: whoever calls them may never
//! come back, and a slot held for nobody is one less for all. A task stands there for them, wakes them, and gives the slot back
//! if it is not used soon.

use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use netstack_device::TxQueue;
use tokio::runtime::Handle;

use super::endpoint::Endpoint;
use crate::lane::{Waiter, Waiters, lock};
use crate::output::Place;
use crate::sync::Mutex;

/// How long a slot is kept for whoever was woken.
const GRACE: Duration = Duration::from_millis(10);

#[derive(Debug, Default)]
struct State {
    /// A slot of the device for whoever sends next, with the number of the grant.
    granted: Option<Place>,
    grants: u64,
    /// Whether a task stands in the FIFO.
    waits: bool,
    waiters: Waiters,
}

/// The room that a socket has in the device, as its pollers see it.
#[derive(Debug, Default)]
pub(super) struct Room {
    state: Mutex<State>,
}

impl Room {
    /// The slot that was waited for, if it is there.
    pub(super) fn take(&self) -> Option<Place> {
        lock(&self.state).granted.take()
    }

    /// A future does not wait any more.
    pub(super) fn forget(&self, number: u64) {
        lock(&self.state).waiters.forget(number);
    }

    fn grant(&self, place: Place) -> u64 {
        let (grant, waiters) = {
            let mut state = lock(&self.state);
            state.granted = Some(place);
            state.grants += 1;
            state.waits = false;
            (state.grants, state.waiters.take())
        };
        waiters.wake();
        grant
    }

    /// Nobody came for the slot.
    fn expire(&self, grant: u64) {
        let unused = {
            let mut state = lock(&self.state);
            if state.grants == grant { state.granted.take() } else { None }
        };
        drop(unused);
    }
}

/// Ready if the device has room now; otherwise the waiter is woken when it has.
pub(super) fn poll_room(
    endpoint: &Arc<Endpoint>,
    tx: &Arc<dyn TxQueue>,
    handle: &Handle,
    waiter: &Waiter<'_, '_>,
) -> Poll<()> {
    let mut state = lock(&endpoint.room.state);
    if state.granted.is_some() {
        return Poll::Ready(());
    }
    if !state.waits {
        let mut place = Place::new(tx);
        if place.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready() {
            // It stays free for whoever sends first.
            return Poll::Ready(());
        }
        if !matches!(waiter, Waiter::None) {
            state.waits = true;
            handle.spawn(stand(Arc::downgrade(endpoint), place));
        }
    }
    state.waiters.register(waiter);
    Poll::Pending
}

async fn stand(endpoint: Weak<Endpoint>, mut place: Place) {
    poll_fn(|cx| place.poll_ready(cx)).await;
    let Some(grant) = endpoint.upgrade().map(|endpoint| endpoint.room.grant(place)) else { return };
    tokio::time::sleep(GRACE).await;
    if let Some(endpoint) = endpoint.upgrade() {
        endpoint.room.expire(grant);
    }
}
