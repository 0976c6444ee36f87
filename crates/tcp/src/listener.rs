//! LISTEN: who may open a connection, and how many may wait (RFC 9293 3.10.7.2).

mod cookie;
#[cfg(test)]
mod tests;

use core::fmt;

pub use cookie::SynCookies;

use netstack_wire::tcp::{TcpFlags, TcpHeader};

use crate::fast_open::{CookieKey, FastOpenQueue};
use crate::negotiate::{SynRecord, is_opening_syn};
use crate::reset::reset_for;
use crate::segment::Segment;
use crate::time::Instant;
use crate::tuple::FourTuple;

/// What becomes of a segment that reached a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SynAction {
    /// Make a connection of it with [`Connection::accept`](crate::Connection::accept). The listener counts it as half open
    /// until [`Listener::half_open_ended`] or [`Listener::reserve`].
    ///
    /// Where [`SynRecord::fast_open`] is accepted it has its place in the accept queue already, and counts as pending until
    /// [`Listener::fast_open_ended`]; the SYN itself goes to [`Connection::handle_segment`](crate::Connection::handle_segment),
    /// before anything else does, and the connection to the application at once.
    Spawn(SynRecord),
    /// Keep the record until the application decides (a listener made by [`Listener::deferring`]).
    Incoming(SynRecord),
    /// As [`Spawn`](Self::Spawn), in the place of the handshake that has been under way for the longest time: end that
    /// one without a word ([`SynPolicy::RecycleOldest`]).
    Recycle(SynRecord),
    /// Answer with [`SynCookies::answer`], and keep nothing.
    Cookie(SynRecord),
    /// It may answer a cookie that was sent: ask [`SynCookies::check`]. If it does, take a place with
    /// [`Listener::reserve_for_cookie`] and make a connection with
    /// [`Connection::from_cookie`](crate::Connection::from_cookie); else it earns a reset ([`reset_for`]).
    CheckCookie,
    /// Answer with this reset: the segment acknowledges something in LISTEN (S-LISTEN-2).
    Reset(TcpHeader),
    /// Nothing is sent.
    Drop(SynDrop),
}

/// Why a segment for a listener was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SynDrop {
    /// It is a reset (S-LISTEN-1), or has neither SYN nor ACK (S-LISTEN-5).
    NotASyn,
    /// As many handshakes are open as the listener allows (R4987-1).
    TooManyHalfOpen,
    /// As many connections wait for `accept` as the backlog allows.
    BacklogFull,
}

/// What happens to a SYN while as many handshakes are under way as the listener allows (RFC 4987 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SynPolicy {
    /// It is answered with a cookie: a SYN-ACK that nothing is kept for, so that strangers who forge their addresses keep
    /// nobody out. What a cookie cannot carry is off, see [`SynCookies`]; and if the last ACK of such a handshake is lost, the
    /// connection opens with the peer's first data.
    #[default]
    CookiesWhenFull,
    /// Every SYN is answered with a cookie, also while there is room.
    AlwaysCookies,
    /// It takes the place of the handshake that has been under way for the longest time.
    RecycleOldest,
    /// It is dropped, and its sender tries again.
    DropNew,
}

/// The counts behind one listening socket: half-open handshakes, and connections that nobody has accepted yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Listener {
    backlog: usize,
    max_half_open: usize,
    half_open: usize,
    queued: usize,
    deferring: bool,
    policy: SynPolicy,
    /// Until when an answer to a cookie may come.
    cookies_until: Option<Instant>,
    fast_open: Option<Box<FastOpenQueue>>,
}

impl Listener {
    /// A listener that lets `backlog` open connections wait for `accept` and `max_half_open` handshakes be in progress;
    /// further SYNs are dropped. Each is at least 1.
    #[must_use]
    pub fn new(backlog: usize, max_half_open: usize) -> Self {
        Self {
            backlog: backlog.max(1),
            max_half_open: max_half_open.max(1),
            half_open: 0,
            queued: 0,
            deferring: false,
            policy: SynPolicy::DropNew,
            cookies_until: None,
            fast_open: None,
        }
    }

