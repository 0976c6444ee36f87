//! The sharded table of connections.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;
use netstack_tcp::{FourTuple, Instant, Segment, State, TimeWait, TimeWaitAction};
use netstack_wire::SeqNum;
use netstack_wire::tcp::TcpHeader;
use tokio::time::sleep_until;

use super::pending::Pending;
use super::time_wait::Records;
use crate::actor::Shared;
use crate::lane::lock;
use crate::observe::Watch;
use crate::secrets::Secrets;
use crate::stack::{ConnectionEntry, Inner};
use crate::sync::{Mutex, MutexGuard};

/// Number of shards, a power of two.
const SHARDS: usize = 64;

/// Who answers for a 4-tuple. The key is inside what the entry points to.
#[derive(Debug)]
pub(super) enum Entry {
    /// A connection.
    Actor(Arc<Shared>),
    /// A SYN that the application has not decided on.
    Pending(Box<Pending>),
    /// A connection in TIME-WAIT: its place among the shard's records.
    TimeWait(u32),
}

const _: () = assert!(size_of::<Entry>() <= 16, "a table entry is two words");

#[derive(Debug, Default)]
pub(super) struct Shard {
    pub(super) table: HashTable<Entry>,
    records: Records,
    /// Whether a task drives the expiry of `records`.
    driven: bool,
    /// Wakes that task, which sleeps until what was the next expiry.
    driver: Option<Waker>,
}

impl Shard {
    fn key(entry: &Entry, records: &Records) -> FourTuple {
        match entry {
            Entry::Actor(shared) => shared.tuple,
            Entry::Pending(pending) => pending.syn.tuple,
            Entry::TimeWait(slot) => records.tuple(*slot),
        }
    }

    fn find(&self, hash: u64, tuple: &FourTuple) -> Option<&Entry> {
        self.table.find(hash, |entry| Self::key(entry, &self.records) == *tuple)
    }

    pub(super) fn find_mut(&mut self, hash: u64, tuple: &FourTuple) -> Option<&mut Entry> {
        let records = &self.records;
        self.table.find_mut(hash, |entry| Self::key(entry, records) == *tuple)
    }

    /// The place of `tuple`, occupied or vacant.
    fn place(&mut self, secrets: &Secrets, hash: u64, tuple: &FourTuple) -> Slot<'_, Entry> {
        let records = &self.records;
        self.table.entry(
            hash,
            |entry| Self::key(entry, records) == *tuple,
            |entry| secrets.table_hash(&Self::key(entry, records)),
        )
    }

    pub(super) fn remove(&mut self, hash: u64, tuple: &FourTuple) -> Option<Entry> {
        let records = &self.records;
        let found = self.table.find_entry(hash, |entry| Self::key(entry, records) == *tuple);
        found.ok().map(|occupied| occupied.remove().0)
    }
}

/// Where a segment goes.
#[derive(Debug)]
pub(crate) enum Routed {
    /// To this connection's mailbox.
    Actor(Arc<Shared>),
    /// Nowhere: TIME-WAIT answers with this.
    Reply(TcpHeader),
    /// Nowhere: the tuple is known, and has nothing to say.
    Ignored,
    /// Nowhere: the application has not decided on the SYN of this tuple.
    Undecided,
    /// To the listener: no connection has this tuple. With a number, TIME-WAIT has it, gives way to a connection that
    /// reopens it, and the initial sequence number has to lie above the one given.
    Nobody(Option<SeqNum>),
}

/// All connections of a stack.
pub(crate) struct Table {
    shards: [Mutex<Shard>; SHARDS],
    secrets: Secrets,
    /// TIME-WAIT records in all shards.
    records: AtomicUsize,
    max_records: usize,
    watch: Watch,
    /// Order in which records and pending SYNs came.
    pub(super) stamp: AtomicU64,
}

