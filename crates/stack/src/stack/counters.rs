//! Counters: everything that is dropped is seen here, by reason.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use netstack_tcp::{FastOpen, FastOpenAnswer, SynDrop};
use netstack_wire::ParseError;

/// One live counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn bump(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Relaxed);
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a stack did so far; a copy taken by [`Stack::counters`](crate::Stack::counters).
        ///
        /// `drop_*` counts received packets that went no further, one reason each.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct StackCounters { $($(#[$doc])* pub $name: u64,)* }

        /// The live counters of a stack.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: Counter,)* }

        impl Counters {
            pub(crate) fn snapshot(&self) -> StackCounters {
                StackCounters { $($name: self.$name.0.load(Relaxed),)* }
            }
        }

        impl StackCounters {
            /// Every counter with its name, for logs and metrics.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Packets received from the devices.
    rx_packets,
    /// Fragments received.
    rx_fragments,
    /// Datagrams put together of fragments.
    rx_reassembled,
    /// Datagrams whose fragments were given up because others had not come within 60 seconds.
    reassembly_timeouts,
    /// Datagrams whose fragments were given up before their time, to make room.
    reassembly_evicted,
    /// TCP segments that reached a connection.
    rx_segments,
    /// TCP segments that connections sent; a super-segment counts once.
    tx_segments,
    /// Segments sent that stand for several packets.
    tx_super_segments,
    /// Turns of connection tasks: how often one was woken. An idle connection takes none.
    actor_turns,
    /// Connections that `TcpStream::connect` began to open, with those that were refused or got no answer.
    connections_opened,
    /// Connections handed to an accept queue.
    connections_accepted,
    /// Connections of ours whose data on the SYN was taken at once (RFC 7413).
    fast_open_used,
    /// Connections of ours whose data on the SYN was not taken, and was sent again behind the handshake.
    fast_open_fallback,
    /// Cookies given to clients that asked for one.
    fast_open_cookies,
    /// Connections accepted before their handshake was over, for their SYN had a valid cookie.
    fast_open_accepted,
    /// SYNs whose cookie was not valid: plain handshakes.
    fast_open_refused,
    /// SYNs with a valid cookie that found too many such connections pending: plain handshakes.
    fast_open_limited,
    /// UDP datagrams put into the queue of a socket or session; a super-datagram counts once.
    rx_datagrams,
    /// UDP datagrams sent.
    tx_datagrams,
    /// Sessions begun by a datagram.
    udp_sessions_opened,
    /// Sessions ended because nothing passed for their time limit.
    udp_sessions_idle,
    /// Sessions ended because there were as many as may be.
    udp_sessions_evicted,
    /// Resets sent in answer to segments that belong to nobody.
    tx_resets,
    /// Echo requests answered.
    tx_echo_replies,
    /// Echo requests not answered because of their rate limit.
    echo_limited,
    /// Echo replies that a ping of ours waited for.
    rx_echo_replies,
    /// ICMP errors sent.
    tx_icmp_errors,
    /// ICMP errors not sent because of their rate limit.
    icmp_errors_limited,
    /// ICMP errors received that quote a connection or a ping of ours.
    rx_icmp_errors,
    /// ICMP errors received that quote nothing of ours.
    rx_icmp_unmatched,
    /// Datagrams sent in fragments.
    tx_fragmented,
    /// Fragments sent.
    tx_fragments,
    /// Frames that the device took and lost, or could not send.
    tx_lost,
    /// Resets, echo replies and ICMP errors not sent, or not all of their fragments, because the device's queue was full.
    tx_replies_dropped,
    /// Connections that entered TIME-WAIT.
    time_wait_entered,
    /// TIME-WAIT records given up early because there were too many.
    time_wait_evicted,
    /// SYNs answered with a cookie, for which nothing is kept (RFC 4987).
    syn_cookies_sent,
    /// Connections made of a cookie that came back.
    syn_cookies_accepted,
    /// ACKs that came while cookies were out and brought none back: forged, or too late. Answered with a reset.
    syn_cookies_bad,
    /// Handshakes given up to make room for a newer one.
    half_open_recycled,
    /// Handshakes whose last ACK was dropped because the accept queue was full.
    accept_queue_full,
    /// SYNs rejected because the application did not decide on them in time.
    incoming_expired,
    /// Times that the stack's buffers filled three quarters of their budget, all but what is kept for each direction, after
    /// they had held less than half of it.
    budget_pressure,
    /// Connections that gave up what had come out of order because the stack's buffers had nearly used up their budget.
    budget_out_of_order,
    /// Connections reset because the stack's buffers were three quarters full, and their peer had not taken within five minutes
    /// what a dropped stream had left for it.
    budget_orphans,
    /// Times that the stack's buffers had used up their budget, so that new connections were refused (`drop_budget_syn`).
    budget_exhausted,
    /// Packets or segments that end within a header.
    drop_truncated,
    /// Neither IPv4 nor IPv6.
    drop_bad_version,
    /// A header length below the minimum or beyond the packet.
    drop_bad_header_length,
    /// A packet length below its header or above what was received.
    drop_bad_total_length,
    /// A wrong checksum.
    drop_bad_checksum,
    /// An IP or TCP option with an impossible length.
    drop_bad_option,
    /// An impossible fragment, or a datagram put together that is longer than a packet can be.
    drop_bad_fragment,
    /// Extension headers that are too many, or ask to be discarded.
    drop_extension_header,
    /// Fragments that overlapped with others or contradicted them; their datagram was discarded.
    drop_fragment_overlap,
    /// Fragments of a datagram that was discarded before.
    drop_fragment_late,
    /// Fragments that had come before.
    drop_fragment_duplicate,
    /// TCP fragments that hide a part of the header, or could overwrite it.
    drop_fragment_tiny,
    /// Datagrams put together of fragments with and without a congestion mark where not all could carry one.
    drop_fragment_ecn,
    /// Fragments that alone are more than the memory for them.
    drop_fragment_no_room,
    /// Source-routed packets.
    drop_source_routed,
    /// Sources that name no single other host: unspecified, multicast, broadcast, loopback, or ourselves.
    drop_bad_source,
    /// Source and destination are the same socket.
    drop_land,
    /// Destinations that are not ours.
    drop_foreign,
    /// Broadcast or multicast packets that nobody asked for.
    drop_group,
    /// Port 0 as source or destination of TCP.
    drop_port_zero,
    /// Protocols that the stack does not speak.
    drop_protocol,
    /// UDP datagrams dropped because the queue of their socket or session was full.
    drop_udp_queue_full,
    /// UDP datagrams over IPv6 without a checksum.
    drop_udp_no_checksum,
    /// UDP datagrams that would have begun a session, with too many waiting to be accepted.
    drop_udp_sessions_full,
    /// UDP datagrams that nobody listens for.
    drop_udp_closed,
    /// ICMP messages that ask for nothing.
    drop_icmp_ignored,
    /// Segments that belong to no connection and no listener.
    drop_no_connection,
    /// Segments for a listener with neither SYN nor ACK, or with RST.
    drop_not_a_syn,
    /// SYNs refused because the accept queue is full.
    drop_backlog_full,
    /// SYNs refused because too many handshakes are open.
    drop_half_open_full,
    /// SYNs refused because the stack's buffers have used their budget up.
    drop_budget_syn,
    /// Data dropped because the stack's buffers hold twice their budget; the peer sends it again.
    drop_budget,
    /// Segments that a connection had queued already, dropped when its mailbox was full.
    drop_mailbox_duplicate,
    /// ACKs without data, dropped when a mailbox was full.
    drop_mailbox_ack,
    /// Data dropped because a mailbox was full.
    drop_mailbox_full,
    /// Segments for a connection in TIME-WAIT, or for one that has just ended.
    drop_late,
    /// Segments of a peer whose SYN waits for the application's decision; mostly the same SYN again.
    drop_undecided,
}

