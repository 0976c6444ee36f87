//! Watching a network on the event heap.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use netstack_tcp::{Instant, RecoveryState, Segment, State, TcpInfo, Timer};

use super::entry::{Change, Figures, Packet, PacketFate, QueueDepth, Record, StateChange, TimerChange};
use super::packet::octets_of;
use super::{EndName, Header, LinkName, Log};
use crate::Fate;
use crate::heap::{EndId, Endpoint, FlowConfig, NetworkConfig, Observer, Open, PairConfig, Side};

/// Watches a run and keeps everything: an [`Observer`].
///
/// It holds each packet with its payload until it is dropped, about 200 octets more than the payload for a packet, and about as
/// much again for what its ends say of themselves.
#[derive(Debug)]
pub struct Recording {
    log: Log,
    /// By [`EndId::index`].
    ends: Vec<Watched>,
    /// What waited last, by link.
    depths: Vec<(usize, usize)>,
    headers_only: bool,
}

/// An end as it was last seen.
#[derive(Debug)]
struct Watched {
    local: SocketAddr,
    peer: SocketAddr,
    /// The links that its packets cross.
    route: Vec<usize>,
    state: &'static str,
    deadlines: [Option<u64>; Timer::ALL.len()],
    figures: Figures,
}

impl Recording {
    /// A recording of a network made of `config`; its links are called `link 0` and so on.
    pub fn new(config: &NetworkConfig) -> Self {
        let names = (0..config.links.len()).map(|link| format!("link {link}")).collect();
        Self::named(Some(config.seed), names, config.flows.iter())
    }

    /// A recording of a pair; its links are called `A to B` and `B to A`.
    pub fn of_pair(config: &PairConfig) -> Self {
        let flow = FlowConfig { a: config.a.clone(), b: config.b.clone(), a_to_b: vec![0], b_to_a: vec![1] };
        let names = ["A to B", "B to A"].map(str::to_owned).to_vec();
        Self::named(Some(config.seed), names, [&flow].into_iter())
    }

    fn named<'a>(seed: Option<u64>, links: Vec<String>, flows: impl Iterator<Item = &'a FlowConfig>) -> Self {
        let mut header = Header { seed, ..Header::default() };
        let mut ends = Vec::new();
        for (flow, config) in flows.enumerate() {
            let sides = [(Side::A, &config.a, &config.a_to_b), (Side::B, &config.b, &config.b_to_a)];
            for (side, end, route) in sides {
                let state = if end.open == Open::Passive { "LISTEN" } else { "CLOSED" };
                header.ends.push(EndName {
                    name: EndId { flow, side }.to_string(),
                    local: end.local,
                    peer: end.remote,
                    state: state.to_owned(),
                });
                ends.push(Watched {
                    local: end.local,
                    peer: end.remote,
                    route: route.clone(),
                    state,
                    deadlines: [None; Timer::ALL.len()],
                    figures: Figures::default(),
                });
            }
        }
        let depths = vec![(0, 0); links.len()];
        header.links = links.into_iter().map(|name| LinkName { name }).collect();
        Self { log: Log { header, records: Vec::new() }, ends, depths, headers_only: false }
    }

    /// Names the links, in their order.
    #[must_use]
    pub fn link_names<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        for (link, name) in self.log.header.links.iter_mut().zip(names) {
            name.clone_into(&mut link.name);
        }
        self
    }

    /// Keeps of each packet's octets the headers alone: a capture has the packets cut short then.
    #[must_use]
    pub fn headers_only(mut self) -> Self {
        self.headers_only = true;
        self
    }

    /// What was recorded.
    pub fn into_log(self) -> Log {
        self.log
    }
}

impl Observer for Recording {
    const WATCHES_QUEUES: bool = true;

    fn sent(&mut self, now: Instant, from: EndId, hops: usize, segment: &Segment, fate: Fate) {
        let end = &self.ends[from.index()];
        let fate = match fate {
            Fate::QueueFull => PacketFate::QueueFull,
            Fate::Lost => PacketFate::Lost,
            Fate::Arrives { at, copy } => {
                PacketFate::Delivered { at: at.as_nanos(), copy: copy.map(Instant::as_nanos) }
            }
        };
        let octets: Bytes = octets_of(end.local, end.peer, segment);
        let size = octets.len();
        let packet = Packet::parse(now.as_nanos(), end.route[hops], octets, size, fate);
        let mut packet = packet.expect("what was just written is an IP packet");
        packet.hop = hops;
        if self.headers_only {
            // A copy: a slice would keep the whole alive.
            packet.data = Bytes::copy_from_slice(&packet.data[..size - segment.payload.len()]);
        }
        self.log.records.push(Record::Packet(packet));
    }

