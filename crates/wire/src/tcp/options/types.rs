//! The values that options carry.

use core::ops::Deref;

use crate::SeqNum;

/// The timestamps option (RFC 7323 section 3.2).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Timestamps {
    /// The sender's clock (TSval).
    pub val: u32,
    /// The echo of the receiver's clock (TSecr); meaningful only with the ACK flag.
    pub ecr: u32,
}

/// One SACK block, half open: `left` is the first octet held, `right` the first one not held
/// (RFC 2018 section 3).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct SackBlock {
    /// First sequence number of the block.
    pub left: SeqNum,
    /// The sequence number right behind the block.
    pub right: SeqNum,
}

/// Up to four SACK blocks, in place.
#[derive(Copy, Clone, Debug, Default)]
pub struct SackBlocks {
    blocks: [SackBlock; Self::CAPACITY],
    len: u8,
}

impl SackBlocks {
    /// How many blocks the option space holds (three beside timestamps).
    pub const CAPACITY: usize = 4;

    /// Adds a block at the end; `false` when there is no room.
    pub fn push(&mut self, block: SackBlock) -> bool {
        let slot = self.blocks.get_mut(usize::from(self.len));
        let Some(slot) = slot else { return false };
        *slot = block;
        self.len += 1;
        true
    }

    /// Removes all blocks.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

impl Deref for SackBlocks {
    type Target = [SackBlock];

    fn deref(&self) -> &[SackBlock] {
        &self.blocks[..usize::from(self.len)]
    }
}

impl PartialEq for SackBlocks {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for SackBlocks {}

/// The user timeout option (RFC 5482 section 3).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct UserTimeout(u16);

impl UserTimeout {
    const MINUTES: u16 = 0x8000;

    /// A timeout in seconds; above 32,767 s it is expressed in minutes, rounded up, and bounded at 32,767 of
    /// them. `None` for 0, which is never sent.
    pub fn from_secs(secs: u32) -> Option<Self> {
        match u16::try_from(secs) {
            Ok(0) => None,
            Ok(secs) if secs < Self::MINUTES => Some(Self(secs)),
            _ => {
                let minutes = secs.div_ceil(60).min(u32::from(Self::MINUTES) - 1);
                Some(Self(Self::MINUTES | minutes as u16))
            }
        }
    }

    /// The timeout in seconds.
    pub fn as_secs(self) -> u32 {
        let unit = if self.0 & Self::MINUTES != 0 { 60 } else { 1 };
        u32::from(self.value()) * unit
    }

    pub(super) fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    pub(super) fn bits(self) -> u16 {
        self.0
    }

    pub(super) fn value(self) -> u16 {
        self.0 & !Self::MINUTES
    }
}

/// The Fast Open option (RFC 7413 section 4.1.1): a cookie, or with no octets a request for one.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct FastOpenCookie {
    octets: [u8; 16],
    len: u8,
}

impl FastOpenCookie {
    /// The request for a cookie.
    pub const REQUEST: Self = Self { octets: [0; 16], len: 0 };

    /// A cookie of 4 to 16 octets, an even number; or the request, with none. `None` for any other length.
    pub fn new(cookie: &[u8]) -> Option<Self> {
        if !matches!(cookie.len(), 0 | 4 | 6 | 8 | 10 | 12 | 14 | 16) {
            return None;
        }
        let mut octets = [0; 16];
        octets[..cookie.len()].copy_from_slice(cookie);
        Some(Self { octets, len: cookie.len() as u8 })
    }

    /// The cookie; empty for the request.
    pub fn as_slice(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }
}

/// In which order an AccECN option names its counters (RFC 9768 section 3.2.3).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum AccEcnOrder {
    /// Kind 172: ECT(0), CE, ECT(1).
    Zero,
    /// Kind 174: ECT(1), CE, ECT(0).
    One,
}

/// The AccECN option (RFC 9768 section 3.2.3): up to three byte counters of 24 bits.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct AccEcn {
    order: AccEcnOrder,
    counters: [u32; 3],
    len: u8,
}

impl AccEcn {
    /// An option with up to three counters in the order that `order` names; further ones are left out, and each
    /// is cut to 24 bits.
    pub fn new(order: AccEcnOrder, counters: &[u32]) -> Self {
        let mut option = Self { order, counters: [0; 3], len: counters.len().min(3) as u8 };
        for (slot, counter) in option.counters.iter_mut().zip(counters) {
            *slot = counter & 0x00ff_ffff;
        }
        option
    }

    /// Reads whole fields; what is left of an odd length is ignored, so that later forms stay readable.
    pub(super) fn from_wire(order: AccEcnOrder, fields: &[u8]) -> Self {
        let (fields, _) = fields.as_chunks::<3>();
        let fields = &fields[..fields.len().min(3)];
        let mut option = Self { order, counters: [0; 3], len: fields.len() as u8 };
        for (slot, field) in option.counters.iter_mut().zip(fields) {
            *slot = u32::from_be_bytes([0, field[0], field[1], field[2]]);
        }
        option
    }

    /// The order of the counters.
    pub fn order(&self) -> AccEcnOrder {
        self.order
    }

    /// The counters in the order of the wire.
    pub fn counters(&self) -> &[u32] {
        &self.counters[..usize::from(self.len)]
    }

    /// The counter of octets received with ECT(0), if present.
    pub fn ect0(&self) -> Option<u32> {
        self.counters().get(if self.order == AccEcnOrder::Zero { 0 } else { 2 }).copied()
    }

    /// The counter of octets received with CE, if present.
    pub fn ce(&self) -> Option<u32> {
        self.counters().get(1).copied()
    }

    /// The counter of octets received with ECT(1), if present.
    pub fn ect1(&self) -> Option<u32> {
        self.counters().get(if self.order == AccEcnOrder::Zero { 2 } else { 0 }).copied()
    }
}
