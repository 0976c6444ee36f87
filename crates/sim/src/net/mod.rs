//! Networks of whole stacks under paused Tokio time: hosts, routers, and links that change while traffic runs.
//!
//! A [`Builder`] lays a network out; [`Network`] runs it. Each host is a [`Stack`](tokio_netstack::Stack), so applications
//! use its sockets as they would Tokio's. Links are as [`LinkConfig`](crate::LinkConfig) says, each direction by itself, and can
//! be cut, healed, slowed and watched at run time; a policy may decide over every packet. Routers count hops down and answer
//! with ICMP.
//!
//! On a current-thread runtime with a paused clock ([`block_on`], or `#[tokio::test(start_paused = true)]`) the same seed gives
//! the same packets at the same instants; [`Network::trace`] is the number to compare. Links and routers reckon in nanoseconds;
//! hosts get what has arrived when Tokio's timers tick, once a millisecond, stamped with its exact time of arrival.

mod builder;
mod driver;
mod fabric;
mod host;
mod ids;
mod network;
mod node;
mod observer;
mod packet;
mod policy;
mod port;
mod router;
mod routes;
mod transit;
mod watch;

pub use builder::Builder;
pub(crate) use fabric::Shared;
pub use ids::{LinkId, NodeId, Way};
pub use network::{Network, block_on};
pub(crate) use node::Node;
pub use observer::{ConnectionEvent, Happened, Observer, PacketEvent, Reason, What};
pub use policy::{PacketView, Verdict};
pub use port::SimDevice;

#[cfg(test)]
mod tests;
