//! Fast Open at one listener: who is let in, and how many at a time (RFC 7413 4.2.2, 5.1).

use core::time::Duration;
use std::collections::VecDeque;

use netstack_wire::tcp::FastOpenCookie;

use super::cookie::Validity;
use super::{CookieKey, FastOpenAnswer};
use crate::segment::Segment;
use crate::time::Instant;
use crate::tuple::FourTuple;

/// How long a connection that was reset before its handshake was over counts as pending: else forged SYNs with stolen cookies
/// would be let in as fast as their victims reset them (RFC 7413 5.1).
const RESET_COUNTS: Duration = Duration::from_secs(60);

/// The connections of a listener whose data was taken before their handshake is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FastOpenQueue {
    key: CookieKey,
    /// PendingFastOpenRequests may be so many.
    limit: usize,
    pending: usize,
    /// Until when those that were reset count, the oldest first; no more than the limit.
    resets: VecDeque<Instant>,
}

impl FastOpenQueue {
    pub(crate) fn new(key: CookieKey, limit: usize) -> Self {
        Self { key, limit, pending: 0, resets: VecDeque::new() }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Allows `limit` at a time from now on.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Connections that count towards the limit.
    pub(crate) fn pending(&self) -> usize {
        self.pending + self.resets.len()
    }

    /// What the option of the SYN `seg` comes to. What is accepted counts until [`ended`](Self::ended).
    pub(crate) fn judge(&mut self, now: Instant, tuple: &FourTuple, seg: &Segment) -> FastOpenAnswer {
        let Some(cookie) = seg.header.options.fast_open.filter(|_| self.limit > 0) else {
            return FastOpenAnswer::Ignored;
        };
        let fresh = self.key.cookie(now, tuple);
        if cookie == FastOpenCookie::REQUEST {
            return FastOpenAnswer::Given(fresh);
        }
        let validity = self.key.check(now, tuple, &cookie);
        if validity == Validity::Invalid {
            return FastOpenAnswer::Refused(fresh);
        }
        while self.resets.front().is_some_and(|until| *until <= now) {
            self.resets.pop_front();
        }
        if self.pending() >= self.limit {
            return FastOpenAnswer::Limited;
        }
        self.pending += 1;
        FastOpenAnswer::Accepted((validity == Validity::Old).then_some(fresh))
    }

    /// The handshake of one that was accepted is over, one way or the other; `reset` says that a RST ended it.
    pub(crate) fn ended(&mut self, now: Instant, reset: bool) {
        self.pending = self.pending.saturating_sub(1);
        if reset {
            self.resets.push_back(now + RESET_COUNTS);
        }
    }
}