impl Table {
    pub(crate) fn new(secrets: Secrets, max_records: usize, watch: Watch) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            secrets,
            records: AtomicUsize::new(0),
            max_records: max_records.max(1),
            watch,
            stamp: AtomicU64::new(0),
        }
    }

    pub(super) fn locate(&self, tuple: &FourTuple) -> (u64, usize) {
        let hash = self.secrets.table_hash(tuple);
        // The table inside the shard uses the hash's ends; the shard is picked by bits between them.
        (hash, (hash >> 32) as usize % SHARDS)
    }

    pub(super) fn shard(&self, index: usize) -> &Mutex<Shard> {
        &self.shards[index]
    }

    /// Finds who answers for a segment; TIME-WAIT answers on the spot.
    pub(crate) fn route(&self, tuple: &FourTuple, at: Instant, segment: &Segment) -> Routed {
        let (hash, index) = self.locate(tuple);
        let mut shard = lock(&self.shards[index]);
        let slot = match shard.find(hash, tuple) {
            None => return Routed::Nobody(None),
            Some(Entry::Actor(shared)) => return Routed::Actor(Arc::clone(shared)),
            Some(Entry::Pending(_)) => {
                drop(shard);
                if let Some(withdrawn) = self.show_pending(tuple, at, segment) {
                    withdrawn.ended();
                }
                return Routed::Undecided;
            }
            Some(Entry::TimeWait(slot)) => *slot,
        };
        let action = shard.records.handle_segment(slot, at, segment);
        self.watch.rests(tuple, || shard.records.get(slot).map(|record| record.expires_at()));
        match action {
            TimeWaitAction::Reply(header) => Routed::Reply(header),
            TimeWaitAction::Ignore => Routed::Ignored,
            // The record stands until a connection takes its place: nobody may want the SYN.
            TimeWaitAction::Reopen { iss_above } => Routed::Nobody(Some(iss_above)),
        }
    }

    /// The connection of this tuple, if there is one.
    pub(crate) fn actor(&self, tuple: &FourTuple) -> Option<Arc<Shared>> {
        let (hash, index) = self.locate(tuple);
        match lock(&self.shards[index]).find(hash, tuple) {
            Some(Entry::Actor(shared)) => Some(Arc::clone(shared)),
            _ => None,
        }
    }

    /// Whether the tuple is taken, by a connection or by TIME-WAIT.
    pub(crate) fn contains(&self, tuple: &FourTuple) -> bool {
        let (hash, index) = self.locate(tuple);
        lock(&self.shards[index]).find(hash, tuple).is_some()
    }

    /// Enters a connection; false if its tuple is taken. One that reopens the tuple replaces its TIME-WAIT record.
    #[must_use]
    pub(crate) fn insert(&self, shared: &Arc<Shared>, reopens: bool) -> bool {
        self.insert_entry(&shared.tuple, reopens, |_| Entry::Actor(Arc::clone(shared)))
    }

    /// Enters what `entry` makes of the TIME-WAIT record that it replaces.
    pub(super) fn insert_entry(
        &self,
        tuple: &FourTuple,
        reopens: bool,
        entry: impl FnOnce(Option<TimeWait>) -> Entry,
    ) -> bool {
        let (hash, index) = self.locate(tuple);
        let mut shard = lock(&self.shards[index]);
        let mut replaced = None;
        if reopens && let Some(&Entry::TimeWait(slot)) = shard.find(hash, tuple) {
            replaced = shard.records.get(slot);
            self.remove_record(&mut shard, slot, tuple);
        }
        match shard.place(&self.secrets, hash, tuple) {
            Slot::Occupied(_) => false,
            Slot::Vacant(vacant) => {
                vacant.insert(entry(replaced));
                true
            }
        }
    }

    /// Removes a TIME-WAIT record and its entry.
    fn remove_record(&self, shard: &mut Shard, slot: u32, tuple: &FourTuple) {
        shard.remove(self.secrets.table_hash(tuple), tuple);
        shard.records.remove(slot);
        self.records.fetch_sub(1, Relaxed);
        self.watch.ended(tuple);
    }

    /// Takes a connection out when its actor ends.
    pub(crate) fn remove(&self, shared: &Arc<Shared>) {
        let (hash, index) = self.locate(&shared.tuple);
        let mut shard = lock(&self.shards[index]);
        let same = |entry: &Entry| matches!(entry, Entry::Actor(other) if Arc::ptr_eq(other, shared));
        let removed = shard.table.find_entry(hash, same).ok().map(|occupied| occupied.remove().0);
        drop(shard);
        // The last reference may be this one; it is dropped outside the lock.
        drop(removed);
    }

    /// Swaps a connection for its TIME-WAIT record.
    pub(crate) fn enter_time_wait(&self, shared: &Arc<Shared>, record: TimeWait) {
        shared.inner.counters.time_wait_entered.bump();
        let (hash, index) = self.locate(&shared.tuple);
        let mut shard = lock(&self.shards[index]);
        let before = shard.remove(hash, &shared.tuple);
        self.add_record(&shared.inner, shard, index, record);
        // The last reference may be this one; it is dropped outside the lock.
        drop(before);
    }

    /// Enters a record for a tuple that has no entry, and lets the lock go.
    pub(super) fn add_record(
        &self,
        inner: &Arc<Inner>,
        mut shard: MutexGuard<'_, Shard>,
        index: usize,
        record: TimeWait,
    ) {
        let full = self.records.fetch_add(1, Relaxed) >= self.max_records;
        let (tuple, expires_at) = (record.tuple(), record.expires_at());
        self.watch.rests(&tuple, || Some(expires_at));
        let slot = shard.records.insert(record, self.stamp.fetch_add(1, Relaxed));
        // It may be the first to expire, where connections differ in the length of their TIME-WAIT.
        let first = shard.records.next_expiry() == Some(expires_at);
        let driver = if first { shard.driver.take() } else { None };
        match shard.place(&self.secrets, self.secrets.table_hash(&tuple), &tuple) {
            Slot::Occupied(_) => unreachable!("the caller has removed the tuple's entry under this lock"),
            Slot::Vacant(vacant) => vacant.insert(Entry::TimeWait(slot)),
        };
        let drive = !std::mem::replace(&mut shard.driven, true);
        drop(shard);
        if drive {
            inner.handle.spawn(expire(Arc::downgrade(inner), index));
        } else if let Some(driver) = driver {
            driver.wake();
        }
        if full {
            self.evict_oldest();
            inner.counters.time_wait_evicted.bump();
        }
    }

    /// Removes the record that came first, over all shards.
    fn evict_oldest(&self) {
        let oldest = (0..SHARDS)
            .filter_map(|index| lock(&self.shards[index]).records.oldest().map(|stamp| (stamp, index)))
            .min();
        let Some((_, index)) = oldest else { return };
        let mut shard = lock(&self.shards[index]);
        if let Some((slot, tuple)) = shard.records.front() {
            self.remove_record(&mut shard, slot, &tuple);
        }
    }

    /// Removes expired records of a shard. Tells when the next one expires; with none left, nobody drives the shard.
    fn expire(&self, index: usize, now: Instant) -> Option<Instant> {
        let mut shard = lock(&self.shards[index]);
        loop {
            let Some(next) = shard.records.next_expiry() else {
                shard.driven = false;
                return None;
            };
            if next > now {
                return Some(next);
            }
            if let Some((slot, tuple)) = shard.records.front() {
                self.remove_record(&mut shard, slot, &tuple);
            }
        }
    }

    /// Ready when a record of a shard expires before `next`; otherwise the task that drives the shard will be woken when
    /// one comes.
    fn poll_earlier(&self, index: usize, next: Instant, waker: &Waker) -> Poll<()> {
        let mut shard = lock(&self.shards[index]);
        if shard.records.next_expiry().is_none_or(|expiry| expiry < next) {
            return Poll::Ready(());
        }
        match &mut shard.driver {
            Some(driver) => driver.clone_from(waker),
            slot => *slot = Some(waker.clone()),
        }
        Poll::Pending
    }

    /// TIME-WAIT records held.
    pub(crate) fn time_wait_count(&self) -> usize {
        self.records.load(Relaxed)
    }

    /// Ends TIME-WAIT before its time. False if the tuple is not in it.
    pub(crate) fn forget_time_wait(&self, tuple: &FourTuple) -> bool {
        let (hash, index) = self.locate(tuple);
        let mut shard = lock(&self.shards[index]);
        let Some(&Entry::TimeWait(slot)) = shard.find(hash, tuple) else { return false };
        self.remove_record(&mut shard, slot, tuple);
        true
    }

    /// All connections with their states, in the order of their tuples.
    pub(crate) fn list(&self) -> Vec<ConnectionEntry> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            all.extend(shard.table.iter().filter_map(|entry| match entry {
                Entry::Actor(shared) => {
                    Some(ConnectionEntry::new(shared.tuple, shared.state(), Arc::downgrade(shared)))
                }
                Entry::TimeWait(slot) => {
                    Some(ConnectionEntry::new(shard.records.tuple(*slot), State::TimeWait, Weak::new()))
                }
                Entry::Pending(_) => None,
            }));
        }
        all.sort_by_key(ConnectionEntry::tuple);
        all
    }

    /// All connections, in the order of their tuples: the same on each run.
    pub(crate) fn actors(&self) -> Vec<Arc<Shared>> {
        self.actors_where(|_| true)
    }

    /// Connections from a local port, or from any, whose handshake is under way, in the order of their tuples.
    pub(crate) fn connecting_at(&self, port: Option<u16>) -> Vec<Arc<Shared>> {
        let here = |shared: &Shared| port.is_none_or(|port| shared.local().port() == port);
        self.actors_where(|shared| here(shared) && shared.send.is_connecting())
    }

    /// Connections that hold data out of order.
    pub(crate) fn actors_with_gap(&self) -> Vec<Arc<Shared>> {
        self.actors_where(Shared::has_gap)
    }

    /// Connections of a kind, in the order of their tuples.
    pub(crate) fn actors_where(&self, wanted: impl Fn(&Shared) -> bool) -> Vec<Arc<Shared>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(lock(shard).table.iter().filter_map(|entry| match entry {
                Entry::Actor(shared) if wanted(shared) => Some(Arc::clone(shared)),
                _ => None,
            }));
        }
        all.sort_by_key(|shared| shared.tuple);
        all
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("time_wait", &self.time_wait_count()).finish_non_exhaustive()
    }
}

/// Drives the expiry of one shard's records, as long as it has any.
async fn expire(inner: Weak<Inner>, index: usize) {
    loop {
        let (next, at) = {
            let Some(inner) = inner.upgrade() else { return };
            let Some(next) = inner.table.expire(index, inner.clock.now()) else { return };
            let Some(at) = inner.clock.tokio(next) else { return };
            (next, at)
        };
        let mut sleep = pin!(sleep_until(at));
        poll_fn(|cx| match (sleep.as_mut().poll(cx), inner.upgrade()) {
            (Poll::Pending, Some(inner)) => inner.table.poll_earlier(index, next, cx.waker()),
            _ => Poll::Ready(()),
        })
        .await;
    }
}
