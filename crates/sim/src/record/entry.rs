//! The records of a log. Their fields are the schema of docs/trace-schema.md: what is renamed here is renamed there.

use std::borrow::Cow;
use std::net::SocketAddr;

use bytes::Bytes;
use netstack_wire::tcp::TcpFlags;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One thing that happened. Times are nanoseconds since the start of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Record {
    /// A packet was given to a link.
    Packet(Packet),
    /// A connection changed its state.
    State(StateChange),
    /// A timer of a connection was set, fired or was stopped.
    Timer(TimerChange),
    /// The figures of a connection changed.
    Figures(Figures),
    /// What waits in front of a link's line changed.
    Queue(QueueDepth),
}

impl Record {
    /// When it happened.
    pub fn t(&self) -> u64 {
        match self {
            Self::Packet(packet) => packet.t,
            Self::State(change) => change.t,
            Self::Timer(change) => change.t,
            Self::Figures(figures) => figures.t,
            Self::Queue(depth) => depth.t,
        }
    }
}

/// A packet on one link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Packet {
    /// When it was given to the link; in a capture, when it was seen.
    pub t: u64,
    /// The link.
    pub link: usize,
    /// The links that it had crossed before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hop: usize,
    /// Source address and port; port 0 where there are no ports.
    pub src: SocketAddr,
    /// Destination address and port.
    pub dst: SocketAddr,
    /// Octets of the IP packet.
    pub size: usize,
    /// What became of it on this link.
    pub fate: PacketFate,
    /// Whether it left the link marked CE.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ce: bool,
    /// What it carries.
    pub transport: Transport,
    /// A word about it for the pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The packet itself, for a capture; not in the JSON lines, and empty in a log that was read from them.
    #[serde(skip)]
    pub data: Bytes,
}

/// What became of a packet on a link.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PacketFate {
    /// It reached the other side of the link.
    Delivered {
        /// When.
        at: u64,
        /// When a duplicate did, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        copy: Option<u64>,
    },
    /// It was lost on the wire.
    Lost,
    /// The queue in front of the line had no room for it.
    QueueFull,
    /// A capture saw it pass; what became of it is not known.
    Seen,
}

/// What a packet carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// A TCP segment.
    Tcp(TcpSegment),
    /// A UDP datagram.
    Udp {
        /// Octets of data.
        len: u32,
    },
    /// Something else, or a fragment.
    Other {
        /// Number of the protocol in the IP header.
        protocol: u8,
    },
}

/// The fields of a TCP segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpSegment {
    /// The control flags, by name.
    #[serde(serialize_with = "write_flags", deserialize_with = "read_flags")]
    pub flags: TcpFlags,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number; 0 without ACK.
    pub ack: u32,
    /// The window field, not scaled.
    pub window: u16,
    /// Octets of payload.
    pub len: u32,
    /// Maximum segment size, in a SYN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mss: Option<u16>,
    /// Window scale, in a SYN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wscale: Option<u8>,
    /// SACK permitted, in a SYN.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sack_permitted: bool,
    /// Value and echo of the timestamps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamps: Option<(u32, u32)>,
    /// SACK blocks, left and right edge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sack: Vec<(u32, u32)>,
}

/// A connection went along one edge from a state to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// When.
    pub t: u64,
    /// The end.
    pub end: usize,
    /// The state it left, as RFC 9293 spells it.
    pub from: Cow<'static, str>,
    /// The state it is in now.
    pub to: Cow<'static, str>,
}

/// A timer of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerChange {
    /// When.
    pub t: u64,
    /// The end.
    pub end: usize,
    /// The timer's name; `2msl` for the end of TIME-WAIT.
    pub timer: Cow<'static, str>,
    /// What happened to it.
    pub change: Change,
    /// When it will fire, if it was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<u64>,
}

/// What happened to a timer.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was set, or set anew.
    Set,
    /// It was due.
    Fired,
    /// It was stopped.
    Stopped,
}

/// The figures of a connection after something happened at its end. Octets and nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// When.
    pub t: u64,
    /// The end.
    pub end: usize,
    /// Congestion window.
    pub cwnd: u32,
    /// Slow-start threshold; left out before the first loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssthresh: Option<u32>,
    /// Octets in flight.
    pub flight: u32,
    /// Octets written and not sent.
    pub unsent: u32,
    /// The peer's window.
    pub snd_wnd: u32,
    /// Our window as announced.
    pub rcv_wnd: u32,
    /// Smoothed round-trip time; left out before the first sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub srtt: Option<u64>,
    /// Mean deviation of the round-trip time.
    pub rttvar: u64,
    /// Retransmission timeout, back-off included.
    pub rto: u64,
    /// Where the connection is between a loss and its repair: open, disorder, recovery, loss, resizing.
    pub recovery: Cow<'static, str>,
    /// The phase of the congestion controller; empty if it has none.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub phase: Cow<'static, str>,
}

/// What waits in front of a link's line.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueDepth {
    /// When.
    pub t: u64,
    /// The link.
    pub link: usize,
    /// Octets that wait.
    pub bytes: usize,
    /// Packets that wait.
    pub packets: usize,
}

// The signatures are serde's.
fn is_zero(value: &usize) -> bool {
    *value == 0
}

fn is_false(value: &bool) -> bool {
    !value
}

const FLAG_NAMES: [(TcpFlags, &str); 9] = [
    (TcpFlags::SYN, "SYN"),
    (TcpFlags::FIN, "FIN"),
    (TcpFlags::RST, "RST"),
    (TcpFlags::PSH, "PSH"),
    (TcpFlags::URG, "URG"),
    (TcpFlags::ECE, "ECE"),
    (TcpFlags::CWR, "CWR"),
    (TcpFlags::AE, "AE"),
    (TcpFlags::ACK, "ACK"),
];

impl TcpSegment {
    /// The names of the flags that are set, `", "` between them, ACK last: `SYN, ACK`.
    pub fn flag_names(&self) -> String {
        names_of(self.flags, ", ")
    }
}

fn names_of(flags: TcpFlags, separator: &str) -> String {
    let names = FLAG_NAMES.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| *name);
    names.collect::<Vec<_>>().join(separator)
}

fn write_flags<S: Serializer>(flags: &TcpFlags, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&names_of(*flags, " "))
}

fn read_flags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TcpFlags, D::Error> {
    let names = Cow::<'_, str>::deserialize(deserializer)?;
    let mut flags = TcpFlags::empty();
    for name in names.split_whitespace() {
        let known = FLAG_NAMES.iter().find(|(_, known)| *known == name);
        let &(flag, _) = known.ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "{name:?} is no TCP flag; they are SYN, FIN, RST, PSH, URG, ECE, CWR, AE, ACK"
            ))
        })?;
        flags |= flag;
    }
    Ok(flags)
}
