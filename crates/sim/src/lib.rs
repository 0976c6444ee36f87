//! Seeded links between TCP endpoints, in virtual time.
//!
//! This crate owns what happens to a packet between two ends: the queue, the rate of the line, loss, duplication, delay
//! and reordering ([`Link`], one direction of a link, configured by [`LinkConfig`]). It is driven in two ways:
//!
//! - [`heap::Network`] and [`heap::Pair`]: [`Connection`](netstack_tcp::Connection)s on an event heap with a nanosecond clock.
//!   No Tokio, no sockets, one thread: for sweeps over many seeds and for measuring the protocol. [`scenario`] makes a
//!   measurement of it: flows through one bottleneck, observed.
//! - [`net::Network`]: whole stacks and applications under paused Tokio time, with routers, and links that change at run
//!   time. [`device::pair`] is two bare [`Device`](netstack_device::Device)s with one link between them.
//!
//! The same seed gives the same packets at the same instants; [`Trace`] is the number to compare. [`record`] keeps everything
//! that happened in one log, as JSON lines and as a capture.

pub mod device;
pub mod heap;
mod impair;
mod link;
pub mod net;
pub mod record;
mod rng;
pub mod scenario;
mod seed;
mod slab;
mod sweep;
mod trace;

use std::time::Duration;

pub use impair::{Discipline, Jitter, JitterDistribution, QueueLimit};
pub use link::{Fate, Link, LinkConfig, LinkStats};
pub use rng::SimRng;
pub use seed::{SEED_VARIABLE, seed_or};
pub use sweep::sweep;
pub use trace::Trace;

/// Whole nanoseconds, as the links count time; 584 years at most.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
