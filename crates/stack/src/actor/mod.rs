//! The actor: one task per connection, which alone owns the protocol's state from the first SYN to TIME-WAIT.
//!
//! A turn takes what has arrived, what the application wrote and what it ordered, fires the timers that are due, sends
//! a bounded burst, publishes to the application, and re-arms the timer. Nothing in it waits.

mod link;
mod mailbox;
mod scratch;
mod shared;
mod timer;
mod transmit;

use std::collections::VecDeque;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use netstack_device::Turn;
use netstack_tcp::{CloseReason, Connection, Event, FastOpen, Instant, Segment, State};
use tracing::debug;

pub(crate) use mailbox::{Arrival, Input};
pub(crate) use shared::{Linger, Shared, order};
use timer::Timer;
use transmit::{Held, Sent};

use crate::budget::Promise;
use crate::error::EndCause;
use crate::lane::Room;
use crate::listener::ListenerShared;
use crate::stack::Interface;
use crate::stream::TcpStream;

/// The task of one connection.
pub(crate) struct Actor {
    connection: Connection,
    shared: Arc<Shared>,
    timer: Timer,
    /// Our place in the device's FIFO of senders.
    turn: Turn,
    /// The frame that the device had no slot for.
    held: Option<Box<Held>>,
    /// Where packets leave by; kept, so that sending asks nobody.
    interface: Arc<Interface>,
    /// The state of the network in which `interface` was chosen.
    generation: u32,
    /// Packets leave by the interface that the first one came by, whatever the routes say.
    pinned: bool,
    /// Who gets the connection once its handshake is complete; or, if it is `early`, has got it, and counts it until then.
    listener: Option<Arc<ListenerShared>>,
    /// The application has it though its handshake is not over (RFC 7413).
    early: bool,
    /// Bytes held by the connection, as the send lane knows.
    published: u32,
    /// What the stack's budget reckons with for our first window.
    promise: Promise,
    /// When a connection with a bounded linger is given up; boxed, for most have none.
    linger_until: Option<Box<Instant>>,
    /// When the socket went, in seconds since the stack began, and one: since then nobody reads or writes.
    orphaned: Option<NonZeroU32>,
    /// The state of the known paths when this connection looked last; 0 before it has.
    path_epoch: u32,
    /// Everything is published and the table entry is gone.
    ended: bool,
}

#[cfg(not(netstack_loom))]
const _: () = assert!(size_of::<Actor>() <= 920, "an idle connection costs at most 2 KiB in all");

/// Seconds for which a connection without a socket may deliver what is left, however little of the budget there is.
const ORPHAN_GRACE: u32 = 300;

/// Seconds since the stack began, and one.
fn seconds(now: Instant) -> NonZeroU32 {
    let seconds = u32::try_from(now.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX);
    NonZeroU32::MIN.saturating_add(seconds)
}

/// Whether a turn came to its end.
enum Rest {
    /// Nothing to do until somebody wakes the actor.
    Idle,
    /// More to do: others first.
    Yield,
    /// The connection is over.
    Done,
}

impl Actor {
    pub(crate) fn new(
        connection: Connection,
        shared: Arc<Shared>,
        listener: Option<Arc<ListenerShared>>,
        pinned: bool,
    ) -> Self {
        // Looked at again in the first turn: the network may have changed since the interface was chosen.
        let generation = shared.inner.generation().wrapping_sub(1);
        let interface = Arc::clone(&shared.inner.interface(shared.interface()));
        Self {
            early: listener.is_some() && connection.fast_open() == FastOpen::Used,
            connection,
            shared,
            timer: Timer::default(),
            turn: Turn::new(),
            held: None,
            interface,
            generation,
            pinned,
            listener,
            published: 0,
            promise: Promise::None,
            linger_until: None,
            orphaned: None,
            path_epoch: 0,
            ended: false,
        }
    }

