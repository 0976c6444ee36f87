//! Connections as they are seen in a log: segments in relative numbers, states, timers, figures.

mod infer;
mod numbers;
mod timers;
mod trips;

use std::borrow::Cow;
use std::net::SocketAddr;

use netstack_sim::record::{Figures, Log, Packet, PacketFate, Record, Transport};
use netstack_wire::tcp::TcpFlags;

pub use timers::TimerSpan;

use numbers::Numbers;

/// One end of a [`Flow`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// What it is called: as in the log, or its address.
    pub name: String,
    /// Address and port.
    pub addr: SocketAddr,
}

/// A connection in a log. Side 0 opened it, as far as the log shows; times are nanoseconds.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The two ends.
    pub ends: [End; 2],
    /// Segments of both sides, in the order in which they were sent.
    pub segments: Vec<Seg>,
    /// The states of each side with the time at which it came into them; the first one from before the start.
    pub states: [Vec<(u64, Cow<'static, str>)>; 2],
    /// Timers of each side that matter to a reader.
    pub timers: [Vec<TimerSpan>; 2],
    /// Figures of each side over time; empty in a capture.
    pub figures: [Vec<Figures>; 2],
    /// Each side's round trips of data sent once, until the ACK was there: when, and how long.
    pub round_trips: [Vec<(u64, u64)>; 2],
}

/// A segment in relative numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Seg {
    /// The side that sent it.
    pub from: usize,
    /// The link on which it was first seen.
    pub link: usize,
    /// When it was sent, or seen.
    pub t: u64,
    /// When it arrived; `None` if it was lost, or nobody saw it arrive.
    pub arrives: Option<u64>,
    /// What became of it.
    pub fate: PacketFate,
    /// The control flags.
    pub flags: TcpFlags,
    /// Their names.
    pub flag_names: String,
    /// Sequence number less the initial one.
    pub seq: i64,
    /// Acknowledgment number less the peer's initial sequence number; `None` without ACK.
    pub ack: Option<i64>,
    /// Octets of payload.
    pub len: u32,
    /// The window, scaled where the scale is known.
    pub window: u64,
    /// SACK blocks in the peer's relative numbers.
    pub sack: Vec<(i64, i64)>,
    /// Whether any of it was sent before.
    pub retransmission: bool,
    /// A word about it.
    pub note: Option<String>,
}

impl Seg {
    /// Whether it was lost on its way.
    pub fn is_lost(&self) -> bool {
        matches!(self.fate, PacketFate::Lost | PacketFate::QueueFull)
    }

    /// Sequence number behind its last.
    pub fn end(&self) -> i64 {
        let control = [TcpFlags::SYN, TcpFlags::FIN].map(|flag| i64::from(self.flags.contains(flag)));
        self.seq + i64::from(self.len) + control[0] + control[1]
    }
}

impl Flow {
    /// The connections of a log, in the order of their first segments.
    pub fn all(log: &Log) -> Vec<Self> {
        let mut flows: Vec<Builder> = Vec::new();
        for packet in log.packets() {
            let Transport::Tcp(_) = &packet.transport else { continue };
            match flows.iter_mut().find(|flow| flow.owns(packet)) {
                Some(flow) => flow.push(packet),
                None => {
                    let mut flow = Builder::new(log, packet);
                    flow.push(packet);
                    flows.push(flow);
                }
            }
        }
        flows.into_iter().map(|flow| flow.finish(log)).collect()
    }

    /// The first and the last instant of the connection.
    pub fn span(&self) -> (u64, u64) {
        let sent = self.segments.iter().flat_map(|segment| [Some(segment.t), segment.arrives]).flatten();
        // The first state is from before the start.
        let changed = self.states.iter().flat_map(|states| states.iter().skip(1).map(|(t, _)| *t));
        let times = || sent.clone().chain(changed.clone());
        (times().min().unwrap_or(0), times().max().unwrap_or(0))
    }

    /// Octets of payload that a side sent, those sent again included.
    pub fn sent(&self, side: usize) -> u64 {
        self.segments
            .iter()
            .filter(|segment| segment.from == side)
            .map(|segment| u64::from(segment.len))
            .sum()
    }

    /// The side that sent more.
    pub fn sender(&self) -> usize {
        usize::from(self.sent(1) > self.sent(0))
    }

    /// Its two addresses.
    pub fn title(&self) -> String {
        format!("{} - {}", self.ends[0].addr, self.ends[1].addr)
    }
}

/// A flow in the making.
struct Builder {
    ends: [End; 2],
    numbers: Numbers,
    segments: Vec<Seg>,
    /// Transport and the links on which it was seen, of each segment, to know it again on another link.
    seen: Vec<(Transport, Vec<usize>)>,
    several_links: bool,
}

