//! SYNs for which nothing is kept, and the ACKs that answer them (RFC 4987 3.6).

use std::sync::Arc;

use netstack_tcp::{FourTuple, Segment, SynRecord, reset_for};

use super::Packet;
use crate::actor::Input;
use crate::listener::ListenerShared;
use crate::stack::Origin;
use crate::stream::TcpStream;

impl Packet<'_> {
    /// Answers a SYN with a cookie.
    pub(super) fn answer_with_cookie(&mut self, syn: &SynRecord, listener: &ListenerShared) {
        let inner = self.inner;
        let now = inner.clock.now();
        let opening = inner.opening(now, syn.tuple, self.interface);
        let header = inner.cookies.answer(now, syn, opening, &listener.config());
        inner.counters.syn_cookies_sent.bump();
        listener.tell_of_cookies(now);
        self.send_header(syn.tuple, &header);
    }

    /// Makes a connection of an ACK, if that brings a cookie back; else it is answered as any ACK that nobody waits for
    /// (R4987-4).
    pub(super) fn check_cookie(
        &mut self,
        tuple: FourTuple,
        segment: &Segment,
        listener: &Arc<ListenerShared>,
    ) {
        let inner = self.inner;
        let counters = &inner.counters;
        let config = listener.config();
        let Some(syn) = inner.cookies.check(inner.clock.now(), tuple, segment, &config) else {
            counters.syn_cookies_bad.bump();
            return self.send_reset(tuple, reset_for(segment));
        };
        if inner.budget.is_exhausted() {
            return counters.drop_budget_syn.bump();
        }
        if !listener.reserve_for_cookie() {
            return counters.accept_queue_full.bump();
        }
        let origin = Origin::Cookie { syn, ack: segment.clone() };
        let Some(shared) = inner.spawn(tuple, self.interface, &config, origin) else {
            return listener.dequeued();
        };
        counters.syn_cookies_accepted.bump();
        counters.connections_accepted.bump();
        shared.send.open();
        listener.push(TcpStream::new(Arc::clone(&shared)));
        // What else the segment says, and what it carries.
        self.deliver(shared, Input::Segment(segment.clone()));
    }
}
