//! A device in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use netstack_device::{Capabilities, Offloads, TxQueue};

const CHECKSUM: u8 = 1;
const TSO4: u8 = 2;
const TSO6: u8 = 4;
const TSO_ECN: u8 = 8;

/// A device's sending half, with what was last heard of its abilities.
#[derive(Debug)]
pub(crate) struct Interface {
    pub(crate) tx: Arc<dyn TxQueue>,
    pub(crate) mtu: usize,
    /// What may be left to the device, in bits: it shrinks when the device refuses what it once offered.
    offloads: AtomicU8,
}

impl Interface {
    pub(super) fn new(tx: Arc<dyn TxQueue>, capabilities: &Capabilities) -> Self {
        Self { tx, mtu: capabilities.mtu, offloads: AtomicU8::new(bits(capabilities.tx)) }
    }

    /// What may be left to the device.
    pub(crate) fn offloads(&self) -> Offloads {
        let bits = self.offloads.load(Relaxed);
        Offloads {
            checksum: bits & CHECKSUM != 0,
            tso4: bits & TSO4 != 0,
            tso6: bits & TSO6 != 0,
            tso_ecn: bits & TSO_ECN != 0,
            ..Offloads::NONE
        }
    }

    /// Asks the device anew, after it has refused a frame.
    pub(crate) fn refused(&self) {
        // Never more than before, whoever asked later.
        self.offloads.fetch_and(bits(self.tx.capabilities().tx), Relaxed);
    }
}

fn bits(offloads: Offloads) -> u8 {
    let bit = |on: bool, bit| if on { bit } else { 0 };
    bit(offloads.checksum, CHECKSUM)
        | bit(offloads.tso4, TSO4)
        | bit(offloads.tso6, TSO6)
        | bit(offloads.tso_ecn, TSO_ECN)
}
