//! Benchmarks of tokio-netstack: what they share.
//!
//! `benches/` holds the criterion benches, `src/bin/` the programs that measure whole stacks.

pub mod cpu;
pub mod memory;
pub mod peer;
pub mod spread;
