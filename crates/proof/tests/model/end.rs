//! One end: a connection and its application, and what is known of both.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use netstack_tcp::testing::wire_segments;
use netstack_tcp::{
    CloseReason, Connection, Event, FourTuple, Instant, Opening, State, SynRecord, TcpConfig, TimeWait,
};
use netstack_wire::SeqNum;

use crate::wire::Packet;

/// What happens to a connection.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Segment(Packet),
    Timeout,
    Write,
    Shutdown,
    Close,
    Abort,
}

/// A connection as the list of all that has happened to it: it is a pure function of that.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) side: usize,
    pub(crate) iss: SeqNum,
    pub(crate) born: Instant,
    /// The SYN that a listener got; `None` for an active open.
    pub(crate) syn: Option<Packet>,
    pub(crate) inputs: Vec<(Instant, Input)>,
}

/// What became of a connection by its inputs.
pub(crate) struct Replay {
    pub(crate) connection: Connection,
    /// What left at the last input.
    pub(crate) sent: Vec<Packet>,
    /// What was read by all of them.
    pub(crate) received: Vec<u8>,
    pub(crate) ended: bool,
}

/// What each application writes, if it writes.
pub(crate) const TEXT: [&[u8]; 2] = [b"ab", b"xyz"];

pub(crate) fn tuple(side: usize) -> FourTuple {
    let tuple = FourTuple::new(([192, 0, 2, 1], 50_000).into(), ([192, 0, 2, 2], 7).into());
    if side == 0 { tuple } else { tuple.flipped() }
}

impl Life {
    /// The same, after one more input.
    pub(crate) fn with(&self, now: Instant, input: Input) -> Self {
        let mut life = self.clone();
        life.inputs.push((now, input));
        life
    }

    pub(crate) fn replay(&self, config: &Arc<TcpConfig>) -> Replay {
        let opening = Opening { tuple: tuple(self.side), iss: self.iss, ts_offset: 0, mtu: 1500 };
        let connection = match &self.syn {
            None => Connection::connect(self.born, opening, Arc::clone(config)),
            Some(syn) => {
                let record = SynRecord::from_segment(opening.tuple, &syn.segment(), self.born);
                Connection::accept(self.born, &record, opening, Arc::clone(config))
            }
        };
        let mut replay = Replay { connection, sent: Vec::new(), received: Vec::new(), ended: false };
        replay.collect(self.born);
        for (now, input) in &self.inputs {
            replay.apply(self.side, *now, input);
        }
        replay
    }
}

impl Replay {
    fn apply(&mut self, side: usize, now: Instant, input: &Input) {
        let connection = &mut self.connection;
        match input {
            Input::Segment(packet) => connection.handle_segment(now, packet.segment()),
            Input::Timeout => connection.handle_timeout(now),
            Input::Write => {
                connection.write(Bytes::from_static(TEXT[side])).expect("the model writes while it may");
            }
            Input::Shutdown => connection.shutdown_write(),
            Input::Close => connection.close(now),
            Input::Abort => connection.abort(),
        }
        self.collect(now);
    }

    /// Reads and sends all there is, as the owner of a connection does after each input.
    fn collect(&mut self, now: Instant) {
        self.sent.clear();
        while let Some(data) = self.connection.read() {
            self.received.extend_from_slice(&data);
        }
        self.connection.set_unread(0);
        let mut payload = Vec::new();
        while let Some(transmit) = self.connection.poll_transmit(now, &mut payload, usize::MAX) {
            let segments = wire_segments(&transmit, &payload);
            self.sent.extend(segments.iter().map(|segment| Packet::new(&segment.header, &segment.payload)));
        }
        while let Some(event) = self.connection.poll_event() {
            self.ended |= event == Event::PeerClosed;
        }
    }
}

/// A connection that is open or opening.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) life: Arc<Life>,
    pub(crate) print: u64,
    pub(crate) state: State,
    pub(crate) due: Option<Instant>,
}

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        (self.print, self.state, self.due) == (other.print, other.state, other.due)
    }
}

impl Eq for Open {}

impl Hash for Open {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.print, self.state, self.due).hash(hasher);
    }
}

/// Where the end stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// CLOSED, or LISTEN.
    Nowhere,
    Open(Open),
    TimeWait(TimeWait),
}

/// One end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct End {
    pub(crate) listens: bool,
    pub(crate) place: Place,
    /// Connections that this end has had.
    pub(crate) lives: u8,
    /// Those that came to be synchronized.
    pub(crate) opened: u8,
    pub(crate) wrote: bool,
    pub(crate) shut: bool,
    pub(crate) received: Vec<u8>,
    /// The end of the peer's stream was read.
    pub(crate) ended: bool,
    /// Why the synchronized connection, or the active one, came to its end.
    pub(crate) reason: Option<CloseReason>,
    /// Packets sent so far.
    pub(crate) sent: u8,
    /// One above the highest sequence number sent.
    pub(crate) highest: SeqNum,
    /// The newest acknowledgment number sent.
    pub(crate) expects: SeqNum,
}

impl End {
    pub(crate) fn new(listens: bool) -> Self {
        Self {
            listens,
            place: Place::Nowhere,
            lives: 0,
            opened: 0,
            wrote: false,
            shut: false,
            received: Vec::new(),
            ended: false,
            reason: None,
            sent: 0,
            highest: SeqNum(0),
            expects: SeqNum(0),
        }
    }

    pub(crate) fn state(&self) -> State {
        match &self.place {
            Place::Nowhere => State::Closed,
            Place::Open(open) => open.state,
            Place::TimeWait(_) => State::TimeWait,
        }
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        match &self.place {
            Place::Nowhere => None,
            Place::Open(open) => open.due,
            Place::TimeWait(record) => Some(record.expires_at()),
        }
    }

    /// Whether the application has the connection and has not closed it.
    pub(crate) fn app_is_busy(&self) -> bool {
        let has = match self.state() {
            State::SynSent => true,
            State::SynReceived => !self.listens,
            State::Established | State::CloseWait => true,
            _ => false,
        };
        has && !self.shut
    }
}
