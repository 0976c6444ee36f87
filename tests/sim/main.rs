//! Whole stacks over a simulated link, under paused time.

#![allow(clippy::unwrap_used)]

mod crowd;
mod echo;
mod idle;
mod marks;
mod world;
