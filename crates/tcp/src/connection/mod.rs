//! The transmission control block and its owner's interface (RFC 9293 3.3.1, 3.10.1 to 3.10.6).

mod ack;
mod arrival;
mod counters;
mod delivery;
mod ecn;
mod fast_open;
#[cfg(any(test, feature = "testing"))]
mod fingerprint;
mod getters;
mod handshake;
mod header;
mod output;
mod path_mtu;
mod plan;
mod recovery;
mod timeout;
mod tuning;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use netstack_wire::{SeqNum, ipv4};

use crate::config::{KeepAlive, TcpConfig};
use crate::congestion::CongestionControl;
use crate::ecn::EcnState;
use crate::event::{Event, EventSet};
use crate::fast_open::FastOpen;
use crate::negotiate::Negotiated;
use crate::recv::RecvHalf;
use crate::send::SendHalf;
use crate::state::{CloseReason, IcmpNotice, State};
use crate::time::{Instant, Patience};
use crate::timer::{Timer, TimerTable};
use crate::tuple::FourTuple;
use counters::Counters;
use fast_open::Attempt;

/// What a new connection needs from outside: its name and its secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// The connection's name.
    pub tuple: FourTuple,
    /// Initial send sequence number, from [`IsnGenerator::isn`](crate::IsnGenerator::isn).
    pub iss: SeqNum,
    /// Offset of the timestamp clock, from [`IsnGenerator::ts_offset`](crate::IsnGenerator::ts_offset).
    pub ts_offset: u32,
    /// MTU of the device, octets of an IP packet; at least 68 counts.
    pub mtu: u16,
}

/// The sending half is closed: nothing more can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteError;

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sending half of the connection is closed")
    }
}

impl std::error::Error for WriteError {}

/// One TCP connection as a pure state machine: the transmission control block ("TCB") of RFC 9293.
///
/// It reads no clock, does no I/O and draws no random numbers: its output is a function of what it was made with and of
/// the inputs with their times. Four kinds of method, told apart by name:
///
/// - *inputs* `handle_*`: a segment arrived, a deadline passed, an ICMP error came;
/// - *commands*: what the application wants ([`write`](Self::write), [`read`](Self::read),
///   [`shutdown_write`](Self::shutdown_write), [`close`](Self::close), [`abort`](Self::abort), `set_*`);
/// - *outputs* `poll_*`: segments to send, the next deadline, events;
/// - getters.
///
/// After any input or command call [`poll_transmit`](Self::poll_transmit) until it gives `None`, then
/// [`poll_event`](Self::poll_event) until it gives `None`, fetch what can be [`read`](Self::read), and arm a timer for
/// [`poll_timeout`](Self::poll_timeout). A batch of segments may be handled before the first poll; the ACK then covers
/// all of it (MUST-59).
///
/// ```
/// use std::sync::Arc;
/// use netstack_tcp::{Connection, FourTuple, Instant, Opening, State, TcpConfig};
/// use netstack_wire::SeqNum;
///
/// let tuple = FourTuple::new("192.0.2.1:50000".parse()?, "192.0.2.2:7".parse()?);
/// let opening = Opening { tuple, iss: SeqNum(1), ts_offset: 0, mtu: 1500 };
/// let mut connection = Connection::connect(Instant::ZERO, opening, Arc::new(TcpConfig::new()));
///
/// let mut payload = Vec::new();
/// let syn = connection.poll_transmit(Instant::ZERO, &mut payload, usize::MAX).expect("a SYN is due");
/// assert_eq!(syn.header.options.mss, Some(1460));
/// assert_eq!(connection.state(), State::SynSent);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub struct Connection {
    tuple: FourTuple,
    config: Arc<TcpConfig>,
    state: State,
    /// Opened by a SYN from the peer (MUST-11).
    passive: bool,
    snd: SendHalf,
    rcv: RecvHalf,
    agreed: Negotiated,
    ecn: EcnState,
    timers: TimerTable,
    events: EventSet,
    close_reason: CloseReason,
    /// Octets behind the fixed TCP header, options and text, that a packet of the device's MTU carries; at most what the
    /// configuration allows.
    path_mss: u16,
    ts_offset: u32,
    nodelay: bool,
    /// Both halves were given up by the application; only the peer still matters.
    orphaned: bool,
    /// A SYN or SYN-ACK is to be sent.
    syn_due: bool,
    /// SYNs or SYN-ACKs sent.
    syns_sent: u8,
    syn_sent_at: Instant,
    fast_open: FastOpen,
    attempt: Option<Box<Attempt>>,
    /// A RST is to be sent, without any change of state.
    reset_due: bool,
    /// Its sequence number.
    reset_seq: SeqNum,
    /// Boxed: most connections do without.
    keepalive: Option<Box<KeepAlive>>,
    keepalive_due: bool,
    keepalive_probes: u8,
    last_received: Instant,
    user_timeout: Patience,
    soft_error: Option<IcmpNotice>,
    dscp: u8,
    hop_limit: u8,
    stats: Counters,
}

