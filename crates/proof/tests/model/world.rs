//! Two ends and the wire between them, as a graph of states.

use core::time::Duration;
use std::sync::Arc;

use netstack_tcp::{CloseReason, Instant, Listener, State, SynAction, TcpConfig, TimeWaitAction, reset_for};
use netstack_wire::SeqNum;
use netstack_wire::tcp::{TcpFlags, TcpHeader};
use stateright::{Model, Property};

use crate::bug::Bug;
use crate::end::{End, Input, Life, Open, Place, TEXT, tuple};
use crate::wire::{Flight, Packet};

/// An application acts sooner than a timer of more than this.
const APPLICATION: Duration = Duration::from_secs(30);

/// No run needs more packets of one end: a pair that answers each other for ever is found by this.
const STORM: u8 = 60;

/// What of an older incarnation of the tuple is still on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Old {
    Syn,
    SynAck,
    Data,
    Fin,
    Reset,
}

/// What is explored: how the connection opens and closes, and how much the wire may do.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// Both ends open actively, at once.
    pub(crate) simultaneous: bool,
    /// Whether the applications give up both halves at once when they close; else they half-close.
    pub(crate) full_close: bool,
    /// Which applications may write.
    pub(crate) writes: [bool; 2],
    pub(crate) losses: u8,
    pub(crate) duplicates: u8,
    /// Timers that may fire while there is something on its way.
    pub(crate) early: u8,
    pub(crate) aborts: u8,
    /// A packet of an older incarnation, and the end that it goes to.
    pub(crate) old: Option<(Old, usize)>,
    pub(crate) config: Arc<TcpConfig>,
    pub(crate) bug: Option<Bug>,
}

/// The state of everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) ends: [End; 2],
    /// What is on its way, sorted: it may arrive in any order.
    wire: Vec<Flight>,
    losses: u8,
    duplicates: u8,
    early: u8,
    aborts: u8,
    /// The first thing that happened and must not.
    pub(crate) wrong: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Deliver(Flight),
    Lose(Flight),
    Duplicate(Flight),
    Timeout(usize),
    Write(usize),
    Shutdown(usize),
    Abort(usize),
}

/// The initial sequence number of the `life`th connection of a side: the first ones wrap.
fn iss(side: usize, life: u8) -> SeqNum {
    SeqNum([0xffff_fffe, 0xffff_fff0][side]) + u32::from(life) * 0x10_0000
}

/// That of the older incarnation.
fn old_iss(side: usize) -> SeqNum {
    iss(side, 0) - 0x2_0000
}

impl Old {
    fn packet(self, from: usize) -> Packet {
        let tuple = tuple(from);
        let (first, peer) = (old_iss(from), old_iss(1 - from) + 1);
        let (flags, seq, ack, text): (_, _, _, &[u8]) = match self {
            Self::Syn => (TcpFlags::SYN, first, SeqNum(0), b""),
            Self::SynAck => (TcpFlags::SYN | TcpFlags::ACK, first, peer, b""),
            Self::Data => (TcpFlags::PSH | TcpFlags::ACK, first + 1, peer, b"??"),
            Self::Fin => (TcpFlags::FIN | TcpFlags::ACK, first + 1, peer, b""),
            Self::Reset => (TcpFlags::RST | TcpFlags::ACK, first + 1, peer, b""),
        };
        let header = TcpHeader {
            src_port: tuple.local().port(),
            dst_port: tuple.remote().port(),
            seq,
            ack,
            flags,
            window: 0xffff,
            ..TcpHeader::default()
        };
        Packet::new(&header, text)
    }
}

impl World {
    fn other(side: usize) -> usize {
        1 - side
    }

    /// No connection is left, and nothing is on its way.
    pub(crate) fn is_over(&self) -> bool {
        self.wire.is_empty() && self.ends.iter().all(|end| end.place == Place::Nowhere)
    }

    fn blame(&mut self, what: &'static str) {
        self.wrong.get_or_insert(what);
    }

    fn put(&mut self, flight: Flight) {
        let place = self.wire.binary_search(&flight).unwrap_or_else(|place| place);
        self.wire.insert(place, flight);
    }

    fn take(&mut self, flight: &Flight) {
        let place = self.wire.binary_search(flight).expect("what is taken was there");
        self.wire.remove(place);
    }

    /// `packet` leaves `side`.
    fn launch(&mut self, model: &Exchange, side: usize, packet: Packet) {
        if !model.bug.is_none_or(|bug| bug.lets_out(&self.ends[side], &packet)) {
            return;
        }
        self.judge_ack(side, &packet);
        let end = &mut self.ends[side];
        if end.sent == 0 || packet.end().after(end.highest) {
            end.highest = packet.end();
        }
        if packet.has(TcpFlags::ACK) {
            end.expects = packet.segment().header.ack;
        }
        end.sent = end.sent.saturating_add(1);
        if end.sent > STORM {
            self.blame("a storm of packets");
        }
        self.put(Flight { to: Self::other(side), packet, late: false });
    }

