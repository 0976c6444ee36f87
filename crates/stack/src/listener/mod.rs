//! Listening sockets.
//!
//! A listener takes the SYNs that belong to no connection: one bound to their address and port before one bound to the
//! port alone, and that before one for every port. A [`TcpListener`] answers them at once and hands out the connections;
//! a [`TcpIncoming`] hands out the SYNs.

mod config;
mod incoming;
mod queue;
mod registry;
mod socket;
mod stream;
mod undecided;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

pub use config::ListenConfig;
pub use incoming::{Incoming, TcpIncoming};
pub(crate) use queue::ListenerShared;
pub(crate) use registry::{Listeners, Reservation};
pub use socket::TcpListener;
pub use stream::TcpListenerStream;
pub(crate) use undecided::Ticket;

/// Where a listener for every address and port is entered.
const EVERYWHERE: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

/// Who answers a SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nobody: a socket holds the address and port, and may connect or listen later.
    Bound,
    /// The stack, at once.
    Prompt,
    /// The stack, when the application says so.
    Deferred,
}

#[cfg(test)]
mod tests;
