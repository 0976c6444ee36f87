//! Runs the examples as a person would, and looks at what they print.
//!
//! `cargo test -p netstack-examples` builds them; with `--test programs` alone they may be missing or old.

mod http;
mod program;
mod proxy;
mod wireguard;
