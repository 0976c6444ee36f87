//! Packets of any content, put on the TUN device from the kernel's side by a packet socket.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvfrom, sendto, socket,
};

/// Sends frames out of one device of the kernel.
#[derive(Debug)]
pub(crate) struct Injector {
    socket: OwnedFd,
    device: LinkAddr,
}

impl Injector {
    /// Waits for a packet to pass the device with this index, and takes the address to send to from it:
    /// a TUN device has no hardware address by which it could be named otherwise.
    pub(crate) fn learn(index: usize) -> io::Result<Self> {
        let socket =
            socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)?;
        loop {
            let (_, from) = recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut [0; 64])?;
            if let Some(device) = from.filter(|from| from.ifindex() == index) {
                return Ok(Self { socket, device });
            }
        }
    }

    /// Hands one frame to the device, as it is.
    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        loop {
            match sendto(self.socket.as_raw_fd(), frame, &self.device, MsgFlags::empty()) {
                Ok(_) => return Ok(()),
                // The device's queue is full of the transfer's own packets: the frame was not taken.
                Err(nix::errno::Errno::ENOBUFS) => std::thread::yield_now(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
