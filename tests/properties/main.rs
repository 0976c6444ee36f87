//! Property tests of the protocol over bad links: whatever the network, the applications and the options do, the bytes
//! read are the bytes written, both directions close cleanly, and the invariants of the wire hold.
//!
//! Each case is made from one seed, printed when it fails. `NETSTACK_SEED=<seed>` replays one case with its packets
//! printed, `NETSTACK_CASES=<n>` runs another number of cases.

#![allow(clippy::unwrap_used)]

mod abrupt;
mod app;
mod clean;
mod harness;
mod monitor;
mod pattern;
mod plan;
mod transfer;
