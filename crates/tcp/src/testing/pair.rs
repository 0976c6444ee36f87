//! Two connections back to back over a link in virtual time, with a script of what the link does to each segment.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use netstack_wire::SeqNum;

use super::wire_segments;
use crate::config::TcpConfig;
use crate::connection::{Connection, Opening};
use crate::fast_open::FastOpenOffer;
use crate::listener::{Listener, SynAction};
use crate::negotiate::SynRecord;
use crate::reset::reset_for;
use crate::segment::Segment;
use crate::time::Instant;
use crate::tuple::FourTuple;

/// One end of a [`Pair`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The end that opens, unless the test says otherwise.
    A,
    /// The other end.
    B,
}

impl Side {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A segment on its way.
#[derive(Debug, Clone)]
pub struct Flight {
    /// Who sent it.
    pub from: Side,
    /// When it left.
    pub sent: Instant,
    /// Counts the segments of this sender, from 0.
    pub index: usize,
    /// The segment.
    pub segment: Segment,
    /// It is no segment on its way but a router's report back to `from`: the segment was larger than this many octets.
    pub report: Option<u16>,
}

/// What the link does with a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives after the link's delay.
    Deliver,
    /// It is lost.
    Drop,
    /// It arrives this much later than others.
    Delay(Duration),
    /// It arrives twice.
    Duplicate,
}

/// One end: a connection and its application.
#[derive(Debug)]
struct End {
    /// `None` until the peer's SYN arrives at a listening end.
    connection: Option<Connection>,
    /// Judges that SYN; without one it is taken.
    listener: Option<Listener>,
    opening: Opening,
    config: Arc<TcpConfig>,
    sent: usize,
    received: Vec<u8>,
    reading: bool,
}

type Script = Box<dyn FnMut(&Flight) -> Fate>;
type Rewrite = Box<dyn FnMut(&mut Flight)>;

/// Two ends and the link between them.
pub struct Pair {
    ends: [End; 2],
    now: Instant,
    /// The step of the clock that the connections see.
    tick: Duration,
    delay: Duration,
    /// On the way, by arrival; equal times in the order of sending.
    flying: Vec<(Instant, u64, Flight)>,
    counter: u64,
    script: Script,
    rewrite: Rewrite,
    /// What a router half way takes, octets of a packet, and what it says about what it drops.
    narrow: (u16, Option<u16>),
    /// Every segment that left, in order.
    pub log: Vec<Flight>,
}

impl Pair {
    /// A listening B and an A that connects, with `delay` one way.
    #[must_use]
    pub fn new(config_a: TcpConfig, config_b: TcpConfig, delay: Duration) -> Self {
        Self::with_mtu(config_a, config_b, delay, 1500)
    }

    /// The same over a link with an MTU of `mtu` octets.
    #[must_use]
    pub fn with_mtu(config_a: TcpConfig, config_b: TcpConfig, delay: Duration, mtu: u16) -> Self {
        let mut pair = Self::idle(config_a, config_b, delay, mtu);
        pair.connect(Side::A);
        pair
    }

    /// The same, but nobody has opened yet.
    #[must_use]
    pub fn idle(config_a: TcpConfig, config_b: TcpConfig, delay: Duration, mtu: u16) -> Self {
        let tuple = FourTuple::new(([192, 0, 2, 1], 50_000).into(), ([192, 0, 2, 2], 7).into());
        let mut pair = Self {
            ends: [
                End::new(tuple, SeqNum(0xffff_f000), config_a),
                End::new(tuple.flipped(), SeqNum(0xffff_e000), config_b),
            ],
            now: Instant::ZERO,
            tick: Duration::from_nanos(1),
            delay,
            flying: Vec::new(),
            counter: 0,
            script: Box::new(|_| Fate::Deliver),
            rewrite: Box::new(|_| {}),
            narrow: (u16::MAX, None),
            log: Vec::new(),
        };
        for end in &mut pair.ends {
            end.opening.mtu = mtu;
        }
        pair
    }

    /// A pair over a link of 10 ms one way that is open on both sides.
    #[must_use]
    pub fn established(config: &TcpConfig) -> Self {
        let mut pair = Self::new(config.clone(), config.clone(), Duration::from_millis(10));
        pair.run_for(Duration::from_millis(100));
        pair
    }

    /// The connections see a clock that moves in steps of `tick` from now on.
    pub fn set_clock(&mut self, tick: Duration) {
        self.tick = tick.max(Duration::from_nanos(1));
    }

