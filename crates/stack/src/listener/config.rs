//! Settings of a listener.

use std::time::Duration;

use netstack_tcp::{SynPolicy, TcpConfig};

use crate::actor::Linger;

/// Settings of a listener.
///
/// # Examples
///
/// ```
/// use tokio_netstack::ListenConfig;
///
/// let mut config = ListenConfig::new();
/// config.backlog(4).max_half_open(64);
/// ```
#[derive(Debug, Clone)]
pub struct ListenConfig {
    pub(crate) backlog: usize,
    pub(crate) max_half_open: usize,
    pub(crate) syn_policy: SynPolicy,
    pub(crate) reuse_port: bool,
    /// Whether it may be at an address and port that sockets hold which do not listen; only [`crate::TcpSocket`] asks not to.
    pub(crate) reuse_address: bool,
    pub(crate) linger: Linger,
    pub(crate) decision_timeout: Duration,
    pub(crate) fastopen: usize,
    pub(crate) tcp: Option<TcpConfig>,
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            backlog: 1024,
            max_half_open: 1024,
            syn_policy: SynPolicy::default(),
            reuse_port: false,
            reuse_address: true,
            linger: Linger::Background,
            decision_timeout: Duration::from_secs(60),
            fastopen: 0,
            tcp: None,
        }
    }
}

impl ListenConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Open connections that may wait for `accept`, at least 1; accepted ones do not count. Default 1024.
    ///
    /// With the queue full, new SYNs are dropped, and a handshake under way waits for a place with the peer
    /// retransmitting. A [`TcpIncoming`](crate::TcpIncoming) has no such queue.
    pub fn backlog(&mut self, connections: usize) -> &mut Self {
        self.backlog = connections.max(1);
        self
    }

    /// Handshakes that may be under way, at least 1, with the SYNs that wait for the application's decision
    /// ([`Incoming`](crate::Incoming)). Default 1024; what happens to further SYNs is for [`syn_policy`](Self::syn_policy)
    /// to say.
    pub fn max_half_open(&mut self, handshakes: usize) -> &mut Self {
        self.max_half_open = handshakes.max(1);
        self
    }

    /// What becomes of a SYN while as many handshakes are under way as may be (RFC 4987). Default: a SYN cookie, so that a
    /// flood of forged SYNs keeps nobody out. A [`TcpIncoming`](crate::TcpIncoming) drops such SYNs in any case.
    pub fn syn_policy(&mut self, policy: SynPolicy) -> &mut Self {
        self.syn_policy = policy;
        self
    }

    /// Lets several listeners have the same address and port, all of which have to ask for it (`SO_REUSEPORT`). Each new
    /// connection goes to one of them, by a keyed hash of its addresses and ports. Default: off.
    pub fn reuse_port(&mut self, on: bool) -> &mut Self {
        self.reuse_port = on;
        self
    }

    /// How long a SYN waits for the application's decision before it is rejected; of a
    /// [`TcpIncoming`](crate::TcpIncoming) only. Default 60 s.
    pub fn decision_timeout(&mut self, limit: Duration) -> &mut Self {
        self.decision_timeout = limit;
        self
    }

    /// Takes data on SYNs (TCP Fast Open, RFC 7413), of up to `pending` connections whose handshake is not over; see
    /// [`TcpListener::set_fastopen`](crate::TcpListener::set_fastopen). Default 0: never. A
    /// [`TcpIncoming`](crate::TcpIncoming) never does: its application decides on the SYN alone, and data comes behind a
    /// plain handshake.
    pub fn fastopen(&mut self, pending: usize) -> &mut Self {
        self.fastopen = pending;
        self
    }

    /// Settings of the connections accepted. Default: those of the stack.
    pub fn tcp(&mut self, config: TcpConfig) -> &mut Self {
        self.tcp = Some(config);
        self
    }
}
