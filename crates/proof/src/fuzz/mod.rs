//! The bodies of the fuzz targets. Each takes any octets, and panics if something that must hold does not.

mod call;
mod connection;
mod fragments;
mod pair;
mod parsers;
mod reassembly;
mod vnet;

pub use connection::connection;
pub use fragments::fragments;
pub use pair::pair;
pub use parsers::{checksums, icmp, ip, tcp, udp};
pub use reassembly::reassembly;
pub use vnet::vnet;

/// A target's body.
pub type Body = fn(&[u8]);

/// All targets by name; the programs in `fuzz/fuzz_targets` bear the same names.
pub const TARGETS: [(&str, Body); 10] = [
    ("ip", ip),
    ("tcp", tcp),
    ("udp", udp),
    ("icmp", icmp),
    ("checksums", checksums),
    ("connection", connection),
    ("pair", pair),
    ("reassembly", reassembly),
    ("fragments", fragments),
    ("vnet", vnet),
];
