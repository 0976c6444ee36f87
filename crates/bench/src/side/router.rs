//! A router that loses packets: a namespace between the client's and the server's, the same for every candidate.
//!
//! It forwards between a veth pair, whose other end is at the client, and the server's own device, and of the packets of
//! either direction it drops one in a hundred at random, unless told not to. All of them are of the MTU at most: a
//! super-segment would be lost whole.

use std::error::Error;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use netstack_bench_services::{READY, say, until_the_parent_ends};
use tokio::runtime::Builder;

use super::candidate::{Attach, Launch};
use super::loss;
use super::net::{Netlink, Subnet, far_device};
use super::serve::enter_namespace;
use super::server::{Server, Spawned};

/// The command line of the router's process.
#[derive(Debug, clap::Args)]
pub(crate) struct RouterArgs {
    /// The client's end of the veth pair between client and router.
    #[arg(long)]
    uplink: String,
    /// The router's address on it.
    #[arg(long)]
    uplink_address: Ipv4Addr,
    /// The router's end of the server's device.
    #[arg(long)]
    device: String,
    /// The router's address on it.
    #[arg(long)]
    near: Ipv4Addr,
    /// The server's address.
    #[arg(long)]
    far: Ipv4Addr,
    /// How the server is attached.
    #[arg(long)]
    attach: Attach,
    /// Loses nothing.
    #[arg(long)]
    lossless: bool,
    /// The server's command.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// The router's process: routes until the parent ends.
pub(super) fn run(args: &RouterArgs) -> Result<(), Box<dyn Error>> {
    enter_namespace()?;
    let (program, arguments) = args.command.split_first().ok_or("no command for the server")?;
    let launch =
        Launch { program: PathBuf::from(program), arguments: arguments.to_vec(), attach: args.attach };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let netlink = Netlink::new()?;
        netlink.configure(&far_device(&args.uplink), args.uplink_address, true).await?;
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        if !args.lossless {
            loss::drop_one_in(100)?;
        }
        let _server = Server::start(&netlink, &launch, &args.device, args.near, args.far).await?;
        say(READY)?;
        until_the_parent_ends()?;
        Ok(())
    })
}

/// Starts a router with a server behind it: `uplink` is between client and router, `inner` between router and server;
/// `loses` says whether packets are dropped.
pub(super) async fn start(
    netlink: &Netlink,
    own: &std::path::Path,
    launch: &Launch,
    uplink: &Subnet,
    inner: &Subnet,
    loses: bool,
) -> std::io::Result<Server> {
    let attach = match launch.attach {
        Attach::Tun => "tun",
        Attach::Veth => "veth",
        Attach::VethPlain => "veth-plain",
    };
    let mut arguments = vec!["route".to_owned()];
    for (name, value) in [
        ("uplink", uplink.device.clone()),
        ("uplink-address", uplink.far().to_string()),
        ("device", inner.device.clone()),
        ("near", inner.near().to_string()),
        ("far", inner.far().to_string()),
        ("attach", attach.to_owned()),
    ] {
        arguments.extend([format!("--{name}"), value]);
    }
    if !loses {
        arguments.push("--lossless".to_owned());
    }
    arguments.extend(["--".to_owned(), launch.program.display().to_string()]);
    arguments.extend(launch.arguments.iter().cloned());
    let mut spawned = Spawned::new(own, &arguments)?;
    spawned.give_veth(netlink, &uplink.device, uplink.near(), true).await?;
    netlink.route(inner.near(), 32, uplink.far()).await?;
    netlink.route(inner.far(), 32, uplink.far()).await?;
    spawned.hear(READY).await?;
    Ok(spawned.into_server(&uplink.device, inner.far()))
}
