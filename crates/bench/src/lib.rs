//! Benchmarks of tokio-netstack: what they share.
//!
//! `benches/` holds the criterion benches, `src/bin/` the programs that measure whole stacks.

#[cfg(target_os = "linux")]
pub mod cpu;
#[cfg(target_os = "linux")]
pub mod memory;
pub mod peer;
pub mod spread;
