//! What the ends share: the links, the packets on them, and who watches.

use std::time::Duration;

use bytes::Bytes;
use netstack_tcp::{Instant, Segment};
use netstack_wire::Ecn;

use super::events::EventHeap;
use super::{EndId, Observer, Victim};
use crate::link::{Line, Outcome};
use crate::{Fate, Link, Trace};

/// The links, with the packets under way.
#[derive(Debug)]
pub(crate) struct Wires<O> {
    pub(crate) links: Vec<Link>,
    /// By [`EndId::index`]: the links that a packet of this end crosses, in order, at least one.
    routes: Vec<Box<[usize]>>,
    heap: EventHeap<Event>,
    /// By link: what waits in front of its line, if it holds its packets.
    lines: Vec<Line<Waiting>>,
    victims: Vec<Victim>,
    pub(crate) trace: Trace,
    pub(crate) observer: O,
    /// Scratch for `poll_transmit`.
    pub(crate) slices: Vec<Bytes>,
}

/// What will happen.
#[derive(Debug)]
enum Event {
    /// A packet has crossed a link.
    Crossed(Packet),
    /// The line of a link is free for what waits.
    Line(usize),
}

/// A packet in front of the line of a link.
#[derive(Debug)]
struct Waiting {
    packet: Packet,
    /// It is lost on the wire, whatever chance says.
    is_doomed: bool,
}

/// A packet under way.
#[derive(Debug)]
struct Packet {
    from: EndId,
    /// The links that it has crossed.
    hops: usize,
    ip_header: usize,
    segment: Segment,
    /// How much later than it would it arrives behind its present link.
    hold: Duration,
}

impl<O: Observer> Wires<O> {
    pub(crate) fn new(
        links: Vec<Link>,
        routes: Vec<Box<[usize]>>,
        victims: Vec<Victim>,
        observer: O,
    ) -> Self {
        Self {
            lines: links.iter().map(|_| Line::new()).collect(),
            links,
            routes,
            heap: EventHeap::new(),
            victims,
            trace: Trace::new(),
            observer,
            slices: Vec::new(),
        }
    }

