//! From the stacks to the observer of their network.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use netstack_tcp::{Connection, FourTuple, Instant};
use tokio_netstack::ConnectionObserver;

use super::fabric::Shared;
use super::{ConnectionEvent, Happened, NodeId};

/// Watches the stack of one host.
pub(super) struct HostWatch {
    network: Weak<Shared>,
    host: NodeId,
}

impl HostWatch {
    pub(super) fn new(network: &Arc<Shared>, host: usize) -> Self {
        Self { network: Arc::downgrade(network), host: NodeId(host) }
    }

    /// Tells the observer what `make` says with the instant at which the stack's clock started.
    fn tell<'a>(&self, now: Instant, tuple: &FourTuple, make: impl FnOnce(Instant) -> Happened<'a>) {
        let Some(network) = self.network.upgrade() else { return };
        let (local, peer): (SocketAddr, SocketAddr) = (tuple.local(), tuple.remote());
        network.build(|state| {
            let at = state.now();
            let started = Instant::from_nanos(at.as_nanos().saturating_sub(now.as_nanos()));
            if let Some(observer) = &mut state.observer {
                let what = make(started);
                observer.connection(&ConnectionEvent { at, host: self.host, local, peer, what });
            }
        });
    }
}

impl ConnectionObserver for HostWatch {
    fn turned(&self, now: Instant, connection: &Connection) {
        self.tell(now, &connection.tuple(), |started| Happened::Turned { connection, started });
    }

    fn rests(&self, now: Instant, tuple: &FourTuple, until: Instant) {
        self.tell(now, tuple, |started| Happened::Rests {
            until: Instant::from_nanos(started.as_nanos() + until.as_nanos()),
        });
    }

    fn ended(&self, now: Instant, tuple: &FourTuple) {
        self.tell(now, tuple, |_| Happened::Ended);
    }
}
