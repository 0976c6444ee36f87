//! SYNs in the table that wait for the application's decision.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use netstack_tcp::{FourTuple, Instant, Segment, SynRecord, TimeWait};
use netstack_wire::SeqNum;
use netstack_wire::tcp::TcpFlags;

use super::table::{Entry, Table};
use crate::actor::Shared;
use crate::lane::lock;
use crate::listener::ListenerShared;
use crate::stack::Inner;

/// A SYN that the application has not decided on.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) syn: SynRecord,
    pub(crate) id: u64,
    pub(crate) listener: Arc<ListenerShared>,
    /// The record of the tuple that it reopens; it comes back if nothing becomes of the SYN.
    replaced: Option<TimeWait>,
}

/// What a segment does to a pending SYN of its tuple.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Joins,
    Withdraws,
    Nothing,
}

impl Pending {
    /// What the initial sequence number has to lie above (R6191-1).
    pub(crate) fn iss_above(&self) -> Option<SeqNum> {
        self.replaced.map(|record| record.snd_nxt())
    }

    /// Nothing was sent, so the peer is in SYN-SENT: it repeats its SYN, begins anew, or gives up.
    fn judge(&self, segment: &Segment) -> Verdict {
        let has = |flag| segment.header.flags.contains(flag);
        if has(TcpFlags::RST) {
            // Where SYN-RECEIVED would take it (R5961-2).
            let exact = segment.header.seq == self.syn.irs + 1;
            if exact { Verdict::Withdraws } else { Verdict::Nothing }
        } else if has(TcpFlags::SYN) && !has(TcpFlags::ACK) {
            Verdict::Joins
        } else {
            Verdict::Nothing
        }
    }
}

impl Table {
    /// Enters a SYN that waits for the application, and tells its number; `None` if its tuple is taken. One that reopens
    /// the tuple takes the place of its TIME-WAIT record.
    pub(crate) fn insert_pending(
        &self,
        syn: SynRecord,
        listener: &Arc<ListenerShared>,
        reopens: bool,
    ) -> Option<u64> {
        let id = self.next_stamp();
        let inserted = self.insert_entry(&syn.tuple, reopens, |replaced| {
            Entry::Pending(Box::new(Pending { syn, id, listener: Arc::clone(listener), replaced }))
        });
        inserted.then_some(id)
    }

    /// Takes out the SYN of this number, if it still waits; nothing becomes of it.
    pub(crate) fn take_pending(
        &self,
        inner: &Arc<Inner>,
        tuple: &FourTuple,
        id: u64,
    ) -> Option<Box<Pending>> {
        let (hash, index) = self.locate(tuple);
        let mut shard = lock(self.shard(index));
        let same = |entry: &Entry| matches!(entry, Entry::Pending(pending) if pending.id == id);
        let Entry::Pending(pending) = shard.table.find_entry(hash, same).ok()?.remove().0 else {
            return None;
        };
        match pending.replaced.filter(|record| record.expires_at() > inner.clock.now()) {
            Some(record) => self.add_record(inner, shard, index, record),
            None => drop(shard),
        }
        Some(pending)
    }

    /// Puts a connection in the place of the SYN of this number, if it still waits.
    pub(crate) fn promote(&self, shared: &Arc<Shared>, id: u64) -> Option<Box<Pending>> {
        let (hash, index) = self.locate(&shared.tuple);
        let mut shard = lock(self.shard(index));
        let same = |entry: &Entry| matches!(entry, Entry::Pending(pending) if pending.id == id);
        let entry = shard.table.find_mut(hash, same)?;
        match std::mem::replace(entry, Entry::Actor(Arc::clone(shared))) {
            Entry::Pending(pending) => Some(pending),
            _ => None,
        }
    }

    /// Shows a segment to the pending SYN of its tuple. The SYN itself comes back if the segment takes it back.
    pub(super) fn show_pending(
        &self,
        tuple: &FourTuple,
        at: Instant,
        segment: &Segment,
    ) -> Option<Box<Pending>> {
        let (hash, index) = self.locate(tuple);
        let mut shard = lock(self.shard(index));
        let Some(Entry::Pending(pending)) = shard.find_mut(hash, tuple) else { return None };
        match pending.judge(segment) {
            Verdict::Nothing => None,
            Verdict::Joins => {
                // The newest: of a peer that has begun anew, and of one that has left out an option (R3168-2).
                pending.syn = SynRecord::from_segment(*tuple, segment, at);
                None
            }
            Verdict::Withdraws => match shard.remove(hash, tuple) {
                Some(Entry::Pending(pending)) => Some(pending),
                _ => None,
            },
        }
    }

    fn next_stamp(&self) -> u64 {
        self.stamp.fetch_add(1, Relaxed)
    }
}
