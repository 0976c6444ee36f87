//! How a stack is made.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;

use netstack_device::Device;
use netstack_tcp::{FastOpenCache, IsnGenerator, PortAllocator, SynCookies, TcpConfig};
use tokio::runtime::Handle;

use super::counters::Counters;
use super::interface::{Interfaces, LOOPBACK};
use super::lifecycle::Lifecycle;
use super::network::{Opened, check_mtu};
use super::{Inner, Stack};
use crate::budget::{self, Budget};
use crate::clock::Clock;
use crate::demux::{MAX_RECORDS, Table};
use crate::error::invalid;
use crate::fragment::{FragmentIds, Fragments, Limits};
use crate::icmp::Limiter;
use crate::listener::{ListenConfig, Listeners};
use crate::loopback::Loopback;
use crate::observe::Watch;
use crate::path_mtu::{PathMtus, SentSizes};
use crate::ping::Pings;
use crate::route::{IpNetwork, IpPrefix, RouteTable, Routes};
use crate::secrets::Secrets;
use crate::sync::Mutex;
use crate::udp::{Udp, UdpLimits};

/// Describes a stack; made by [`Stack::builder`].
///
/// # Examples
///
/// ```
/// use tokio_netstack::{Stack, TcpConfig, device};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (here, _there) = device::memory::pair(device::Capabilities::ip(1500), device::Capabilities::ip(1500));
/// let mut tcp = TcpConfig::new();
/// tcp.nodelay(true);
///
/// let stack = Stack::builder()
///     .device(here)
///     .address("192.0.2.2/24".parse()?)
///     .address("2001:db8::2/64".parse()?)
///     .tcp_config(tcp)
///     .build()?;
/// # drop(stack);
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct StackBuilder {
    devices: Vec<Box<dyn Device>>,
    addresses: Vec<(IpPrefix, usize)>,
    routes: Vec<(IpNetwork, usize)>,
    any_address: bool,
    outlive_devices: bool,
    tcp: TcpConfig,
    listen: ListenConfig,
    handle: Option<Handle>,
    seed: Option<u64>,
    max_time_wait: usize,
    buffer_budget: usize,
    icmp_errors: (u32, u32),
    reassembly: Limits,
    udp: UdpLimits,
    echo_replies: (u32, u32),
    ephemeral_ports: RangeInclusive<u16>,
    watch: Watch,
}

impl StackBuilder {
    pub(super) fn new() -> Self {
        Self {
            devices: Vec::new(),
            addresses: Vec::new(),
            routes: Vec::new(),
            any_address: false,
            outlive_devices: false,
            tcp: TcpConfig::new(),
            listen: ListenConfig::new(),
            handle: None,
            seed: None,
            max_time_wait: MAX_RECORDS,
            buffer_budget: budget::DEFAULT,
            icmp_errors: Limiter::ERRORS,
            reassembly: Limits::DEFAULT,
            udp: UdpLimits::DEFAULT,
            echo_replies: Limiter::ECHOES,
            ephemeral_ports: PortAllocator::DYNAMIC,
            watch: Watch::default(),
        }
    }

    /// Adds a device. The addresses given after it belong to it.
    pub fn device(mut self, device: impl Device + 'static) -> Self {
        self.devices.push(Box::new(device));
        self
    }

    /// Adds an address with its network's prefix to the device given last.
    ///
    /// Packets to the network leave by the device. Which address they start from follows RFC 6724: one of sufficient scope,
    /// of the device that they leave by, of the destination's label and, for IPv6, of the longest common prefix, for IPv4
    /// of the destination's network; else the one that was given first.
    ///
    /// Packets to an address of the stack itself, to 127.0.0.0/8 and to ::1 reach no device: they come back to the
    /// stack. From a device such sources, and loopback destinations, are not accepted.
    pub fn address(mut self, prefix: IpPrefix) -> Self {
        self.addresses.push((prefix, self.devices.len().saturating_sub(1)));
        self
    }

