//! Through a router that loses one packet in a hundred of either direction.
//!
//! The namespace of the case, which has the stack's device, is the router. The kernel's end is a thread in a namespace of its
//! own, behind a veth pair; neither link carries anything larger than the MTU, which would be lost whole.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;
use std::sync::{Arc, mpsc};
use std::thread;

use nix::sched::{CloneFlags, unshare};
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::{LinkUnspec, LinkVeth, RouteMessageBuilder};
use tokio::runtime::{Builder, Handle};
use tokio_netstack::{CongestionControl, TcpConfig};

use crate::bytes::CHUNK;
use crate::counters::counter;
use crate::loss;
use crate::transfer::both_ways;
use crate::world::{CaseResult, Refused, World, ensure};

const BYTES: u64 = 20_000_000;

/// The veth pair, and its addresses.
const NEAR: (&str, Ipv4Addr) = ("near0", Ipv4Addr::new(198, 51, 100, 1));
const FAR: (&str, Ipv4Addr) = ("far0", Ipv4Addr::new(198, 51, 100, 2));
/// The network of the stack.
const INNER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 0);

pub(crate) fn bbr(config: &mut TcpConfig) {
    config.congestion(CongestionControl::Bbr);
}

/// 20 MB each way at once, each byte compared.
// req: S-TEXT-1, R8985-20, R6675-3
pub(crate) async fn both_directions(world: Arc<World>) -> CaseResult {
    let kernel = route().await.map_err(Refused)?;
    let stack = world.stack.clone();
    let behind =
        World { stack, gate: world.gate.clone(), marks: world.marks.clone(), family: world.family, kernel };
    both_ways(&behind, BYTES, CHUNK, false).await?;
    let (resent, overtaken) = behind
        .on_kernel(async {
            Ok::<_, io::Error>((
                counter("snmp", "Tcp:", "RetransSegs")?,
                counter("netstat", "TcpExt:", "TCPOFOQueue")?,
            ))
        })
        .await??;
    eprintln!("the kernel sent {resent} segments again, and {overtaken} of the stack's overtook a lost one");
    ensure!(resent > 0, "the router lost nothing that the kernel sent");
    ensure!(overtaken > 0, "the router lost nothing that the stack sent");
    Ok(())
}

/// Makes this namespace a router that loses packets, and gives what runs behind it.
async fn route() -> io::Result<Handle> {
    let (kernel, namespace) = apart()?;
    let (connection, handle, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    let pair = LinkVeth::new(NEAR.0, FAR.0).build();
    handle.link().add(pair).execute().await.map_err(io::Error::other)?;
    let given = LinkUnspec::new_with_name(FAR.0).setns_by_fd(namespace.as_raw_fd()).build();
    handle.link().set(given).execute().await.map_err(io::Error::other)?;
    configure(NEAR).await?;
    kernel.spawn(configure_far()).await.map_err(io::Error::other)??;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
    loss::drop_one_in(100)?;
    Ok(kernel)
}

/// A thread in a network namespace of its own, to the end of the process: its runtime, and the namespace.
pub(crate) fn apart() -> io::Result<(Handle, File)> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let made = || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            let namespace = File::open("/proc/thread-self/ns/net")?;
            Ok((Builder::new_current_thread().enable_all().build()?, namespace))
        };
        match made() {
            Ok((runtime, namespace)) => {
                // Nobody listens only when the case has ended.
                let _ = tell.send(Ok((runtime.handle().clone(), namespace)));
                runtime.block_on(std::future::pending::<()>());
            }
            Err(error) => drop(tell.send(Err(error))),
        }
    });
    told.recv().map_err(io::Error::other)?
}

/// Gives a link of this thread's namespace its address and brings it up, without super-segments.
async fn configure((name, address): (&'static str, Ipv4Addr)) -> io::Result<()> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    let index = nix::net::if_::if_nametoindex(name)?;
    let link = LinkUnspec::new_with_index(index).up().append_extra_attribute(LinkAttribute::GsoMaxSegs(1));
    handle.link().set(link.build()).execute().await.map_err(io::Error::other)?;
    handle.address().add(index, IpAddr::V4(address), 30).execute().await.map_err(io::Error::other)
}

async fn configure_far() -> io::Result<()> {
    configure(FAR).await?;
    let (connection, handle, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    let route = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(INNER, 24).gateway(NEAR.1);
    handle.route().add(route.build()).execute().await.map_err(io::Error::other)
}
