//! TCP as a state machine without input or output: RFC 9293 with its options and its congestion control.
//!
//! This crate owns the protocol and nothing else. A [`Connection`] is told of each segment, of the time, and of what the
//! application wants; it says which segments to send and when it wants to be called again. It reads no clock, draws no
//! random number, spawns no task and holds no socket: its output is a function of its configuration, its secrets and the
//! ordered list of inputs with their times, so that every run can be repeated.
//!
//! | type | owns |
//! |---|---|
//! | [`Connection`] | one connection from its first SYN to the end of TIME-WAIT |
//! | [`Listener`] | LISTEN: who may open, and how many may wait |
//! | [`SynCookies`] | SYN-ACKs that nothing is kept for (RFC 4987) |
//! | [`TimeWait`] | a connection in TIME-WAIT, reduced to a record |
//! | [`CookieKey`], [`FastOpenCache`] | Fast Open (RFC 7413): the cookies that a server makes, and those that a client keeps |
//! | [`IsnGenerator`], [`PortAllocator`] | initial sequence numbers (RFC 6528), ephemeral ports (RFC 6056) |
//! | [`reset_for`] | the answer to a segment that belongs to nobody |
//!
//! Fields that mirror a variable of an RFC carry its name: `snd.una`, `rcv.nxt`, `srtt`, `cwnd`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod config;
pub mod congestion;
mod connection;
mod ecn;
mod event;
mod fast_open;
mod info;
mod isn;
mod listener;
mod negotiate;
mod ports;
mod recv;
mod reset;
mod segment;
mod send;
mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod time;
mod time_wait;
mod timer;
mod tuple;

pub use config::{KeepAlive, TcpConfig};
pub use connection::{Connection, Opening, WriteError};
pub use ecn::{EcnMode, EcnPolicy};
pub use event::Event;
pub use fast_open::{CookieKey, FastOpen, FastOpenAnswer, FastOpenCache, FastOpenNews, FastOpenOffer};
pub use info::{RecoveryState, TcpInfo, TcpStats};
pub use isn::IsnGenerator;
pub use listener::{Listener, SynAction, SynCookies, SynDrop, SynPolicy};
pub use negotiate::SynRecord;
pub use ports::{PortAllocator, PortWalk};
pub use reset::reset_for;
pub use segment::{MAX_PAYLOAD, MAX_SLICES, Segment, Transmit, received_memory};
pub use send::mtu::{PathNews, ReportFloor};
pub use state::{CloseReason, IcmpNotice, State};
pub use time::Instant;
pub use time_wait::{TimeWait, TimeWaitAction};
pub use timer::Timer;
pub use tuple::FourTuple;
