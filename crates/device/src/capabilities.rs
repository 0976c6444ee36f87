//! What a device can do.

/// What travels in a frame of a device.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Medium {
    /// Bare IPv4 and IPv6 packets; the version nibble tells which.
    #[default]
    Ip,
    /// Ethernet frames. No device of this crate speaks it yet.
    Ethernet,
}

/// Work on a frame that may be left to the other side of the device.
///
/// In [`Capabilities::tx`]: what the stack may hand over unfinished. In [`Capabilities::rx`]: what may
/// arrive unfinished and is right as it stands.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Offloads {
    /// Transport checksums may be partial ([`Checksum::Partial`](crate::Checksum::Partial)).
    pub checksum: bool,
    /// TCP over IPv4 may come as super-segments. Needs `checksum`.
    pub tso4: bool,
    /// TCP over IPv6 may come as super-segments. Needs `checksum`.
    pub tso6: bool,
    /// A TCP super-segment may carry CWR, kept by its first piece alone (RFC 3168).
    pub tso_ecn: bool,
    /// UDP may come as super-datagrams. Needs `checksum`.
    pub uso: bool,
}

impl Offloads {
    /// Nothing is offloaded: every frame is finished and fits the MTU.
    pub const NONE: Self = Self { checksum: false, tso4: false, tso6: false, tso_ecn: false, uso: false };

    /// Everything is offloaded.
    pub const ALL: Self = Self { checksum: true, tso4: true, tso6: true, tso_ecn: true, uso: true };

    /// Whether frames longer than the MTU may occur.
    pub const fn any_segmentation(self) -> bool {
        self.tso4 || self.tso6 || self.uso
    }

    /// Whether a frame with this metadata is within these offloads.
    pub fn accept(self, meta: crate::Meta) -> bool {
        use crate::{Checksum, GsoKind};
        let checksum = match meta.checksum {
            Checksum::Complete | Checksum::Trusted => true,
            Checksum::Partial { .. } => self.checksum,
        };
        checksum
            && meta.gso.is_none_or(|gso| match gso.kind {
                GsoKind::Tcp4 => self.tso4 && (self.tso_ecn || !gso.ecn),
                GsoKind::Tcp6 => self.tso6 && (self.tso_ecn || !gso.ecn),
                GsoKind::Udp => self.uso,
            })
    }
}

/// What a device can do, as seen by the stack above it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// What a frame holds.
    pub medium: Medium,
    /// IP MTU in bytes: the longest packet on the wire, after segmentation.
    pub mtu: usize,
    /// The longest frame in bytes in either direction: 65,535 with segmentation offload, else the MTU.
    pub max_frame: usize,
    /// What may be sent unfinished.
    pub tx: Offloads,
    /// What may arrive unfinished.
    pub rx: Offloads,
    /// Number of queues, each with a receiving half of its own.
    pub queues: usize,
}

impl Capabilities {
    /// The longest IP packet, hence the longest frame of a device with segmentation offload.
    pub const MAX_FRAME: usize = 65_535;

    /// An IP device with this MTU, one queue and no offloads.
    pub const fn ip(mtu: usize) -> Self {
        Self { medium: Medium::Ip, mtu, max_frame: mtu, tx: Offloads::NONE, rx: Offloads::NONE, queues: 1 }
    }

    /// Sets what may be sent unfinished. Segmentation raises `max_frame` to 65,535.
    #[must_use]
    pub const fn with_tx(mut self, offloads: Offloads) -> Self {
        self.tx = offloads;
        self.with_room_for_super_segments()
    }

    /// Sets what may arrive unfinished. Segmentation raises `max_frame` to 65,535.
    #[must_use]
    pub const fn with_rx(mut self, offloads: Offloads) -> Self {
        self.rx = offloads;
        self.with_room_for_super_segments()
    }

    /// Sets the number of queues.
    #[must_use]
    pub const fn with_queues(mut self, queues: usize) -> Self {
        self.queues = queues;
        self
    }

    const fn with_room_for_super_segments(mut self) -> Self {
        if self.tx.any_segmentation() || self.rx.any_segmentation() {
            self.max_frame = Self::MAX_FRAME;
        }
        self
    }
}
