//! SYNs that wait for the application's decision, and their time limit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use netstack_device::Turn;
use netstack_tcp::{FourTuple, Instant, SynRecord};
use tokio::time::sleep_until;

use super::ListenerShared;
use crate::demux::Pending;
use crate::lane::lock;
use crate::stack::Inner;

/// The name of a SYN that waits in the demultiplexer's table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    /// Tells SYNs apart that come from the same tuple, one after the other.
    pub(crate) id: u64,
    pub(crate) tuple: FourTuple,
    /// Where the SYN came in, and the answer leaves.
    pub(crate) interface: usize,
}

/// The undecided SYNs of one listener; the listener's limit on half-open handshakes bounds them.
#[derive(Debug, Default)]
pub(super) struct Undecided {
    /// By number, which is their order in time, with the end of their time limit.
    all: BTreeMap<u64, (Ticket, Instant)>,
    /// Those of `all` that the application has not seen yet.
    fresh: BTreeSet<u64>,
    /// Whether a task drives the time limit.
    driven: bool,
}

impl Undecided {
    /// True if a task has to be started that drives the time limit.
    pub(super) fn put_up(&mut self, ticket: Ticket, deadline: Instant) -> bool {
        self.all.insert(ticket.id, (ticket, deadline));
        self.fresh.insert(ticket.id);
        !std::mem::replace(&mut self.driven, true)
    }

    /// The oldest that the application has not seen.
    pub(super) fn hand_out(&mut self) -> Option<Ticket> {
        let id = self.fresh.pop_first()?;
        self.all.get(&id).map(|&(ticket, _)| ticket)
    }

    fn decided(&mut self, id: u64) {
        self.all.remove(&id);
        self.fresh.remove(&id);
    }

    /// Takes those out whose time is up, and tells when the next one's is; with none left, nobody drives the limit.
    fn expire(&mut self, now: Instant) -> (Vec<Ticket>, Option<Instant>) {
        let mut expired = Vec::new();
        while let Some(entry) = self.all.first_entry() {
            let (ticket, deadline) = *entry.get();
            if deadline > now {
                return (expired, Some(deadline));
            }
            self.decided(ticket.id);
            expired.push(ticket);
        }
        self.driven = false;
        (expired, None)
    }
}

impl Inner {
    /// Keeps a SYN until the application decides; nothing is sent. `reopens` says that its tuple is in TIME-WAIT, whose
    /// record it replaces.
    pub(crate) fn defer(
        self: &Arc<Self>,
        syn: SynRecord,
        interface: usize,
        listener: &Arc<ListenerShared>,
        reopens: bool,
    ) {
        let Some(id) = self.table.insert_pending(syn, listener, reopens) else {
            return listener.half_open_ended();
        };
        let ticket = Ticket { id, tuple: syn.tuple, interface };
        let (open, drive) = listener.put_up(ticket, self.clock.now() + listener.decision_timeout);
        if drive {
            self.handle.spawn(expire(Arc::downgrade(self), Arc::downgrade(listener)));
        }
        if !open {
            // It closed since it took the SYN.
            self.reject(ticket);
        }
    }

    /// Takes a SYN out of the table, unless it is decided on already.
    pub(super) fn withdraw(self: &Arc<Self>, ticket: Ticket) -> Option<SynRecord> {
        let pending = self.table.take_pending(self, &ticket.tuple, ticket.id)?;
        pending.ended();
        Some(pending.syn)
    }

    /// Answers a SYN with a reset, unless it is decided on already.
    pub(crate) fn reject(self: &Arc<Self>, ticket: Ticket) -> bool {
        let Some(syn) = self.withdraw(ticket) else { return false };
        self.counters.tx_resets.bump();
        self.send_segment(ticket.interface, ticket.tuple, &syn.reset(), &mut Turn::new());
        true
    }
}

impl Pending {
    /// It is decided, and came to nothing.
    pub(crate) fn ended(&self) {
        self.decided();
        self.listener.half_open_ended();
    }

    /// It is decided; its handshake still counts.
    pub(crate) fn decided(&self) {
        lock(&self.listener.queue).undecided.decided(self.id);
    }
}

/// Drives the time limit of one listener's SYNs, as long as there are any.
async fn expire(inner: Weak<Inner>, listener: Weak<ListenerShared>) {
    loop {
        let at = {
            let (Some(inner), Some(listener)) = (inner.upgrade(), listener.upgrade()) else { return };
            let (expired, next) = lock(&listener.queue).undecided.expire(inner.clock.now());
            for ticket in expired {
                if inner.reject(ticket) {
                    inner.counters.incoming_expired.bump();
                }
            }
            let Some(at) = next.and_then(|next| inner.clock.tokio(next)) else { return };
            at
        };
        sleep_until(at).await;
    }
}