const _: () = assert!(size_of::<Connection>() <= 840, "small connections are a promise of the stack");

/// Octets of text and TCP options that a packet of `mtu` octets has room for (MUST-16), no more than is configured.
fn link_mss(tuple: &FourTuple, config: &TcpConfig, mtu: u16) -> u16 {
    let room = (usize::from(mtu.max(ipv4::MIN_MTU)) - tuple.ip_header_len().min(40) - 20) as u16;
    room.min(config.mss).max(1)
}

impl Connection {
    fn new(now: Instant, opening: Opening, config: Arc<TcpConfig>, state: State) -> Self {
        let Opening { tuple, iss, ts_offset, mtu } = opening;
        let path_mss = link_mss(&tuple, &config, mtu);
        let agreed = Negotiated::offer(&config, &tuple);
        Self {
            tuple,
            state,
            passive: false,
            snd: SendHalf::new(iss, path_mss.min(agreed.peer_mss), &config),
            rcv: RecvHalf::new(&config),
            agreed,
            ecn: EcnState::new(config.ecn, iss),
            timers: TimerTable::new(),
            events: EventSet::default(),
            close_reason: CloseReason::Normal,
            path_mss,
            ts_offset,
            nodelay: config.nodelay,
            orphaned: false,
            syn_due: true,
            syns_sent: 0,
            syn_sent_at: now,
            fast_open: FastOpen::Off,
            attempt: None,
            reset_due: false,
            reset_seq: iss,
            keepalive: config.keepalive.map(Box::new),
            keepalive_due: false,
            keepalive_probes: 0,
            last_received: now,
            user_timeout: Patience::new(config.user_timeout),
            soft_error: None,
            dscp: config.dscp,
            hop_limit: config.hop_limit,
            stats: Counters::default(),
            config,
        }
    }

    // ---- Commands ----

    /// SEND (RFC 9293 3.10.2): queues `data` behind what was written before. Takes all of it; the caller keeps to
    /// [`send_space`](Self::send_space). Before the connection is open the data waits (S-SEND-1).
    ///
    /// # Errors
    ///
    /// [`WriteError`] after [`shutdown_write`](Self::shutdown_write), [`close`](Self::close), or the connection's end.
    pub fn write(&mut self, data: Bytes) -> Result<(), WriteError> {
        if self.snd.fin_queued || matches!(self.state, State::Closed | State::TimeWait) {
            return Err(WriteError);
        }
        self.snd.buffer.push(data);
        Ok(())
    }

    /// Marks all that was written so far as urgent: segments up to its end carry URG (MUST-30, MUST-62).
    pub fn mark_urgent(&mut self) {
        if self.snd.buffer.len() > 0 {
            self.snd.urgent = Some(self.snd.data_end() + self.syn_in_front());
        }
    }

    /// RECEIVE (RFC 9293 3.10.3): the next piece of data in order. It counts against the window until
    /// [`set_unread`](Self::set_unread) says that the application has consumed it.
    pub fn read(&mut self) -> Option<Bytes> {
        self.rcv.fetch()
    }

    /// Says how many octets given out by [`read`](Self::read) the application has not consumed yet. The window opens
    /// accordingly; an update leaves when it is worth a segment (MUST-39).
    pub fn set_unread(&mut self, octets: usize) {
        self.rcv.set_unread(u32::try_from(octets).unwrap_or(u32::MAX));
    }

    /// The level of unread octets at or below which a window update would leave: the owner calls
    /// [`set_unread`](Self::set_unread) when the application has read down to it. `None` while no update is owed.
    #[must_use]
    pub fn window_update_below(&self) -> Option<usize> {
        if !self.state.takes_text() {
            return None;
        }
        self.rcv.update_below(self.agreed.rcv_shift).map(|level| level as usize)
    }

    /// Bounds what may wait for the application below the configured receive buffer, from the next announcement on; at
    /// least two segments always may. The right edge that was announced stays (SHLD-14). With 0 nothing is kept that comes
    /// out of order either.
    pub fn set_recv_limit(&mut self, octets: usize) {
        self.rcv.set_limit(u32::try_from(octets).unwrap_or(u32::MAX));
    }

