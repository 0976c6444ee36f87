//! Whole stacks over a simulated link, under paused time.

#![allow(clippy::unwrap_used)]

mod echo;
mod idle;
mod world;
