//! Peers that mean harm, and hosts that fail: what they cost is bounded, and when they are gone nothing of them is left.
//!
//! Everything runs in virtual time on one thread, whose allocations are counted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blind;
#[allow(dead_code, reason = "it serves the tests of the stack as well")]
#[path = "../../crates/stack/tests/common/mod.rs"]
mod common;
mod exhaustion;
mod faults;
mod floods;
mod limits;
mod meter;
mod pressure;
mod scene;
mod syn_flood;
