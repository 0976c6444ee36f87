//! The task that moves packets on when their time has come.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use tokio::time::Sleep;

use super::fabric::Shared;

/// Ends when nothing else of the network is left.
struct Driver {
    network: Weak<Shared>,
    sleep: Option<Pin<Box<Sleep>>>,
}

/// Starts the driver of a network, once.
pub(super) fn start(network: &Arc<Shared>) {
    if network.with(|state, _| state.wants_driver()) {
        tokio::spawn(Driver { network: Arc::downgrade(network), sleep: None });
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(network) = self.network.upgrade() else { return Poll::Ready(()) };
            let next = network.with(|state, _| {
                let next = state.next_at();
                state.driver_sleeps(cx.waker().clone(), next);
                next.map(|next| state.tokio_time(next))
            });
            drop(network);
            let Some(next) = next else {
                self.sleep = None;
                return Poll::Pending;
            };
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next)));
            if sleep.deadline() != next {
                sleep.as_mut().reset(next);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}