impl Counters {
    /// Counts a packet that could not be parsed.
    pub(crate) fn unparsable(&self, error: ParseError) {
        let counter = match error {
            ParseError::Truncated => &self.drop_truncated,
            ParseError::BadVersion => &self.drop_bad_version,
            ParseError::BadHeaderLength => &self.drop_bad_header_length,
            ParseError::BadTotalLength => &self.drop_bad_total_length,
            ParseError::BadChecksum => &self.drop_bad_checksum,
            ParseError::BadOption => &self.drop_bad_option,
            ParseError::BadFragment => &self.drop_bad_fragment,
            _ => &self.drop_extension_header,
        };
        counter.bump();
    }

    /// Counts what a listener made of a SYN's Fast Open option.
    pub(crate) fn fast_open_answered(&self, answer: FastOpenAnswer) {
        let counter = match answer {
            FastOpenAnswer::Ignored => return,
            FastOpenAnswer::Given(_) => &self.fast_open_cookies,
            FastOpenAnswer::Refused(_) => &self.fast_open_refused,
            FastOpenAnswer::Limited => &self.fast_open_limited,
            FastOpenAnswer::Accepted(_) => &self.fast_open_accepted,
        };
        counter.bump();
    }

    /// Counts what became of data on a SYN of ours.
    pub(crate) fn fast_open_ended(&self, outcome: FastOpen) {
        match outcome {
            FastOpen::Used => self.fast_open_used.bump(),
            FastOpen::Fallback => self.fast_open_fallback.bump(),
            _ => {}
        }
    }

    /// Counts a segment that a listener refused.
    pub(crate) fn syn_dropped(&self, reason: SynDrop) {
        let counter = match reason {
            SynDrop::TooManyHalfOpen => &self.drop_half_open_full,
            SynDrop::BacklogFull => &self.drop_backlog_full,
            _ => &self.drop_not_a_syn,
        };
        counter.bump();
    }
}
