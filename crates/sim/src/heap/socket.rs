//! What an application sees of its endpoint.

use bytes::Bytes;
use netstack_tcp::{CloseReason, Instant};

use super::Endpoint;

/// A socket without I/O: the calls that an application makes on its end of a connection. None of them blocks; one that
/// cannot do anything now does nothing, and the application is called again when that may have changed.
#[derive(Debug)]
pub struct Socket<'a> {
    endpoint: &'a mut Endpoint,
    now: Instant,
}

impl<'a> Socket<'a> {
    pub(crate) fn new(endpoint: &'a mut Endpoint, now: Instant) -> Self {
        Self { endpoint, now }
    }

    /// The present instant.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The endpoint behind the socket.
    pub fn endpoint(&self) -> &Endpoint {
        self.endpoint
    }

    /// Whether the handshake has completed.
    pub fn is_connected(&self) -> bool {
        self.endpoint.is_connected()
    }

    /// Bytes that [`write`](Self::write) would take; 0 before the handshake has completed and after the connection ended.
    pub fn writable(&self) -> usize {
        if !self.is_connected() || self.close_reason().is_some() {
            return 0;
        }
        self.endpoint.connection().map_or(0, |connection| connection.send_space())
    }

    /// Queues as much of `data` as there is room for; gives the number of bytes taken. 0 also if the sending half is
    /// closed.
    pub fn write(&mut self, mut data: Bytes) -> usize {
        data.truncate(self.writable());
        let len = data.len();
        let Some(connection) = self.endpoint.connection_mut() else { return 0 };
        if len > 0 && connection.write(data).is_ok() { len } else { 0 }
    }

    /// Bytes that wait to be read.
    pub fn readable(&self) -> usize {
        self.endpoint.unread()
    }

    /// The next in-order bytes, at least one and at most `limit`; `None` if there are none now.
    pub fn read(&mut self, limit: usize) -> Option<Bytes> {
        let inbox = self.endpoint.inbox_mut();
        let front = inbox.front_mut()?;
        let piece = if front.len() > limit { Some(front.split_to(limit)) } else { inbox.pop_front() };
        self.endpoint.consumed(piece.as_ref().map_or(0, Bytes::len));
        piece.filter(|piece| !piece.is_empty())
    }

    /// Whether everything up to the peer's FIN has been read.
    pub fn at_eof(&self) -> bool {
        self.endpoint.at_eof()
    }

    /// Why the connection ended, once it has.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.endpoint.close_reason()
    }

    /// Closes the sending half: a FIN follows the data.
    pub fn shutdown(&mut self) {
        if let Some(connection) = self.endpoint.connection_mut() {
            connection.shutdown_write();
        }
    }

    /// Drops both halves, as dropping a socket does: graceful, or a reset if unread data remains.
    pub fn close(&mut self) {
        let now = self.endpoint.clock(self.now);
        self.endpoint.account_unread();
        if let Some(connection) = self.endpoint.connection_mut() {
            connection.close(now);
        }
    }

    /// Resets the connection.
    pub fn abort(&mut self) {
        if let Some(connection) = self.endpoint.connection_mut() {
            connection.abort();
        }
    }
}
