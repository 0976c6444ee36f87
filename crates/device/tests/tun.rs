//! The TUN device against the kernel, in a network namespace that this program makes for itself.

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
