//! A device in use.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use arc_swap::{ArcSwap, Guard};
use netstack_device::{Capabilities, Offloads, TxQueue};

const CHECKSUM: u8 = 1;
const TSO4: u8 = 2;
const TSO6: u8 = 4;
const TSO_ECN: u8 = 8;
const USO: u8 = 16;

/// A device's sending half, with what was last heard of its abilities.
#[derive(Debug)]
pub(crate) struct Interface {
    pub(crate) tx: Arc<dyn TxQueue>,
    mtu: usize,
    /// What may be left to the device, in bits: it shrinks when the device refuses what it once offered.
    offloads: AtomicU8,
}

impl Interface {
    pub(super) fn new(tx: Arc<dyn TxQueue>, capabilities: &Capabilities) -> Self {
        Self { tx, mtu: capabilities.mtu, offloads: AtomicU8::new(bits(capabilities.tx)) }
    }

    /// The longest packet, in octets.
    pub(crate) fn mtu(&self) -> usize {
        self.mtu
    }

    /// What may be left to the device.
    pub(crate) fn offloads(&self) -> Offloads {
        let bits = self.offloads.load(Relaxed);
        Offloads {
            checksum: bits & CHECKSUM != 0,
            tso4: bits & TSO4 != 0,
            tso6: bits & TSO6 != 0,
            tso_ecn: bits & TSO_ECN != 0,
            uso: bits & USO != 0,
        }
    }

    /// Asks the device anew, after it has refused a frame.
    pub(crate) fn refused(&self) {
        // Never more than before, whoever asked later.
        self.offloads.fetch_and(bits(self.tx.capabilities().tx), Relaxed);
    }
}

/// All interfaces of a stack, by their index.
#[derive(Debug)]
pub(crate) struct Interfaces {
    all: ArcSwap<Vec<Arc<Interface>>>,
}

impl Interfaces {
    pub(super) fn new(all: Vec<Interface>) -> Self {
        Self { all: ArcSwap::from_pointee(all.into_iter().map(Arc::new).collect()) }
    }

    /// The interface of this index, as it is now; to be used at once and not kept.
    pub(crate) fn get(&self, index: usize) -> Option<InterfaceRef> {
        let all = self.all.load();
        (index < all.len()).then_some(InterfaceRef { all, index })
    }
}

/// An interface at present, for one use.
pub(crate) struct InterfaceRef {
    all: Guard<Arc<Vec<Arc<Interface>>>>,
    index: usize,
}

impl Deref for InterfaceRef {
    type Target = Arc<Interface>;

    fn deref(&self) -> &Arc<Interface> {
        &self.all[self.index]
    }
}

fn bits(offloads: Offloads) -> u8 {
    let bit = |on: bool, bit| if on { bit } else { 0 };
    bit(offloads.checksum, CHECKSUM)
        | bit(offloads.tso4, TSO4)
        | bit(offloads.tso6, TSO6)
        | bit(offloads.tso_ecn, TSO_ECN)
        | bit(offloads.uso, USO)
}
