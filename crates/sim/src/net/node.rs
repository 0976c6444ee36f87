//! What links lead to.

use std::collections::VecDeque;
use std::task::Waker;

use bytes::Bytes;
use netstack_tcp::Instant;

use super::router::Router;

/// A node as the links see it.
#[derive(Debug)]
pub(crate) enum Node {
    /// Has a device on each of its links.
    Host,
    /// Forwards.
    Router(Router),
}

/// The end of a direction at a host.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// What has arrived, and when.
    pub(super) inbox: VecDeque<(Instant, Bytes)>,
    pub(super) waker: Option<Waker>,
    /// Counts the devices that there have been: the present one is of this generation.
    pub(super) generation: u32,
    /// Nobody will read any more: packets still cross the link, and fall off its end.
    pub(super) is_gone: bool,
}

impl Receiver {
    /// Puts a new device in the place of the present one, which hears that it is gone.
    pub(super) fn replace(&mut self) -> Option<Waker> {
        self.generation += 1;
        self.inbox.clear();
        self.is_gone = false;
        self.waker.take()
    }
}
