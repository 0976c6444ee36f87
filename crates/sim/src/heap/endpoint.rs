//! One end of a flow: a connection through its whole life, and the bytes that a socket would hold for the application.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use netstack_tcp::{
    CloseReason, Connection, Event, FourTuple, Instant, Opening, Segment, State, SynRecord, TcpConfig,
    TimeWait, TimeWaitAction, reset_for,
};
use netstack_wire::SeqNum;
use netstack_wire::tcp::{TcpFlags, TcpHeader};

/// How an endpoint opens its connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Open {
    /// Active open at this instant; before it, the port is closed.
    Active(Instant),
    /// Passive open from the start, for one connection.
    Passive,
}

/// What an endpoint is made of.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Its own address and port.
    pub local: SocketAddr,
    /// The other end's.
    pub remote: SocketAddr,
    /// How it opens.
    pub open: Open,
    /// Initial send sequence number.
    pub iss: SeqNum,
    /// Offset of its timestamps (RFC 7323 5.4).
    pub ts_offset: u32,
    /// IP MTU of its device, bytes.
    pub mtu: u16,
    /// Most payload bytes in one transmission, at least the MSS; above it super-segments leave, cut before the link.
    pub max_payload: usize,
    /// How long after an arrival it takes its turn, as a task does that waits for its thread. What arrives meanwhile is
    /// handled in the same turn, each segment with the time of its arrival.
    pub turn_delay: Duration,
    /// Whether segments of one turn that continue each other come as one super-segment, as by receive offload.
    pub merge: bool,
    /// The step of the clock that its connection sees: time stands still in between, and a timer fires at the first step at
    /// or behind its deadline. Zero for the exact time.
    pub tick: Duration,
    /// Its protocol settings.
    pub tcp: Arc<TcpConfig>,
}

/// One end of a flow.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    life: Life,
    /// In-order bytes that the connection has handed out and the application has not read.
    inbox: VecDeque<Bytes>,
    unread: usize,
    connected: bool,
    eof: bool,
    closed: Option<CloseReason>,
    /// When the first SYN came.
    first_syn: Option<Instant>,
}

#[derive(Debug)]
enum Life {
    /// Opens actively at this instant.
    Waiting(Instant),
    Listening,
    Open(Box<Connection>),
    TimeWait(TimeWait),
    Closed,
}

impl Endpoint {
    pub(crate) fn new(config: EndpointConfig) -> Self {
        let life = match config.open {
            Open::Active(at) => Life::Waiting(at),
            Open::Passive => Life::Listening,
        };
        Self {
            config,
            life,
            inbox: VecDeque::new(),
            unread: 0,
            connected: false,
            eof: false,
            closed: None,
            first_syn: None,
        }
    }

    /// What it was made of.
    pub fn config(&self) -> &EndpointConfig {
        &self.config
    }

    /// The connection, from its first SYN until it enters TIME-WAIT or CLOSED.
    pub fn connection(&self) -> Option<&Connection> {
        match &self.life {
            Life::Open(connection) => Some(connection),
            _ => None,
        }
    }

    /// The record that stands for the connection in TIME-WAIT.
    pub fn time_wait(&self) -> Option<&TimeWait> {
        match &self.life {
            Life::TimeWait(record) => Some(record),
            _ => None,
        }
    }

    /// State of the connection; `None` before it exists.
    pub fn state(&self) -> Option<State> {
        match &self.life {
            Life::Waiting(_) | Life::Listening => None,
            Life::Open(connection) => Some(connection.state()),
            Life::TimeWait(_) => Some(State::TimeWait),
            Life::Closed => Some(State::Closed),
        }
    }

    /// Whether the handshake has completed, now or in the past.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// In-order bytes that the application has not read yet.
    pub fn unread(&self) -> usize {
        self.unread
    }

    /// Whether the application has read everything up to the peer's FIN.
    pub fn at_eof(&self) -> bool {
        self.eof && self.inbox.is_empty()
    }

    /// Whether the peer's FIN has come in order.
    pub fn peer_closed(&self) -> bool {
        self.eof
    }

