//! Links, addresses and routes, by netlink.

use std::future::poll_fn;
use std::io;
use std::pin::pin;

use futures_core::Stream;
use rtnetlink::packet_core::Nla;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoTun, LinkAttribute, LinkInfo, LinkMessage};
use rtnetlink::packet_route::route::RouteScope;
use rtnetlink::{Error, Handle, LinkUnspec, RouteMessageBuilder};
use tokio::task::JoinHandle;

use super::config::Prefix;

// linux/if_link.h.
const IFLA_TUN_TYPE: u16 = 3;
const IFLA_TUN_MULTI_QUEUE: u16 = 7;
const IFLA_TUN_NUM_QUEUES: u16 = 8;
/// IFF_TUN as IFLA_TUN_TYPE says it.
const TYPE_TUN: u8 = 1;

/// What a link is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tun {
        multi_queue: bool,
        /// Queues that programs have attached; known of multi-queue devices only.
        queues: u32,
    },
    Tap,
    Other(String),
}

/// A netlink socket of the namespace of the thread that made it.
pub(crate) struct Netlink {
    handle: Handle,
    task: JoinHandle<()>,
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Netlink {
    pub(crate) fn new() -> io::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        Ok(Self { handle, task: tokio::spawn(connection) })
    }

    /// What the link of this name is; `None` if there is none.
    pub(crate) async fn find(&self, name: &str) -> io::Result<Option<Kind>> {
        let mut links = pin!(self.handle.link().get().match_name(name).execute());
        match poll_fn(|cx| links.as_mut().poll_next(cx)).await {
            None => Ok(None),
            Some(Ok(link)) => Ok(Some(kind_of(&link))),
            Some(Err(e)) => match into_io(e) {
                e if e.raw_os_error() == Some(nix::libc::ENODEV) => Ok(None),
                e => Err(e),
            },
        }
    }

    /// Brings the link of this name up.
    pub(crate) async fn set_up(&self, name: &str) -> io::Result<()> {
        self.set(LinkUnspec::new_with_name(name).up().build()).await
    }

    pub(super) async fn configure(&self, index: u32, mtu: u32, queue_len: u32) -> io::Result<()> {
        self.set(LinkUnspec::new_with_index(index).mtu(mtu).txqueuelen(queue_len).up().build()).await
    }

    async fn set(&self, link: LinkMessage) -> io::Result<()> {
        self.handle.link().set(link).execute().await.map_err(into_io)
    }

    pub(super) async fn add_address(&self, index: u32, (address, prefix_len): Prefix) -> io::Result<()> {
        self.handle.address().add(index, address, prefix_len).execute().await.map_err(into_io)
    }

    pub(super) async fn add_route(&self, index: u32, (network, prefix_len): Prefix) -> io::Result<()> {
        let route = RouteMessageBuilder::<std::net::IpAddr>::new()
            .destination_prefix(network, prefix_len)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?
            .output_interface(index)
            .scope(if network.is_ipv4() { RouteScope::Link } else { RouteScope::Universe })
            .build();
        self.handle.route().add(route).execute().await.map_err(into_io)
    }
}

fn kind_of(link: &LinkMessage) -> Kind {
    let infos = link.attributes.iter().find_map(|a| match a {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    let Some(infos) = infos else {
        return Kind::Other("a device of hardware or of the kernel's own".to_owned());
    };
    let mut kind = Kind::Other("a device of unknown kind".to_owned());
    for info in infos {
        match info {
            LinkInfo::Kind(InfoKind::Tun) => kind = Kind::Tun { multi_queue: false, queues: 0 },
            LinkInfo::Kind(other) => kind = Kind::Other(format!("a device of kind {other}")),
            LinkInfo::Data(InfoData::Tun(attributes)) => {
                if attribute(attributes, IFLA_TUN_TYPE).is_some_and(|[t]| t != TYPE_TUN) {
                    return Kind::Tap;
                }
                let multi_queue = attribute(attributes, IFLA_TUN_MULTI_QUEUE).is_some_and(|[m]| m != 0);
                let queues = attribute(attributes, IFLA_TUN_NUM_QUEUES).map_or(0, u32::from_ne_bytes);
                kind = Kind::Tun { multi_queue, queues };
            }
            _ => {}
        }
    }
    kind
}

/// The value of an attribute that is `N` bytes long.
fn attribute<const N: usize>(attributes: &[InfoTun], kind: u16) -> Option<[u8; N]> {
    let nla = attributes.iter().find(|nla| nla.kind() == kind && nla.value_len() == N)?;
    let mut value = [0; N];
    nla.emit_value(&mut value);
    Some(value)
}

fn into_io(error: Error) -> io::Error {
    match error {
        Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    }
}
