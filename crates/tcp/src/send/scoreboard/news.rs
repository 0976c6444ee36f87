//! What one ACK tells of what was in flight.

use core::time::Duration;

use crate::time::Instant;
use crate::time_wait::ts_clock;

/// The timestamp that an ACK echoes (RFC 7323 4).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Echo {
    pub(crate) ecr: u32,
    /// Offset of our timestamp clock.
    pub(crate) offset: u32,
}

impl Echo {
    /// Whether the segment that is echoed left before `sent`, by the clock of timestamps.
    pub(crate) fn is_before(self, sent: Instant) -> bool {
        (self.ecr.wrapping_sub(ts_clock(sent).wrapping_add(self.offset)) as i32) < 0
    }
}

/// A transmission that was delivered: when it left, and where it ends. Of several the newest counts, by RFC 8985 6.2
/// step 2.
pub(crate) type Delivered = (Instant, u64);

/// What an ACK delivered, cumulatively or selectively, for the first time.
#[derive(Debug)]
pub(crate) struct News {
    now: Instant,
    min_rtt: Duration,
    echo: Option<Echo>,
    /// The highest position delivered before this ACK.
    prior_fack: u64,
    /// Octets delivered: the growth of SND.UNA and of what is SACKed, together (R9937-2).
    pub(crate) delivered: u32,
    /// The newest transmission delivered, ambiguous ones left out (R8985-5).
    pub(crate) newest: Option<Delivered>,
    /// When the oldest and the newest of the segments that were sent but once left.
    first_sent: Option<Instant>,
    last_sent: Option<Instant>,
    /// Something that was sent again is among it: what lay above may have waited for that.
    resent: bool,
    /// When the newest retransmission left that the echo tells to be the one delivered.
    resent_at: Option<Instant>,
    /// The lowest end of a segment that was sent but once.
    pub(crate) original: Option<u64>,
    /// A segment that was sent but once came after one above it (R8985-6).
    pub(crate) reordered: bool,
}

impl News {
    pub(crate) fn new(now: Instant, min_rtt: Duration, echo: Option<Echo>, prior_fack: u64) -> Self {
        Self {
            now,
            min_rtt,
            echo,
            prior_fack,
            delivered: 0,
            newest: None,
            first_sent: None,
            last_sent: None,
            resent: false,
            resent_at: None,
            original: None,
            reordered: false,
        }
    }

    /// When the oldest and the newest transmission left whose round trips this ACK measures (Karn, R6298-6).
    pub(crate) fn measured(&self) -> Option<(Instant, Instant)> {
        if self.resent {
            return self.resent_at.map(|at| (at, at));
        }
        self.first_sent.zip(self.last_sent)
    }

    /// Segments sent once, at `sent_at`: the lowest ends at `low`, the highest at `high`.
    pub(super) fn add_originals(&mut self, sent_at: Instant, low: u64, high: u64) {
        self.newest = self.newest.max(Some((sent_at, high)));
        self.first_sent = Some(self.first_sent.map_or(sent_at, |first| first.min(sent_at)));
        self.last_sent = self.last_sent.max(Some(sent_at));
        self.original = Some(self.original.map_or(low, |known| known.min(low)));
        self.reordered |= low < self.prior_fack;
    }

    /// A segment that ends at `end`, sent again last at `sent_at`. Which copy arrived is not known, unless the echo or an
    /// impossible round trip tells (R8985-5).
    pub(super) fn add_resent(&mut self, sent_at: Instant, end: u64) {
        self.resent = true;
        let spurious =
            self.now - sent_at < self.min_rtt || self.echo.is_some_and(|echo| echo.is_before(sent_at));
        if spurious {
            return;
        }
        self.newest = self.newest.max(Some((sent_at, end)));
        if self.echo.is_some() {
            self.resent_at = self.resent_at.max(Some(sent_at));
        }
    }

    /// A segment that was sent again; nothing is known of its copies any more.
    pub(super) fn add_unknown(&mut self) {
        self.resent = true;
    }
}
