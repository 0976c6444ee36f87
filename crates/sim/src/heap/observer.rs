//! Watching a run.

use netstack_tcp::{Connection, Instant, Segment, State};

use super::{EndId, Endpoint};
use crate::Fate;

/// Sees each wire segment and each turn of an endpoint. `()` watches nothing.
pub trait Observer {
    /// Whether [`queued`](Self::queued) is called, which costs a look at the queue for each packet.
    const WATCHES_QUEUES: bool = false;

    /// `segment` of `from` (one wire segment, already cut) was given to a link at `now`, after it had crossed `hops` others:
    /// 0 when `from` sends it. With a [`Discipline`](crate::Discipline) that may drop what waits, the call comes when the
    /// packet's fate is known: when the line takes it, or the queue drops it.
    fn sent(&mut self, now: Instant, from: EndId, hops: usize, segment: &Segment, fate: Fate) {
        let _ = (now, from, hops, segment, fate);
    }

    /// So many bytes and packets wait in front of the line of `link` after it was given a packet at `now`, or took one.
    /// Only where [`WATCHES_QUEUES`](Self::WATCHES_QUEUES).
    fn queued(&mut self, now: Instant, link: usize, bytes: usize, packets: usize) {
        let _ = (now, link, bytes, packets);
    }

    /// `segment` reached `at`, which is about to handle it.
    fn arrived(&mut self, now: Instant, at: EndId, segment: &Segment) {
        let _ = (now, at, segment);
    }

    /// `end` has handled what was due at `now` and has sent what it could.
    fn turned(&mut self, now: Instant, end: EndId, endpoint: &Endpoint) {
        let _ = (now, end, endpoint);
    }
}

impl Observer for () {}

/// Both watch, the first one first.
impl<O: Observer, P: Observer> Observer for (O, P) {
    const WATCHES_QUEUES: bool = O::WATCHES_QUEUES || P::WATCHES_QUEUES;

    fn sent(&mut self, now: Instant, from: EndId, hops: usize, segment: &Segment, fate: Fate) {
        self.0.sent(now, from, hops, segment, fate);
        self.1.sent(now, from, hops, segment, fate);
    }

    fn queued(&mut self, now: Instant, link: usize, bytes: usize, packets: usize) {
        self.0.queued(now, link, bytes, packets);
        self.1.queued(now, link, bytes, packets);
    }

    fn arrived(&mut self, now: Instant, at: EndId, segment: &Segment) {
        self.0.arrived(now, at, segment);
        self.1.arrived(now, at, segment);
    }

    fn turned(&mut self, now: Instant, end: EndId, endpoint: &Endpoint) {
        self.0.turned(now, end, endpoint);
        self.1.turned(now, end, endpoint);
    }
}

/// Keeps the last lines of a run, one per packet in the manner of tcpdump, for the report of a failed test.
#[derive(Clone, Debug)]
pub struct Recorder {
    lines: std::collections::VecDeque<String>,
    limit: usize,
}

impl Recorder {
    /// A recorder that keeps the last `limit` lines.
    pub fn new(limit: usize) -> Self {
        Self { lines: std::collections::VecDeque::new(), limit }
    }

    /// The lines kept, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    fn line(&mut self, line: String) {
        if self.lines.len() == self.limit {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

impl Observer for Recorder {
    fn sent(&mut self, now: Instant, from: EndId, hops: usize, segment: &Segment, fate: Fate) {
        let fate = match fate {
            Fate::QueueFull => "queue full".to_owned(),
            Fate::Lost => "lost".to_owned(),
            Fate::Arrives { at, copy: None } => format!("arrives {}", seconds(at)),
            Fate::Arrives { at, copy: Some(copy) } => {
                format!("arrives {} and {}", seconds(at), seconds(copy))
            }
        };
        let hops = if hops == 0 { String::new() } else { format!(" hop {hops}") };
        self.line(format!("{} {from}{hops} > {} {fate}", seconds(now), describe(segment)));
    }

    fn arrived(&mut self, now: Instant, at: EndId, segment: &Segment) {
        self.line(format!("{} {at} < {}", seconds(now), describe(segment)));
    }

    fn turned(&mut self, now: Instant, end: EndId, endpoint: &Endpoint) {
        let state = endpoint.state().map_or("-", State::name);
        let timeout =
            endpoint.connection().and_then(Connection::poll_timeout).map_or_else(String::new, seconds);
        let queued = endpoint.connection().map_or(0, Connection::send_queued);
        let unread = endpoint.unread();
        self.line(format!(
            "{} {end} = {state} queued {queued} unread {unread} timer {timeout}",
            seconds(now)
        ));
    }
}

fn seconds(at: Instant) -> String {
    let nanos = at.as_nanos();
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

fn describe(segment: &Segment) -> String {
    let header = &segment.header;
    format!(
        "[{}] seq {} ack {} win {} len {} [{}]",
        header.flags,
        header.seq,
        header.ack,
        header.window,
        segment.payload.len(),
        header.options
    )
}
