//! Request and response, one after another on a kept connection.

use std::time::Duration;

use netstack_tcp::Instant;

use super::app::pattern;
use super::{App, Socket};

/// Asks for responses one after another, each when the one before is complete, then shuts its half down; keeps how long each
/// took.
#[derive(Clone, Debug)]
pub struct Requester {
    left: usize,
    request: usize,
    response: usize,
    pause: Duration,
    /// Bytes of the request that the socket has not taken yet.
    unwritten: usize,
    /// Bytes of the response that have not come yet; 0 between requests.
    awaited: usize,
    began: Instant,
    next: Instant,
    finished: bool,
    latencies: Vec<Duration>,
    received: u64,
}

impl Requester {
    /// `count` requests of `request` bytes, each answered by `response` bytes (both at least 1), with a `pause` before each
    /// and before the end.
    pub fn new(count: usize, request: usize, response: usize, pause: Duration) -> Self {
        assert!(request > 0 && response > 0, "a request and a response have at least one byte");
        Self {
            left: count,
            request,
            response,
            pause,
            unwritten: 0,
            awaited: 0,
            began: Instant::ZERO,
            next: Instant::ZERO,
            finished: false,
            latencies: Vec::new(),
            received: 0,
        }
    }

    /// From the first byte of each request to the last byte of its response.
    pub fn latencies(&self) -> &[Duration] {
        &self.latencies
    }

    /// Bytes read so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Reads what has come of the response.
    fn take(&mut self, socket: &mut Socket<'_>) {
        while self.awaited > 0 {
            let Some(piece) = socket.read(self.awaited) else { return };
            self.awaited -= piece.len();
            self.received += piece.len() as u64;
            if self.awaited == 0 {
                self.latencies.push(socket.now() - self.began);
                self.next = socket.now() + self.pause;
            }
        }
    }
}

impl App for Requester {
    fn poll(&mut self, socket: &mut Socket<'_>) -> Option<Instant> {
        if !socket.is_connected() {
            return None;
        }
        if self.began == Instant::ZERO {
            self.began = socket.now();
            self.next = socket.now() + self.pause;
        }
        self.take(socket);
        if self.awaited == 0 && !self.finished {
            if socket.now() < self.next {
                return Some(self.next);
            }
            if self.left == 0 {
                self.finished = true;
                socket.shutdown();
                return None;
            }
            self.left -= 1;
            (self.unwritten, self.awaited) = (self.request, self.response);
            self.began = socket.now();
        }
        while self.unwritten > 0 {
            let written = socket.write(pattern(0, self.unwritten));
            if written == 0 {
                break;
            }
            self.unwritten -= written;
        }
        None
    }
}

/// Answers each `request` bytes with `response` bytes; shuts its half down after the peer's end of file.
#[derive(Clone, Debug)]
pub struct Responder {
    request: usize,
    response: usize,
    asked: usize,
    unwritten: usize,
    written: u64,
    finished: bool,
}

impl Responder {
    /// Takes requests of `request` bytes, at least 1, and answers each with `response` bytes.
    pub fn new(request: usize, response: usize) -> Self {
        assert!(request > 0, "a request has at least one byte");
        Self { request, response, asked: 0, unwritten: 0, written: 0, finished: false }
    }
}

impl App for Responder {
    fn poll(&mut self, socket: &mut Socket<'_>) -> Option<Instant> {
        while let Some(piece) = socket.read(usize::MAX) {
            self.asked += piece.len();
            self.unwritten += self.asked / self.request * self.response;
            self.asked %= self.request;
        }
        while self.unwritten > 0 {
            let written = socket.write(pattern(self.written, self.unwritten));
            if written == 0 {
                break;
            }
            self.unwritten -= written;
            self.written += written as u64;
        }
        if socket.at_eof() && self.unwritten == 0 && !self.finished {
            self.finished = true;
            socket.shutdown();
        }
        None
    }
}

#[cfg(test)]
mod tests;
