//! The listeners of a stack.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use netstack_tcp::{FourTuple, PortAllocator, TcpConfig};

use super::{EVERYWHERE, ListenConfig, ListenerShared, Mode};
use crate::actor::order;
use crate::lane::lock;
use crate::route::{canonical, unspecified};
use crate::secrets::Secrets;
use crate::stack::{Inner, Stack};

type Here = Vec<Arc<ListenerShared>>;

/// The listeners of a stack, by port; those for every port are at port 0.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    pub(super) by_port: RwLock<BTreeMap<u16, Here>>,
}

impl Listeners {
    /// Who listens for a connection: at the exact address before the unspecified one, at the port before every port. Of
    /// those that share it, the tuple picks one.
    pub(crate) fn find(&self, tuple: &FourTuple, secrets: &Secrets) -> Option<Arc<ListenerShared>> {
        let by_port = self.by_port.read().unwrap_or_else(PoisonError::into_inner);
        let local = tuple.local();
        let bound_to = |ip: IpAddr, port: u16| {
            let here = by_port.get(&port)?;
            let mut sharers = here.iter().filter(|listener| listener.local.ip() == ip);
            let first = sharers.clone().next()?;
            if !first.reuse_port {
                return Some(first);
            }
            let count = sharers.clone().count() as u64;
            // Below `count`, which counts listeners in memory.
            sharers.nth((secrets.spread_hash(tuple) % count) as usize)
        };
        bound_to(local.ip(), local.port())
            .or_else(|| bound_to(unspecified(local.ip()), local.port()))
            .or_else(|| bound_to(EVERYWHERE.ip(), EVERYWHERE.port()))
            .cloned()
    }

    /// Whether a listener's port stands in the way of an outgoing connection from `local`. One for every port does not.
    pub(crate) fn occupies(&self, local: SocketAddr) -> bool {
        let by_port = self.by_port.read().unwrap_or_else(PoisonError::into_inner);
        let mut here = by_port.get(&local.port()).into_iter().flatten();
        here.any(|listener| [local.ip(), unspecified(local.ip())].contains(&listener.local.ip()))
    }

    /// Enters a listener; port 0 takes any free port that `ports` yields.
    fn insert(
        &self,
        local: SocketAddr,
        config: &ListenConfig,
        tcp: Arc<TcpConfig>,
        mode: Mode,
        ports: &Mutex<PortAllocator>,
    ) -> io::Result<Arc<ListenerShared>> {
        // Before the listeners' lock, as in `connect`: an allocator asks for listeners while it is locked.
        let allocator = (local.port() == 0 && local != EVERYWHERE).then(|| lock(ports));
        let mut by_port = self.by_port.write().unwrap_or_else(PoisonError::into_inner);
        let in_the_way = |port: u16, share: bool| {
            let mut here = by_port.get(&port).into_iter().flatten();
            here.any(|other| {
                let shares = share && other.reuse_port && other.local.ip() == local.ip();
                overlap(other.local.ip(), local.ip()) && !shares
            })
        };
        let port = if let Some(mut allocator) = allocator {
            let nobody = SocketAddr::new(unspecified(local.ip()), 0);
            let free = allocator.pick(local.ip(), nobody, |port| in_the_way(port, false));
            free.ok_or_else(|| in_use("every ephemeral port has a listener on this address"))?
        } else if in_the_way(local.port(), config.reuse_port) {
            return Err(if local == EVERYWHERE {
                in_use("there is a listener for every address and port already; close it first")
            } else {
                in_use(format!("{local} has a listener already; close it, or bind another address or port"))
            });
        } else {
            local.port()
        };
        let local = SocketAddr::new(local.ip(), port);
        let shared = Arc::new(ListenerShared::new(local, config, tcp, mode));
        by_port.entry(port).or_default().push(Arc::clone(&shared));
        Ok(shared)
    }

    fn remove(&self, listener: &Arc<ListenerShared>) {
        let mut by_port = self.by_port.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = by_port.get_mut(&listener.local.port()) {
            here.retain(|other| !Arc::ptr_eq(other, listener));
            if here.is_empty() {
                by_port.remove(&listener.local.port());
            }
        }
    }

    /// Closes every listener.
    pub(crate) fn close_all(&self, inner: &Arc<Inner>) {
        let all = {
            let mut by_port = self.by_port.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *by_port)
        };
        for listener in all.into_values().flatten() {
            listener.close(inner);
        }
    }
}

fn in_use(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, text.into())
}

/// Whether two listeners of one port would answer for the same address.
fn overlap(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4() && (a == b || a.is_unspecified() || b.is_unspecified())
}

/// A listener's place in the registry; dropping it closes the listener.
pub(super) struct Place {
    pub(super) shared: Arc<ListenerShared>,
    pub(super) inner: Arc<Inner>,
}

impl Place {
    /// Enters a listener on `local`.
    pub(super) fn take(
        stack: &Stack,
        local: SocketAddr,
        config: Option<&ListenConfig>,
        mode: Mode,
    ) -> io::Result<Self> {
        let inner = &stack.inner;
        inner.check_running()?;
        let local = canonical(local);
        if !inner.routes.may_bind(local.ip()) {
            let text =
                format!("{} is not an address of this stack; give it to the builder first", local.ip());
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
        }
        let config = config.unwrap_or(&inner.listen_config);
        let tcp = config.tcp.clone().map_or_else(|| Arc::clone(&inner.config), Arc::new);
        let shared = inner.listeners.insert(local, config, tcp, mode, &inner.ports)?;
        let place = Self { shared, inner: Arc::clone(inner) };
        // A stop since the look above has closed the listeners that it found, and may have missed this one.
        inner.check_running()?;
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.inner.listeners.remove(&self.shared);
        self.shared.close(&self.inner);
        let port = Some(self.shared.local.port()).filter(|&port| port != EVERYWHERE.port());
        for half_open in self.inner.table.connecting_at(port) {
            half_open.order(order::UNLISTEN);
        }
    }
}
