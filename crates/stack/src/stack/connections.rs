//! The list of a stack's connections.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Weak;

use netstack_tcp::{FourTuple, State, TcpInfo};

use super::Stack;
use crate::actor::{Shared, order};
use crate::route::canonical;

impl Stack {
    /// The connections that there are, in the order of their names: those not accepted yet and those in TIME-WAIT too.
    ///
    /// It looks at what the connections have published and asks none of them; an entry takes about 100 bytes.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn f(stack: &tokio_netstack::Stack) {
    /// for entry in stack.connections() {
    ///     println!("{} {} {}", entry.local_addr(), entry.peer_addr(), entry.state());
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionEntry> {
        self.inner.table.list()
    }

    /// Resets the connection between `local` and `peer`, as if its stream had a linger of zero and were dropped; its socket
    /// reports [`ConnectionAborted`](io::ErrorKind::ConnectionAborted). One in TIME-WAIT is forgotten. False if there is
    /// none.
    pub fn abort_connection(&self, local: impl Into<SocketAddr>, peer: impl Into<SocketAddr>) -> bool {
        let tuple = FourTuple::new(canonical(local.into()), canonical(peer.into()));
        match self.inner.table.actor(&tuple) {
            Some(shared) => {
                shared.order(order::ABORT);
                true
            }
            None => self.inner.table.forget_time_wait(&tuple),
        }
    }
}

/// One connection in the list that [`Stack::connections`] gives. It keeps nothing alive.
#[derive(Clone)]
pub struct ConnectionEntry {
    tuple: FourTuple,
    state: State,
    shared: Weak<Shared>,
}

impl ConnectionEntry {
    pub(crate) fn new(tuple: FourTuple, state: State, shared: Weak<Shared>) -> Self {
        Self { tuple, state, shared }
    }

    pub(crate) fn tuple(&self) -> FourTuple {
        self.tuple
    }

    /// The address of this end.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.tuple.local()
    }

    /// The address of the peer.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.tuple.remote()
    }

    /// The state when the list was made.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The connection's figures now: asks its task, as [`TcpStream::info`](crate::TcpStream::info) does.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected): the connection is over, or in TIME-WAIT.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn info(&self) -> io::Result<TcpInfo> {
        let shared = self.shared.upgrade().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotConnected, "the connection is over, and has no figures any more")
        })?;
        Ok(shared.info().await)
    }
}

impl fmt::Debug for ConnectionEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionEntry")
            .field("local_addr", &self.local_addr())
            .field("peer_addr", &self.peer_addr())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