    /// The time as the connections see it.
    fn clock(&self) -> Instant {
        let tick = self.tick.as_nanos() as u64;
        Instant::from_nanos(self.now.as_nanos() / tick * tick)
    }

    /// When a clock of the connections first shows `due`.
    fn shows(&self, due: Instant) -> Instant {
        let tick = self.tick.as_nanos() as u64;
        Instant::from_nanos(due.as_nanos().div_ceil(tick).saturating_mul(tick))
    }

    /// What the link does from now on.
    pub fn script(&mut self, script: impl FnMut(&Flight) -> Fate + 'static) {
        self.script = Box::new(script);
    }

    /// What the link changes in each segment from now on; the log keeps them as they were sent.
    pub fn rewrite(&mut self, rewrite: impl FnMut(&mut Flight) + 'static) {
        self.rewrite = Box::new(rewrite);
    }

    /// A router on the path takes packets of `mtu` octets at most from now on, both ways. It drops larger ones, and says
    /// `report` about them, if anything: its MTU, or what else the test wants.
    pub fn narrow(&mut self, mtu: u16, report: Option<u16>) {
        self.narrow = (mtu, report);
    }

    /// Opens actively from `side`; both sides doing so at once is a simultaneous open.
    pub fn connect(&mut self, side: Side) {
        let end = &self.ends[side as usize];
        let opening = end.opening;
        let config = Arc::clone(&end.config);
        self.ends[side as usize].connection = Some(Connection::connect(self.clock(), opening, config));
        self.transmit(side);
    }

    /// Opens fast from `side`, with `data` written before the SYN leaves.
    ///
    /// # Panics
    ///
    /// If it cannot be written to.
    pub fn connect_fast(&mut self, side: Side, offer: &FastOpenOffer, data: &[u8]) {
        let end = &self.ends[side as usize];
        let mut connection = Connection::connect(self.clock(), end.opening, Arc::clone(&end.config));
        connection.open_fast(offer);
        connection.write(Bytes::copy_from_slice(data)).expect("the sending half is open");
        self.ends[side as usize].connection = Some(connection);
        self.transmit(side);
    }

    /// The SYN that comes to `side` is judged by `listener`.
    pub fn listen(&mut self, side: Side, listener: Listener) {
        self.ends[side as usize].listener = Some(listener);
    }

    /// The tuple as `side` sees it.
    #[must_use]
    pub fn tuple(&self, side: Side) -> FourTuple {
        self.ends[side as usize].opening.tuple
    }

    /// Whether `side` has a connection.
    #[must_use]
    pub fn has_connection(&self, side: Side) -> bool {
        self.ends[side as usize].connection.is_some()
    }

    /// The connection of `side`.
    ///
    /// # Panics
    ///
    /// If that end has none yet.
    pub fn connection(&mut self, side: Side) -> &mut Connection {
        self.ends[side as usize].connection.as_mut().expect("the end has a connection")
    }

    /// Applies a command to the connection of `side` and sends what follows from it.
    pub fn command<T>(&mut self, side: Side, command: impl FnOnce(&mut Connection, Instant) -> T) -> T {
        let now = self.clock();
        let result = command(self.connection(side), now);
        self.transmit(side);
        result
    }

    /// Writes `data` at `side`.
    ///
    /// # Panics
    ///
    /// If its sending half is closed.
    pub fn write(&mut self, side: Side, data: &[u8]) {
        let data = Bytes::copy_from_slice(data);
        self.command(side, |connection, _| connection.write(data)).expect("the sending half is open");
    }

    /// What `side` has read so far.
    #[must_use]
    pub fn received(&self, side: Side) -> &[u8] {
        &self.ends[side as usize].received
    }

    /// Whether the application of `side` reads what arrives; it does unless told otherwise.
    pub fn set_reading(&mut self, side: Side, reading: bool) {
        self.ends[side as usize].reading = reading;
        self.transmit(side);
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Runs until `time` has passed.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until `done`, at most for `limit`; whether it came to that.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        loop {
            if done(self) {
                return true;
            }
            if !self.step(end) {
                self.now = end;
                return done(self);
            }
        }
    }

