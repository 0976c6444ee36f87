//! Wire formats of the stack: IPv4, IPv6, ICMP, ICMPv6, TCP and UDP headers, the Internet checksum, and
//! sequence numbers.
//!
//! This crate owns the meaning of octets and nothing else: it keeps no state, reads no clock, allocates no
//! memory and depends on nothing. What a header *does* to a connection is decided in `netstack-tcp`; which
//! packets are for this host, in `tokio-netstack`.
//!
//! Conventions that hold in every module:
//!
//! - **Parsing is total.** Any octets give a value or a [`ParseError`]; nothing panics, and payload is borrowed
//!   from the input, never copied.
//! - **Emitting writes into the caller's buffer** and returns the number of octets written. Every `emit` panics
//!   if the buffer is shorter than the length its documentation names, and for no other reason.
//! - Integers in these types are in host order; only buffers hold network order.

pub mod checksum;
mod error;
pub mod icmp;
pub mod ip;
pub mod ipv4;
pub mod ipv6;
mod seq;
pub mod tcp;
pub mod udp;

pub use error::{ParameterProblem, ParseError};
pub use ip::{Ecn, Protocol};
pub use seq::SeqNum;
