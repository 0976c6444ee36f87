//! Opening a TUN device, around the faults of `tokio-tun` 0.16.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use nix::libc;
use tokio_tun::Tun;

use super::link::{Kind, Netlink};
use super::queue::{TunRx, TunTx};
use super::{OffloadMode, OpenMode, TunConfig, TunError, sys, vnet};
use crate::counters::Counters;
use crate::queue::Halves;
use crate::{Capabilities, Device, Offloads};

const NODE: &str = "/dev/net/tun";

/// An open TUN device.
///
/// A device that this program created is gone once it and its halves are dropped.
pub struct TunDevice {
    tun: Tun,
    name: String,
    mtu: usize,
    offloads: Offloads,
    created: bool,
}

impl TunDevice {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its IP MTU in bytes, as it was when the device was opened.
    pub fn mtu(&self) -> usize {
        self.mtu
    }

    /// What may pass unfinished, in both directions; nothing in plain mode.
    pub fn offloads(&self) -> Offloads {
        self.offloads
    }

    /// Whether it was made by this program, not found.
    pub fn was_created(&self) -> bool {
        self.created
    }
}

impl fmt::Debug for TunDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TunDevice")
            .field("name", &self.name)
            .field("mtu", &self.mtu)
            .field("offloads", &self.offloads)
            .field("created", &self.created)
            .finish_non_exhaustive()
    }
}

impl Device for TunDevice {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        let counters = Arc::new(Counters::default());
        let writer = File::from(sys::duplicate(&self.tun)?);
        let caps = Capabilities::ip(self.mtu).with_tx(self.offloads).with_rx(self.offloads);
        let headers = self.offloads.checksum;
        let tx = TunTx::new(self.name, writer, caps, headers, Arc::clone(&counters));
        Ok((vec![Box::new(TunRx::new(self.tun, headers, counters)?)], Arc::new(tx)))
    }
}

/// `config` has been checked.
pub(super) async fn open(config: TunConfig) -> Result<TunDevice, TunError> {
    check_node()?;
    let netlink =
        Netlink::new().map_err(|source| TunError::Kernel { step: "opening a netlink socket", source })?;
    let found = netlink
        .find(&config.name)
        .await
        .map_err(|source| TunError::Kernel { step: "looking the device up", source })?;
    let exists = found.is_some();
    let name = || config.name.clone();
    let multi_queue = match (found, config.mode) {
        (Some(_), OpenMode::Create) => return Err(TunError::Exists(name())),
        (None, OpenMode::Attach) => return Err(TunError::Missing(name())),
        (None, _) => false,
        // A second reader would be given a part of the packets.
        (Some(Kind::Tun { queues: 1.., .. }), _) => return Err(TunError::Busy(name())),
        (Some(Kind::Tun { multi_queue, .. }), _) => multi_queue,
        (Some(Kind::Tap), _) => {
            return Err(TunError::NotTun { name: name(), what: "a TAP (Ethernet) device".to_owned() });
        }
        (Some(Kind::Other(what)), _) => return Err(TunError::NotTun { name: name(), what }),
    };
    let (tun, offloads) = attach(&config, multi_queue, exists)?;
    if exists {
        tracing::debug!(name = config.name, "attached to a TUN device; its configuration is left alone");
    } else {
        configure(&netlink, &tun, &config).await?;
    }
    let mtu = tun.mtu().map_err(|e| TunError::Kernel { step: "reading the MTU", source: into_io(e) })?;
    // The kernel keeps it within 68..=65,535.
    Ok(TunDevice { name: config.name, tun, mtu: mtu as usize, offloads, created: !exists })
}

/// Attaches, with offload if that is wanted and can be had.
///
/// `tokio-tun` cannot ask for IFF_VNET_HDR. But that is a flag of the device, and a further queue of a multi-queue device
/// takes the flags that are there: a queue of our own leads, sets them, and leaves. The kernel does not promise that, so
/// the flags are read back.
fn attach(config: &TunConfig, multi_queue: bool, exists: bool) -> Result<(Tun, Offloads), TunError> {
    let name = &config.name;
    let why = if config.offload == OffloadMode::Off {
        String::new()
    } else if exists && !multi_queue {
        "it was made without multi_queue".to_owned()
    } else {
        match lead(name) {
            Ok((leader, mask)) => {
                let tun = build(name, true, true)?;
                drop(leader);
                if has_packet_headers(&tun)? {
                    return Ok((tun, vnet::offloads(mask)));
                }
                "the kernel did not keep IFF_VNET_HDR".to_owned()
            }
            Err(error) => error.to_string(),
        }
    };
    if config.offload == OffloadMode::Require {
        return Err(TunError::NoOffload { name: name.clone(), why });
    }
    if config.offload == OffloadMode::Auto {
        tracing::info!(name, why, "the TUN device runs without offload");
    }
    let tun = build(name, multi_queue, exists)?;
    if has_packet_headers(&tun)? {
        return Err(TunError::OtherMode(name.clone()));
    }
    // They outlive an earlier user of a persistent device, and oversized packets would come.
    sys::set_offloads(&tun, 0).map_err(|source| TunError::Kernel { step: "turning offloads off", source })?;
    Ok((tun, Offloads::NONE))
}

