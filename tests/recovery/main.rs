//! Loss recovery and congestion control over simulated links, each case some seconds of virtual time on the event heap.
//!
//! The floors are those of `docs/recovery.md` where the shorter run allows, lower where start-up weighs more.

mod clocks;
mod goodput;
mod path;
mod short;
