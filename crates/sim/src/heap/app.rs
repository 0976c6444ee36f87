//! Applications on the ends of a flow.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use netstack_tcp::Instant;

use super::Socket;
use crate::SimRng;

/// What an application does with its socket.
pub trait App {
    /// Called when something may have changed for the application (connected, bytes came, room fell free, closed), and
    /// at the instant that the last call asked for. Gives the next instant at which to be called whatever happens.
    fn poll(&mut self, socket: &mut Socket<'_>) -> Option<Instant>;
}

/// Sends a number of bytes as fast as the socket takes them, then shuts its half down; ignores what comes back.
#[derive(Clone, Debug)]
pub struct Sender {
    sent: u64,
    total: u64,
    finished: bool,
}

impl Sender {
    /// Sends `total` bytes.
    pub fn new(total: u64) -> Self {
        Self { sent: 0, total, finished: false }
    }

    /// Sends as long as the run lasts.
    pub fn endless() -> Self {
        Self::new(u64::MAX)
    }
}

impl App for Sender {
    fn poll(&mut self, socket: &mut Socket<'_>) -> Option<Instant> {
        while self.sent < self.total && socket.writable() > 0 {
            let left = usize::try_from(self.total - self.sent).unwrap_or(usize::MAX);
            let written = socket.write(pattern(self.sent, left));
            self.sent += written as u64;
            if written == 0 {
                break;
            }
        }
        if self.sent == self.total && !self.finished && socket.is_connected() {
            self.finished = true;
            socket.shutdown();
        }
        None
    }
}

/// Reads everything at once, counts it, and shuts its half down after the peer's end of file.
#[derive(Clone, Debug, Default)]
pub struct Receiver {
    received: u64,
    finished: bool,
    /// Whether the bytes are compared with those of a [`Sender`].
    checking: bool,
    corrupt: bool,
    last: Option<Instant>,
    longest_gap: Duration,
}

impl Receiver {
    /// Has received nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Compares what comes with what a [`Sender`] sends.
    pub fn checking() -> Self {
        Self { checking: true, ..Self::default() }
    }

    /// Bytes read so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether a [`checking`](Self::checking) receiver has read what the sender wrote, and nothing else.
    pub fn is_intact(&self) -> bool {
        !self.corrupt
    }

    /// The longest time between two arrivals of bytes in order.
    pub fn longest_gap(&self) -> Duration {
        self.longest_gap
    }
}

impl App for Receiver {
    fn poll(&mut self, socket: &mut Socket<'_>) -> Option<Instant> {
        let before = self.received;
        while let Some(piece) = socket.read(usize::MAX) {
            self.corrupt |= self.checking && !is_pattern(self.received, &piece);
            self.received += piece.len() as u64;
        }
        if self.received > before {
            let gap = self.last.map_or(Duration::ZERO, |last| socket.now() - last);
            self.longest_gap = self.longest_gap.max(gap);
            self.last = Some(socket.now());
        }
        if socket.at_eof() && !self.finished {
            self.finished = true;
            socket.shutdown();
        }
        None
    }
}

/// A prime: what is displaced by any usual size does not match.
const BLOCK: usize = 65_521;

fn block() -> &'static Bytes {
    static BYTES: OnceLock<Bytes> = OnceLock::new();
    BYTES.get_or_init(|| {
        let mut rng = SimRng::new(0, 0);
        (0..BLOCK).map(|_| rng.next_u64() as u8).collect()
    })
}

/// Up to `limit` bytes of the pattern from `offset` on, at least one.
pub(super) fn pattern(offset: u64, limit: usize) -> Bytes {
    let start = (offset % BLOCK as u64) as usize;
    block().slice(start..BLOCK.min(start.saturating_add(limit)))
}

fn is_pattern(offset: u64, mut bytes: &[u8]) -> bool {
    let mut at = offset;
    while !bytes.is_empty() {
        let expected = pattern(at, bytes.len());
        let (head, rest) = bytes.split_at(expected.len());
        if head != expected {
            return false;
        }
        at += expected.len() as u64;
        bytes = rest;
    }
    true
}
