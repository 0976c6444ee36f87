//! The TUN device against the kernel, in a network namespace that this program makes for itself.
// Without the harness the lint does not see that this is a test.
#![allow(clippy::unwrap_used)]

#[cfg(all(target_os = "linux", feature = "tun"))]
mod kernel;

#[cfg(all(target_os = "linux", feature = "tun"))]
fn main() {
    if let Err(error) = netstack_device::netns::enter_private() {
        println!("skipped: {error}");
        return;
    }
    kernel::run();
}

#[cfg(not(all(target_os = "linux", feature = "tun")))]
fn main() {
    println!("skipped: TUN devices need Linux and the feature `tun`");
}
