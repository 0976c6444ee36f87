//! Two TCP endpoints on an event heap with a nanosecond clock, without Tokio.
//!
//! A [`Pair`] holds two [`Endpoint`]s (a `Connection` each, with the buffers that a socket would hold), an [`App`] on
//! each, and the two directions of a link. [`Pair::step`] jumps to the next thing that happens: a packet arrives, a timer
//! falls due, an application wants to act. An [`Observer`] sees every packet and every turn.

mod app;
mod cut;
mod endpoint;
mod events;
mod mailbox;
mod observer;
mod pair;
mod socket;

pub use app::{App, Receiver, Sender};
pub use endpoint::{Endpoint, EndpointConfig, Open};
pub(crate) use events::EventHeap;
pub use observer::{Observer, Recorder};
pub use pair::{Pair, PairConfig, Side};
pub use socket::Socket;