    /// An end that is synchronized acknowledges numbers that its peer has used in this run, and no others.
    fn judge_ack(&mut self, side: usize, packet: &Packet) {
        let header = packet.segment().header;
        let speaks = self.ends[side].state().is_synchronized();
        if !speaks || !header.flags.contains(TcpFlags::ACK) || header.flags.contains(TcpFlags::RST) {
            return;
        }
        let peer = Self::other(side);
        let room = TEXT[peer].len() as u32 + 3;
        let lives = self.ends[peer].lives;
        if !(0..lives).any(|life| header.ack.in_window(iss(peer, life) + 1, room)) {
            self.blame("a synchronized end acknowledges an older incarnation");
        }
    }

    /// The connection of `side` after its newest input.
    fn settle(&mut self, model: &Exchange, side: usize, life: Life) {
        let replay = life.replay(&model.config);
        let connection = &replay.connection;
        let before = self.ends[side].state();
        let state = connection.state();
        let end = &mut self.ends[side];
        if state.is_synchronized() && !before.is_synchronized() {
            end.opened += 1;
            if end.opened > 1 {
                self.blame("one opening, two connections");
            }
        }
        let end = &mut self.ends[side];
        // A connection that a late SYN brought about has no application.
        let synchronized = before.is_synchronized() || state.is_synchronized();
        if synchronized {
            end.received.clone_from(&replay.received);
            end.ended |= replay.ended;
        }
        if state == State::Closed && (synchronized || !end.listens) {
            end.reason = end.reason.or_else(|| connection.close_reason());
        }
        end.place = match connection.time_wait() {
            Some(record) => Place::TimeWait(record),
            None if state == State::Closed => Place::Nowhere,
            None => {
                let (print, due) = (connection.fingerprint(), connection.poll_timeout());
                Place::Open(Open { life: Arc::new(life), print, state, due })
            }
        };
        for packet in replay.sent {
            self.launch(model, side, packet);
        }
        self.judge_stream(side);
    }

    fn judge_stream(&mut self, side: usize) {
        let (end, peer) = (&self.ends[side], &self.ends[Self::other(side)]);
        let written: &[u8] = if peer.wrote { TEXT[Self::other(side)] } else { b"" };
        if !written.starts_with(&end.received) {
            self.blame("what was read was not written");
        } else if end.ended && end.received.len() < written.len() {
            self.blame("the stream ended before its last octet");
        }
    }

    fn input(&mut self, model: &Exchange, side: usize, input: Input) {
        if let Place::Open(open) = &self.ends[side].place {
            let life = open.life.with(self.now, input);
            self.settle(model, side, life);
        }
    }

    fn birth(&mut self, model: &Exchange, side: usize, syn: Option<Packet>) {
        let iss = iss(side, self.ends[side].lives);
        self.ends[side].lives += 1;
        let life = Life { side, iss, born: self.now, syn, inputs: Vec::new() };
        self.settle(model, side, life);
    }

    fn deliver(&mut self, model: &Exchange, side: usize, packet: Packet) {
        let packet = match model.bug {
            Some(bug) => bug.on_input(&self.ends[side], packet),
            None => Some(packet),
        };
        let Some(packet) = packet else { return };
        let segment = packet.segment();
        let end = &mut self.ends[side];
        match &mut end.place {
            Place::Open(_) => self.input(model, side, Input::Segment(packet)),
            Place::TimeWait(_) if model.bug == Some(Bug::ResetEndsTimeWait) && packet.has(TcpFlags::RST) => {
                end.place = Place::Nowhere;
                self.blame("TIME-WAIT ended before its time");
            }
            Place::TimeWait(record) => match record.handle_segment(self.now, &segment) {
                TimeWaitAction::Reply(header) => self.launch(model, side, Packet::new(&header, b"")),
                TimeWaitAction::Ignore => {}
                TimeWaitAction::Reopen { .. } => self.blame("an old SYN opens the tuple anew"),
            },
            Place::Nowhere if end.listens => {
                match Listener::new(1, 1).handle_syn(self.now, tuple(side), &segment) {
                    SynAction::Spawn(_) => self.birth(model, side, Some(packet)),
                    SynAction::Reset(header) => self.launch(model, side, Packet::new(&header, b"")),
                    _ => {}
                }
            }
            Place::Nowhere => {
                if let Some(header) = reset_for(&segment) {
                    self.launch(model, side, Packet::new(&header, b""));
                }
            }
        }
    }