    /// Why the connection ended, once it has; `Normal` also for one that rests in TIME-WAIT.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.closed
    }

    pub(crate) fn connection_mut(&mut self) -> Option<&mut Connection> {
        match &mut self.life {
            Life::Open(connection) => Some(connection),
            _ => None,
        }
    }

    pub(crate) fn inbox_mut(&mut self) -> &mut VecDeque<Bytes> {
        &mut self.inbox
    }

    pub(crate) fn consumed(&mut self, bytes: usize) {
        self.unread -= bytes;
    }

    /// When [`Self::expire`] is to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.life {
            Life::Waiting(at) => Some(self.tick_at(*at)),
            Life::Open(connection) => connection.poll_timeout().map(|at| self.tick_at(at)),
            Life::TimeWait(record) => Some(self.tick_at(record.expires_at())),
            Life::Listening | Life::Closed => None,
        }
    }

    /// The time that the connection sees at `now`.
    pub(crate) fn clock(&self, now: Instant) -> Instant {
        match crate::nanos(self.config.tick) {
            0 => now,
            tick => Instant::from_nanos(now.as_nanos() / tick * tick),
        }
    }

    /// When the connection's clock reaches `deadline`.
    fn tick_at(&self, deadline: Instant) -> Instant {
        match crate::nanos(self.config.tick) {
            0 => deadline,
            tick => Instant::from_nanos(deadline.as_nanos().div_ceil(tick).saturating_mul(tick)),
        }
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        let now = self.clock(now);
        match &mut self.life {
            Life::Waiting(at) if *at <= now => {
                let connection = Connection::connect(now, self.opening(), Arc::clone(&self.config.tcp));
                self.life = Life::Open(Box::new(connection));
            }
            Life::Open(connection) if connection.poll_timeout().is_some_and(|at| at <= now) => {
                connection.handle_timeout(now);
            }
            Life::TimeWait(record) if record.expires_at() <= now => self.life = Life::Closed,
            _ => {}
        }
    }

    /// Handles a segment; gives the header of an answer that no connection sends.
    pub(crate) fn arrive(&mut self, now: Instant, segment: Segment) -> Option<TcpHeader> {
        let now = self.clock(now);
        match &mut self.life {
            Life::Open(connection) => {
                connection.handle_segment(now, segment);
                None
            }
            Life::TimeWait(record) => match record.handle_segment(now, &segment) {
                TimeWaitAction::Reply(header) => Some(header),
                TimeWaitAction::Ignore => None,
                TimeWaitAction::Reopen { .. } => reset_for(&segment),
            },
            Life::Listening => self.listen(now, &segment),
            Life::Waiting(_) | Life::Closed => reset_for(&segment),
        }
    }

    /// RFC 9293 3.10.7.2, for a listener that takes one connection.
    fn listen(&mut self, now: Instant, segment: &Segment) -> Option<TcpHeader> {
        let flags = segment.header.flags;
        if flags.contains(TcpFlags::RST) {
            return None;
        }
        if flags.contains(TcpFlags::ACK) {
            return reset_for(segment);
        }
        if flags.contains(TcpFlags::SYN) {
            let syn = SynRecord::from_segment(self.tuple(), segment, now);
            let mut opening = self.opening();
            // RFC 6528 3: one step each 4 microseconds; the first number is the one that was given.
            let since = now - *self.first_syn.get_or_insert(now);
            opening.iss += (since.as_micros() / 4) as u32;
            let connection = Connection::accept(now, &syn, opening, Arc::clone(&self.config.tcp));
            self.life = Life::Open(Box::new(connection));
        }
        None
    }

    /// Takes events and bytes over from the connection; tells whether there were any.
    pub(crate) fn collect(&mut self) -> bool {
        let Life::Open(connection) = &mut self.life else { return false };
        let mut any = false;
        while let Some(event) = connection.poll_event() {
            any = true;
            match event {
                Event::Connected => self.connected = true,
                Event::PeerClosed => self.eof = true,
                Event::Closed(reason) => self.closed = Some(reason),
                _ => {}
            }
        }
        while let Some(piece) = connection.read() {
            any = true;
            self.unread += piece.len();
            self.inbox.push_back(piece);
        }
        any
    }

    /// Tells the connection how much is unread, if by now a window update is owed for it.
    pub(crate) fn announce_room(&mut self) {
        let unread = self.unread;
        if let Some(connection) = self.connection_mut()
            && connection.window_update_below().is_some_and(|level| unread <= level)
        {
            connection.set_unread(unread);
        }
    }

    /// Tells the connection how much is unread, as each turn of a connection actor does.
    pub(crate) fn account_unread(&mut self) {
        let unread = self.unread;
        if let Some(connection) = self.connection_mut() {
            connection.set_unread(unread);
        }
    }

    /// Moves on to the compact TIME-WAIT record or to CLOSED when the connection is through.
    pub(crate) fn settle(&mut self) {
        let Life::Open(connection) = &self.life else { return };
        if let Some(record) = connection.time_wait() {
            self.closed.get_or_insert(CloseReason::Normal);
            self.life = Life::TimeWait(record);
        } else if connection.state() == State::Closed {
            let reset = matches!(connection.close_reason(), Some(CloseReason::Refused | CloseReason::Reset));
            if reset && self.config.open == Open::Passive && !self.connected {
                // RFC 9293 3.10.7.4: a reset returns a passive open to LISTEN.
                self.closed = None;
                self.life = Life::Listening;
            } else {
                self.life = Life::Closed;
            }
        }
    }

    fn tuple(&self) -> FourTuple {
        FourTuple::new(self.config.local, self.config.remote)
    }

    fn opening(&self) -> Opening {
        let EndpointConfig { iss, ts_offset, mtu, .. } = self.config;
        Opening { tuple: self.tuple(), iss, ts_offset, mtu }
    }
}