    /// Routes a network by a device, `device` counting from 0 in the order of [`device`](Self::device).
    ///
    /// The longest prefix wins, addresses' own networks included; of equal ones the route given first, before an address's
    /// network. Routes by a device that has died do not count.
    ///
    /// A family with addresses and no default route ([`IpNetwork::ALL_V4`], [`IpNetwork::ALL_V6`]) gets one by the device of
    /// its first address, so that one device needs no routes at all. [`Stack::remove_route`] takes it away.
    ///
    /// Answers of accepted connections always leave by the device that the connection came in by. Connections that the stack
    /// opens follow the routes; one that is bound to a local address prefers that address's device.
    ///
    /// # Examples
    ///
    /// ```
    /// use tokio_netstack::{IpNetwork, Stack, device};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let caps = device::Capabilities::ip(1500);
    /// # let (uplink, _a) = device::memory::pair(caps.clone(), caps.clone());
    /// # let (office, _b) = device::memory::pair(caps.clone(), caps);
    /// let stack = Stack::builder()
    ///     .device(uplink)
    ///     .address("192.0.2.2/24".parse()?)
    ///     .device(office)
    ///     .address("198.51.100.2/24".parse()?)
    ///     .route("203.0.113.0/24".parse()?, 1)
    ///     .build()?;
    /// assert_eq!(stack.routes(), [("203.0.113.0/24".parse()?, 1), (IpNetwork::ALL_V4, 0)]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn route(mut self, network: IpNetwork, device: usize) -> Self {
        self.routes.push((network, device));
        self
    }

    /// Keeps listeners and connections when the last device has died, until there is another
    /// ([`Stack::replace_device`], [`Stack::device_lost`]) or their own limits end them. Default: off; they get
    /// [`NetworkDown`](io::ErrorKind::NetworkDown) at once.
    pub fn outlive_devices(mut self, on: bool) -> Self {
        self.outlive_devices = on;
        self
    }

    /// Accepts packets to every unicast address, not only to the stack's own, and lets listeners be bound to any: what a
    /// proxy needs that terminates whatever connection comes along. Default: off.
    pub fn any_address(mut self, on: bool) -> Self {
        self.any_address = on;
        self
    }

    /// Settings of TCP for all connections that are not given their own.
    pub fn tcp_config(mut self, config: TcpConfig) -> Self {
        self.tcp = config;
        self
    }

    /// Settings of listeners that are not given their own.
    pub fn listen_config(mut self, config: ListenConfig) -> Self {
        self.listen = config;
        self
    }

    /// The runtime that the stack's tasks run on. Default: the current one. Its time driver must be enabled.
    pub fn runtime(mut self, handle: Handle) -> Self {
        self.handle = Some(handle);
        self
    }

    /// TIME-WAIT records held at most, at least 1; past it the oldest goes. Default 65,536.
    pub fn max_time_wait(mut self, records: usize) -> Self {
        self.max_time_wait = records;
        self
    }

    /// Bytes that the buffers of all connections may hold together: what was written and is not acknowledged, and what has
    /// arrived and is not read, in order or not. Memory counts as it is used, also where a piece in use keeps a larger one.
    /// Default 1 GiB.
    ///
    /// As the budget fills up, the stack asks for more patience:
    ///
    /// | bytes held | what happens |
    /// |---|---|
    /// | from the start | a window begins with at most 64 KiB and grows as data is read; for each connection, what waits to be read, and what was written and is not acknowledged, has a quarter of what is left of three quarters of the budget, and less of it the less is left; past it `try_write` gives `WouldBlock` |
    /// | 3/4 | an eighth of the budget is kept for received data, another for written data: then windows stop opening, and writers wait; a connection whose stream was dropped five minutes ago, and whose peer has not taken all of it yet, is reset |
    /// | 15/16 | what came out of order is given up, to be sent again by the peer |
    /// | all | new connections are refused: their SYN is dropped |
    /// | twice the budget | data below an edge announced earlier is dropped unacknowledged, to be sent again by the peer |
    ///
    /// Each connection may always hold 4 KiB, or two segments, each way, so that none comes to a halt for good. Nothing
    /// acknowledged is ever lost. [`Stack::buffered`] tells how much is held, and
    /// [`StackCounters`](crate::StackCounters) what was refused (`budget_*`, `drop_budget*`).
    pub fn buffer_budget(mut self, bytes: usize) -> Self {
        self.buffer_budget = bytes;
        self
    }

    /// The token bucket of outgoing ICMP errors (R4443-5): `burst` at once, `per_second` in the long run, each at least 1.
    /// Default 10 and 10.
    pub fn icmp_error_rate(mut self, burst: u32, per_second: u32) -> Self {
        self.icmp_errors = (burst, per_second);
        self
    }

    /// Bytes of memory that fragments may take while they wait for the rest of their datagram: `total` in all, and
    /// `per_source` for each IPv4 address or IPv6 prefix of 64 bits. Past a limit the datagram begun first is given up;
    /// each is after 60 seconds. Room for a datagram of full length takes 70 KiB; with 0 all fragments are dropped.
    /// Default 4 MiB and 1 MiB.
    pub fn reassembly_memory(mut self, total: usize, per_source: usize) -> Self {
        self.reassembly = Limits { total, per_source };
        self
    }

    /// Bytes of memory that the datagrams received by all UDP sockets together may hold until they are read; each socket has
    /// a limit of its own ([`UdpConfig::recv_buffer`](crate::UdpConfig::recv_buffer)), and so have sessions
    /// ([`UdpSessionsConfig::total_buffer`](crate::UdpSessionsConfig::total_buffer)). Past it the newest are dropped, and
    /// counted (`drop_udp_queue_full`). Apart from [`buffer_budget`](Self::buffer_budget): datagrams narrow no connection's
    /// window. Default 256 MiB.
    pub fn udp_memory(mut self, bytes: usize) -> Self {
        self.udp.memory = bytes;
        self
    }

    /// UDP sockets that may be bound at a time, sessions not counted. Default 65,536.
    pub fn max_udp_sockets(mut self, sockets: usize) -> Self {
        self.udp.sockets = sockets;
        self
    }

    /// The token bucket of echo replies: `burst` at once, `per_second` in the long run, each at least 1. Default 1,000 and
    /// 1,000: a flood of pings costs what these cost, and the rest is dropped and counted (`echo_limited`).
    pub fn echo_reply_rate(mut self, burst: u32, per_second: u32) -> Self {
        self.echo_replies = (burst, per_second);
        self
    }

    /// The ports that connections start from, and that listeners bound to port 0 get, where none is given; all of them
    /// are used, in an order that cannot be guessed (RFC 6056). Default 49152 to 65535 (RFC 6335 6).
    pub fn ephemeral_ports(mut self, range: RangeInclusive<u16>) -> Self {
        self.ephemeral_ports = range;
        self
    }

    /// **For tests only.** Derives all secrets from `seed`, so that sequence numbers and ports are the same on each run
    /// and can be predicted by anyone who knows it. By default they come from the operating system.
    pub fn seed_for_test(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Has `observer` see each connection after every turn of its task. Default: nobody does, which costs a look at one pointer
    /// a turn.
    #[cfg(feature = "observe")]
    pub fn observe(mut self, observer: impl crate::ConnectionObserver + 'static) -> Self {
        self.watch = Watch::by(observer);
        self
    }

    /// Addresses and routes as they were given, with the default routes that go without saying.
    fn table(&self) -> io::Result<RouteTable> {
        let mut table = RouteTable::default();
        table.set_any_address(self.any_address);
        let given = |error: io::Error| invalid(error.to_string());
        for &(prefix, device) in &self.addresses {
            table.add_address(prefix, device).map_err(given)?;
        }
        for &(network, device) in &self.routes {
            if device >= self.devices.len() {
                let text =
                    format!("the route to {network} leads to device {device}, and the first device is 0");
                return Err(invalid(text));
            }
            table.add_route(network, device).map_err(given)?;
        }
        table.imply_defaults();
        Ok(table)
    }

    /// Makes the stack and starts to receive.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput): no device, no address, an address or a route given twice, a loopback
    ///   address, a route to a device that there is not, an MTU that IP cannot use, a range of ephemeral ports that is empty
    ///   or holds port 0, or no Tokio runtime (none given, and not called inside one);
    /// - what a device reports when it is taken into use, or the operating system when it gives no random numbers.
    pub fn build(self) -> io::Result<Stack> {
        let routes = self.table()?;
        let handle = match self.handle {
            Some(handle) => handle,
            None => Handle::try_current().map_err(|_| {
                invalid("no Tokio runtime: call `build` inside one, or give its handle with `runtime`")
            })?,
        };
        let _entered = handle.enter();
        if self.devices.is_empty() {
            return Err(invalid("a stack needs a device: call `device` before `build`"));
        }
        if self.addresses.is_empty() {
            return Err(invalid("a stack needs an address: call `address` before `build`"));
        }
        if self.ephemeral_ports.is_empty() || self.ephemeral_ports.contains(&0) {
            let text = format!(
                "{:?} is no range of ephemeral ports: give at least one, from 1 on",
                self.ephemeral_ports
            );
            return Err(invalid(text));
        }
        let secrets = match self.seed {
            Some(seed) => Secrets::from_seed(seed),
            None => Secrets::from_system()?,
        };
        let devices = take_into_use(self.devices, &routes)?;
        let (loopback, reader) = Loopback::open();
        let (interfaces, queues): (Vec<_>, Vec<_>) =
            devices.into_iter().map(|opened| (opened.interface, opened.queues)).unzip();
        let clock = Clock::start();
        let watch = self.watch.start(clock);
        let udp = Udp::new(secrets, &self.ephemeral_ports, self.udp);
        let inner = Arc::new(Inner {
            path_mtu: PathMtus::new(clock, self.tcp.min_path_mtu_size()),
            config: Arc::new(self.tcp),
            listen_config: self.listen,
            handle: handle.clone(),
            clock,
            secrets,
            isn: IsnGenerator::new(secrets.isn),
            cookies: SynCookies::new(secrets.cookies),
            ports: Mutex::new(PortAllocator::new(secrets.ports, self.ephemeral_ports)),
            routes: Routes::new(routes),
            interfaces: Interfaces::new(interfaces, loopback),
            table: Table::new(secrets, self.max_time_wait, watch.clone()),
            listeners: Listeners::default(),
            udp,
            counters: Counters::default(),
            budget: Arc::new(Budget::new(self.buffer_budget)),
            icmp_limiter: Limiter::new(self.icmp_errors),
            echo_limiter: Limiter::new(self.echo_replies),
            pings: Pings::new(secrets.pings),
            sent_sizes: SentSizes::new(secrets),
            fast_open: Mutex::new(FastOpenCache::new()),
            fragment_ids: FragmentIds::new(secrets.fragments),
            fragments: Fragments::new(self.reassembly),
            watch,
            outlives_devices: self.outlive_devices,
            lifecycle: Lifecycle::new(),
        });
        reader.start(&inner);
        for (index, queues) in queues.into_iter().enumerate() {
            let signal = Arc::clone(&inner.interface(index).signal);
            inner.start(index, queues, &signal);
        }
        Ok(Stack { inner })
    }
}

/// Splits the devices into their halves.
fn take_into_use(devices: Vec<Box<dyn Device>>, routes: &RouteTable) -> io::Result<Vec<Opened>> {
    if devices.len() > LOOPBACK {
        return Err(invalid("more devices than a stack can have"));
    }
    let open = |(index, device)| {
        let opened = Opened::new(device)?;
        check_mtu(opened.interface.mtu(), routes.has_v6(index))?;
        Ok(opened)
    };
    devices.into_iter().enumerate().map(open).collect()
}

impl fmt::Debug for StackBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackBuilder")
            .field("devices", &self.devices.len())
            .field("addresses", &self.addresses)
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}
