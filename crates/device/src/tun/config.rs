//! What a TUN device is to look like.

use std::net::IpAddr;

use netstack_wire::{ipv4, ipv6};

use super::{TunDevice, TunError};

/// An address and the length of its network's prefix.
pub(super) type Prefix = (IpAddr, u8);

/// Queues that a device may be given; each costs a descriptor and a read buffer.
const MAX_QUEUES: usize = 16;

/// Whether to make a device or use one that is there.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum OpenMode {
    /// Attach if a device of this name exists, else create it.
    #[default]
    AttachOrCreate,
    /// Only attach; its configuration is left alone.
    Attach,
    /// Only create; it is gone again when the program ends.
    Create,
}

/// Whether frames may pass unfinished: super-segments of up to 64 KiB, and checksums left to whoever needs them.
///
/// One system call then carries what would take forty, so that bulk transfers run many times as fast. It takes a
/// multi-queue device: one that is created, or one made with `multi_queue`.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum OffloadMode {
    /// Where the kernel and the device allow it; else plain packets, and one log line that says why.
    #[default]
    Auto,
    /// Plain packets. [`Coalescing`](crate::Coalescing) around the device puts received ones together.
    Off,
    /// Offload, or an error.
    Require,
}

/// How to open a TUN device.
///
/// An existing device keeps its configuration: addresses, routes, MTU and queue length given here then have no
/// effect.
#[derive(Clone, Debug)]
#[must_use]
pub struct TunConfig {
    pub(super) name: String,
    pub(super) mode: OpenMode,
    pub(super) offload: OffloadMode,
    pub(super) queues: usize,
    pub(super) mtu: usize,
    pub(super) queue_len: u32,
    pub(super) addresses: Vec<Prefix>,
    pub(super) host_addresses: Vec<Prefix>,
    pub(super) routes: Vec<Prefix>,
}

