//! What the demonstration runs on: the kernel and a stack with a TUN device between them, or two stacks
//! with a device in memory.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netstack_device::tun::TunConfig;
use netstack_device::{Capabilities, Device, memory};
use tokio_netstack::{IpPrefix, Stack};

use crate::capture::Capture;
use crate::client::Client;
use crate::services;
use crate::timeline::Timeline;

const DEVICE: &str = "nst0";
const MTU: u16 = 1500;

pub(crate) const CLIENT_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub(crate) const SERVER_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const CLIENT_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
pub(crate) const SERVER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2));

/// A server at work and a client that can reach it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) server: Stack,
    pub(crate) client: Client,
    pub(crate) timeline: Timeline,
    /// What one should know of the link to judge a figure of speed.
    pub(crate) link: String,
}

impl Stage {
    /// The kernel is the client. The process is in a network namespace of its own by now.
    pub(crate) async fn with_kernel(timeline: Timeline) -> io::Result<Self> {
        let device = TunConfig::new(DEVICE)
            .mtu(usize::from(MTU))
            .host_address(CLIENT_V4, 24)
            .host_address(CLIENT_V6, 64)
            .open()
            .await?;
        let offload = if device.offloads().any_segmentation() { "with" } else { "without" };
        let link = format!("TUN {offload} offload");
        let server = server(device, &timeline, true).await?;
        Ok(Self { server, client: Client::Kernel, timeline, link })
    }

    /// A second stack is the client.
    pub(crate) async fn in_memory(timeline: Timeline) -> io::Result<Self> {
        let (ours, theirs) = memory::pair(Capabilities::ip(MTU.into()), Capabilities::ip(MTU.into()));
        let server = server(ours, &timeline, false).await?;
        let client = stack(theirs, CLIENT_V4, CLIENT_V6)?;
        let link = "two stacks in one process".to_owned();
        Ok(Self { server, client: Client::Stack(client), timeline, link })
    }

    /// The client's name, for a heading.
    pub(crate) fn client_name(&self) -> &'static str {
        match self.client {
            Client::Kernel => "Linux kernel",
            Client::Stack(_) => "client stack",
        }
    }

    /// Who is where.
    pub(crate) fn scene(&self) -> String {
        let client = match self.client {
            Client::Kernel => format!(
                "In a network namespace of its own, this process has a TUN device, {DEVICE}. On its one side is \
                 the Linux kernel with its TCP, {CLIENT_V4}, the client"
            ),
            Client::Stack(_) => {
                format!("A device in memory has a stack at each side: one, {CLIENT_V4}, is the client")
            }
        };
        format!("{client}. On the other is the stack of this process, {SERVER_V4}, the server.")
    }

    /// What one should know to judge a figure of speed.
    pub(crate) fn conditions(&self) -> String {
        let control = match self.client {
            Client::Kernel => std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").ok(),
            Client::Stack(_) => None,
        };
        let control = control.map(|name| format!(", kernel with {}", name.trim())).unwrap_or_default();
        format!("{}, MTU {MTU}{control}", self.link)
    }
}

async fn server(device: impl Device + 'static, timeline: &Timeline, ask_kernel: bool) -> io::Result<Stack> {
    let device = Capture { device, timeline: timeline.clone(), ask_kernel };
    let stack = stack(device, SERVER_V4, SERVER_V6)?;
    services::start(&stack, &[SERVER_V4, SERVER_V6]).await?;
    Ok(stack)
}

fn stack(device: impl Device + 'static, v4: IpAddr, v6: IpAddr) -> io::Result<Stack> {
    let prefix = |address, len| IpPrefix::new(address, len).map_err(io::Error::other);
    Stack::builder().device(device).address(prefix(v4, 24)?).address(prefix(v6, 64)?).build()
}
