//! This stack over a TUN device, with offload and without, beside the kernel's own TCP over a veth pair: one run, in network
//! namespaces that the program makes for itself, with the Linux kernel on cubic as the client of all three.
//!
//! ```sh
//! cargo run --release -p netstack-bench --bin tun [workers]
//! ```
//!
//! `workers` is how many worker threads each server's multi-threaded runtime has: 2 unless given. The client is one
//! thread with a current-thread runtime. It takes about 100 seconds and prints a Markdown table: medians of five
//! interleaved runs, with the least and the greatest.

#[cfg(target_os = "linux")]
mod bench;
#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod veth;

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    bench::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("TUN devices and network namespaces need Linux");
}