/// A queue that has set the device's flags, with the offloads that the kernel granted.
fn lead(name: &str) -> io::Result<(File, u32)> {
    let mut refused = io::Error::from(io::ErrorKind::Unsupported);
    for mask in vnet::WISHES {
        let leader = OpenOptions::new().read(true).write(true).open(NODE)?;
        match sys::lead(&leader, name, vnet::LEN, mask) {
            Ok(()) => return Ok((leader, mask)),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Opens and closes the node, since `tokio-tun` does not say which of its steps failed.
fn check_node() -> Result<(), TunError> {
    let Err(source) = OpenOptions::new().read(true).write(true).open(NODE) else {
        return Ok(());
    };
    Err(match source.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR | libc::ENODEV | libc::ENXIO) => TunError::NoNode,
        Some(libc::EACCES | libc::EPERM) => TunError::NodePermission,
        _ => TunError::Kernel { step: "opening /dev/net/tun", source },
    })
}

/// Attaches one queue. Nothing is configured here: where `tokio-tun` fails to configure a device it leaks the
/// descriptor, and the device with it.
fn build(name: &str, multi_queue: bool, exists: bool) -> Result<Tun, TunError> {
    // With one queue `tokio-tun` leaves IFF_MULTI_QUEUE away, which such a device refuses.
    let queues = if multi_queue { 2 } else { 1 };
    let built = Tun::builder().name(name).queues(queues).build().map_err(into_io);
    let mut tuns = built.map_err(|source| match source.raw_os_error() {
        Some(libc::EBUSY) => TunError::Busy(name.to_owned()),
        Some(libc::EPERM | libc::EACCES) => TunError::Permission { name: name.to_owned(), exists },
        _ => TunError::Kernel { step: "attaching to the TUN device", source },
    })?;
    tuns.truncate(1);
    tuns.pop().ok_or_else(|| TunError::Kernel {
        step: "attaching to the TUN device",
        source: io::Error::other("no queue was given"),
    })
}

/// Whether packets come with the header of IFF_VNET_HDR. They never come with the other kind of header.
fn has_packet_headers(tun: &Tun) -> Result<bool, TunError> {
    let flags =
        sys::flags(tun).map_err(|source| TunError::Kernel { step: "reading the device's flags", source })?;
    if flags & libc::IFF_NO_PI == 0 {
        return Err(TunError::OtherMode(tun.name().to_owned()));
    }
    Ok(flags & libc::IFF_VNET_HDR != 0)
}

async fn configure(netlink: &Netlink, tun: &Tun, config: &TunConfig) -> Result<(), TunError> {
    let step = |step: String| move |source| TunError::Configure { step, source };
    let index = tun
        .index()
        .map_err(|e| TunError::Kernel { step: "reading the device's index", source: into_io(e) })?;
    // `TunConfig::check` has bounded it.
    let mtu = config.mtu as u32;
    netlink
        .configure(index, mtu, config.queue_len)
        .await
        .map_err(step(format!("setting MTU {mtu} and queue length {}, link up", config.queue_len)))?;
    for &prefix in &config.host_addresses {
        let text = format!("adding the address {}/{}", prefix.0, prefix.1);
        netlink.add_address(index, prefix).await.map_err(step(text.clone()))?;
        usable(prefix.0).await.map_err(step(text))?;
    }
    // An address becomes usable just before its route is in place, under the same lock that this takes.
    netlink.set_up(&config.name).await.map_err(step("bringing the link up".to_owned()))?;
    for prefix in config.routes_to_add() {
        let text = format!("adding a route to {}/{}", prefix.0, prefix.1);
        netlink.add_route(index, prefix).await.map_err(step(text))?;
    }
    Ok(())
}

/// Waits until a socket can be bound to an address: the kernel gives out an IPv6 address some time after it has
/// taken it (RFC 4862 5.4, though there is nobody to have a duplicate).
async fn usable(address: IpAddr) -> io::Result<()> {
    let mut tries = 0;
    loop {
        match UdpSocket::bind((address, 0)) {
            Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable && tries < 100 => tries += 1,
            bound => return bound.map(drop),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn into_io(error: tokio_tun::Error) -> io::Error {
    match error {
        tokio_tun::Error::NixError(errno) => errno.into(),
        tokio_tun::Error::IoError(error) => error,
    }
}
