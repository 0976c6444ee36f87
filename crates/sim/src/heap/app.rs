//! Applications on the ends of a [`Pair`](super::Pair).

use bytes::Bytes;
use netstack_tcp::Instant;

use super::Socket;

/// What an application does with its socket.
pub trait App {
    /// Called when something may have changed for the application (connected, bytes came, room fell free, closed), and
    /// at the instant that the last call asked for. Gives the next instant at which to be called whatever happens.
    fn poll(&mut self, socket: &mut Socket<'_>) -> Option<Instant>;
}

/// Sends a number of bytes as fast as the socket takes them, then shuts its half down; ignores what comes back.
#[derive(Clone, Debug)]
pub struct Sender {
    block: Bytes,
    left: u64,
    finished: bool,
}

impl Sender {
    /// Sends `total` bytes.
    pub fn new(total: u64) -> Self {
        Self { block: Bytes::from(vec![0x5A; BLOCK]), left: total, finished: false }
    }
}

impl App for Sender {
    fn poll(&mut self, socket: &mut Socket<'_>) -> Option<Instant> {
        while self.left > 0 && socket.writable() > 0 {
            let len = self.left.min(self.block.len() as u64);
            let written = socket.write(self.block.slice(..len as usize));
            self.left -= written as u64;
            if written == 0 {
                break;
            }
        }
        if self.left == 0 && !self.finished && socket.is_connected() {
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
}

impl Receiver {
    /// Has received nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes read so far.
    pub fn received(&self) -> u64 {
        self.received
    }
}

impl App for Receiver {
    fn poll(&mut self, socket: &mut Socket<'_>) -> Option<Instant> {
        while let Some(piece) = socket.read(usize::MAX) {
            self.received += piece.len() as u64;
        }
        if socket.at_eof() && !self.finished {
            self.finished = true;
            socket.shutdown();
        }
        None
    }
}

const BLOCK: usize = 64 * 1024;