    /// The same listener with another answer to SYNs beyond `max_half_open`. One that defers drops them in any case: the
    /// application has to see them first.
    #[must_use]
    pub fn with_policy(mut self, policy: SynPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Takes data on SYNs with a cookie of `key` (RFC 7413), of up to `limit` connections whose handshake is not over; 0
    /// switches it off, which is the default. A listener that defers takes none, and one that answers a SYN with a SYN cookie not
    /// its data either.
    pub fn set_fast_open(&mut self, key: CookieKey, limit: usize) {
        let queue = self.fast_open.get_or_insert_with(|| Box::new(FastOpenQueue::new(key, limit)));
        queue.set_limit(limit);
    }

    /// What [`set_fast_open`](Self::set_fast_open) has set.
    #[must_use]
    pub fn fast_open_limit(&self) -> usize {
        self.fast_open.as_ref().map_or(0, |queue| queue.limit())
    }

    /// Connections whose data was taken and whose handshake is not over, with those that a RST has ended a short time ago.
    #[must_use]
    pub fn fast_open_pending(&self) -> usize {
        self.fast_open.as_ref().map_or(0, |queue| queue.pending())
    }

    /// The same listener, but each SYN waits for the application before it is answered.
    #[must_use]
    pub fn deferring(mut self) -> Self {
        self.deferring = true;
        self
    }

    /// Decides on a segment for this listener that belongs to no connection.
    pub fn handle_syn(&mut self, now: Instant, tuple: FourTuple, seg: &Segment) -> SynAction {
        self.decide(now, tuple, seg, true)
    }

    /// As [`handle_syn`](Self::handle_syn), of a tuple that is in TIME-WAIT and gives way: never a cookie, as the initial
    /// sequence number has to lie above those of the old connection.
    pub fn handle_reopening_syn(&mut self, now: Instant, tuple: FourTuple, seg: &Segment) -> SynAction {
        self.decide(now, tuple, seg, false)
    }

    fn decide(&mut self, now: Instant, tuple: FourTuple, seg: &Segment, may_cookie: bool) -> SynAction {
        if seg.has(TcpFlags::ACK) {
            if self.cookies_until.is_some_and(|until| now < until) {
                return SynAction::CheckCookie;
            }
            // S-LISTEN-2; `reset_for` declines to answer a RST (S-LISTEN-1).
            return reset_for(seg).map_or(SynAction::Drop(SynDrop::NotASyn), SynAction::Reset);
        }
        if !is_opening_syn(seg) {
            return SynAction::Drop(SynDrop::NotASyn);
        }
        if self.queued >= self.backlog {
            return SynAction::Drop(SynDrop::BacklogFull);
        }
        let record = SynRecord::from_segment(tuple, seg, now);
        let full = self.half_open >= self.max_half_open;
        // Twice as many while those that were told to end have not ended yet.
        let recyclable = full && self.half_open < self.max_half_open.saturating_mul(2);
        let policy = if self.deferring { SynPolicy::DropNew } else { self.policy };
        match policy {
            SynPolicy::CookiesWhenFull if full && may_cookie => self.cookie(now, record),
            SynPolicy::AlwaysCookies if may_cookie => self.cookie(now, record),
            SynPolicy::RecycleOldest if recyclable => {
                self.half_open += 1;
                SynAction::Recycle(record)
            }
            _ if full => SynAction::Drop(SynDrop::TooManyHalfOpen),
            _ => self.take(now, record, seg),
        }
    }

    /// There is room for another handshake, and perhaps for one whose data is taken early.
    fn take(&mut self, now: Instant, mut record: SynRecord, seg: &Segment) -> SynAction {
        if let Some(queue) = self.fast_open.as_mut().filter(|_| !self.deferring) {
            record.fast_open = queue.judge(now, &record.tuple, seg);
        }
        if record.fast_open.is_accepted() {
            self.queued += 1;
        } else {
            self.half_open += 1;
        }
        if self.deferring { SynAction::Incoming(record) } else { SynAction::Spawn(record) }
    }

    fn cookie(&mut self, now: Instant, record: SynRecord) -> SynAction {
        self.cookies_until = Some(now + SynCookies::LIFETIME);
        SynAction::Cookie(record)
    }

    /// The handshake of a connection whose data was taken early is over, one way or the other; `reset` says that a RST has
    /// ended it: then it counts for another minute (R7413-4).
    pub fn fast_open_ended(&mut self, now: Instant, reset: bool) {
        if let Some(queue) = &mut self.fast_open {
            queue.ended(now, reset);
        }
    }

    /// A handshake ended without becoming a connection.
    pub fn half_open_ended(&mut self) {
        self.half_open = self.half_open.saturating_sub(1);
    }

    /// The last ACK of a handshake arrived: takes a place in the accept queue, or says that there is none; then the ACK
    /// is to be dropped, and the SYN-ACK's retransmission asks again.
    #[must_use]
    pub fn reserve(&mut self) -> bool {
        let free = self.reserve_for_cookie();
        if free {
            self.half_open_ended();
        }
        free
    }

    /// As [`reserve`](Self::reserve), for a handshake that nothing was kept of.
    #[must_use]
    pub fn reserve_for_cookie(&mut self) -> bool {
        let free = self.queued < self.backlog;
        self.queued += usize::from(free);
        free
    }

    /// Takes a reservation back: the segment did not complete the handshake after all.
    pub fn unreserve(&mut self) {
        self.dequeued();
        self.half_open += 1;
    }

    /// A connection left the accept queue: accepted, or given up.
    pub fn dequeued(&mut self) {
        self.queued = self.queued.saturating_sub(1);
    }

    /// Handshakes in progress.
    #[must_use]
    pub fn half_open(&self) -> usize {
        self.half_open
    }

    /// Connections that wait for `accept`.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Listener {{ queued: {}/{}, half_open: {}/{} }}",
            self.queued, self.backlog, self.half_open, self.max_half_open
        )
    }
}