impl TunConfig {
    /// A device of this name, with an MTU of 1,500 bytes.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            mode: OpenMode::default(),
            offload: OffloadMode::default(),
            queues: 1,
            mtu: 1500,
            queue_len: 1000,
            addresses: Vec::new(),
            host_addresses: Vec::new(),
            routes: Vec::new(),
        }
    }

    /// Whether to make the device or use one that is there.
    pub fn mode(mut self, mode: OpenMode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether super-segments and unfinished checksums may pass.
    pub fn offload(mut self, offload: OffloadMode) -> Self {
        self.offload = offload;
        self
    }

    /// Number of queues, 1 to 16. Default 1.
    ///
    /// A stack reads each queue in a task of its own, so that several threads share that work; it takes a multi-queue
    /// device where one is there already. A frame leaves by the queue that [`TxFrame::flow`](crate::TxFrame::flow)
    /// picks, the same for all of a flow, and the kernel sends the flow's packets to the queue that wrote last: the
    /// first ones, and those after a pause of seconds, may come by another. One flow alone gains nothing.
    pub fn queues(mut self, queues: usize) -> Self {
        self.queues = queues;
        self
    }

    /// IP MTU in bytes, 68 to 65,535; at least 1,280 where IPv6 is used (RFC 8200 section 5).
    pub fn mtu(mut self, mtu: usize) -> Self {
        self.mtu = mtu;
        self
    }

    /// Length of the kernel's queue towards this program, in packets. Default 1,000; a full queue drops.
    pub fn queue_len(mut self, packets: u32) -> Self {
        self.queue_len = packets;
        self
    }

    /// An address that the stack behind the device answers on. It is not given to the interface (or the kernel
    /// would keep its packets); its network is routed into the device unless a host address lies in it.
    pub fn address(mut self, address: IpAddr, prefix_len: u8) -> Self {
        self.addresses.push((address, prefix_len));
        self
    }

    /// An address of the kernel on the interface, the other end of the link as the stack sees it.
    pub fn host_address(mut self, address: IpAddr, prefix_len: u8) -> Self {
        self.host_addresses.push((address, prefix_len));
        self
    }

    /// A network that the kernel routes into the device.
    pub fn route(mut self, network: IpAddr, prefix_len: u8) -> Self {
        self.routes.push((network, prefix_len));
        self
    }

    /// Opens the device. Must be called within a Tokio runtime with I/O and time enabled, in the network
    /// namespace where the device is or shall be.
    ///
    /// Not cancel safe in one respect: a device created and not yet configured disappears again.
    ///
    /// # Errors
    /// See [`TunError`]; each says what to do. After a failed [`TunError::Kernel`] use another name in this
    /// process: the attempt may have left the old one in use.
    pub async fn open(self) -> Result<TunDevice, TunError> {
        self.check()?;
        super::open::open(self).await
    }

    /// All that can be known to be wrong before the kernel is asked: a build that fails half-way leaves a
    /// descriptor open.
    fn check(&self) -> Result<(), TunError> {
        check_name(&self.name)?;
        if !(1..=MAX_QUEUES).contains(&self.queues) {
            let text = format!("{} queues are not within 1..={MAX_QUEUES}", self.queues);
            return Err(TunError::BadConfig(text));
        }
        if !(ipv4::MIN_MTU.into()..=65_535).contains(&self.mtu) {
            let text = format!("an MTU of {} is not within {}..=65535", self.mtu, ipv4::MIN_MTU);
            return Err(TunError::BadConfig(text));
        }
        for &(address, prefix_len) in self.addresses.iter().chain(&self.host_addresses).chain(&self.routes) {
            let most = if address.is_ipv4() { 32 } else { 128 };
            if prefix_len > most {
                let text = format!("the prefix length of {address}/{prefix_len} is over {most}");
                return Err(TunError::BadConfig(text));
            }
            if address.is_ipv6() && self.mtu < ipv6::MIN_MTU.into() {
                let least = ipv6::MIN_MTU;
                let text = format!("IPv6 ({address}) needs an MTU of at least {least}, not {}", self.mtu);
                return Err(TunError::BadConfig(text));
            }
        }
        for &(address, _) in self.addresses.iter().chain(&self.host_addresses) {
            if address.is_unspecified() || address.is_multicast() {
                return Err(TunError::BadConfig(format!("{address} is not the address of a host")));
            }
        }
        Ok(())
    }

    /// Routes to lay into a new device: those asked for, and the networks of the stack that no address of the
    /// host brings along.
    pub(super) fn routes_to_add(&self) -> Vec<Prefix> {
        let mut routes: Vec<Prefix> = Vec::new();
        let covered = |address| {
            self.host_addresses.iter().any(|&host| network(host).is_some_and(|n| contains(n, address)))
        };
        let own = self.addresses.iter().filter(|&&(address, _)| !covered(address));
        for prefix in own.chain(&self.routes) {
            if let Some(network) = network(*prefix)
                && !routes.contains(&network)
            {
                routes.push(network);
            }
        }
        routes
    }
}

/// The rules of the kernel, and ASCII besides: `tokio-tun` cuts a longer name at a byte.
fn check_name(name: &str) -> Result<(), TunError> {
    let why = if name.is_empty() {
        "it is empty"
    } else if name.len() > 15 {
        "it is longer than 15 bytes"
    } else if !name.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b':' | b'%')) {
        "only printable ASCII without '/', ':' and '%' is allowed"
    } else if matches!(name, "." | ".." | "all" | "default") {
        "it is a reserved word"
    } else {
        return Ok(());
    };
    Err(TunError::BadName { name: name.to_owned(), why })
}

/// The network that an address lies in: its host bits cleared.
fn network((address, prefix_len): Prefix) -> Option<Prefix> {
    let network = match address {
        IpAddr::V4(a) => {
            let mask = u32::MAX.checked_shl(32u32.checked_sub(prefix_len.into())?).unwrap_or(0);
            IpAddr::V4((a.to_bits() & mask).into())
        }
        IpAddr::V6(a) => {
            let mask = u128::MAX.checked_shl(128u32.checked_sub(prefix_len.into())?).unwrap_or(0);
            IpAddr::V6((a.to_bits() & mask).into())
        }
    };
    Some((network, prefix_len))
}

fn contains(net: Prefix, address: IpAddr) -> bool {
    net.0.is_ipv4() == address.is_ipv4() && network((address, net.1)) == Some(net)
}

#[cfg(test)]
mod tests;
