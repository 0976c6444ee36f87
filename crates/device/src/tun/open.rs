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
use super::nudge::Nudge;
use super::queue::{TunRx, TunTx, Writer};
use super::{OffloadMode, OpenMode, TunConfig, TunError, sys, vnet};
use crate::counters::Counters;
use crate::queue::Halves;
use crate::{Capabilities, Device, Offloads, RxQueue};

const NODE: &str = "/dev/net/tun";

/// An open TUN device.
///
/// A device that this program created is gone once it and its halves are dropped.
pub struct TunDevice {
    /// One per queue.
    tuns: Vec<Tun>,
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

    /// How many queues this program has of it.
    pub fn queues(&self) -> usize {
        self.tuns.len()
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
            .field("queues", &self.tuns.len())
            .field("offloads", &self.offloads)
            .field("created", &self.created)
            .finish_non_exhaustive()
    }
}

impl Device for TunDevice {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        let counters = Arc::new(Counters::default());
        let caps = Capabilities::ip(self.mtu)
            .with_tx(self.offloads)
            .with_rx(self.offloads)
            .with_queues(self.tuns.len());
        let headers = self.offloads.checksum;
        let mut writers = Vec::with_capacity(self.tuns.len());
        let mut receivers: Vec<Box<dyn RxQueue>> = Vec::with_capacity(self.tuns.len());
        for tun in self.tuns {
            let nudge = Arc::new(Nudge::default());
            writers.push(Writer { file: File::from(sys::duplicate(&tun)?), nudge: Arc::clone(&nudge) });
            receivers.push(Box::new(TunRx::new(tun, headers, nudge, Arc::clone(&counters))?));
        }
        Ok((receivers, Arc::new(TunTx::new(self.name, writers, caps, headers, counters))))
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
        (None, _) => config.queues > 1,
        // A second reader would be given a part of the packets.
        (Some(Kind::Tun { queues: 1.., .. }), _) => return Err(TunError::Busy(name())),
        (Some(Kind::Tun { multi_queue, .. }), _) => multi_queue,
        (Some(Kind::Tap), _) => {
            return Err(TunError::NotTun { name: name(), what: "a TAP (Ethernet) device".to_owned() });
        }
        (Some(Kind::Other(what)), _) => return Err(TunError::NotTun { name: name(), what }),
    };
    if config.queues > 1 && !multi_queue {
        return Err(TunError::OneQueue(name()));
    }
    let (tuns, offloads) = attach(&config, multi_queue, exists)?;
    if exists {
        tracing::debug!(name = config.name, "attached to a TUN device; its configuration is left alone");
    } else {
        configure(&netlink, &tuns[0], &config).await?;
    }
    let mtu = tuns[0].mtu().map_err(|e| TunError::Kernel { step: "reading the MTU", source: into_io(e) })?;
    // The kernel keeps it within 68..=65,535.
    Ok(TunDevice { name: config.name, tuns, mtu: mtu as usize, offloads, created: !exists })
}

/// Attaches, with offload if that is wanted and can be had.
///
/// `tokio-tun` cannot ask for IFF_VNET_HDR. But that is a flag of the device, and a further queue of a multi-queue device
/// takes the flags that are there: a queue of our own leads, sets them, and leaves. The kernel does not promise that, so
/// the flags are read back.
fn attach(config: &TunConfig, multi_queue: bool, exists: bool) -> Result<(Vec<Tun>, Offloads), TunError> {
    let (name, queues) = (&config.name, config.queues);
    let why = if config.offload == OffloadMode::Off {
        String::new()
    } else if exists && !multi_queue {
        "it was made without multi_queue".to_owned()
    } else {
        match lead(name) {
            Ok((leader, mask)) => {
                let tuns = build(name, queues, true, true)?;
                drop(leader);
                if have_packet_headers(&tuns)? == tuns.len() {
                    return Ok((tuns, vnet::offloads(mask)));
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
    let tuns = build(name, queues, multi_queue, exists)?;
    if have_packet_headers(&tuns)? > 0 {
        return Err(TunError::OtherMode(name.clone()));
    }
    // They outlive an earlier user of a persistent device, and oversized packets would come.
    sys::set_offloads(&tuns[0], 0)
        .map_err(|source| TunError::Kernel { step: "turning offloads off", source })?;
    Ok((tuns, Offloads::NONE))
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

/// Attaches `queues` queues, at least one. Nothing is configured here: where `tokio-tun` fails to configure a device it
/// leaks the descriptor, and the device with it.
fn build(name: &str, queues: usize, multi_queue: bool, exists: bool) -> Result<Vec<Tun>, TunError> {
    // With one queue `tokio-tun` leaves IFF_MULTI_QUEUE away, which such a device refuses.
    let least = if multi_queue { 2 } else { 1 };
    let built = Tun::builder().name(name).queues(queues.max(least)).build().map_err(into_io);
    let mut tuns = built.map_err(|source| match source.raw_os_error() {
        Some(libc::EBUSY) => TunError::Busy(name.to_owned()),
        Some(libc::EPERM | libc::EACCES) => TunError::Permission { name: name.to_owned(), exists },
        _ => TunError::Kernel { step: "attaching to the TUN device", source },
    })?;
    tuns.truncate(queues);
    if tuns.len() < queues {
        let source = io::Error::other(format!("{} queues were given, not {queues}", tuns.len()));
        return Err(TunError::Kernel { step: "attaching to the TUN device", source });
    }
    Ok(tuns)
}

/// On how many queues packets come with the header of IFF_VNET_HDR. They never come with the other kind of header.
fn have_packet_headers(tuns: &[Tun]) -> Result<usize, TunError> {
    let mut with = 0;
    for tun in tuns {
        let flags = sys::flags(tun)
            .map_err(|source| TunError::Kernel { step: "reading the device's flags", source })?;
        if flags & libc::IFF_NO_PI == 0 {
            return Err(TunError::OtherMode(tun.name().to_owned()));
        }
        with += usize::from(flags & libc::IFF_VNET_HDR != 0);
    }
    Ok(with)
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
