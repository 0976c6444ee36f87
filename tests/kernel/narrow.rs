//! Through a router whose other link is narrower than the stack's: one says so, and one drops without a word.
//!
//! As in `lossy`, the namespace of the case is the router and the kernel's end is a thread in a namespace behind a veth pair.
//! The kernel's end announces a full MSS all the same, so that only path MTU discovery can help.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::packet_route::route::{RouteAttribute, RouteMetric};
use rtnetlink::{Handle, LinkUnspec, LinkVeth, RouteMessageBuilder};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_netstack::{SendMsg, UdpSocket};

use crate::bytes::{CHUNK, check, check_end, send};
use crate::cases::Family;
use crate::lossy::apart;
use crate::udp::kernel_echo_at;
use crate::world::{CaseResult, Refused, World, ensure, settle};

const BYTES: u64 = 20_000_000;
/// What the narrow link takes, and what a full segment needs.
const NARROW: u16 = 1400;
const FULL: u32 = 1500;
/// A route's metrics that no discovery may change: the MTU's bit.
const LOCK_MTU: u32 = 1 << 2;

/// The names of the veth pair's ends.
const NEAR: &str = "near0";
const FAR: &str = "far0";

/// How the narrow link shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Narrow {
    /// The router's route has the MTU: it answers "too big".
    Reported,
    /// The far end of the cable takes no more: frames vanish.
    Silent,
}

/// The near and the far end's addresses, the length of their prefix, and the stack's network with its length.
fn addresses(family: Family) -> (IpAddr, IpAddr, u8, IpAddr, u8) {
    match family {
        Family::V4 => {
            let host = |n| Ipv4Addr::new(198, 51, 100, n).into();
            (host(1), host(2), 30, Ipv4Addr::new(192, 0, 2, 0).into(), 24)
        }
        Family::V6 => {
            let host = |n| Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, n).into();
            (host(1), host(2), 64, Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0).into(), 64)
        }
    }
}

/// The router says what it takes: the transfer goes on at once, and what is sent next fits.
// req: R1191-2, R8201-1, R1191-1
pub(crate) async fn reported(world: Arc<World>) -> CaseResult {
    let behind = route(&world, Narrow::Reported).await.map_err(Refused)?;
    let stream = transfer(&behind).await?;
    let info = stream.info().await?;
    eprintln!("path MTU {}, {:?}", info.path_mtu, info.stats);
    ensure!(info.path_mtu == NARROW, "the path MTU is {} and not {NARROW}", info.path_mtu);
    ensure!(info.stats.timeouts == 0, "{} timeouts", info.stats.timeouts);
    let (_, far, ..) = addresses(world.family);
    let second = transfer(&behind).await?;
    let info = second.info().await?;
    ensure!(info.stats.path_mtu_reductions == 0, "the second connection to {far} had to learn it again");
    ensure!(info.path_mtu == NARROW, "the second connection believes in {}", info.path_mtu);
    Ok(())
}

/// The link drops without a word: the stack finds out what the path takes, and gets there step by step.
// req: R4821-1, R4821-2
pub(crate) async fn silent(world: Arc<World>) -> CaseResult {
    let behind = route(&world, Narrow::Silent).await.map_err(Refused)?;
    let stream = transfer(&behind).await?;
    let info = stream.info().await?;
    eprintln!("path MTU {}, {:?}", info.path_mtu, info.stats);
    ensure!((1200..=NARROW).contains(&info.path_mtu), "the path MTU is {}", info.path_mtu);
    ensure!(info.stats.path_mtu_reductions == 1, "{} reductions", info.stats.path_mtu_reductions);
    Ok(())
}

/// Datagrams learn it as well, from a socket without a peer: one that nobody may cut is reported, and what follows fits, is
/// refused, or leaves in fragments that the narrow link takes, singly and in batches.
// req: R8201-1, R8899-1, R8085-1
pub(crate) async fn datagrams(world: Arc<World>) -> CaseResult {
    let behind = route(&world, Narrow::Reported).await.map_err(Refused)?;
    let (_, far, ..) = addresses(world.family);
    let echo = kernel_echo_at(&behind, far).await?;
    let socket = UdpSocket::bind(&world.stack, world.at_stack(0)).await?;
    let headers = if far.is_ipv4() { 28 } else { 48 };
    socket.set_dont_fragment(true)?;
    socket.send_to(&vec![1; FULL as usize - headers], echo).await?;
    settle("the path MTU", usize::from(NARROW), || socket.path_mtu(echo).unwrap_or_default()).await?;
    let refused = socket.send_to(&vec![1; usize::from(NARROW) - headers + 1], echo).await;
    ensure!(refused.is_err(), "more than fits was sent, and must not be cut");
    socket.set_dont_fragment(false)?;
    let single = SendMsg::new().to(echo);
    let sends = [
        (usize::from(NARROW) - headers, single),
        (FULL as usize - headers, single),
        (20_000, single),
        (9_000, single.segment_size(1200)),
        (9_000, single.segment_size(FULL as usize - headers)),
    ];
    let mut buf = vec![0; 65_536];
    for (len, how) in sends {
        let data: Vec<u8> = (0..len).map(|i| (i / 7) as u8).collect();
        socket.send_msg(&data, &how).await?;
        let mut back = Vec::new();
        while back.len() < len {
            let received = timeout(Duration::from_secs(2), socket.recv(&mut buf));
            let came =
                received.await.map_err(|_| format!("{} of {len} octets came back: {how:?}", back.len()))?;
            back.extend_from_slice(&buf[..came?]);
        }
        ensure!(back == data, "{len} octets came back changed: {how:?}");
    }
    Ok(())
}

