//! The counters of a connection, small while nothing odd has happened.

use crate::info::TcpStats;

/// What [`TcpStats`] is made of.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) bytes_sent: u64,
    pub(super) bytes_acked: u64,
    pub(super) bytes_received: u64,
    pub(super) segments_sent: u64,
    pub(super) segments_received: u64,
    /// The others. Boxed: most connections do without.
    rare: Option<Box<TcpStats>>,
}

impl Counters {
    /// The counters that most connections leave at zero.
    #[cold]
    pub(super) fn rare(&mut self) -> &mut TcpStats {
        self.rare.get_or_insert_default()
    }

    /// `octets` are judged lost.
    pub(super) fn add_lost(&mut self, octets: u32) {
        if octets > 0 {
            self.rare().bytes_lost += u64::from(octets);
        }
    }

    /// All of them.
    pub(super) fn totals(&self) -> TcpStats {
        let Self { bytes_sent, bytes_acked, bytes_received, segments_sent, segments_received, rare } = self;
        TcpStats {
            bytes_sent: *bytes_sent,
            bytes_acked: *bytes_acked,
            bytes_received: *bytes_received,
            segments_sent: *segments_sent,
            segments_received: *segments_received,
            ..rare.as_deref().copied().unwrap_or_default()
        }
    }
}
