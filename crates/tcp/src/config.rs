//! Settings of a connection, with their defaults and ranges.

#[cfg(test)]
mod tests;

use core::time::Duration;

use netstack_wire::ipv4;

use crate::congestion::{CongestionControl, Pacing};
use crate::ecn::EcnPolicy;

/// Where buffers that size themselves stop: the bandwidth-delay product of 1 Gbit/s over 50 ms. The common kernels' limits lie
/// between 4 and 32 MiB; a stack that serves many connections wants the lower end.
const BUFFER_LIMIT: u32 = 6 << 20;

/// Where they begin: what the window field of a SYN can say, and what one transmission can carry.
pub(crate) const FIRST_BUFFER: u32 = 64 << 10;

/// Keep-alive probing (RFC 9293 3.8.4); off unless set (MUST-25).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence before the first probe. The standard's default is two hours (MUST-28).
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Unanswered probes after which the connection is given up, at least 1.
    pub count: u8,
}

impl Default for KeepAlive {
    /// Two hours, 75 s, 9 probes.
    fn default() -> Self {
        Self { idle: Duration::from_secs(7200), interval: Duration::from_secs(75), count: 9 }
    }
}

/// Settings of TCP, shared by the connections of a stack; build one, change what you need.
///
/// ```
/// use core::time::Duration;
/// use netstack_tcp::TcpConfig;
///
/// let mut config = TcpConfig::new();
/// config.nodelay(true).recv_buffer_limit(16 << 20).time_wait(Duration::from_secs(10));
/// ```
#[derive(Debug, Clone)]
pub struct TcpConfig {
    pub(crate) recv_buffer: u32,
    pub(crate) recv_tuned: bool,
    pub(crate) send_buffer: u32,
    pub(crate) send_tuned: bool,
    pub(crate) nodelay: bool,
    pub(crate) keepalive: Option<KeepAlive>,
    pub(crate) user_timeout: Option<Duration>,
    pub(crate) syn_timeout: Duration,
    pub(crate) syn_ack_timeout: Duration,
    pub(crate) initial_rto: Duration,
    pub(crate) min_rto: Duration,
    pub(crate) max_rto: Duration,
    pub(crate) ack_delay: Duration,
    pub(crate) quick_acks: u8,
    pub(crate) time_wait: Duration,
    pub(crate) fin_wait2_timeout: Duration,
    pub(crate) timestamps: bool,
    pub(crate) sack: bool,
    pub(crate) window_scaling: bool,
    pub(crate) mss: u16,
    pub(crate) path_mtu_discovery: bool,
    pub(crate) min_path_mtu: u16,
    pub(crate) mtu_probing: bool,
    pub(crate) mtu_raise: Duration,
    pub(crate) dscp: u8,
    pub(crate) hop_limit: u8,
    pub(crate) challenge_acks: u8,
    pub(crate) soft_errors: bool,
    pub(crate) congestion: CongestionControl,
    pub(crate) pacing: Pacing,
    pub(crate) ecn: EcnPolicy,
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self {
            recv_buffer: BUFFER_LIMIT,
            recv_tuned: true,
            send_buffer: BUFFER_LIMIT,
            send_tuned: true,
            nodelay: false,
            keepalive: None,
            user_timeout: Some(Duration::from_secs(300)),
            syn_timeout: Duration::from_secs(180),
            syn_ack_timeout: Duration::from_secs(60),
            initial_rto: Duration::from_secs(1),
            min_rto: Duration::from_millis(200),
            max_rto: Duration::from_secs(60),
            ack_delay: Duration::from_millis(40),
            quick_acks: 16,
            time_wait: Duration::from_secs(60),
            fin_wait2_timeout: Duration::from_secs(60),
            timestamps: true,
            sack: true,
            window_scaling: true,
            mss: u16::MAX,
            path_mtu_discovery: true,
            min_path_mtu: 552,
            mtu_probing: true,
            mtu_raise: Duration::from_secs(600),
            dscp: 0,
            hop_limit: 64,
            challenge_acks: 10,
            soft_errors: true,
            congestion: CongestionControl::default(),
            pacing: Pacing::default(),
            ecn: EcnPolicy::Passive,
        }
    }
}

