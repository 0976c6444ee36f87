//! Counters: whatever is lost is seen here.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{Checksum, Meta};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a device did so far, in both directions and over all its queues.
        #[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct DeviceCounters { $($(#[$doc])* pub $name: u64,)* }

        /// The live counters, shared by the halves of a device.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: AtomicU64,)* }

        impl Counters {
            pub(crate) fn snapshot(&self) -> DeviceCounters {
                DeviceCounters { $($name: self.$name.load(Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Frames received.
    rx_frames,
    /// Bytes received.
    rx_bytes,
    /// Super-segments received.
    rx_gso,
    /// Frames received with a partial checksum.
    rx_partial,
    /// Frames received with a checksum that the device had verified.
    rx_trusted,
    /// Frames that arrived and were thrown away: empty, or longer than the device takes.
    rx_dropped,
    /// Errors on receiving that passed.
    rx_errors,
    /// Frames sent.
    tx_frames,
    /// Bytes sent.
    tx_bytes,
    /// Super-segments sent.
    tx_gso,
    /// Frames sent with a partial checksum.
    tx_partial,
    /// Frames taken and then lost.
    tx_lost,
    /// Sends refused because no slot was free or others waited ahead.
    tx_full,
    /// Sends refused because the frame was not finished.
    tx_offload_refused,
    /// Frames that a capture did not record.
    capture_lost,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Relaxed);
    }

    pub(crate) fn received(&self, len: usize, meta: Meta) {
        Self::add(&self.rx_frames, 1);
        Self::add(&self.rx_bytes, len);
        if meta.gso.is_some() {
            Self::add(&self.rx_gso, 1);
        }
        match meta.checksum {
            Checksum::Complete => {}
            Checksum::Trusted => Self::add(&self.rx_trusted, 1),
            Checksum::Partial { .. } => Self::add(&self.rx_partial, 1),
        }
    }

    pub(crate) fn sent(&self, len: usize, meta: Meta) {
        Self::add(&self.tx_frames, 1);
        Self::add(&self.tx_bytes, len);
        if meta.gso.is_some() {
            Self::add(&self.tx_gso, 1);
        }
        if matches!(meta.checksum, Checksum::Partial { .. }) {
            Self::add(&self.tx_partial, 1);
        }
    }
}
