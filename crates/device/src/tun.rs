//! The Linux TUN device, through `tokio-tun`: one packet per system call, or one super-segment where the device can offload
//! ([`OffloadMode`]).
//!
//! [`TunConfig`] makes a device and configures it, or attaches to one that is there. Needed: `/dev/net/tun` that
//! may be opened, and CAP_NET_ADMIN in the network namespace (or a device that root made for this user).
//!
//! ```no_run
//! use std::net::{IpAddr, Ipv4Addr};
//!
//! use netstack_device::tun::TunConfig;
//!
//! # async fn open() -> Result<(), netstack_device::tun::TunError> {
//! let device = TunConfig::new("tun0")
//!     .address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 24)
//!     .host_address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 24)
//!     .open()
//!     .await?;
//! println!("{} has an MTU of {}", device.name(), device.mtu());
//! # Ok(())
//! # }
//! ```
//!
//! # Errors while running
//!
//! A write that fails with EIO or ENETDOWN (the link is down), ENOBUFS or another error that passes loses its
//! frame, counted. A read that fails like that is tried again after a back-off of 10 ms to 1 s, counted too. End
//! of file, EBADF, EBADFD and ENODEV end the device. `ip link set down` and `up` do not.
//!
//! The kernel never tells a TUN device to wait: [`TxQueue::poll_ready`](crate::TxQueue::poll_ready) is ready at
//! once and nothing is ever `Full`.

mod buffers;
mod config;
mod error;
mod link;
mod nudge;
mod open;
mod queue;
mod sys;
mod vnet;

pub use config::{OffloadMode, OpenMode, TunConfig};
pub use error::TunError;
pub(crate) use link::Netlink;
pub use open::TunDevice;