    /// Gives up what came out of order, for its memory: the peer has to keep it until it is acknowledged in order, and
    /// sends it again (RFC 2018 8). Whether there was any.
    pub fn discard_out_of_order(&mut self) -> bool {
        self.rcv.discard_out_of_order()
    }

    /// CLOSE of the sending half (RFC 9293 3.10.4): a FIN follows what was written (S-CLOSE-1). Reading goes on. Before
    /// the connection is open the FIN waits until it is (S-CLOSE-3).
    pub fn shutdown_write(&mut self) {
        if self.snd.fin_queued {
            return;
        }
        match self.state {
            State::Established => self.enter(State::FinWait1),
            State::CloseWait => self.enter(State::LastAck),
            State::SynSent | State::SynReceived => {}
            _ => return,
        }
        self.snd.fin_queued = true;
    }

    /// The application gives up both halves. Data that it has not read turns the close into a RST, and so does data that
    /// arrives later (SHLD-3); else the close is in order, and bounded in time.
    pub fn close(&mut self, now: Instant) {
        match self.state {
            State::Closed => return,
            State::SynSent => return self.finish(CloseReason::Aborted),
            _ => {}
        }
        if self.rcv.buffered() > 0 && self.state != State::TimeWait {
            // SHLD-3, in CLOSING and LAST-ACK too, where an ABORT is silent.
            self.owe_reset(self.ack_seq());
            self.finish(CloseReason::Aborted);
            return;
        }
        self.orphaned = true;
        self.shutdown_write();
        if self.snd.is_outstanding() && !self.timers.is_armed(Timer::UserTimeout) {
            self.arm_user_timeout(now);
        }
        if self.state == State::FinWait2 {
            self.timers.set(Timer::Lifetime, now + self.config.fin_wait2_timeout);
        }
    }

    /// ABORT (RFC 9293 3.10.5): tells the peer by RST where there is a peer to tell, and ends.
    pub fn abort(&mut self) {
        // LAST-ACK and CLOSING are entered when the FIN is queued: until it has left, the peer knows of nothing.
        let fin_held = matches!(self.state, State::Closing | State::LastAck) && self.snd.has_unsent();
        if self.state.abort_sends_reset() || fin_held {
            self.owe_reset(self.ack_seq());
        }
        if self.state != State::Closed {
            self.finish(CloseReason::Aborted);
        }
    }

    /// Switches the Nagle algorithm off or on (MUST-17).
    pub fn set_nodelay(&mut self, on: bool) {
        self.nodelay = on;
    }

    /// Switches delayed ACKs off or on: with `true` every segment with text is acknowledged at once (SHLD-18).
    pub fn set_quickack(&mut self, on: bool) {
        self.rcv.ack.set_always(on);
    }

    /// Sets keep-alive probing for this connection (MUST-24, MUST-27).
    pub fn set_keepalive(&mut self, now: Instant, keepalive: Option<KeepAlive>) {
        self.keepalive = keepalive.map(Box::new);
        self.keepalive_probes = 0;
        self.timers.stop(Timer::KeepAlive);
        if self.state.is_synchronized() && self.state != State::TimeWait {
            self.arm_keepalive(now);
        }
    }

    /// Sets R2 for this connection (MUST-21); `None` is for ever. It counts from the last progress on, so that a silence that
    /// lasts already may end at once.
    pub fn set_user_timeout(&mut self, limit: Option<Duration>) {
        let old = core::mem::replace(&mut self.user_timeout, Patience::new(limit)).limit();
        if self.orphaned || !self.state.is_synchronized() {
            // The close and the handshake have limits of their own.
            return;
        }
        let running = self.timers.deadline(Timer::UserTimeout);
        match (limit, running, old) {
            (None, ..) => self.timers.stop(Timer::UserTimeout),
            (Some(limit), Some(at), Some(old)) => self.timers.set(Timer::UserTimeout, at.before(old) + limit),
            (Some(limit), None, _) if self.snd.is_outstanding() || self.snd.has_unsent() => {
                let since = self.snd.last_sent.max(self.last_received);
                self.timers.set(Timer::UserTimeout, since + limit);
            }
            _ => {}
        }
    }

    /// The device's MTU has changed: segments from now on fit it, those that are sent again too. What was announced to the
    /// peer stays.
    pub fn set_link_mtu(&mut self, mtu: u16) {
        self.path_mss = link_mss(&self.tuple, &self.config, mtu);
        self.fit_segments();
        // What does not fit the new link leaves again in pieces that do, if it is lost.
        self.snd.board.recut(self.full_segment(), false);
    }

