//! What happens on a network, told by its segments: openings, closings, faults, changes of the path. Every scenario runs twice,
//! and must put the same packets on the network at the same instants.

#![allow(clippy::unwrap_used)]

mod closing;
mod datagrams;
mod faults;
mod guide;
mod opening;
mod partitions;
mod paths;
mod tape;
mod world;
