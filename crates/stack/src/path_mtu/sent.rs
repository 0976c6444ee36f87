//! Which datagrams have left that a router may find too big.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use netstack_tcp::FourTuple;

use crate::secrets::Secrets;

/// Datagrams remembered at most, a power of two: a newer one takes the place of an older.
const MOST: usize = 1024;

/// The large datagrams that left last, by their ends and their size: a report is believed only if it quotes one of them
/// (R8201-3, R8899-1), and each once.
///
/// Whoever is not on the path has to guess both ports and the length of a datagram that has just left, and gets the estimate
/// down once for each that he guesses. Sockets without a peer learn so too, as in Linux, which asks for no more than a socket.
pub(crate) struct SentSizes {
    /// A hash of each, 0 for none.
    slots: Box<[AtomicU64; MOST]>,
    secrets: Secrets,
}

impl SentSizes {
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self { slots: Box::new([const { AtomicU64::new(0) }; MOST]), secrets }
    }

    /// A datagram whose UDP header says `len` leaves.
    pub(crate) fn note(&self, tuple: &FourTuple, len: u16) {
        let (slot, name) = self.locate(tuple, len);
        slot.store(name, Relaxed);
    }

    /// Whether such a datagram has left. It is forgotten.
    pub(crate) fn take(&self, tuple: &FourTuple, len: u16) -> bool {
        let (slot, name) = self.locate(tuple, len);
        slot.compare_exchange(name, 0, Relaxed, Relaxed).is_ok()
    }

    fn locate(&self, tuple: &FourTuple, len: u16) -> (&AtomicU64, u64) {
        // One to one for each length, so that no two lengths of a tuple have the same name.
        let name = (self.secrets.table_hash(tuple) ^ u64::from(len)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (&self.slots[(name >> 32) as usize % MOST], name)
    }
}

impl std::fmt::Debug for SentSizes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SentSizes").finish_non_exhaustive()
    }
}
