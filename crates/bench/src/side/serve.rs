//! The servers that are this program: the kernel's TCP, and this stack's.

use std::error::Error;
use std::io::{self, BufRead};
use std::net::Ipv4Addr;

use clap::ValueEnum;
use netstack_bench_services::{MTU, PORT, ServerArgs, ready, say, serve, until_the_parent_ends};
use netstack_device::tun::{OffloadMode, TunConfig, TunDevice, TunError};
use netstack_device::{Coalescing, Device, netns};
use netstack_tcp::TcpConfig;
use netstack_tcp::congestion::CongestionControl;
use socket2::SockRef;
use tokio_netstack::{IpPrefix, Stack, TcpListener};

use super::client::use_congestion;
use super::net::{Netlink, PREFIX, far_device};
use super::server::IN_NAMESPACE;

/// Connections that wait for `accept` at most.
const BACKLOG: u32 = 1024;

/// The command line of a server with a plain and another form.
#[derive(Debug, clap::Args)]
pub(crate) struct OwnArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    /// Without super-segments.
    #[arg(long)]
    pub(super) plain: bool,
    /// This stack puts together what it receives, in software.
    #[arg(long)]
    pub(super) coalescing: bool,
    /// The congestion controller.
    #[arg(long, value_enum, default_value_t = Congestion::Cubic)]
    pub(super) congestion: Congestion,
}

/// A congestion controller that the kernel and this stack have.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Congestion {
    Cubic,
    Bbr,
}

impl Congestion {
    /// As the kernel calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
        }
    }

    fn control(self) -> CongestionControl {
        match self {
            Self::Cubic => CongestionControl::Cubic,
            Self::Bbr => CongestionControl::Bbr,
        }
    }
}

/// Enters a namespace, tells the parent, and waits until it has put a device there. Before any thread.
pub(super) fn enter_namespace() -> Result<(), Box<dyn Error>> {
    netns::enter_private()?;
    say(IN_NAMESPACE)?;
    io::stdin().lock().read_line(&mut String::new())?;
    Ok(())
}

/// The kernel's TCP, in a namespace of its own behind a veth pair.
pub(super) fn kernel(args: &OwnArgs) -> Result<(), Box<dyn Error>> {
    enter_namespace()?;
    let OwnArgs { server, plain, congestion, .. } = args;
    let runtime = server.runtime()?;
    runtime.block_on(async {
        let netlink = Netlink::new()?;
        netlink.configure(&far_device(&server.device), server.address, *plain).await?;
        netlink.route(Ipv4Addr::UNSPECIFIED, 0, server.gateway()).await?;
        let socket = tokio::net::TcpSocket::new_v4()?;
        use_congestion(SockRef::from(&socket), congestion.name())?;
        socket.bind((server.address, PORT).into())?;
        let listener = socket.listen(BACKLOG)?;
        let service = server.service;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    stream.set_nodelay(true)?;
                    serve(service, stream).await
                });
            }
        });
        ready()
    })?;
    Ok(until_the_parent_ends()?)
}

/// This stack behind a TUN device.
pub(super) fn stack(args: &OwnArgs) -> Result<(), Box<dyn Error>> {
    let server = &args.server;
    let mut tcp = TcpConfig::new();
    tcp.congestion(args.congestion.control()).recv_buffer(server.buffer).send_buffer(server.buffer);
    let runtime = server.runtime()?;
    runtime.block_on(async {
        let device: Box<dyn Device> = match (tun(args).await?, args.coalescing) {
            (device, true) => Box::new(Coalescing::new(device)),
            (device, false) => Box::new(device),
        };
        let address = IpPrefix::new(server.address.into(), PREFIX)?;
        let stack = Stack::builder().device(device).address(address).tcp_config(tcp).build()?;
        let listener = TcpListener::bind(&stack, (server.address, PORT)).await?;
        let service = server.service;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    stream.set_nodelay(true)?;
                    serve(service, stream).await
                });
            }
        });
        ready()?;
        Ok::<_, Box<dyn Error>>(())
    })?;
    Ok(until_the_parent_ends()?)
}

/// The TUN device of this project's servers.
pub(super) async fn tun(args: &OwnArgs) -> Result<TunDevice, TunError> {
    let offload = if args.plain { OffloadMode::Off } else { OffloadMode::Require };
    TunConfig::new(&args.server.device).mtu(usize::from(MTU)).offload(offload).open().await
}
