//! What is tried on the stack beyond its tests.
//!
//! | module | what |
//! |---|---|
//! | [`fuzz`] | the bodies of the fuzz targets in `fuzz/`, as functions of octets: ordinary tests replay what was found |
//!
//! The model of handshake and teardown lies in `tests/model`. Parts of other packages that those keep to themselves are
//! included here by their paths, so that nothing is made public for the sake of a test.

use netstack_device::{Checksum, Gso, GsoKind, Meta, Offloads};

#[allow(dead_code, reason = "a part of it is used")]
#[path = "../../stack/src/fragment"]
mod fragment {
    #[rustfmt::skip]
    mod pieces;
    #[rustfmt::skip]
    mod reassembler;

    pub(crate) use reassembler::{Limits, Outcome, Reassembler};
}
pub mod fuzz;
#[allow(dead_code, reason = "a part of it is used")]
#[rustfmt::skip]
#[path = "../../device/src/tun/vnet.rs"]
mod vnet;
