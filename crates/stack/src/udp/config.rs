//! Settings of sockets and sessions.

use std::time::Duration;

/// Settings of a socket, for [`UdpSocket::bind_with`](crate::UdpSocket::bind_with).
///
/// # Examples
///
/// ```
/// use tokio_netstack::UdpConfig;
///
/// let mut config = UdpConfig::new();
/// config.recv_buffer(4 << 20).reuse_address(true);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdpConfig {
    pub(super) recv_buffer: usize,
    pub(super) reuse_address: bool,
    pub(super) reuse_port: bool,
}

impl Default for UdpConfig {
    fn default() -> Self {
        Self { recv_buffer: 1 << 20, reuse_address: false, reuse_port: false }
    }
}

impl UdpConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of memory that received datagrams may hold until they are read, with some 150 bytes for each datagram on top of its
    /// data. Past it the newest are dropped, and counted. One datagram always fits, as long as the sockets of the stack hold
    /// less than [`StackBuilder::udp_memory`](crate::StackBuilder::udp_memory) together. Default 1 MiB.
    pub fn recv_buffer(&mut self, bytes: usize) -> &mut Self {
        self.recv_buffer = bytes;
        self
    }

    /// Lets sockets that all have this set be bound to one port: to different addresses, the unspecified one among them, or to
    /// the same. A datagram goes to the socket bound to its very address, of several to the one that was bound last;
    /// multicast and broadcast go to each. Default: off.
    pub fn reuse_address(&mut self, on: bool) -> &mut Self {
        self.reuse_address = on;
        self
    }

    /// Lets sockets that all have this set be bound to one address and port. The datagrams of one sender all go to the same of
    /// them. Default: off.
    pub fn reuse_port(&mut self, on: bool) -> &mut Self {
        self.reuse_port = on;
        self
    }
}

/// Settings of [`Stack::udp_sessions`](crate::Stack::udp_sessions).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tokio_netstack::UdpSessionsConfig;
///
/// let mut config = UdpSessionsConfig::new();
/// config.idle(Duration::from_secs(300)).max_sessions(4096);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdpSessionsConfig {
    pub(super) idle: Duration,
    pub(super) max_sessions: usize,
    pub(super) backlog: usize,
    pub(super) recv_buffer: usize,
    pub(super) total_buffer: usize,
}

impl Default for UdpSessionsConfig {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(120),
            max_sessions: 16_384,
            backlog: 1024,
            recv_buffer: 256 << 10,
            total_buffer: 64 << 20,
        }
    }
}

impl UdpSessionsConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A session through which no datagram passed in either direction for this long ends, at least a millisecond. Default two
    /// minutes, the least that RFC 4787 4.3 allows a translator; it recommends five.
    pub fn idle(&mut self, limit: Duration) -> &mut Self {
        self.idle = limit.max(Duration::from_millis(1));
        self
    }

    /// Sessions at a time, at least 1. When one more begins, the one that was idle longest ends, and is counted. Default
    /// 16,384.
    pub fn max_sessions(&mut self, sessions: usize) -> &mut Self {
        self.max_sessions = sessions.max(1);
        self
    }

    /// Sessions that may wait to be accepted, at least 1. With the queue full, datagrams of new ones are dropped, and counted.
    /// Default 1024.
    pub fn backlog(&mut self, sessions: usize) -> &mut Self {
        self.backlog = sessions.max(1);
        self
    }

    /// Bytes of memory that the received datagrams of one session may hold, as [`UdpConfig::recv_buffer`] has it. Default
    /// 256 KiB.
    pub fn recv_buffer(&mut self, bytes: usize) -> &mut Self {
        self.recv_buffer = bytes;
        self
    }

    /// Bytes of memory that the received datagrams of all sessions may hold together. Default 64 MiB.
    pub fn total_buffer(&mut self, bytes: usize) -> &mut Self {
        self.total_buffer = bytes;
        self
    }
}
