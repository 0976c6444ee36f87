//! A connection's figures, in the manner of Linux's TCP_INFO.

use core::time::Duration;

use crate::ecn::EcnMode;
use crate::fast_open::FastOpen;
use crate::state::{IcmpNotice, State};

/// Where a connection is between a loss and its repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RecoveryState {
    /// All is well.
    #[default]
    Open,
    /// Something arrived out of order: reordering or a loss, it is not known yet.
    Disorder,
    /// A loss is being repaired (RFC 6675, RFC 9937).
    Recovery,
    /// The retransmission timer fired, and what was outstanding then is not acknowledged.
    Loss,
    /// Segments that the path is too narrow for are sent again, smaller (RFC 1191, RFC 4821).
    Resizing,
}

/// A snapshot of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpInfo {
    /// The state.
    pub state: State,
    /// Timestamps are in use (RFC 7323).
    pub timestamps: bool,
    /// Selective acknowledgments are in use (RFC 2018).
    pub sack: bool,
    /// The feedback of congestion marks that was agreed on (RFC 3168, RFC 9768).
    pub ecn: EcnMode,
    /// ECT is set on new data.
    pub ecn_sending: bool,
    /// What became of TCP Fast Open (RFC 7413).
    pub fast_open: FastOpen,
    /// Shift of the windows the peer announces; 0 without scaling.
    pub snd_wscale: u8,
    /// Shift of the windows we announce; 0 without scaling.
    pub rcv_wscale: u8,
    /// Payload octets of a full segment as it is sent now.
    pub mss: u32,
    /// Octets of an IP packet that the path is taken to carry (RFC 1191, RFC 8201, RFC 4821).
    pub path_mtu: u16,
    /// Congestion window, octets.
    pub cwnd: u32,
    /// Slow-start threshold, octets; `None` before the first loss.
    pub ssthresh: Option<u32>,
    /// The congestion controller's name.
    pub controller: &'static str,
    /// The phase the controller is in, in a word or two; empty if it has none.
    pub controller_phase: &'static str,
    /// The peer's window, octets.
    pub snd_wnd: u32,
    /// Our window as announced, octets.
    pub rcv_wnd: u32,
    /// Octets in flight: sent, less what was acknowledged, selectively acknowledged or lost, and what was sent again.
    pub in_flight: u32,
    /// Octets written and not sent.
    pub unsent: u32,
    /// Octets received in order that the application has not consumed.
    pub unread: u32,
    /// Smoothed round-trip time; `None` before the first sample.
    pub srtt: Option<Duration>,
    /// Mean deviation of the round-trip time.
    pub rttvar: Duration,
    /// The least round-trip time of the last half minute to minute.
    pub min_rtt: Option<Duration>,
    /// Retransmission timeout, back-off included.
    pub rto: Duration,
    /// Whether fast recovery is in progress.
    pub in_recovery: bool,
    /// Where the connection is between a loss and its repair.
    pub recovery: RecoveryState,
    /// Whether segments were seen to overtake each other.
    pub reordering_seen: bool,
    /// How long an overtaken segment is waited for before it counts as lost (RFC 8985 6.2); zero where three segments above
    /// it decide.
    pub reordering_window: Duration,
    /// Octets per second at which data leaves; `None` without pacing.
    pub pacing_rate: Option<u64>,
    /// Octets per second that the path delivered lately; 0 before the first sample.
    pub delivery_rate: u64,
    /// Retransmission timeouts in a row.
    pub retries: u8,
    /// R1 is crossed: one segment was retransmitted three times without an answer, and is not answered yet (SHLD-9).
    pub retry_warning: bool,
    /// Octets that may wait for the application: what the receive buffer has grown to.
    pub recv_buffer: u32,
    /// The round trip as the receiving half sees it, by which that buffer grows; `None` before it has seen one, and where
    /// the size is fixed.
    pub recv_rtt: Option<Duration>,
    /// Octets written and not acknowledged that the connection takes now.
    pub send_buffer: u32,
    /// Octets from what the application reads next to the end of the peer's urgent data; 0 when there is none (MUST-33).
    pub urgent_remaining: u32,
    /// The last ICMP error that explains a silence, while there is one (MUST-47).
    pub soft_error: Option<IcmpNotice>,
    /// Counters since the connection began.
    pub stats: TcpStats,
}

/// Counters of one connection since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpStats {
    /// Payload octets sent, retransmissions included.
    pub bytes_sent: u64,
    /// Payload octets sent again.
    pub bytes_retransmitted: u64,
    /// Payload octets acknowledged by the peer.
    pub bytes_acked: u64,
    /// Payload octets received in order.
    pub bytes_received: u64,
    /// Segments of the wire sent.
    pub segments_sent: u64,
    /// Segments of the wire received.
    pub segments_received: u64,
    /// Retransmission timeouts.
    pub timeouts: u32,
    /// Fast retransmits begun.
    pub fast_retransmits: u32,
    /// Octets judged lost.
    pub bytes_lost: u64,
    /// Recoveries and timeouts undone because nothing had been lost.
    pub undos: u32,
    /// Of those, timeouts.
    pub spurious_timeouts: u32,
    /// Reports of duplicates by the peer (RFC 2883).
    pub dsacks: u32,
    /// Tail loss probes sent (RFC 8985 7).
    pub tail_probes: u32,
    /// ACKs that showed reordering.
    pub reorderings: u32,
    /// Duplicate ACKs received.
    pub dup_acks: u32,
    /// Window probes sent.
    pub window_probes: u32,
    /// Segments that came out of order.
    pub out_of_order: u32,
    /// Segments refused by PAWS (R7323-15).
    pub paws_rejected: u32,
    /// Segments of the wire that came with a congestion mark (CE), where ECN was agreed on.
    pub ce_received: u32,
    /// ACKs that echoed a congestion mark; with accurate feedback, marks that the peer counted.
    pub ce_reported: u32,
    /// Times the window was reduced for the sake of such marks.
    pub ecn_reductions: u32,
    /// Times that the path turned out to take less than it was taken to.
    pub path_mtu_reductions: u32,
    /// Probes of a larger path MTU sent (RFC 4821).
    pub mtu_probes: u32,
    /// Of those, lost or refused by a router.
    pub mtu_probes_lost: u32,
    /// Segments not acceptable by their sequence or acknowledgment number.
    pub unacceptable: u32,
}