    fn timeout(&mut self, model: &Exchange, side: usize) {
        let end = &mut self.ends[side];
        if let Some(due) = end.due() {
            self.now = self.now.max(due);
        }
        match end.place {
            Place::TimeWait(_) => {
                end.reason = end.reason.or(Some(CloseReason::Normal));
                end.place = Place::Nowhere;
            }
            _ => self.input(model, side, Input::Timeout),
        }
    }

    /// Whose timer may fire next: the first that is due.
    fn timers(&self, ripe: &mut Vec<usize>) {
        let dues = [self.ends[0].due(), self.ends[1].due()];
        let Some(first) = dues.into_iter().flatten().min() else { return };
        let busy = self.ends.iter().any(End::app_is_busy);
        if busy && first - self.now > APPLICATION {
            return;
        }
        for (side, due) in dues.into_iter().enumerate() {
            let waits = matches!(self.ends[side].place, Place::TimeWait(_));
            // What is on its way is younger than 2 MSL; else the timer is early.
            let quiet = if waits { self.wire.is_empty() } else { self.wire.iter().all(|flight| flight.late) };
            if due == Some(first) && (quiet || (!waits && self.early > 0)) {
                ripe.push(side);
            }
        }
    }
}

impl Exchange {
    /// Whether nothing stands in the way of an orderly end: then it has to come, with all octets.
    fn is_orderly(&self) -> bool {
        // Nothing tells an old SYN from a simultaneous open until the handshake fails (RFC 9293 3.5.1).
        let strange = matches!(self.old, Some((Old::Syn, to)) if to == 0 || self.simultaneous);
        let unread = self.full_close && self.writes != [false, false];
        self.aborts == 0 && !strange && !unread
    }

    fn ended_well(&self, world: &World) -> bool {
        let normal = |end: &End| end.reason == Some(CloseReason::Normal) && end.ended;
        world.ends.iter().all(normal)
    }
}

impl Model for Exchange {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut world = World {
            now: Instant::from_nanos(1_000_000_000),
            ends: [End::new(false), End::new(!self.simultaneous)],
            wire: Vec::new(),
            losses: self.losses,
            duplicates: self.duplicates,
            early: self.early,
            aborts: self.aborts,
            wrong: None,
        };
        if let Some((old, to)) = self.old {
            world.put(Flight { to, packet: old.packet(1 - to), late: true });
        }
        world.birth(self, 0, None);
        if self.simultaneous {
            world.birth(self, 1, None);
        }
        vec![world]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.wrong.is_some() {
            return;
        }
        let mut last = None;
        for flight in &world.wire {
            if last == Some(flight) {
                continue;
            }
            last = Some(flight);
            actions.push(Action::Deliver(flight.clone()));
            if flight.late || world.losses > 0 {
                actions.push(Action::Lose(flight.clone()));
            }
            if !flight.late && world.duplicates > 0 {
                actions.push(Action::Duplicate(flight.clone()));
            }
        }
        let mut ripe = Vec::new();
        world.timers(&mut ripe);
        actions.extend(ripe.into_iter().map(Action::Timeout));
        for (side, end) in world.ends.iter().enumerate() {
            if end.app_is_busy() {
                actions.push(Action::Shutdown(side));
                if self.writes[side] && !end.wrote {
                    actions.push(Action::Write(side));
                }
            }
            if world.aborts > 0 && matches!(end.place, Place::Open(_)) {
                actions.push(Action::Abort(side));
            }
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Deliver(flight) => {
                world.take(&flight);
                world.deliver(self, flight.to, flight.packet);
            }
            Action::Lose(flight) => {
                world.take(&flight);
                world.losses -= u8::from(!flight.late);
            }
            Action::Duplicate(flight) => {
                world.duplicates -= 1;
                world.put(Flight { late: true, ..flight });
            }
            Action::Timeout(side) => {
                world.early -= u8::from(world.wire.iter().any(|flight| !flight.late));
                world.timeout(self, side);
            }
            Action::Write(side) => {
                world.ends[side].wrote = true;
                world.input(self, side, Input::Write);
            }
            Action::Shutdown(side) => {
                world.ends[side].shut = true;
                world.input(self, side, if self.full_close { Input::Close } else { Input::Shutdown });
            }
            Action::Abort(side) => {
                world.aborts -= 1;
                world.input(self, side, Input::Abort);
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing wrong happens", |_, world: &World| world.wrong.is_none()),
            // Each action uses up something, so the graph has no cycle: what holds where it stops is reached by all ways.
            Property::always("all ways end in CLOSED", |model: &Self, world: &World| {
                let mut actions = Vec::new();
                model.actions(world, &mut actions);
                !actions.is_empty() || world.wrong.is_some() || world.is_over()
            }),
            Property::always("an orderly close is one", |model: &Self, world: &World| {
                world.wrong.is_some() || !model.is_orderly() || !world.is_over() || model.ended_well(world)
            }),
        ]
    }
}
