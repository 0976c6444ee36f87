//! The demultiplexer: from a 4-tuple to what answers for it.
//!
//! 64 shards, each a hash table under its own lock, placed by a keyed hash that nobody outside can steer. An entry is a
//! live connection's actor, a SYN that waits for the application, or a TIME-WAIT record; the last two need no task.

mod pending;
mod table;
#[cfg(test)]
mod tests;
mod time_wait;

pub(crate) use pending::Pending;
pub(crate) use table::{Routed, Table};
pub(crate) use time_wait::MAX_RECORDS;
