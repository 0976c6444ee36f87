//! The pieces of one datagram, and what they say about each other.

use std::collections::BTreeMap;

use netstack_wire::Ecn;
use netstack_wire::ip::Fragment;

/// What a piece costs beside its octets: its place in the tree, and what the allocator adds.
const PIECE: usize = 64;

/// What became of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// It is held, at this cost.
    Held(usize),
    /// The same octets are there already.
    Duplicate,
    /// It overlaps what is there, or contradicts it about where the datagram ends.
    Conflict,
}

/// Pieces that neither overlap nor contradict each other.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// By offset. Never empty ones.
    octets: BTreeMap<u16, Box<[u8]>>,
    received: usize,
    /// Where the datagram ends, once its last piece is there.
    end: Option<usize>,
    /// Everything in front of the data of the first fragment.
    header: Option<Box<[u8]>>,
    /// A bit for each ECN codepoint seen.
    ecn: u8,
}

impl Pieces {
    /// Places a piece with its `data`; `header` is what lies in front of it, kept of the first.
    pub(super) fn place(&mut self, at: Fragment, ecn: Ecn, header: &[u8], data: &[u8]) -> Placed {
        let (start, end) = (usize::from(at.offset), usize::from(at.offset) + data.len());
        let before = self.octets.range(..=at.offset).next_back();
        if let Some((&offset, held)) = before {
            let same_place = offset == at.offset && held.len() == data.len();
            if same_place && **held == *data && at.more == (self.end != Some(end)) {
                return Placed::Duplicate;
            }
            if usize::from(offset) + held.len() > start {
                return Placed::Conflict;
            }
        }
        if data.is_empty() && self.end == Some(end) {
            return Placed::Duplicate;
        }
        let after = self.octets.range(at.offset..).next();
        let last = self.octets.last_key_value().map_or(0, |(&offset, held)| usize::from(offset) + held.len());
        let past_end = match self.end {
            Some(known) => end > known || !at.more,
            None => !at.more && last > end,
        };
        if past_end || after.is_some_and(|(&offset, _)| usize::from(offset) < end) {
            return Placed::Conflict;
        }
        let mut cost = 0;
        if start == 0 && self.header.is_none() {
            cost += header.len();
            self.header = Some(header.into());
        }
        if !at.more {
            self.end = Some(end);
        }
        if !data.is_empty() {
            cost += PIECE + data.len();
            self.received += data.len();
            self.octets.insert(at.offset, data.into());
        }
        self.ecn |= 1 << ecn.bits();
        Placed::Held(cost)
    }

    /// Whether nothing is missing. As pieces do not overlap, their octets need but be counted.
    pub(super) fn is_whole(&self) -> bool {
        self.header.is_some() && self.end == Some(self.received)
    }

    /// The ECN field of the whole (R3168-11); `None` where marked and unmarkable pieces are mixed.
    pub(super) fn ecn(&self, first: Ecn) -> Option<Ecn> {
        let seen = |ecn: Ecn| self.ecn & (1 << ecn.bits()) != 0;
        match (seen(Ecn::Ce), seen(Ecn::NotEct)) {
            (true, true) => None,
            (true, false) => Some(Ecn::Ce),
            (false, true) => Some(Ecn::NotEct),
            (false, false) => Some(first),
        }
    }

    /// The header of the first fragment.
    pub(super) fn header(&self) -> Option<&[u8]> {
        self.header.as_deref()
    }

    /// Octets of data held.
    pub(super) fn received(&self) -> usize {
        self.received
    }

    /// Appends the data in order.
    pub(super) fn gather(&self, out: &mut Vec<u8>) {
        for octets in self.octets.values() {
            out.extend_from_slice(octets);
        }
    }

    /// The first fragment as it was received, cut to `most` octets.
    pub(super) fn first_fragment(&self, most: usize) -> Option<Vec<u8>> {
        let mut first = self.header.as_deref()?.to_vec();
        if let Some(data) = self.octets.get(&0) {
            first.extend_from_slice(&data[..data.len().min(most)]);
        }
        first.truncate(most);
        Some(first)
    }
}