    /// One turn. The order of calls is that of [`Connection`]'s documentation.
    fn turn(&mut self, cx: &mut Context<'_>) -> Rest {
        self.shared.begin_turn(cx);
        self.follow_network();
        let now = self.shared.inner.clock.now();
        self.heed_budget(now);
        self.learn_path(now);
        self.receive();
        if self.take_orders(now) {
            self.end(EndCause::StackStopped);
            return Rest::Done;
        }
        if self.connection.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.connection.handle_timeout(now);
        }
        if self.linger_until.as_deref().is_some_and(|deadline| *deadline <= now) {
            self.linger_until = None;
            self.connection.abort();
        }
        self.give_up_orphan(now);
        let sent = self.exchange(cx, now);
        self.shared.set_waits_for_device(false);
        self.publish();
        match sent {
            Sent::Gone => {
                self.end(EndCause::StackStopped);
                Rest::Done
            }
            // What is still to be said is said before the connection is forgotten.
            Sent::More => Rest::Yield,
            Sent::Waiting if self.finish_unsaid() => Rest::Done,
            Sent::Waiting if !self.may_wait() => Rest::Yield,
            Sent::Waiting => self.rest(cx),
            Sent::All if self.finish() => Rest::Done,
            Sent::All => self.rest(cx),
        }
    }

    /// Arms the timer for the next deadline.
    fn rest(&mut self, cx: &mut Context<'_>) -> Rest {
        let clock = self.shared.inner.clock;
        let deadline =
            self.connection.poll_timeout().into_iter().chain(self.linger_until.as_deref().copied()).min();
        match self.timer.poll(cx, deadline.and_then(|deadline| clock.tokio(deadline))) {
            Poll::Ready(()) => Rest::Yield,
            Poll::Pending => Rest::Idle,
        }
    }

    /// What is left of the stack's budget bounds the windows that this turn announces.
    fn heed_budget(&mut self, now: Instant) {
        let consumed = self.connection.consumed();
        let window = self.shared.inner.budget.window(&mut self.promise, consumed, now);
        self.connection.set_recv_limit(window);
        if window == 0 && self.connection.discard_out_of_order() {
            self.shared.inner.counters.budget_out_of_order.bump();
        }
    }

    /// A peer may take what a dropped stream left for it an octet at a time, on as many connections as it likes: when the budget
    /// runs short, those that have had their time are reset.
    fn give_up_orphan(&mut self, now: Instant) {
        let over = self.orphaned.is_some_and(|since| seconds(now).get() - since.get() >= ORPHAN_GRACE);
        if over && self.connection.send_queued() > 0 && self.shared.inner.budget.is_pressed() {
            self.shared.inner.counters.budget_orphans.bump();
            self.connection.abort();
        }
    }

    /// The socket is gone.
    fn orphan(&mut self, now: Instant) {
        self.orphaned.get_or_insert_with(|| seconds(now));
    }

    /// What others have found out about the path, if there is anything new (R8201-6).
    fn learn_path(&mut self, now: Instant) {
        let paths = &self.shared.inner.path_mtu;
        let epoch = paths.epoch();
        if epoch != self.path_epoch {
            self.path_epoch = epoch;
            if let Some(mtu) = paths.known(self.shared.remote().ip()) {
                self.connection.set_path_mtu(now, mtu);
            }
        }
    }

    // ---- From the network ----

    /// Handles what ingress has put into the mailbox, and hands the data over to the application.
    fn receive(&mut self) {
        let mut arrivals = self.shared.mailbox.take(&self.shared.inner.budget);
        if arrivals.is_empty() {
            return;
        }
        let mut pieces = scratch::pieces();
        self.handle(&mut arrivals, &mut pieces);
        scratch::put_queue(arrivals);
        if !pieces.is_empty() && self.orphaned.is_none() {
            self.shared.recv.publish(&mut pieces);
        }
        scratch::put_pieces(pieces);
        if self.connection.peer_closed() && self.orphaned.is_none() {
            self.shared.recv.finish();
        }
    }

    /// Handles `arrivals`, and collects the data that they brought.
    fn handle(&mut self, arrivals: &mut VecDeque<Arrival>, pieces: &mut VecDeque<Bytes>) {
        for arrival in arrivals.drain(..) {
            match arrival.input {
                Input::Segment(segment) => self.handle_segment(arrival.at, segment),
                Input::Icmp { seq, notice } => self.connection.handle_icmp(seq, notice),
                Input::TooBig { seq, mtu } => self.connection.handle_too_big(arrival.at, seq, mtu),
            }
            // At once: a reset behind the data takes away what was not fetched.
            while let Some(piece) = self.connection.read() {
                pieces.push_back(piece);
            }
        }
    }

    fn handle_segment(&mut self, at: Instant, segment: Segment) {
        let completes = self.listener.is_some() && self.connection.completes_handshake(&segment);
        if completes && !self.reserve() {
            return self.shared.inner.counters.accept_queue_full.bump();
        }
        self.connection.handle_segment(at, segment);
        if completes {
            self.handshake_ended(at);
        }
    }

    /// Takes a place in the accept queue, unless the connection has been there.
    fn reserve(&self) -> bool {
        self.early || self.listener.as_ref().is_some_and(|listener| listener.reserve())
    }

    /// The segment that should complete the handshake was handled: the connection goes to the listener, or the place
    /// is given back.
    fn handshake_ended(&mut self, at: Instant) {
        let Some(listener) = self.listener.take() else { return };
        if self.connection.state() == State::SynReceived {
            if !self.early {
                listener.unreserve();
            }
            self.listener = Some(listener);
            return;
        }
        if std::mem::take(&mut self.early) {
            return listener.fast_open_ended(at, false);
        }
        self.shared.inner.counters.connections_accepted.bump();
        self.shared.send.open();
        listener.push(TcpStream::new(Arc::clone(&self.shared)));
    }

    // ---- From the application ----

    /// Carries out orders; true if the connection has to end without another word.
    fn take_orders(&mut self, now: Instant) -> bool {
        let orders = self.shared.take_orders();
        let recycled = orders & order::RECYCLE != 0 && self.listener.is_some();
        if orders & order::STOP != 0 || recycled {
            return true;
        }
        if orders & order::REQUEST != 0 {
            self.take_requests(now);
        }
        let unlistened = orders & order::UNLISTEN != 0
            && !self.early
            && self.listener.as_ref().is_some_and(|listener| listener.is_closed());
        if orders & order::ABORT != 0 || unlistened {
            self.orphan(now);
            self.connection.abort();
        }
        if orders & order::CLOSE != 0 && self.orphaned.is_none() {
            self.close(now);
        }
        false
    }

    fn take_requests(&mut self, now: Instant) {
        let wanted = self.shared.take_requests();
        self.connection.set_nodelay(self.shared.nodelay());
        self.connection.set_quickack(self.shared.quickack());
        self.connection.set_dscp(self.shared.dscp());
        self.connection.set_hop_limit(self.shared.hop_limit());
        if let Some(limit) = wanted.user_timeout {
            self.connection.set_user_timeout(limit);
        }
        if let Some(choice) = wanted.congestion {
            self.connection.set_congestion(&choice);
        }
        if let Some(keepalive) = wanted.keepalive {
            self.connection.set_keepalive(now, keepalive);
        }
        if wanted.info {
            self.take_unread();
            self.shared.give_info(self.connection.info(), false);
        }
    }

    /// The socket was dropped: what it wrote goes out, what it has not read turns the close into a reset.
    fn close(&mut self, now: Instant) {
        self.orphan(now);
        if self.listener.is_some() && !self.early {
            // The stack shuts down, and nobody will ever accept it: no reason to wait for the handshake.
            self.connection.abort();
            return;
        }
        match self.shared.linger() {
            Linger::Background => {}
            Linger::Bounded(limit) => self.linger_until = Some(Box::new(now + limit)),
            Linger::Reset => {
                self.connection.abort();
                return;
            }
        }
        let unread = self.shared.recv.unread();
        self.connection.set_unread(unread);
        self.shared.recv.discard();
        // Errors mean that the sending half is closed already.
        let _ = self.shared.send.shut();
        self.take_writes();
        self.connection.close(now);
    }

    /// Tells the connection how much the application has read.
    fn take_unread(&mut self) -> usize {
        let unread = self.shared.recv.unread();
        if self.orphaned.is_none() {
            self.connection.set_unread(unread);
        }
        unread
    }

    /// Moves what was written into the connection. True if there was anything.
    fn take_writes(&mut self) -> bool {
        let room = Room { unsent: self.connection.unsent(), mss: self.connection.effective_mss() };
        let taken = self.shared.send.take(room);
        let some = !taken.pieces.is_empty();
        let mut urgent = taken.urgent;
        for piece in taken.pieces {
            let mut piece = piece.into_bytes();
            let len = piece.len();
            if (1..=len).contains(&urgent) {
                self.write(piece.split_to(urgent));
                self.connection.mark_urgent();
            }
            urgent = urgent.saturating_sub(len);
            self.write(piece);
        }
        if taken.fin {
            self.connection.shutdown_write();
        }
        some
    }

    fn write(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            // In 32 bits, as all of a connection's buffers.
            self.published += piece.len() as u32;
            // A connection that takes no more has ended, and says why in its event.
            let _ = self.connection.write(piece);
        }
    }

    /// Writes in, segments out, until nothing moves any more or the burst is used up.
    fn exchange(&mut self, cx: &mut Context<'_>, now: Instant) -> Sent {
        let mut burst = self.burst();
        let mut payload = scratch::payload();
        let sent = loop {
            let unread = self.take_unread();
            self.take_writes();
            let sent = self.transmit(cx, now, &mut payload, &mut burst);
            if sent != Sent::All || !(self.take_writes() || self.reader_moved(unread)) {
                break sent;
            }
        };
        scratch::put_payload(payload);
        sent
    }

    /// Tells the receive lane when to wake us; true if the reader has come that far since it was at `unread`.
    fn reader_moved(&self, unread: usize) -> bool {
        let level = if self.orphaned.is_some() { None } else { self.connection.window_update_below() };
        self.shared.recv.set_update_at(level).is_some_and(|now| now < unread)
    }

    // ---- To the application ----

    fn publish(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Connected => self.shared.send.open(),
                Event::UrgentPending => self.shared.give_urgent(),
                Event::RetryWarning => debug!("no answer to several retransmissions (R1)"),
                _ => {}
            }
        }
        if let Some(news) = self.connection.poll_fast_open() {
            self.shared.inner.learn_fast_open(&self.shared.tuple, &news);
        }
        if let Some(news) = self.connection.poll_path_news() {
            self.shared.inner.path_mtu.tell(self.shared.remote().ip(), news);
        }
        let queued = self.connection.send_queued();
        if queued as u32 != self.published {
            self.published = queued as u32;
            let (memory, capacity) = (self.connection.send_memory(), self.connection.send_capacity());
            self.shared.send.publish(queued, memory, capacity);
        }
        self.shared.set_state(self.connection.state());
        self.shared.set_out_of_order(self.connection.out_of_order_memory());
        self.shared.mailbox.set_room(self.connection.right_edge_room());
        self.shared.inner.watch_budget();
        self.shared.inner.watch.turned(&self.connection);
    }

    /// Ends the actor if the connection is over, or lives on as a record.
    fn finish(&mut self) -> bool {
        if let Some(record) = self.connection.time_wait() {
            self.ended = true;
            self.shared.inner.table.enter_time_wait(&self.shared, record);
            self.tell(EndCause::Closed(CloseReason::Normal));
            return true;
        }
        let Some(reason) = self.connection.close_reason() else { return false };
        self.end(EndCause::Closed(reason));
        true
    }

    /// Ends the actor though the device takes nothing, if the connection is over: a device that stalls for good must not
    /// hide it. Only a reset of ours is worth the wait for a slot; the socket does not wait with it.
    fn finish_unsaid(&mut self) -> bool {
        let Some(reason) = self.connection.close_reason() else { return false };
        let cause = EndCause::Closed(reason);
        if reason == CloseReason::Aborted {
            self.shared.recv.fail(cause);
            self.shared.send.end(cause);
            return false;
        }
        self.end(cause);
        true
    }

    /// The connection is over: the table forgets it and the socket learns why.
    fn end(&mut self, cause: EndCause) {
        self.ended = true;
        self.shared.inner.table.remove(&self.shared);
        // With the runtime its clock is gone.
        if cause != EndCause::RuntimeGone {
            self.shared.inner.watch.ended(&self.shared.tuple);
        }
        self.tell(cause);
    }

    fn tell(&mut self, cause: EndCause) {
        debug!(%cause, "connection ended");
        self.shared.set_state(self.connection.state());
        match self.listener.take() {
            Some(listener) if self.early => {
                let reset = self.connection.close_reason() == Some(CloseReason::Reset);
                listener.fast_open_ended(self.shared.inner.clock.now(), reset);
            }
            Some(listener) => listener.half_open_ended(),
            None => {}
        }
        if self.orphaned.is_some() {
            self.shared.recv.discard();
        }
        // Ignored by the lane if the stream's end was published before.
        self.shared.recv.fail(cause);
        self.shared.send.end(cause);
        self.shared.give_info(self.connection.info(), true);
        self.leave_queue();
        self.shared.set_out_of_order(0);
        self.shared.inner.budget.release(&mut self.promise);
        let inner = &self.shared.inner;
        inner.counters.drop_late.add(self.shared.mailbox.take(&inner.budget).len());
        inner.leave();
    }
}

impl Future for Actor {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.shared.inner.counters.actor_turns.bump();
        match this.turn(cx) {
            Rest::Idle => Poll::Pending,
            Rest::Yield => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Rest::Done => Poll::Ready(()),
        }
    }
}

impl Drop for Actor {
    /// The runtime shuts down: nobody may wait for a connection that no task serves.
    fn drop(&mut self) {
        if !self.ended {
            self.end(EndCause::RuntimeGone);
        }
    }
}