/// Sends [`BYTES`] from the stack to the kernel and as many back, each byte compared.
async fn transfer(world: &World) -> Result<tokio_netstack::TcpStream, crate::world::Failure> {
    let (mut kernel, mut stream) = world.pair(7).await?;
    let far = world.on_kernel(async move {
        check(&mut kernel, 1, BYTES, CHUNK).await?;
        send(&mut kernel, 2, BYTES, CHUNK).await?;
        kernel.shutdown().await
    });
    send(&mut stream, 1, BYTES, CHUNK).await?;
    check(&mut stream, 2, BYTES, CHUNK).await?;
    check_end(&mut stream).await?;
    far.await??;
    Ok(stream)
}

/// Makes this namespace a router to a kernel behind a narrow link, and gives the world with that kernel.
async fn route(world: &World, narrow: Narrow) -> io::Result<World> {
    let (kernel, namespace) = apart()?;
    let family = world.family;
    let (near, far, len, inner, inner_len) = addresses(family);
    no_duplicate_detection()?;
    let handle = netlink()?;
    let pair = LinkVeth::new(NEAR, FAR).build();
    handle.link().add(pair).execute().await.map_err(io::Error::other)?;
    let given = LinkUnspec::new_with_name(FAR).setns_by_fd(namespace.as_raw_fd()).build();
    handle.link().set(given).execute().await.map_err(io::Error::other)?;
    configure(&handle, NEAR, near, len, None).await?;
    let far_mtu = (narrow == Narrow::Silent).then_some(NARROW);
    let setup = async move {
        no_duplicate_detection()?;
        let handle = netlink()?;
        configure(&handle, FAR, far, len, far_mtu).await?;
        let headers = if far.is_ipv4() { 40 } else { 60 };
        let back = RouteMessageBuilder::<IpAddr>::new()
            .destination_prefix(inner, inner_len)
            .and_then(|route| route.gateway(near))
            .map_err(io::Error::other)?;
        add(&handle, back, vec![RouteMetric::Advmss(FULL - headers)]).await
    };
    kernel.spawn(setup).await.map_err(io::Error::other)??;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
    fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1")?;
    if narrow == Narrow::Reported {
        let whole = if far.is_ipv4() { 32 } else { 128 };
        let on = RouteMessageBuilder::<IpAddr>::new()
            .destination_prefix(far, whole)
            .map_err(io::Error::other)?
            .output_interface(nix::net::if_::if_nametoindex(NEAR)?);
        add(&handle, on, vec![RouteMetric::Mtu(NARROW.into()), RouteMetric::Lock(LOCK_MTU)]).await?;
    }
    let behind = World {
        stack: world.stack.clone(),
        gate: world.gate.clone(),
        marks: world.marks.clone(),
        family,
        kernel,
    };
    reachable(&behind).await?;
    Ok(behind)
}

/// Waits until the cable carries packets, which the kernel finds out in its own time.
async fn reachable(world: &World) -> io::Result<()> {
    let closed = world.at_stack(9);
    let attempts = async move {
        for _ in 0..100 {
            match tokio::net::TcpStream::connect(closed).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(()),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        Err(io::Error::other("the kernel behind the router does not reach the stack"))
    };
    world.on_kernel(attempts).await.map_err(io::Error::other)?
}

fn netlink() -> io::Result<Handle> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    Ok(handle)
}

/// Addresses of this thread's namespace count at once.
fn no_duplicate_detection() -> io::Result<()> {
    for which in ["all", "default"] {
        fs::write(format!("/proc/sys/net/ipv6/conf/{which}/accept_dad"), "0")?;
    }
    Ok(())
}

/// Gives a link of this thread's namespace its address and brings it up, without super-segments, which no link would drop.
async fn configure(handle: &Handle, name: &str, ip: IpAddr, len: u8, mtu: Option<u16>) -> io::Result<()> {
    let index = nix::net::if_::if_nametoindex(name)?;
    let mut link =
        LinkUnspec::new_with_index(index).up().append_extra_attribute(LinkAttribute::GsoMaxSegs(1));
    if let Some(mtu) = mtu {
        link = link.mtu(mtu.into());
    }
    handle.link().set(link.build()).execute().await.map_err(io::Error::other)?;
    handle.address().add(index, ip, len).execute().await.map_err(io::Error::other)
}

async fn add(
    handle: &Handle,
    mut route: RouteMessageBuilder<IpAddr>,
    metrics: Vec<RouteMetric>,
) -> io::Result<()> {
    route.get_mut().attributes.push(RouteAttribute::Metrics(metrics));
    handle.route().add(route.build()).execute().await.map_err(io::Error::other)
}
