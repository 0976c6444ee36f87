//! The application on each end: reads, writes and closes as its script says, and checks each byte it reads.

use bytes::Bytes;
use netstack_sim::SimRng;
use netstack_sim::heap::{App, Side, Socket};
use netstack_tcp::Instant;

use crate::pattern::Pattern;
use crate::plan::{Close, Pace, Script};

/// How far an application is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) written: u64,
    pub(crate) read: u64,
    /// It has seen the end of file.
    pub(crate) eof: bool,
    /// When it was opened and when it saw the end of file.
    pub(crate) span: Option<(Instant, Instant)>,
    /// It has closed its sending half at least.
    pub(crate) closed: bool,
}

#[derive(Debug)]
pub(crate) struct Scripted {
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
    /// It has dropped its socket.
    gone: bool,
    eof: bool,
    eof_at: Option<Instant>,
    fault: Option<String>,
}

impl Scripted {
    pub(crate) fn new(side: Side, script: Script) -> Self {
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
            gone: false,
            eof: false,
            eof_at: None,
            fault: None,
        }
    }

    /// What went wrong so far.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    pub(crate) fn progress(&self) -> Progress {
        let span = self.opened.zip(self.eof_at);
        Progress { written: self.written, read: self.read, eof: self.eof, span, closed: self.closed }
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
            self.eof_at.get_or_insert(now);
        }
    }

    fn check(&mut self, data: &Bytes) {
        if let Some(at) = self.into.mismatch(self.read, data) {
            self.fault
                .get_or_insert_with(|| format!("the byte read at offset {at} is not the one written there"));
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
                self.fault.get_or_insert_with(|| "a write took nothing though there was room".to_owned());
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
        let done = self.written == self.script.total;
        let due = match self.script.close {
            _ if self.closed => return None,
            Close::Shutdown => done,
            Close::ShutdownAt(after) if done && socket.now() < opened + after => return Some(opened + after),
            Close::ShutdownAt(_) => done,
            Close::AfterEof | Close::DropAfterEof => done && self.eof,
            Close::DropAt(after) | Close::AbortAt(after) if socket.now() < opened + after => {
                return Some(opened + after);
            }
            Close::DropAt(_) | Close::AbortAt(_) => true,
        };
        if !due {
            return None;
        }
        self.closed = true;
        self.gone = matches!(self.script.close, Close::DropAfterEof | Close::DropAt(_) | Close::AbortAt(_));
        match self.script.close {
            Close::AbortAt(_) => socket.abort(),
            _ if self.gone => socket.close(),
            _ => socket.shutdown(),
        }
        None
    }
}

impl App for Scripted {
    fn poll(&mut self, socket: &mut Socket<'_>) -> Option<Instant> {
        if !socket.is_connected() || self.gone {
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