    /// Sets the differentiated services code point, 0 to 63 (MUST-48, SHLD-21).
    pub fn set_dscp(&mut self, dscp: u8) {
        self.dscp = dscp & 0x3f;
    }

    /// Changes the congestion controller of this connection, at any time (MAY-18). The new one starts from the window and
    /// the threshold of the old.
    pub fn set_congestion(&mut self, choice: &CongestionControl) {
        let mss = self.full_segment();
        self.snd.congestion.replace(choice, mss, self.snd.iss.0);
        if let Some(srtt) = self.snd.rtt.srtt() {
            self.snd.congestion.on_known_rtt(srtt);
        }
    }

    /// Sets TTL or hop limit, 1 to 255 (MUST-49).
    pub fn set_hop_limit(&mut self, hops: u8) {
        self.hop_limit = hops.max(1);
    }

    // ---- Outputs ----

    /// The earliest deadline; call [`handle_timeout`](Self::handle_timeout) when it is reached.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The next thing to know, each once.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.take(self.close_reason)
    }

    // ---- Changes of state ----

    /// A RST with sequence number `seq` is to be sent.
    fn owe_reset(&mut self, seq: SeqNum) {
        (self.reset_due, self.reset_seq) = (true, seq);
    }

    /// The one way from state to state.
    fn enter(&mut self, next: State) {
        debug_assert!(self.state.may_become(next), "{} must not become {next}", self.state);
        tracing::debug!(from = self.state.name(), to = next.name(), "state");
        self.state = next;
    }

    /// Ends the connection: timers stop, queues are flushed, the owner is told.
    fn finish(&mut self, reason: CloseReason) {
        self.abandon_fast_open(reason);
        self.enter(State::Closed);
        self.timers.stop_all();
        self.snd.buffer.clear();
        self.snd.board.restart(self.snd.nxt);
        if reason == CloseReason::Normal {
            // What is in order can still be read; what lies behind a gap cannot.
            self.rcv.discard_out_of_order();
        } else {
            self.rcv.clear();
        }
        self.close_reason = reason;
        self.events.raise(EventSet::CLOSED);
    }

    /// Both FINs are acknowledged: 2 MSL remain (S-FIN-6).
    fn enter_time_wait(&mut self, now: Instant) {
        self.enter(State::TimeWait);
        self.timers.stop_all();
        self.timers.set(Timer::Lifetime, now + self.config.time_wait);
    }

    /// Our FIN is acknowledged, the peer's has not come (S-ACK-8).
    fn enter_fin_wait2(&mut self, now: Instant) {
        self.enter(State::FinWait2);
        if self.orphaned {
            self.timers.set(Timer::Lifetime, now + self.config.fin_wait2_timeout);
        }
    }

    /// What stands between SND.UNA and the first octet of text: our SYN, while it is unacknowledged.
    fn syn_in_front(&self) -> u32 {
        u32::from(matches!(self.state, State::SynSent | State::SynReceived) && self.snd.una == self.snd.iss)
    }

    /// Payload octets of a full segment with the options that every segment carries.
    fn full_segment(&self) -> u32 {
        self.snd.effective_mss(if self.agreed.timestamps { 12 } else { 0 })
    }

    /// What holds whenever nothing more is to be transmitted: what waits has a timer that brings it forward.
    fn check_progress(&self) {
        let outstanding = self.snd.is_outstanding();
        let waits = self.sends_text() && (outstanding || self.snd.has_unsent());
        let wakes = |timer| self.timers.is_armed(timer);
        let wakes = wakes(Timer::Retransmit)
            || wakes(Timer::Persist)
            // The first batch after a pause may wait for the pacer alone.
            || (!outstanding && wakes(Timer::Pacing));
        debug_assert!(!waits || wakes, "nothing would ever send what waits");
    }

    /// What holds after every input (design: invariants of the core).
    fn check_invariants(&self) {
        let snd = &self.snd;
        debug_assert!(snd.una.before_eq(snd.nxt) && snd.nxt.before_eq(snd.max), "una <= nxt <= max");
        debug_assert!(self.rcv.nxt.before_eq(self.rcv.adv), "text is never taken beyond the announced edge");
        debug_assert!(
            snd.flight_size() == 0
                || !self.state.sends_text()
                || self.timers.is_armed(Timer::Retransmit)
                || self.timers.is_armed(Timer::Persist)
                || snd.force,
            "a deadline is armed while octets are in flight"
        );
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("tuple", &self.tuple)
            .field("state", &self.state)
            .field("snd", &self.snd)
            .field("rcv", &self.rcv)
            .field("agreed", &self.agreed)
            .finish_non_exhaustive()
    }
}
