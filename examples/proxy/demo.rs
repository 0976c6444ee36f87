//! The demonstration: clients in one network namespace, servers in another, and nothing but the forwarder between them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use netstack_device::netns;
use netstack_device::tun::TunConfig;
use nix::sched::{CloneFlags, unshare};
use rtnetlink::packet_route::address::AddressHeaderFlags;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_netstack::{IpPrefix, Stack};

use crate::client::{self, Scan};
use crate::forward::{self, Dial};
use crate::number::grouped;
use crate::say::say;
use crate::upstream;

const DEVICE: &str = "nst0";

/// The clients' own addresses.
const CLIENT: [(IpAddr, u8); 2] = [
    (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 24),
    (IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 64),
];

/// The stack has to have addresses, and takes packets to all others too.
const STACK: [(IpAddr, u8); 2] = [
    (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 24),
    (IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2)), 64),
];

/// The servers, in the other namespace, and known there alone.
const SERVERS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 10)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x10)),
];

const PORTS: std::ops::RangeInclusive<u16> = 1..=1024;

/// How much is downloaded.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) downloads: u32,
    pub(crate) bytes: u64,
}

/// Runs it all.
///
/// # Errors
/// There is no namespace or TUN device to be had, or something did not arrive as it was sent.
pub(crate) fn run(load: &Load) -> io::Result<()> {
    // Before any thread: a process with threads cannot enter a user namespace.
    netns::enter_private()?;
    // A thread is in the namespace of the one that made it. Those of this runtime stay where the servers are ..
    let host = Builder::new_multi_thread().enable_all().thread_name("host").build()?;
    // .. while this one goes on to another, with the threads of the clients.
    unshare(CloneFlags::CLONE_NEWNET)?;
    let clients = Builder::new_multi_thread().worker_threads(1).enable_all().thread_name("client").build()?;
    let stack = start(&host)?;
    say!(
        "The clients, {} and {}, are in a network namespace whose default route is a TUN device. The\n\
         servers, {} and {}, are in another. The one way there is the forwarder, which has\n\
         the device on its one side and sockets on the other.\n",
        CLIENT[0].0,
        CLIENT[1].0,
        SERVERS[0],
        SERVERS[1]
    );
    on(clients.handle(), show(load.downloads, load.bytes))?;
    host.block_on(stack.shutdown());
    Ok(())
}

/// Runs a future on the threads of a runtime. `block_on` alone would run it on this one, in another namespace.
fn on<F, T>(runtime: &Handle, future: F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>> + Send + 'static,
    T: Send + 'static,
{
    runtime.block_on(runtime.spawn(future)).map_err(io::Error::other)?
}

fn start(host: &Runtime) -> io::Result<Stack> {
    on(host.handle(), async {
        let (connection, netlink, _) = rtnetlink::new_connection()?;
        let task = tokio::spawn(connection);
        for ip in SERVERS {
            let len = if ip.is_ipv4() { 32 } else { 128 };
            let mut request = netlink.address().add(LOOPBACK, ip, len);
            // At once, without a search for others that have it: the servers are bound to it next.
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
            request.execute().await.map_err(io::Error::other)?;
        }
        task.abort();
        upstream::start(&SERVERS).await
    })?;
    // The device belongs to the namespace of the thread that opens it: this one.
    let device = host.block_on(async {
        let mut config = TunConfig::new(DEVICE);
        for (ip, len) in CLIENT {
            config = config.host_address(ip, len);
        }
        config = config.route(Ipv4Addr::UNSPECIFIED.into(), 0).route(Ipv6Addr::UNSPECIFIED.into(), 0);
        config.open().await
    })?;
    on(host.handle(), async {
        let mut builder = Stack::builder().any_address(true).device(device);
        for (ip, len) in STACK {
            builder = builder.address(IpPrefix::new(ip, len).map_err(io::Error::other)?);
        }
        let stack = builder.build()?;
        forward::start(&stack, Dial::default())?;
        Ok(stack)
    })
}

/// The index of the loopback interface, which is the first of each namespace.
const LOOPBACK: u32 = 1;

async fn show(downloads: u32, bytes: u64) -> io::Result<()> {
    for ip in SERVERS {
        let Scan { open, refused, silent } = client::scan(ip, PORTS).await?;
        say!(
            "{ip}: of ports {} to {}, open {open:?}, refused {refused}, silent {silent}",
            PORTS.start(),
            PORTS.end()
        );
        check(
            open == upstream::OPEN && silent == 0,
            "only the ports that a server listens on are open, and none is silent",
        )?;
    }
    let lengths: Vec<usize> = (0..100).map(|i| i * 14 + 1).collect();
    for ip in SERVERS {
        let returned = client::echo_datagrams(ip, &lengths).await?;
        say!("{ip}: {returned} of {} datagrams came back from where they were sent", lengths.len());
        check(returned == lengths.len(), "every datagram comes back")?;
    }
    say!("{downloads} downloads of {} bytes at the same time ...", grouped(bytes));
    let started = Instant::now();
    client::download(&SERVERS, downloads, bytes).await?;
    let seconds = started.elapsed().as_secs_f64();
    let rate = f64::from(downloads) * bytes as f64 * 8.0 / 1e9 / seconds;
    say!("{seconds:.2} s, {rate:.2} Gbit/s in all; every SHA-256 is that of what was sent");
    Ok(())
}

fn check(right: bool, what: &str) -> io::Result<()> {
    if right { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, format!("not so: {what}"))) }
}
