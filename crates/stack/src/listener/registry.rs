//! The listeners of a stack.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError};

use netstack_tcp::{FourTuple, PortAllocator, TcpConfig};

use super::{EVERYWHERE, ListenConfig, ListenerShared, Mode};
use crate::actor::order;
use crate::lane::lock;
use crate::route::{canonical, overlap, unspecified};
use crate::secrets::Secrets;
use crate::stack::{Inner, Stack};
use crate::sync::{Mutex, RwLock};

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
            let listens =
                |listener: &&Arc<ListenerShared>| listener.local.ip() == ip && listener.mode != Mode::Bound;
            let mut sharers = here.iter().filter(listens);
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

    /// Whether a listener, or a bound socket, stands in the way of an outgoing connection from `local`. A listener for every
    /// port does not.
    pub(crate) fn occupies(&self, local: SocketAddr) -> bool {
        let by_port = self.by_port.read().unwrap_or_else(PoisonError::into_inner);
        let mut here = by_port.get(&local.port()).into_iter().flatten();
        here.any(|listener| [local.ip(), unspecified(local.ip())].contains(&listener.local.ip()))
    }

    /// Enters a listener, in the place of `own` if the socket has that. Port 0 takes any free port that `ports` yields; no
    /// address stands for every address and port.
    fn insert(
        &self,
        local: Option<SocketAddr>,
        (config, tcp, mode): (&ListenConfig, Arc<TcpConfig>, Mode),
        own: Option<&Arc<ListenerShared>>,
        ports: &Mutex<PortAllocator>,
    ) -> io::Result<Arc<ListenerShared>> {
        // Before the listeners' lock, as in `connect`: an allocator asks for listeners while it is locked.
        let allocator = local.is_some_and(|local| local.port() == 0).then(|| lock(ports));
        let local = local.unwrap_or(EVERYWHERE);
        let mut by_port = self.by_port.write().unwrap_or_else(PoisonError::into_inner);
        let in_the_way = |port: u16, may_share: bool| {
            let mut here = by_port.get(&port).into_iter().flatten();
            here.any(|other| {
                let port_shared = config.reuse_port && other.reuse_port && other.local.ip() == local.ip();
                let address_shared = config.reuse_address && other.reuse_address && other.mode == Mode::Bound;
                let stays = own.is_none_or(|own| !Arc::ptr_eq(own, other));
                overlap(other.local.ip(), local.ip())
                    && stays
                    && !(may_share && (port_shared || address_shared))
            })
        };
        let port = if let Some(mut allocator) = allocator {
            let nobody = SocketAddr::new(unspecified(local.ip()), 0);
            let free = allocator.pick(local.ip(), nobody, |port| in_the_way(port, false));
            free.ok_or_else(|| in_use("every ephemeral port has a listener on this address"))?
        } else if in_the_way(local.port(), true) {
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
        let here = by_port.entry(port).or_default();
        here.retain(|other| own.is_none_or(|own| !Arc::ptr_eq(own, other)));
        here.push(Arc::clone(&shared));
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

/// A listener's place in the registry; dropping it closes the listener.
pub(super) struct Place {
    pub(super) shared: Arc<ListenerShared>,
    pub(super) inner: Arc<Inner>,
}

impl Place {
    /// Enters a listener on `local`, or on every address and port.
    pub(super) fn take(
        stack: &Stack,
        local: Option<SocketAddr>,
        config: Option<&ListenConfig>,
        mode: Mode,
    ) -> io::Result<Self> {
        let inner = &stack.inner;
        inner.check_running()?;
        let local = local.map(canonical);
        if let Some(ip) = local.map(|local| local.ip())
            && !inner.routes.may_bind(ip)
        {
            let text = format!("{ip} is not an address of this stack; give it to the builder first");
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
        }
        Self::enter(inner, local, config.unwrap_or(&inner.listen_config), mode, None)
    }

    /// Enters a listener whose stack was running and has the address, if the stack runs still.
    pub(super) fn enter(
        inner: &Arc<Inner>,
        local: Option<SocketAddr>,
        config: &ListenConfig,
        mode: Mode,
        own: Option<&Arc<ListenerShared>>,
    ) -> io::Result<Self> {
        let tcp = config.tcp.clone().map_or_else(|| Arc::clone(&inner.config), Arc::new);
        let shared = inner.listeners.insert(local, (config, tcp, mode), own, &inner.ports)?;
        if config.fastopen > 0 {
            shared.set_fast_open(inner.secrets.fast_open, config.fastopen);
        }
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
        if self.shared.mode == Mode::Bound {
            return;
        }
        let port = Some(self.shared.local.port()).filter(|&port| port != EVERYWHERE.port());
        for half_open in self.inner.table.connecting_at(port) {
            half_open.order(order::UNLISTEN);
        }
    }
}

/// An address and port that a socket holds before it connects or listens.
pub(crate) struct Reservation(Place);

impl Reservation {
    pub(crate) fn take(stack: &Stack, local: SocketAddr, config: &ListenConfig) -> io::Result<Self> {
        Ok(Self(Place::take(stack, Some(local), Some(config), Mode::Bound)?))
    }

    /// What was taken.
    pub(crate) fn local(&self) -> SocketAddr {
        self.0.shared.local
    }

    /// Puts a listener in its place.
    pub(super) fn listen(&self, config: &ListenConfig) -> io::Result<Place> {
        let Place { shared, inner } = &self.0;
        inner.check_running()?;
        Place::enter(inner, Some(shared.local), config, Mode::Prompt, Some(shared))
    }
}
