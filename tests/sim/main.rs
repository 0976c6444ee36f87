//! Whole stacks over a simulated link, under paused time.

mod echo;
mod idle;
mod world;
