//! One transmission in the scoreboard: up to 64 segments that left together.

use core::ops::Range;

use crate::send::rate::SentState;
use crate::time::Instant;

/// The most segments of a run: the bits of a map.
pub(super) const RUN_SEGMENTS: u32 = 64;

/// Segments of one transmission, in sequence, each a bit of the maps. All but the first and the last hold `mss` octets.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// Position of the first octet.
    pub(super) start: u64,
    /// One above the last, the FIN counted.
    pub(super) end: u64,
    pub(super) sent_at: Instant,
    pub(super) sent: SentState,
    /// Selectively acknowledged; such a segment is neither lost nor resent.
    pub(super) sacked: u64,
    /// Judged lost, and not delivered since.
    pub(super) lost: u64,
    /// Sent again, with that copy in flight.
    pub(super) resent: u64,
    /// Ever sent again (Karn).
    pub(super) ever: u64,
    mss: u16,
    /// Octets of text in the first segment.
    head: u16,
    count: u8,
    pub(super) fin: bool,
}

impl Run {
    pub(super) fn new(start: u64, len: u32, fin: bool, mss: u16, sent_at: Instant, sent: SentState) -> Self {
        debug_assert!(len.div_ceil(u32::from(mss)) <= RUN_SEGMENTS, "a bit for each segment");
        Self {
            start,
            end: start + u64::from(len) + u64::from(fin),
            sent_at,
            sent,
            sacked: 0,
            lost: 0,
            resent: 0,
            ever: 0,
            mss,
            // At most `mss`.
            head: len.min(u32::from(mss)) as u16,
            count: len.div_ceil(u32::from(mss)).max(1) as u8,
            fin,
        }
    }

    pub(super) fn mss(&self) -> u32 {
        u32::from(self.mss)
    }

    /// Whether the first segment is shorter than those behind it.
    pub(super) fn has_short_head(&self) -> bool {
        self.head < self.mss
    }

    /// How many segments.
    pub(super) fn count(&self) -> u32 {
        u32::from(self.count)
    }

    /// The bits of all segments.
    pub(super) fn all(&self) -> u64 {
        u64::MAX >> (RUN_SEGMENTS - self.count())
    }

    /// The segment that holds `at`.
    pub(super) fn index(&self, at: u64) -> u32 {
        let offset = at - self.start;
        if offset < u64::from(self.head) {
            return 0;
        }
        let behind = (offset - u64::from(self.head)) / u64::from(self.mss);
        (1 + behind as u32).min(self.count() - 1)
    }

    /// Where segment `index` lies.
    pub(super) fn bounds(&self, index: u32) -> Range<u64> {
        let after = |index: u32| self.start + u64::from(self.head) + u64::from(index) * u64::from(self.mss);
        let start = if index == 0 { self.start } else { after(index - 1) };
        let end = if index + 1 == self.count() { self.end } else { after(index) };
        start..end
    }

    /// Octets of segment `index`.
    pub(super) fn len(&self, index: u32) -> u32 {
        let bounds = self.bounds(index);
        (bounds.end - bounds.start) as u32
    }

    /// Octets of text in segment `index`.
    pub(super) fn text(&self, index: u32) -> u32 {
        self.len(index) - u32::from(self.fin && index + 1 == self.count())
    }

    /// No segment has more octets of text.
    pub(super) fn largest(&self) -> u32 {
        if self.count == 1 { u32::from(self.head) } else { self.mss() }
    }

    /// The segments with more than `mss` octets of text.
    pub(super) fn wider_than(&self, mss: u32) -> u64 {
        (0..self.count()).filter(|index| self.text(*index) > mss).fold(0, |map, index| map | 1 << index)
    }

    /// The segments of `range`, which is not empty, as a run of their own.
    pub(super) fn part(&self, range: Range<u32>) -> Self {
        let count = range.end - range.start;
        let of = |map: u64| map >> range.start & (u64::MAX >> (RUN_SEGMENTS - count));
        Self {
            start: self.bounds(range.start).start,
            end: self.bounds(range.end - 1).end,
            sacked: of(self.sacked),
            lost: of(self.lost),
            resent: of(self.resent),
            ever: of(self.ever),
            // Text of one segment; and no more of them than there were.
            head: self.text(range.start) as u16,
            count: count as u8,
            fin: self.fin && range.end == self.count(),
            ..*self
        }
    }

    /// Octets of the segments in `bits`.
    pub(super) fn octets(&self, bits: u64) -> u32 {
        if bits == 0 {
            return 0;
        }
        if bits == self.all() {
            return (self.end - self.start) as u32;
        }
        let last = self.count() - 1;
        let ends = 1 | 1 << last;
        let mut octets = (bits & !ends).count_ones() * self.mss();
        if bits & 1 != 0 {
            octets += self.len(0);
        }
        if bits >> last & 1 != 0 {
            octets += self.len(last);
        }
        octets
    }

    /// The bits of the segments that lie wholly within `start..end`.
    pub(super) fn within(&self, start: u64, end: u64) -> u64 {
        let (start, end) = (start.max(self.start), end.min(self.end));
        if start >= end {
            return 0;
        }
        let mut first = self.index(start);
        if self.bounds(first).start < start {
            first += 1;
        }
        // A FIN is not always reported with the text that it came with.
        let text_end = self.end - u64::from(self.fin);
        let last = if end >= text_end { self.count() } else { self.index(end) };
        if first >= last {
            return 0;
        }
        (u64::MAX >> (RUN_SEGMENTS - (last - first))) << first
    }

    /// The segments that end below `at`.
    pub(super) fn below(&self, at: u64) -> u64 {
        if at > self.end {
            self.all()
        } else if at > self.start {
            (1 << self.index(at - 1)) - 1
        } else {
            0
        }
    }

    /// Forgets what lies below `to`, which is inside the run.
    pub(super) fn drop_front(&mut self, to: u64) {
        let index = self.index(to);
        let head = self.text(index) - (to - self.bounds(index).start) as u32;
        for map in [&mut self.sacked, &mut self.lost, &mut self.resent, &mut self.ever] {
            *map >>= index;
        }
        self.start = to;
        // Less than they were.
        self.count -= index as u8;
        self.head = head as u16;
    }
}

/// The places of the bits that are set, from the lowest.
pub(super) fn ones(mut bits: u64) -> impl Iterator<Item = u32> {
    core::iter::from_fn(move || {
        (bits != 0).then(|| {
            let index = bits.trailing_zeros();
            bits &= bits - 1;
            index
        })
    })
}