impl TcpConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Fixes how many octets may wait for the application to read, which bounds the window we announce: the buffer does not
    /// size itself any more. 1 KiB to 1 GiB. Memory is used only for data that is there.
    pub fn recv_buffer(&mut self, octets: usize) -> &mut Self {
        (self.recv_buffer, self.recv_tuned) = (clamp_buffer(octets), false);
        self
    }

    /// Lets the receive buffer size itself, which is the default: from 64 KiB it grows to twice what the application consumes
    /// in a round trip, up to this many octets. 1 KiB to 1 GiB; default 6 MiB, enough for 1 Gbit/s over 50 ms.
    ///
    /// The window scale of the SYN is chosen by it: the least that can announce so much.
    pub fn recv_buffer_limit(&mut self, octets: usize) -> &mut Self {
        (self.recv_buffer, self.recv_tuned) = (clamp_buffer(octets), true);
        self
    }

    /// Fixes how many octets written but not yet acknowledged a connection holds: the buffer does not size itself any more.
    /// 1 KiB to 1 GiB.
    pub fn send_buffer(&mut self, octets: usize) -> &mut Self {
        (self.send_buffer, self.send_tuned) = (clamp_buffer(octets), false);
        self
    }

    /// Lets the send buffer size itself, which is the default: it takes two congestion windows, and a little more on short
    /// paths, at least 64 KiB and at most this many octets. 1 KiB to 1 GiB; default 6 MiB.
    pub fn send_buffer_limit(&mut self, octets: usize) -> &mut Self {
        (self.send_buffer, self.send_tuned) = (clamp_buffer(octets), true);
        self
    }

    /// Switches the Nagle algorithm off (MUST-17). Default: on.
    pub fn nodelay(&mut self, on: bool) -> &mut Self {
        self.nodelay = on;
        self
    }

    /// Keep-alive probing. Default: none (MUST-25).
    pub fn keepalive(&mut self, keepalive: Option<KeepAlive>) -> &mut Self {
        self.keepalive = keepalive;
        self
    }

    /// R2: how long data may stay without progress before the connection is given up (MUST-21); `None` is for ever.
    /// Default five minutes (RFC 9293 3.9.1.1). A peer that answers zero-window probes is never given up (MUST-37).
    pub fn user_timeout(&mut self, limit: Option<Duration>) -> &mut Self {
        self.user_timeout = limit;
        self
    }

    /// R2 for an active open: how long its SYN is repeated. Default three minutes (MUST-23).
    pub fn syn_timeout(&mut self, limit: Duration) -> &mut Self {
        self.syn_timeout = limit;
        self
    }

    /// How long the SYN-ACK that answers a SYN is repeated before the half-open connection is given up. Default 60 s, six
    /// SYN-ACKs: a listener has places for so many half-open connections only, and each forged SYN takes one for this long
    /// (RFC 4987 3.3).
    pub fn syn_ack_timeout(&mut self, limit: Duration) -> &mut Self {
        self.syn_ack_timeout = limit;
        self
    }

    /// Retransmission timeout before the first measurement. Default one second (RFC 6298 2.1).
    pub fn initial_rto(&mut self, rto: Duration) -> &mut Self {
        self.initial_rto = rto;
        self
    }

    /// The least retransmission timeout. Default 200 ms: a deliberate deviation from the one second of RFC 6298 2.4,
    /// as the common kernels make it: a second stalls every short path, and 200 ms lie above their delayed ACKs. Of a least
    /// timeout above the [largest](Self::max_rto) the largest counts.
    pub fn min_rto(&mut self, rto: Duration) -> &mut Self {
        self.min_rto = rto;
        self
    }

    /// The largest retransmission timeout, at least 60 s (RFC 6298 2.5). Default 60 s.
    pub fn max_rto(&mut self, rto: Duration) -> &mut Self {
        self.max_rto = rto.max(Duration::from_secs(60));
        self
    }

    /// How long an ACK may wait for data to ride on; below 500 ms (MUST-40). Default 40 ms.
    pub fn ack_delay(&mut self, delay: Duration) -> &mut Self {
        self.ack_delay = delay.min(Duration::from_millis(499));
        self
    }

    /// Segments at the start of a connection that are acknowledged at once, so that the peer's slow start does not
    /// wait for our timer. Default 16.
    pub fn quick_acks(&mut self, segments: u8) -> &mut Self {
        self.quick_acks = segments;
        self
    }

    /// The length of TIME-WAIT, 2 MSL. Default 60 s in all, as deployed stacks use it, where RFC 9293 3.6.1 says four
    /// minutes.
    pub fn time_wait(&mut self, length: Duration) -> &mut Self {
        self.time_wait = length;
        self
    }

    /// How long a connection that the application has dropped waits in FIN-WAIT-2 for the peer's FIN. Default 60 s.
    pub fn fin_wait2_timeout(&mut self, limit: Duration) -> &mut Self {
        self.fin_wait2_timeout = limit;
        self
    }

    /// Offers the timestamps option (RFC 7323). Default: on.
    pub fn timestamps(&mut self, on: bool) -> &mut Self {
        self.timestamps = on;
        self
    }

    /// Offers selective acknowledgments (RFC 2018). Default: on.
    pub fn sack(&mut self, on: bool) -> &mut Self {
        self.sack = on;
        self
    }

    /// Offers window scaling (RFC 7323). Default: on.
    pub fn window_scaling(&mut self, on: bool) -> &mut Self {
        self.window_scaling = on;
        self
    }

    /// An upper bound on the MSS that is announced and used, both ways: the clamp for a path that is known to be narrow.
    /// Default: what the device's MTU allows.
    pub fn mss(&mut self, octets: u16) -> &mut Self {
        self.mss = octets;
        self
    }

    /// Whether reports of routers that a packet was too big are heeded (RFC 1191, RFC 8201). Default: yes.
    ///
    /// A report counts only if it quotes the first octet of a segment in flight (RFC 5927 7.2). The segments on the way are
    /// then cut anew and sent again at once, which is no sign of congestion. Every packet forbids fragmentation, whatever
    /// this says.
    pub fn path_mtu_discovery(&mut self, on: bool) -> &mut Self {
        self.path_mtu_discovery = on;
        self
    }

    /// The least MTU that reports of routers are believed down to over IPv4, 68 octets or more (R1191-4): a report of less,
    /// which may be forged by somebody on the path, counts as this. Default 552, as in Linux: no link in use takes less. For
    /// one that does, a radio link perhaps, set it lower; packets forbid fragmentation, and do not get through otherwise. IPv6
    /// has a least MTU of its own, 1280.
    pub fn min_path_mtu(&mut self, octets: u16) -> &mut Self {
        self.min_path_mtu = octets.max(ipv4::MIN_MTU);
        self
    }

    /// Whether the path is probed (RFC 4821, RFC 8899). Default: yes.
    ///
    /// When a large segment was sent three times in vain, the path may swallow such without a word: packets shrink to 1200
    /// octets, and after three more timeouts to 576 (1280 with IPv6). From there, and from what a router has reported, single
    /// larger segments with data of the stream find the way back, step by step; that needs SACK. A size is given up after
    /// three such probes, 15 s apart.
    pub fn mtu_probing(&mut self, on: bool) -> &mut Self {
        self.mtu_probing = on;
        self
    }

    /// How long after a decrease of the path's MTU, or after a search without success, a larger size is tried. At least five
    /// minutes (R1191-5, R8201-4); default ten.
    pub fn mtu_raise_interval(&mut self, interval: Duration) -> &mut Self {
        self.mtu_raise = interval.max(Duration::from_secs(300));
        self
    }

    /// The differentiated services code point of what is sent, 0 to 63 (MUST-48). Default 0.
    pub fn dscp(&mut self, dscp: u8) -> &mut Self {
        self.dscp = dscp & 0x3f;
        self
    }

    /// TTL or hop limit, 1 to 255 (MUST-49). Default 64.
    pub fn hop_limit(&mut self, hops: u8) -> &mut Self {
        self.hop_limit = hops.max(1);
        self
    }

    /// Challenge ACKs that one connection sends in five seconds at most (RFC 5961 7); how many it is, between half of them and
    /// all, is drawn anew each time. Default 10.
    pub fn challenge_acks(&mut self, limit: u8) -> &mut Self {
        self.challenge_acks = limit;
        self
    }

    /// Whether soft errors (ICMP, R1) are reported (SHLD-20). Default: yes.
    pub fn soft_errors(&mut self, on: bool) -> &mut Self {
        self.soft_errors = on;
        self
    }

    /// The congestion controller of new connections.
    ///
    /// ```
    /// use netstack_tcp::TcpConfig;
    /// use netstack_tcp::congestion::CongestionControl;
    ///
    /// let mut config = TcpConfig::new();
    /// config.congestion(CongestionControl::NewReno);
    /// ```
    pub fn congestion(&mut self, choice: CongestionControl) -> &mut Self {
        self.congestion = choice;
        self
    }

    /// Whether what is sent is spread over the round trip. Default: where the controller asks for it.
    pub fn pacing(&mut self, pacing: Pacing) -> &mut Self {
        self.pacing = pacing;
        self
    }

    /// The congestion controller of new connections.
    #[must_use]
    pub fn congestion_control(&self) -> &CongestionControl {
        &self.congestion
    }

    /// Explicit congestion notification (RFC 3168, RFC 9768). Default: where the peer asks for it.
    ///
    /// A SYN that asks is sent again without asking when it is lost (the second time, for accurate feedback); one that is
    /// answered by a reset fails as any other.
    pub fn ecn(&mut self, policy: EcnPolicy) -> &mut Self {
        self.ecn = policy;
        self
    }

    /// Explicit congestion notification.
    #[must_use]
    pub fn ecn_policy(&self) -> EcnPolicy {
        self.ecn
    }

    /// The receive buffer's size in octets, or the limit up to which it sizes itself.
    #[must_use]
    pub fn recv_buffer_size(&self) -> usize {
        self.recv_buffer as usize
    }

    /// The send buffer's size in octets, or the limit up to which it sizes itself.
    #[must_use]
    pub fn send_buffer_size(&self) -> usize {
        self.send_buffer as usize
    }

    /// The receive buffer's size in octets when a connection begins.
    #[must_use]
    pub fn first_recv_buffer_size(&self) -> usize {
        (if self.recv_tuned { self.recv_buffer.min(FIRST_BUFFER) } else { self.recv_buffer }) as usize
    }

    /// The send buffer's size in octets when a connection begins.
    #[must_use]
    pub fn first_send_buffer_size(&self) -> usize {
        (if self.send_tuned { self.send_buffer.min(FIRST_BUFFER) } else { self.send_buffer }) as usize
    }

    /// Whether the receive buffer sizes itself.
    #[must_use]
    pub fn is_recv_buffer_tuned(&self) -> bool {
        self.recv_tuned
    }

    /// Whether the send buffer sizes itself.
    #[must_use]
    pub fn is_send_buffer_tuned(&self) -> bool {
        self.send_tuned
    }

    /// Whether the Nagle algorithm is off.
    #[must_use]
    pub fn is_nodelay(&self) -> bool {
        self.nodelay
    }

    /// R2 for data without progress.
    #[must_use]
    pub fn user_timeout_limit(&self) -> Option<Duration> {
        self.user_timeout
    }

    /// Keep-alive probing, if it is on.
    #[must_use]
    pub fn keepalive_times(&self) -> Option<KeepAlive> {
        self.keepalive
    }

    /// The upper bound on the MSS; 65,535 where the device's MTU alone decides.
    #[must_use]
    pub fn mss_limit(&self) -> u16 {
        self.mss
    }

    /// Whether reports of routers that a packet was too big are heeded.
    #[must_use]
    pub fn is_path_mtu_discovered(&self) -> bool {
        self.path_mtu_discovery
    }

    /// The least MTU that reports of routers are believed down to over IPv4, in octets.
    #[must_use]
    pub fn min_path_mtu_size(&self) -> u16 {
        self.min_path_mtu
    }

    /// Whether the path is probed.
    #[must_use]
    pub fn is_mtu_probed(&self) -> bool {
        self.mtu_probing
    }

    /// How long after a decrease of the path's MTU a larger size is tried.
    #[must_use]
    pub fn mtu_raise_time(&self) -> Duration {
        self.mtu_raise
    }

    /// The differentiated services code point of what is sent.
    #[must_use]
    pub fn dscp_value(&self) -> u8 {
        self.dscp
    }

    /// TTL or hop limit of what is sent.
    #[must_use]
    pub fn hop_limit_value(&self) -> u8 {
        self.hop_limit
    }

    /// The length of TIME-WAIT.
    #[must_use]
    pub fn time_wait_length(&self) -> Duration {
        self.time_wait
    }

    /// The window scale that goes with the receive buffer: the least shift that can express it (RFC 7323 2.3).
    pub(crate) fn window_shift(&self) -> u8 {
        (0..=14).find(|shift| 0xffff << shift >= self.recv_buffer).unwrap_or(14)
    }
}

fn clamp_buffer(octets: usize) -> u32 {
    octets.clamp(1 << 10, 1 << 30) as u32
}