impl Builder {
    fn new(log: &Log, first: &Packet) -> Self {
        let Transport::Tcp(segment) = &first.transport else { unreachable!("only TCP makes a flow") };
        let answers = segment.flags.contains(TcpFlags::SYN | TcpFlags::ACK);
        let (a, b) = if answers { (first.dst, first.src) } else { (first.src, first.dst) };
        let ends = [(a, b), (b, a)].map(|(local, peer)| {
            let known = log.header.ends.iter().find(|end| end.local == local && end.peer == peer);
            End { name: known.map_or_else(|| local.ip().to_string(), |end| end.name.clone()), addr: local }
        });
        let initial = [(a, b), (b, a)].map(|(src, dst)| {
            log.packets().find_map(|packet| match &packet.transport {
                Transport::Tcp(segment)
                    if (packet.src, packet.dst) == (src, dst)
                        && packet.note.is_none()
                        && segment.flags.contains(TcpFlags::SYN) =>
                {
                    Some(segment.seq)
                }
                _ => None,
            })
        });
        Self {
            ends,
            numbers: Numbers::new(initial),
            segments: Vec::new(),
            seen: Vec::new(),
            several_links: log.header.links.len() > 1,
        }
    }

    fn owns(&self, packet: &Packet) -> bool {
        let [a, b] = [self.ends[0].addr, self.ends[1].addr];
        (packet.src, packet.dst) == (a, b) || (packet.src, packet.dst) == (b, a)
    }

    fn push(&mut self, packet: &Packet) {
        let Transport::Tcp(segment) = &packet.transport else { return };
        let from = usize::from(packet.src != self.ends[0].addr);
        if self.seen_again(packet) {
            return;
        }
        let (seq, ack, sack) = self.numbers.place(from, segment, packet.note.is_some());
        let (fate, arrives) = (packet.fate, arrival(packet));
        let mut seg = Seg {
            from,
            link: packet.link,
            t: packet.t,
            arrives,
            fate,
            flags: segment.flags,
            flag_names: segment.flag_names(),
            seq,
            ack,
            len: segment.len,
            window: self.numbers.window(from, segment),
            sack,
            retransmission: false,
            note: packet.note.clone(),
        };
        seg.retransmission = self.numbers.sent_before(&seg);
        self.segments.push(seg);
        self.seen.push((packet.transport.clone(), vec![packet.link]));
    }

    /// Whether this is a segment of before on its next link; then what happens there is what becomes of it.
    fn seen_again(&mut self, packet: &Packet) -> bool {
        if !self.several_links {
            return false;
        }
        let from = usize::from(packet.src != self.ends[0].addr);
        let recent = self.segments.iter_mut().zip(&mut self.seen).rev().take(4096);
        for (segment, (transport, links)) in recent {
            let same =
                segment.from == from && *transport == packet.transport && !links.contains(&packet.link);
            let on_its_way = match packet.fate {
                PacketFate::Seen => segment.fate == PacketFate::Seen,
                _ => segment.arrives == Some(packet.t),
            };
            if same && on_its_way {
                links.push(packet.link);
                segment.arrives =
                    if packet.fate == PacketFate::Seen { Some(packet.t) } else { arrival(packet) };
                segment.fate = packet.fate;
                return true;
            }
        }
        false
    }

    fn finish(self, log: &Log) -> Flow {
        let [a, b] = [self.ends[0].addr, self.ends[1].addr];
        let place =
            |local, peer| log.header.ends.iter().position(|end| end.local == local && end.peer == peer);
        let places = [place(a, b), place(b, a)];
        let figures = places.map(|place| {
            let of = |record: &Record| match record {
                Record::Figures(figures) if Some(figures.end) == place => Some(figures.clone()),
                _ => None,
            };
            log.records.iter().filter_map(of).collect()
        });
        let recorded = places.map(|place| {
            let mut states = vec![(0, Cow::Owned(log.header.ends.get(place?)?.state.clone()))];
            states.extend(log.records.iter().filter_map(|record| match record {
                Record::State(change) if Some(change.end) == place => Some((change.t, change.to.clone())),
                _ => None,
            }));
            Some(states)
        });
        let states = match recorded {
            [Some(a), Some(b)] => [a, b],
            _ => infer::states(&self.segments),
        };
        Flow {
            states,
            timers: places.map(|place| timers::spans(log, place)),
            round_trips: trips::round_trips(&self.segments),
            figures,
            segments: self.segments,
            ends: self.ends,
        }
    }
}

fn arrival(packet: &Packet) -> Option<u64> {
    match packet.fate {
        PacketFate::Delivered { at, .. } => Some(at),
        PacketFate::Lost | PacketFate::QueueFull | PacketFate::Seen => None,
    }
}