    /// When the next packet has crossed a link.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.heap.next_at()
    }

    /// Packets under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.heap.len()
    }

    /// Takes the next packet that has crossed a link by `now`, if there is one, and moves it on: gives it out if that was its
    /// last link.
    pub(crate) fn advance(&mut self, now: Instant) -> Option<Advance> {
        let packet = match self.heap.pop_due(now)?.1 {
            Event::Crossed(packet) => packet,
            Event::Line(link) => {
                self.lines[link].fire();
                self.run_line(now, link);
                return Some(Advance::Moved);
            }
        };
        if packet.hops < self.routes[packet.from.index()].len() {
            self.cross(now, packet);
            return Some(Advance::Moved);
        }
        let to = packet.from.other();
        self.observer.arrived(now, to, &packet.segment);
        Some(Advance::Arrived(to, packet.segment))
    }

    /// Gives a segment of `from` to the first link of its route.
    pub(crate) fn send(&mut self, now: Instant, from: EndId, ip_header: usize, segment: Segment) {
        self.cross(now, Packet { from, hops: 0, ip_header, segment, hold: Duration::ZERO });
    }

    /// Lets a segment that nobody sent in this run come in at `at`, as from `from`.
    pub(crate) fn inject(&mut self, now: Instant, from: EndId, segment: Segment, at: Instant) {
        let hops = self.routes[from.index()].len();
        let packet = Packet { from, hops, ip_header: 0, segment, hold: Duration::ZERO };
        let fate = Fate::Arrives { at, copy: None };
        self.record(now, &packet, fate);
        self.observer.sent(now, from, 0, &packet.segment, fate);
        self.heap.push(at, Event::Crossed(packet));
    }

    fn cross(&mut self, now: Instant, mut packet: Packet) {
        let link = self.routes[packet.from.index()][packet.hops];
        let len = packet.ip_header + packet.segment.header.header_len() + packet.segment.payload.len();
        let mut victims = self.victims.iter_mut().filter(|_| packet.hops == 0);
        let hold =
            victims.find_map(|victim| victim.takes(packet.from, &packet.segment).then(|| victim.hold()));
        let doomed = hold == Some(None);
        packet.hold = hold.flatten().unwrap_or_default();
        if self.links[link].must_hold() {
            // The two directions of a flow are flows of their own.
            let size = (len, packet.from.index() as u64, packet.segment.ecn);
            let waiting = Waiting { packet, is_doomed: doomed };
            let mut outcomes = Vec::new();
            self.lines[link].offer(&mut self.links[link], now, waiting, size, &mut outcomes);
            self.settle(now, outcomes);
            self.run_line(now, link);
            return;
        }
        let fate = self.links[link].carry(now, len, doomed);
        packet.segment.ecn = self.links[link].mark(packet.segment.ecn);
        self.tell_depth(now, link);
        self.leave(now, packet, fate);
    }

    fn tell_depth(&mut self, now: Instant, link: usize) {
        if O::WATCHES_QUEUES {
            let (bytes, packets) = self.links[link].waiting(now);
            self.observer.queued(now, link, bytes, packets);
        }
    }

    /// Lets leave what the line of a link takes by `now`.
    fn run_line(&mut self, now: Instant, link: usize) {
        let mut outcomes = Vec::new();
        let again = self.lines[link].run(&mut self.links[link], now, &mut outcomes);
        if let Some(again) = again {
            self.heap.push(again, Event::Line(link));
        }
        self.tell_depth(now, link);
        self.settle(now, outcomes);
    }

    fn settle(&mut self, now: Instant, outcomes: Vec<Outcome<Waiting>>) {
        for outcome in outcomes {
            match outcome {
                Outcome::Dropped(waiting, _) => self.leave(now, waiting.packet, Fate::QueueFull),
                Outcome::Left(Waiting { mut packet, is_doomed }, departure) => {
                    if departure.marked {
                        packet.segment.ecn = Ecn::Ce;
                    }
                    // What is damaged fails its checksum.
                    let is_lost = is_doomed || departure.hit.is_some();
                    self.leave(now, packet, if is_lost { Fate::Lost } else { departure.fate });
                }
            }
        }
    }

    /// A packet has its fate on a link.
    fn leave(&mut self, now: Instant, mut packet: Packet, mut fate: Fate) {
        if let Fate::Arrives { at, .. } = &mut fate {
            *at += std::mem::take(&mut packet.hold);
        }
        self.record(now, &packet, fate);
        self.observer.sent(now, packet.from, packet.hops, &packet.segment, fate);
        let link = self.routes[packet.from.index()][packet.hops];
        packet.hops += 1;
        if let Fate::Arrives { at, copy } = fate {
            if let Some(copy) = copy {
                let segment = packet.segment.clone();
                self.heap.push(copy, Event::Crossed(Packet { segment, ..packet }));
            }
            self.heap.push_behind(link, at, Event::Crossed(packet));
        }
    }

    fn record(&mut self, now: Instant, packet: &Packet, fate: Fate) {
        let header = &packet.segment.header;
        let (code, at) = match fate {
            Fate::QueueFull => (0, 0),
            Fate::Lost => (1, 0),
            Fate::Arrives { at, copy: None } => (2, at.as_nanos()),
            Fate::Arrives { at, copy: Some(copy) } => (3, at.as_nanos() ^ copy.as_nanos().rotate_left(32)),
        };
        let timestamps = header.options.timestamps.unwrap_or_default();
        let trace = &mut self.trace;
        trace.packet();
        trace.word(now.as_nanos());
        trace.word(at);
        trace.word((packet.from.index() as u64) << 16 | (packet.hops as u64) << 8 | code);
        trace.word(u64::from(header.seq.0) << 32 | u64::from(header.ack.0));
        trace.word(
            (packet.segment.payload.len() as u64) << 32
                | u64::from(header.flags.bits()) << 16
                | u64::from(header.window),
        );
        trace.word(u64::from(timestamps.val) << 32 | u64::from(timestamps.ecr));
    }
}

/// What became of a packet that has crossed a link.
#[derive(Debug)]
pub(crate) enum Advance {
    /// It is on its next link, or lost there.
    Moved,
    /// It has arrived.
    Arrived(EndId, Segment),
}
