//! Links, addresses and routes of the namespaces, by netlink.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use futures_util::TryStreamExt;
use netstack_bench_services::MTU;
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::{Handle, LinkUnspec, LinkVeth, RouteMessageBuilder};

/// The prefix of every network: two addresses for two ends.
pub(super) const PREFIX: u8 = 30;

/// Packets that the kernel keeps for a program that reads a TUN device, the same for all.
const QUEUE: u32 = 1000;

/// The networks for documentation (RFC 5737).
const NETWORKS: [[u8; 3]; 3] = [[192, 0, 2], [198, 51, 100], [203, 0, 113]];

/// The next network and names in turn. A network comes again after 191 others: by then the client's TIME-WAITs in it are
/// over, where they are many.
#[derive(Debug, Default)]
pub(super) struct Subnets {
    next: usize,
}

/// A network of two addresses and a name for its link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subnet {
    pub(super) device: String,
    base: Ipv4Addr,
}

impl Subnets {
    pub(super) fn take(&mut self) -> Subnet {
        let number = self.next;
        self.next += 1;
        let [a, b, c] = NETWORKS[number / 64 % NETWORKS.len()];
        // Below 256, as 64 networks of four addresses make one of the three.
        let host = (number % 64 * 4) as u8;
        Subnet { device: format!("bench{number}"), base: Ipv4Addr::new(a, b, c, host) }
    }
}

impl Subnet {
    /// The end at the client.
    pub(super) fn near(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base.to_bits() + 1)
    }

    /// The end at the server.
    pub(super) fn far(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base.to_bits() + 2)
    }
}

/// The other end of a veth pair.
pub(super) fn far_device(near: &str) -> String {
    format!("{near}p")
}

/// The links of the namespace in which it was made.
pub(super) struct Netlink(Handle);

impl Netlink {
    pub(super) fn new() -> io::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        Ok(Self(handle))
    }

    /// Makes a veth pair and gives its far end to the namespace of a process.
    pub(super) async fn veth(&self, near: &str, process: u32) -> io::Result<()> {
        let far = far_device(near);
        self.0.link().add(LinkVeth::new(near, &far).build()).execute().await.map_err(io::Error::other)?;
        let given = LinkUnspec::new_with_name(&far).setns_by_pid(process).build();
        self.0.link().set(given).execute().await.map_err(io::Error::other)
    }

    /// Gives a link its address, its MTU and its queue, and brings it up. `plain`: the kernel makes no super-segments
    /// for it.
    pub(super) async fn configure(&self, name: &str, address: Ipv4Addr, plain: bool) -> io::Result<()> {
        let index = self.index(name).await?;
        let mut link = LinkUnspec::new_with_index(index).mtu(u32::from(MTU)).txqueuelen(QUEUE).up();
        if plain {
            link = link.append_extra_attribute(LinkAttribute::GsoMaxSegs(1));
        }
        self.0.link().set(link.build()).execute().await.map_err(io::Error::other)?;
        self.0.address().add(index, IpAddr::V4(address), PREFIX).execute().await.map_err(io::Error::other)
    }

    /// Sends what is for a network (or, with a prefix of 0, for anywhere else) to a gateway.
    pub(super) async fn route(&self, network: Ipv4Addr, prefix: u8, gateway: Ipv4Addr) -> io::Result<()> {
        let route =
            RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(network, prefix).gateway(gateway);
        self.0.route().add(route.build()).execute().await.map_err(io::Error::other)
    }

    async fn index(&self, name: &str) -> io::Result<u32> {
        let mut found = self.0.link().get().match_name(name.to_owned()).execute();
        let link = found.try_next().await.map_err(io::Error::other)?;
        Ok(link.ok_or_else(|| io::Error::other(format!("no link {name}")))?.header.index)
    }
}

/// Packets that a link of this namespace dropped so far, in both directions: for a TUN device those that its program
/// was too slow to read.
pub(super) fn drops(device: &str) -> io::Result<u64> {
    let devices = procfs::net::dev_status().map_err(io::Error::other)?;
    let status = devices.get(device).ok_or_else(|| io::Error::other(format!("no device {device}")))?;
    Ok(status.recv_drop + status.sent_drop)
}

#[cfg(test)]
mod tests;
