//! TCP endpoints on an event heap with a nanosecond clock, without Tokio.
//!
//! A [`Network`] holds flows and the links that they share; a [`Pair`] is the common case of one flow over one link. A flow is
//! two [`Endpoint`]s (a `Connection` each, with the buffers that a socket would hold) with an [`App`] on each.
//! [`Network::step`] jumps to the next thing that happens: a packet arrives, a timer falls due, an application wants to act.
//! An [`Observer`] sees every packet and every turn.

mod app;
mod cut;
mod deadlines;
mod end;
mod endpoint;
mod events;
mod exchange;
mod mailbox;
mod network;
mod observer;
mod pair;
mod socket;
mod victim;
mod wires;

pub use app::{App, Receiver, Sender};
pub use end::{EndId, Side};
pub use endpoint::{Endpoint, EndpointConfig, Open};
pub(crate) use events::EventHeap;
pub use exchange::{Requester, Responder};
pub use network::{FlowConfig, Network, NetworkConfig};
pub use observer::{Observer, Recorder};
pub use pair::{Pair, PairConfig};
pub use socket::Socket;
pub use victim::{Pick, Victim};
