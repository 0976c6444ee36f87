//! The application on each end: reads, writes and closes as its script says, and checks each byte it reads.

use bytes::Bytes;
use netstack_sim::SimRng;
use netstack_sim::heap::{App, Side, Socket};
use netstack_tcp::Instant;

use crate::pattern::Pattern;
use crate::plan::{Close, Pace, Script};

#[derive(Debug)]
pub struct Scripted {
    script: Script,
    rng: SimRng,
    out: Pattern,
    into: Pattern,
    written: u64,
    read: u64,
    opened: Option<Instant>,
    /// No read, no write before these.
    next_read: Instant,
    next_write: Instant,
    closed: bool,
    eof: bool,
    fault: Option<String>,
}

impl Scripted {
    pub fn new(side: Side, script: Script) -> Self {
        Self {
            rng: SimRng::new(script.seed, 0),
            script,
            out: Pattern::of(side),
            into: Pattern::of(side.other()),
            written: 0,
            read: 0,
            opened: None,
            next_read: Instant::ZERO,
            next_write: Instant::ZERO,
            closed: false,
            eof: false,
            fault: None,
        }
    }

    /// What went wrong so far.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    pub fn written(&self) -> u64 {
        self.written
    }

    pub fn read(&self) -> u64 {
        self.read
    }

    pub fn saw_eof(&self) -> bool {
        self.eof
    }

    pub fn has_closed(&self) -> bool {
        self.closed
    }

    fn open(&mut self, now: Instant) -> Instant {
        if let Some(opened) = self.opened {
            return opened;
        }
        self.opened = Some(now);
        if let Pace::Stalled { until } = self.script.read {
            self.next_read = now + until;
        }
        if let Pace::Stalled { until } = self.script.write {
            self.next_write = now + until;
        }
        now
    }

    fn read_some(&mut self, socket: &mut Socket<'_>) {
        let now = socket.now();
        while self.next_read <= now {
            let limit = match self.script.read {
                Pace::Greedy { piece } => piece,
                Pace::Paced { piece, .. } => 1 + self.rng.below(piece),
                Pace::Stalled { .. } => u64::MAX,
            };
            let Some(data) = socket.read(usize::try_from(limit).unwrap_or(usize::MAX)) else { break };
            self.check(&data);
            if let Pace::Paced { pause, .. } = self.script.read {
                self.next_read = now + pause.mul_f64(self.rng.below(1_000) as f64 / 1_000.0);
            }
        }
        if socket.at_eof() {
            self.eof = true;
        }
    }

    fn check(&mut self, data: &Bytes) {
        if let Some(at) = self.into.mismatch(self.read, data) {
            self.fault.get_or_insert(format!("the byte read at offset {at} is not the one written there"));
        }
        self.read += data.len() as u64;
    }

    fn write_some(&mut self, socket: &mut Socket<'_>) {
        let now = socket.now();
        while self.next_write <= now && self.written < self.script.total && socket.writable() > 0 {
            let limit = match self.script.write {
                Pace::Greedy { piece } => piece,
                Pace::Paced { piece, .. } => 1 + self.rng.below(piece),
                Pace::Stalled { .. } => u64::MAX,
            };
            let len = limit.min(self.script.total - self.written);
            let written = socket.write(self.out.piece(self.written, len));
            if written == 0 {
                self.fault.get_or_insert("a write took nothing though there was room".to_owned());
                return;
            }
            self.written += written as u64;
            if let Pace::Paced { pause, .. } = self.script.write {
                self.next_write = now + pause.mul_f64(self.rng.below(1_000) as f64 / 1_000.0);
            }
        }
    }

    /// Closes if it is time to; gives the instant to try again at.
    fn close(&mut self, socket: &mut Socket<'_>, opened: Instant) -> Option<Instant> {
        if self.closed || self.written < self.script.total {
            return None;
        }
        match self.script.close {
            Close::Shutdown => socket.shutdown(),
            Close::ShutdownAt(after) if socket.now() < opened + after => return Some(opened + after),
            Close::ShutdownAt(_) => socket.shutdown(),
            Close::AfterEof if self.eof => socket.shutdown(),
            Close::DropAfterEof if self.eof => socket.close(),
            Close::AfterEof | Close::DropAfterEof => return None,
        }
        self.closed = true;
        None
    }
}

impl App for Scripted {
    fn poll(&mut self, socket: &mut Socket<'_>) -> Option<Instant> {
        if !socket.is_connected() {
            return None;
        }
        let now = socket.now();
        let opened = self.open(now);
        self.read_some(socket);
        self.write_some(socket);
        let close = self.close(socket, opened);
        let read = (socket.readable() > 0 || socket.endpoint().peer_closed()).then_some(self.next_read);
        let write = (self.written < self.script.total && socket.writable() > 0).then_some(self.next_write);
        [close, read, write].into_iter().flatten().filter(|&at| at > now).min()
    }
}
