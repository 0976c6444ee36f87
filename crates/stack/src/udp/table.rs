//! Which socket a datagram is for.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

use hashbrown::HashTable;
use netstack_tcp::FourTuple;

use super::endpoint::{Endpoint, unconnected};
use crate::route::unspecified;
use crate::secrets::Secrets;
use crate::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Number of shards, a power of two.
const SHARDS: usize = 16;

/// The sockets with one key: several only where they share an address.
#[derive(Debug)]
struct Entry {
    key: FourTuple,
    endpoints: Vec<Arc<Endpoint>>,
}

/// Sockets and sessions by 4-tuple, the remote end unspecified for a socket without a peer.
pub(super) struct Table {
    shards: [RwLock<HashTable<Entry>>; SHARDS],
    secrets: Secrets,
}

impl Table {
    pub(super) fn new(secrets: Secrets) -> Self {
        Self { shards: std::array::from_fn(|_| RwLock::default()), secrets }
    }

    /// The socket connected to `from`, else one bound to the address `to`, else one bound to any.
    pub(super) fn find(&self, from: SocketAddr, to: SocketAddr) -> Option<Arc<Endpoint>> {
        let exact = FourTuple::new(to, from);
        let local = unconnected(to);
        let any = unconnected(SocketAddr::new(unspecified(to.ip()), to.port()));
        self.get(&exact, from).or_else(|| self.get(&local, from)).or_else(|| self.get(&any, from))
    }

    /// Who has exactly this key, for a datagram from `from`: the socket that came last, or where ports are shared the one that
    /// a hash picks.
    pub(super) fn get(&self, key: &FourTuple, from: SocketAddr) -> Option<Arc<Endpoint>> {
        let (hash, shard) = self.locate(key);
        let shard = self.read(shard);
        let entry = shard.find(hash, |entry| entry.key == *key)?;
        let last = entry.endpoints.last()?;
        if !last.reuse_port || entry.endpoints.len() == 1 {
            return Some(Arc::clone(last));
        }
        let spread = self.secrets.table_hash(&FourTuple::new(key.local(), from)) >> 8;
        entry.endpoints.get((spread % entry.endpoints.len() as u64) as usize).cloned()
    }

    pub(super) fn insert(&self, key: FourTuple, endpoint: &Arc<Endpoint>) {
        let (hash, shard) = self.locate(&key);
        let mut shard = self.write(shard);
        let endpoint = Arc::clone(endpoint);
        match shard.find_mut(hash, |entry| entry.key == key) {
            Some(entry) => entry.endpoints.push(endpoint),
            None => {
                let entry = Entry { key, endpoints: vec![endpoint] };
                shard.insert_unique(hash, entry, |entry| self.secrets.table_hash(&entry.key));
            }
        }
    }

    /// Enters an endpoint unless another has its key, which is returned then.
    pub(super) fn insert_alone(&self, key: FourTuple, endpoint: &Arc<Endpoint>) -> Option<Arc<Endpoint>> {
        let (hash, shard) = self.locate(&key);
        let mut shard = self.write(shard);
        if let Some(entry) = shard.find(hash, |entry| entry.key == key) {
            return entry.endpoints.last().cloned();
        }
        let entry = Entry { key, endpoints: vec![Arc::clone(endpoint)] };
        shard.insert_unique(hash, entry, |entry| self.secrets.table_hash(&entry.key));
        None
    }

    pub(super) fn remove(&self, key: &FourTuple, endpoint: &Arc<Endpoint>) {
        let (hash, shard) = self.locate(key);
        let mut shard = self.write(shard);
        if let Ok(mut entry) = shard.find_entry(hash, |entry| entry.key == *key) {
            let endpoints = &mut entry.get_mut().endpoints;
            endpoints.retain(|other| !Arc::ptr_eq(other, endpoint));
            if endpoints.is_empty() {
                entry.remove();
            }
        }
    }

    /// Entries in all shards.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        (0..SHARDS).map(|shard| self.read(shard).len()).sum()
    }

    fn locate(&self, key: &FourTuple) -> (u64, usize) {
        let hash = self.secrets.table_hash(key);
        // The table inside the shard uses the hash's ends.
        (hash, (hash >> 32) as usize % SHARDS)
    }

    fn read(&self, shard: usize) -> RwLockReadGuard<'_, HashTable<Entry>> {
        self.shards[shard].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, shard: usize) -> RwLockWriteGuard<'_, HashTable<Entry>> {
        self.shards[shard].write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
