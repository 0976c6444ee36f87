//! Where a connection's packets leave by, when that changes.

use std::sync::Arc;

use super::Actor;

use crate::sync::atomic::{Ordering::SeqCst, fence};

impl Actor {
    /// Follows a change of the network: another interface, another device in its place, another MTU.
    pub(super) fn follow_network(&mut self) {
        let inner = &self.shared.inner;
        let generation = inner.generation();
        if generation == self.generation {
            return;
        }
        let (index, interface) = inner.way_out(&self.shared.tuple, self.shared.interface(), self.pinned);
        self.generation = generation;
        self.shared.set_interface(index);
        if !Arc::ptr_eq(&interface, &self.interface) {
            self.leave_queue();
            self.interface = interface;
        }
        if self.interface.is_up() {
            self.connection.set_link_mtu(self.interface.mtu().min(usize::from(u16::MAX)) as u16);
        }
    }

    /// Says that we stand in the device's queue of senders. False if the network has changed meanwhile, and whoever changed
    /// it may have missed us.
    pub(super) fn may_wait(&self) -> bool {
        self.shared.set_waits_for_device(true);
        // Beside the one in `Inner::change_routes`: we see its change, or it sees that we wait.
        fence(SeqCst);
        self.shared.inner.generation() == self.generation
    }
}
