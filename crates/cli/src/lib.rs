//! What the `netstack` command is made of: experiments with TCP in virtual time, and the pictures that explain them.
//!
//! - [`flow`]: connections as they are seen in a log of [`netstack_sim::record`] or in a capture;
//! - [`draw`]: pictures of them, as SVG and PNG;
//! - [`demo`]: classic scenes with words for each segment;
//! - [`experiment`]: transfers over a link, measured;
//! - [`units`]: rates, sizes and times as `tc` takes them.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod demo;
pub mod draw;
pub mod experiment;
pub mod flow;
pub mod units;
