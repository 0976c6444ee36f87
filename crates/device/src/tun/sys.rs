//! The system calls on a TUN descriptor that no dependency offers. The only unsafe code of this crate.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::libc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio_tun::Tun;

// linux/if_tun.h. TUNGETIFF is declared with the size of an int and writes a whole `ifreq`.
nix::ioctl_read_bad!(tungetiff, nix::request_code_read!(b'T', 210, size_of::<libc::c_uint>()), libc::ifreq);
nix::ioctl_write_int!(tunsetoffload, b'T', 208);
nix::ioctl_write_ptr_bad!(
    tunsetiff,
    nix::request_code_write!(b'T', 202, size_of::<libc::c_int>()),
    libc::ifreq
);
nix::ioctl_write_ptr_bad!(
    tunsetqueue,
    nix::request_code_write!(b'T', 217, size_of::<libc::c_int>()),
    libc::ifreq
);
nix::ioctl_write_ptr!(tunsetvnethdrsz, b'T', 216, libc::c_int);

/// The flags (IFF_TUN, IFF_NO_PI, IFF_VNET_HDR ..) that the queue really runs with.
pub(super) fn flags(tun: &Tun) -> io::Result<libc::c_int> {
    let mut request = request("", 0);
    // SAFETY: the descriptor is open as long as `tun` is borrowed, and `request` is a valid, writable `ifreq`,
    // which is what TUNGETIFF fills in.
    unsafe { tungetiff(tun.as_raw_fd(), &raw mut request) }?;
    Ok(flags_of(&request))
}

/// A request for the device `name`, ASCII of which 15 bytes count.
fn request(name: &str, flags: libc::c_int) -> libc::ifreq {
    // SAFETY: `ifreq` is made of integers and unions of them, for which all zeros is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes().take(libc::IFNAMSIZ - 1)) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    request
}

/// The flags that a request carries: 16 bits.
fn flags_of(request: &libc::ifreq) -> libc::c_int {
    // SAFETY: all of the union was initialised with the request; any bit pattern is a valid short.
    libc::c_int::from(unsafe { request.ifr_ifru.ifru_flags }) & 0xffff
}

/// Sets the offloads that the kernel may use towards this program; 0 for none.
pub(super) fn set_offloads(tun: &Tun, mask: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the descriptor is open as long as `tun` is borrowed; the argument is a plain number.
    unsafe { tunsetoffload(tun.as_raw_fd(), mask) }?;
    Ok(())
}

/// Attaches `node`, an open `/dev/net/tun`, as a queue of the multi-queue device `name` with packet headers of `header_len`
/// bytes, turns offloads on, and takes the queue out of service: what remains are the device's flags.
///
/// `name` is ASCII of at most 15 bytes.
pub(super) fn lead(node: &File, name: &str, header_len: usize, offloads: u32) -> io::Result<()> {
    let mut request =
        request(name, libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_MULTI_QUEUE | libc::IFF_VNET_HDR);
    let fd = node.as_raw_fd();
    // SAFETY: the descriptor is open as long as `node` is borrowed; `request` is a valid `ifreq` with a name that ends in
    // a zero, which TUNSETIFF reads.
    unsafe { tunsetiff(fd, &raw const request) }?;
    let header_len = header_len as libc::c_int;
    // SAFETY: as above; TUNSETVNETHDRSZ reads one int.
    unsafe { tunsetvnethdrsz(fd, &raw const header_len) }?;
    // SAFETY: as above; the argument is a plain number.
    unsafe { tunsetoffload(fd, libc::c_ulong::from(offloads)) }?;
    request.ifr_ifru.ifru_flags = libc::IFF_DETACH_QUEUE as libc::c_short;
    // SAFETY: as for TUNSETIFF; TUNSETQUEUE reads the flags.
    unsafe { tunsetqueue(fd, &raw const request) }?;
    Ok(())
}

/// A second descriptor of the same queue, to write by while `tun` is borrowed for reading.
pub(super) fn duplicate(tun: &Tun) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is open as long as `tun` is borrowed, which outlives the borrow made here.
    unsafe { BorrowedFd::borrow_raw(tun.as_raw_fd()) }.try_clone_to_owned()
}

/// Registers a descriptor with the runtime.
pub(super) fn watch(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` keeps its descriptor open, and the same, for as long as it lives, which the `AsyncFd`
    // that owns it from here on ends itself.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest) }?)
}

#[cfg(test)]
mod tests;
