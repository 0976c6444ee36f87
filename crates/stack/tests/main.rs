//! The sockets from outside, over devices in memory: two stacks back to back, or one and a peer that the test plays.
//!
//! One program for all of it, so that what the files share is linked once and nothing of it lies idle.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod addresses;
mod any_address;
mod bad_input;
mod budget;
mod changes;
mod chaos;
mod chunks;
mod common;
mod connections;
mod deferred;
mod facade;
mod facade_ends;
mod fastopen;
mod fragments;
mod handshake;
mod internet;
mod life;
mod listener;
mod loopback;
mod nobody;
mod options;
mod path_mtu;
mod peer_options;
mod ping;
mod queues;
mod routes;
mod scopes;
mod socket;
mod stalled;
mod transfer;
mod tuples;
mod turns;
mod udp;
mod udp_batch;
mod udp_groups;
mod udp_input;
mod udp_limits;
mod udp_path;
mod udp_room;
mod udp_sessions;

/// A file that is not declared above would never run.
#[test]
fn each_file_is_part_of_this_program() {
    let declared = include_str!("main.rs");
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        assert!(module == "main" || declared.contains(&format!("\nmod {module};\n")), "{name}");
    }
}
