//! Watching a run.

use netstack_tcp::{Connection, Instant, Segment, State};

use super::{Endpoint, Side};
use crate::Fate;

/// Sees each wire segment and each turn of an endpoint. `()` watches nothing.
pub trait Observer {
    /// `from` gave `segment` (one wire segment, already cut) to the link at `now`.
    fn sent(&mut self, now: Instant, from: Side, segment: &Segment, fate: Fate) {
        let _ = (now, from, segment, fate);
    }

    /// `segment` reached `at`, which is about to handle it.
    fn arrived(&mut self, now: Instant, at: Side, segment: &Segment) {
        let _ = (now, at, segment);
    }

    /// `side` has handled what was due at `now` and has sent what it could.
    fn turned(&mut self, now: Instant, side: Side, endpoint: &Endpoint) {
        let _ = (now, side, endpoint);
    }
}

impl Observer for () {}

/// Both watch, the first one first.
impl<O: Observer, P: Observer> Observer for (O, P) {
    fn sent(&mut self, now: Instant, from: Side, segment: &Segment, fate: Fate) {
        self.0.sent(now, from, segment, fate);
        self.1.sent(now, from, segment, fate);
    }

    fn arrived(&mut self, now: Instant, at: Side, segment: &Segment) {
        self.0.arrived(now, at, segment);
        self.1.arrived(now, at, segment);
    }

    fn turned(&mut self, now: Instant, side: Side, endpoint: &Endpoint) {
        self.0.turned(now, side, endpoint);
        self.1.turned(now, side, endpoint);
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
    fn sent(&mut self, now: Instant, from: Side, segment: &Segment, fate: Fate) {
        let fate = match fate {
            Fate::QueueFull => "queue full".to_owned(),
            Fate::Lost => "lost".to_owned(),
            Fate::Arrives { at, copy: None } => format!("arrives {}", seconds(at)),
            Fate::Arrives { at, copy: Some(copy) } => {
                format!("arrives {} and {}", seconds(at), seconds(copy))
            }
        };
        self.line(format!("{} {from} > {} {fate}", seconds(now), describe(segment)));
    }

    fn arrived(&mut self, now: Instant, at: Side, segment: &Segment) {
        self.line(format!("{} {at} < {}", seconds(now), describe(segment)));
    }

    fn turned(&mut self, now: Instant, side: Side, endpoint: &Endpoint) {
        let state = endpoint.state().map_or("-", State::name);
        let timeout =
            endpoint.connection().and_then(Connection::poll_timeout).map_or_else(String::new, seconds);
        let queued = endpoint.connection().map_or(0, Connection::send_queued);
        let unread = endpoint.unread();
        self.line(format!(
            "{} {side} = {state} queued {queued} unread {unread} timer {timeout}",
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