    fn queued(&mut self, now: Instant, link: usize, bytes: usize, packets: usize) {
        if self.depths[link] != (bytes, packets) {
            self.depths[link] = (bytes, packets);
            self.log.records.push(Record::Queue(QueueDepth { t: now.as_nanos(), link, bytes, packets }));
        }
    }

    fn turned(&mut self, now: Instant, end: EndId, endpoint: &Endpoint) {
        self.ends[end.index()].turned(now.as_nanos(), end.index(), endpoint, &mut self.log.records);
    }
}

impl Watched {
    fn turned(&mut self, t: u64, end: usize, endpoint: &Endpoint, records: &mut Vec<Record>) {
        let before = match endpoint.config().open {
            Open::Passive => "LISTEN",
            Open::Active(_) => "CLOSED",
        };
        let state = endpoint.state().map_or(before, State::name);
        self.timers(t, end, endpoint, records);
        for to in way(self.state, state) {
            let from = Cow::Borrowed(std::mem::replace(&mut self.state, to));
            records.push(Record::State(StateChange { t, end, from, to: Cow::Borrowed(to) }));
        }
        if let Some(connection) = endpoint.connection() {
            let figures = figures(t, end, &connection.info());
            if (Figures { t: self.figures.t, ..figures.clone() }) != self.figures {
                self.figures = figures.clone();
                records.push(Record::Figures(figures));
            }
        }
    }

    fn timers(&mut self, t: u64, end: usize, endpoint: &Endpoint, records: &mut Vec<Record>) {
        for (timer, last) in Timer::ALL.into_iter().zip(&mut self.deadlines) {
            // A batch a millisecond tells nobody anything.
            if timer == Timer::Pacing {
                continue;
            }
            let running = endpoint.connection().and_then(|connection| connection.deadline(timer));
            let in_time_wait =
                endpoint.time_wait().filter(|_| timer == Timer::Lifetime).map(|record| record.expires_at());
            let due = running.or(in_time_wait).map(Instant::as_nanos);
            if due == *last {
                continue;
            }
            // One that was set in TIME-WAIT is over with it.
            let rests = in_time_wait.is_some() || self.state == State::TimeWait.name();
            let name = if timer == Timer::Lifetime && rests { "2msl" } else { timer.name() };
            let mut push = |change, due| {
                let timer = Cow::Borrowed(name);
                records.push(Record::Timer(TimerChange { t, end, timer, change, due }));
            };
            match (*last, due) {
                (Some(was), _) if was <= t => push(Change::Fired, None),
                (Some(_), None) => push(Change::Stopped, None),
                _ => {}
            }
            if due.is_some() {
                push(Change::Set, due);
            }
            *last = due;
        }
    }
}

/// The states from `from` to `to`, without the first: what happens at one instant may lead over several edges, and the stack
/// takes the shortest way (see [`State::may_become`]); of two as short, the one over FIN-WAIT-2.
fn way(from: &'static str, to: &'static str) -> Vec<&'static str> {
    let state = |name: &str| State::ALL.into_iter().find(|state| state.name() == name);
    let (Some(start), Some(goal)) = (state(from), state(to)) else {
        return if from == to { Vec::new() } else { vec![to] };
    };
    let mut ways: VecDeque<Vec<State>> = VecDeque::from([vec![start]]);
    while let Some(way) = ways.pop_front() {
        let last = way[way.len() - 1];
        if last == goal {
            return way[1..].iter().map(|state| state.name()).collect();
        }
        for next in State::ALL.into_iter().filter(|&next| last.may_become(next) && !way.contains(&next)) {
            ways.push_back([&way[..], &[next]].concat());
        }
    }
    vec![to]
}

fn figures(t: u64, end: usize, info: &TcpInfo) -> Figures {
    let recovery = match info.recovery {
        RecoveryState::Open => "open",
        RecoveryState::Disorder => "disorder",
        RecoveryState::Recovery => "recovery",
        RecoveryState::Loss => "loss",
        RecoveryState::Resizing => "resizing",
        _ => "other",
    };
    Figures {
        t,
        end,
        cwnd: info.cwnd,
        ssthresh: info.ssthresh,
        flight: info.in_flight,
        unsent: info.unsent,
        snd_wnd: info.snd_wnd,
        rcv_wnd: info.rcv_wnd,
        srtt: info.srtt.map(crate::nanos),
        rttvar: crate::nanos(info.rttvar),
        rto: crate::nanos(info.rto),
        recovery: Cow::Borrowed(recovery),
        phase: Cow::Borrowed(info.controller_phase),
    }
}
