//! Counts what the links see of each flow.

use std::collections::VecDeque;
use std::time::Duration;

use netstack_tcp::{Instant, Segment};
use netstack_wire::SeqNum;
use netstack_wire::tcp::TcpFlags;

use crate::Fate;
use crate::heap::{EndId, Endpoint, Observer, Side};

/// What one flow's data met on its way, in payload bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    pub(super) sent: u64,
    pub(super) resent: u64,
    pub(super) lost: u64,
    /// Round trips of data sent once: until the ACK that covers it is there. Delayed ACKs are part of them.
    pub(super) rtts: Vec<(Instant, Duration)>,
    /// Times at which the slow-start threshold went down, first setting included.
    pub(super) lowered: Vec<Instant>,
    max: Option<SeqNum>,
    /// Sent once and not acknowledged: end of the segment, and when.
    timed: VecDeque<(SeqNum, Instant)>,
    ssthresh: Option<u32>,
}

/// An [`Account`] for each flow.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) accounts: Vec<Account>,
}

impl Ledger {
    pub(super) fn new(flows: usize) -> Self {
        Self { accounts: vec![Account::default(); flows] }
    }
}

impl Observer for Ledger {
    fn sent(&mut self, now: Instant, from: EndId, hops: usize, segment: &Segment, fate: Fate) {
        if from.side == Side::B || segment.payload.is_empty() {
            return;
        }
        let account = &mut self.accounts[from.flow];
        let len = segment.payload.len() as u64;
        if matches!(fate, Fate::QueueFull | Fate::Lost) {
            account.lost += len;
        }
        if hops == 0 {
            account.send(now, segment);
        }
    }

    fn arrived(&mut self, now: Instant, at: EndId, segment: &Segment) {
        if at.side == Side::A && segment.header.flags.contains(TcpFlags::ACK) {
            self.accounts[at.flow].acknowledge(now, segment.header.ack);
        }
    }

    fn turned(&mut self, now: Instant, end: EndId, endpoint: &Endpoint) {
        if end.side == Side::B {
            return;
        }
        let Some(connection) = endpoint.connection() else { return };
        let account = &mut self.accounts[end.flow];
        let ssthresh = connection.info().ssthresh;
        if ssthresh != account.ssthresh {
            if ssthresh.unwrap_or(u32::MAX) < account.ssthresh.unwrap_or(u32::MAX) {
                account.lowered.push(now);
            }
            account.ssthresh = ssthresh;
        }
    }
}

impl Account {
    fn send(&mut self, now: Instant, segment: &Segment) {
        let start = segment.header.seq;
        let len = segment.payload.len() as u32;
        let end = start + len;
        let max = *self.max.get_or_insert(start);
        self.sent += u64::from(len);
        if start.before(max) {
            // The tail of a segment that was cut differently may be new.
            self.resent += u64::from(max.min(end).distance_from(start));
            // Karn: nothing that was sent twice is timed.
            self.timed.retain(|&(timed, _)| timed.before_eq(start) || timed.after(end));
        } else {
            self.timed.push_back((end, now));
        }
        self.max = Some(max.max(end));
    }

    fn acknowledge(&mut self, now: Instant, ack: SeqNum) {
        let mut newest = None;
        while let Some(&(end, at)) = self.timed.front()
            && end.before_eq(ack)
        {
            newest = Some(at);
            self.timed.pop_front();
        }
        if let Some(at) = newest {
            self.rtts.push((now, now - at));
        }
    }
}