    /// The next arrival or deadline, if it comes before `end`.
    fn step(&mut self, end: Instant) -> bool {
        let arrival = self.flying.iter().map(|(at, order, _)| (*at, *order)).min();
        let deadline = [Side::A, Side::B]
            .into_iter()
            .filter_map(|side| {
                let due = self.ends[side as usize].connection.as_ref()?.poll_timeout()?;
                Some((self.shows(due), side))
            })
            .min_by_key(|(at, _)| *at);
        match (arrival, deadline) {
            (Some((at, order)), deadline) if deadline.is_none_or(|(due, _)| at <= due) => {
                if at > end {
                    return false;
                }
                self.now = self.now.max(at);
                let place = self.flying.iter().position(|(_, known, _)| *known == order);
                let (_, _, flight) = self.flying.swap_remove(place.expect("it was just found"));
                self.deliver(flight);
            }
            (_, Some((due, side))) if due <= end => {
                self.now = self.now.max(due);
                self.command(side, |connection, now| connection.handle_timeout(now));
            }
            _ => return false,
        }
        true
    }

    fn deliver(&mut self, flight: Flight) {
        if let Some(mtu) = flight.report {
            let seq = flight.segment.header.seq;
            return self.command(flight.from, |connection, now| connection.handle_too_big(now, seq, mtu));
        }
        let side = flight.from.other();
        let now = self.clock();
        let end = &mut self.ends[side as usize];
        match &mut end.connection {
            Some(connection) if connection.close_reason().is_none() => {
                connection.handle_segment(now, flight.segment)
            }
            Some(_) => {
                if let Some(header) = reset_for(&flight.segment) {
                    let segment = Segment { header, payload: Bytes::new(), ..flight.segment };
                    self.launch(side, segment);
                }
                return;
            }
            None => {
                let (tuple, segment) = (end.opening.tuple, flight.segment);
                let record = match &mut end.listener {
                    None => SynRecord::from_segment(tuple, &segment, now),
                    Some(listener) => match listener.handle_syn(now, tuple, &segment) {
                        SynAction::Spawn(record) => record,
                        _ => return,
                    },
                };
                let mut connection = Connection::accept(now, &record, end.opening, Arc::clone(&end.config));
                if record.fast_open.is_accepted() {
                    connection.handle_segment(now, segment);
                }
                end.connection = Some(connection);
            }
        }
        self.transmit(side);
    }

    /// Sends what the connection of `side` has to send, and reads what it can.
    fn transmit(&mut self, side: Side) {
        let now = self.clock();
        let end = &mut self.ends[side as usize];
        let Some(connection) = &mut end.connection else { return };
        if end.reading {
            while let Some(data) = connection.read() {
                end.received.extend_from_slice(&data);
            }
            connection.set_unread(0);
        }
        let mut payload = Vec::new();
        let mut leaving = Vec::new();
        while let Some(transmit) = connection.poll_transmit(now, &mut payload, usize::MAX) {
            leaving.extend(wire_segments(&transmit, &payload));
        }
        for segment in leaving {
            self.launch(side, segment);
        }
    }

    fn launch(&mut self, from: Side, segment: Segment) {
        let end = &mut self.ends[from as usize];
        let flight = Flight { from, sent: self.now, index: end.sent, segment, report: None };
        end.sent += 1;
        let (mtu, report) = self.narrow;
        if packet_len(&flight.segment) > usize::from(mtu) {
            if report.is_some() {
                self.counter += 1;
                self.flying.push((self.now + self.delay, self.counter, Flight { report, ..flight.clone() }));
            }
            self.log.push(flight);
            return;
        }
        let (copies, extra) = match (self.script)(&flight) {
            Fate::Deliver => (1, Duration::ZERO),
            Fate::Drop => (0, Duration::ZERO),
            Fate::Delay(extra) => (1, extra),
            Fate::Duplicate => (2, Duration::ZERO),
        };
        for _ in 0..copies {
            self.counter += 1;
            let mut copy = flight.clone();
            (self.rewrite)(&mut copy);
            self.flying.push((self.now + self.delay + extra, self.counter, copy));
        }
        self.log.push(flight);
    }
}

impl End {
    fn new(tuple: FourTuple, iss: SeqNum, config: TcpConfig) -> Self {
        Self {
            connection: None,
            listener: None,
            opening: Opening { tuple, iss, ts_offset: 0, mtu: 1500 },
            config: Arc::new(config),
            sent: 0,
            received: Vec::new(),
            reading: true,
        }
    }
}

/// Octets of the IPv4 packet that carries `segment`.
fn packet_len(segment: &Segment) -> usize {
    20 + segment.header.header_len() + segment.payload.len()
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("now", &self.now).field("ends", &self.ends).finish_non_exhaustive()
    }
}
